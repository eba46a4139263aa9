"""System calls by ctypes, mounts, user namespaces, capabilities, BPF. Standard library only."""
