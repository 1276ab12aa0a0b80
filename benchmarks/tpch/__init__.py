"""TPC-H on PostgreSQL: its tables, its 22 queries, and more statements over the same data."""
