"""Hypothesis without a database on disk: a plain user may not write to the tree."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("layer", database=None, deadline=None)
settings.load_profile("layer")
