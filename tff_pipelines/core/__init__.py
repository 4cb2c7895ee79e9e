"""What every other folder speaks in: client batches, participation, seeds."""
