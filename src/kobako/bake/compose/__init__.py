"""Compose files: what their services' `build` sections say."""
