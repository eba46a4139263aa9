"""The command line: flags -> one engine call -> rendering. One file a verb."""
