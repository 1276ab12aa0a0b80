"""Health checks of a server and its databases: everything but indexes, which `index` audits."""
