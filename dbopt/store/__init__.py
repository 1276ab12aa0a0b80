"""The schema dbopt: dbopt's own history, its reads and writes."""
