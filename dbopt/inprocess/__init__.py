"""In-process tracing: psycopg_pool's pools, observing every statement of their connections.

connection.py lets session.py see each operation of a connection; counting.py adds up, reporter.py
resolves and sends every second, ingest.py is the daemon's side.
"""
