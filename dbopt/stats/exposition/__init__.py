"""The pg_stat views as Prometheus metrics: postgres_exporter's names for what it has."""
