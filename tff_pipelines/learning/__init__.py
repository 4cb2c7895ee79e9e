"""Learning processes and computations on top of `tff.learning`."""
