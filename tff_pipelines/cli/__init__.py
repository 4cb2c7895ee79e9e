"""Every flag of the task binaries, in groups, and how a binary runs."""
