"""Secure aggregation: the server learns the sum and no client's input."""
