"""Bake files: HCL, JSON and compose files in, targets out. Pure: the caller reads and builds."""
