"""Aggregation factories, one a file, and the registry of their names."""
