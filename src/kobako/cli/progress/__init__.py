"""A build's events as a person or a program wants them: `--progress`."""
