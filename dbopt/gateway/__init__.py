"""The data plane: what stands between clients and PostgreSQL."""
