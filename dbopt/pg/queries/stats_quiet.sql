-- name: collect_quiet
-- For the rest of the transaction: no parallel workers, no JIT, no sort on disk, as befits a
-- guest. Not for the session, whose EXPLAINs are to show what the application would get.
SELECT /* dbopt */
       set_config('max_parallel_workers_per_gather', '0', true),
       set_config('jit', 'off', true),
       set_config('work_mem', '32MB', true)
