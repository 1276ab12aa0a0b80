"""The demonstration: an embedded server, an application's data and its workload."""
