"""PostgreSQL protocol 3 without I/O: bytes in, messages out, and back.

Nothing is imported here: the gateway takes `types` and `encode`, which are quick to import;
tools and tests take `messages` and `codec`.
"""
