"""Seccomp profiles: docker's default one, profiles from files, and the filters made of them."""
