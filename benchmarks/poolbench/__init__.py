"""What `benchmarks/gateway.py` is made of."""
