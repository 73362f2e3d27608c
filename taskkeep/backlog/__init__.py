"""What a backlog is: values and pure functions; no files, clock, git, randomness or printing."""
