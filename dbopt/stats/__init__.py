"""What the pg_stat views say: snapshots, their difference, and the report."""
