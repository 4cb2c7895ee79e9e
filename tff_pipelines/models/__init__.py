"""Functional models: weights in, predictions out."""
