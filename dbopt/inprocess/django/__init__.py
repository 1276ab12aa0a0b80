"""A Django database backend: PostgreSQL's, whose pool is traced. See docs/in-process.md."""
