"""Base images made of programs of this machine, without a network."""
