"""PostgreSQL through psycopg: connections, catalog, plans, and the SQL of our own."""
