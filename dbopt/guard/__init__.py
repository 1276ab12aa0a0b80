"""The guard's control side: what may run, by policy, and what was decided."""
