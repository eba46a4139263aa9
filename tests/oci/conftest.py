"""hypothesis without a database (the tree may belong to another user) and without a clock."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("oci", database=None, deadline=None)
settings.load_profile("oci")
