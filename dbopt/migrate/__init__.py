"""Migrations: dbopt's own schema, and the declared indexes, built concurrently."""
