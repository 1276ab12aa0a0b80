"""dbopt: a PostgreSQL sidecar that pools, traces, judges, advises, migrates and verifies."""

__version__ = "0.1.0"
