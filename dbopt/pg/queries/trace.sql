-- name: trace_log_line_prefix
-- How each line of the server's log begins.
SELECT pg_catalog.current_setting('log_line_prefix') AS prefix
