"""How a backlog is kept: files, lock, log, journal, git."""
