"""The training program: rounds, release, checkpoints, resume, stop."""
