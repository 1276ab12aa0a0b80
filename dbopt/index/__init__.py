"""Index audit and index advice."""
