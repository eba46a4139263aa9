"""How ownership and overlay's markers are kept in a tree on disk (`OwnershipFormat`)."""

from __future__ import annotations

from kobako.errors import Invalid


class OwnershipFormat:
    """The three formats; a format is passed about as its name.

    native: real ids, `trusted.overlay.*` (made by root).
    mapped: real ids of a user namespace, `user.overlay.*` (made inside that namespace as uid 0).
    emulated: everything belongs to the user; `kobako.linux.ownership` says what was meant.
    In the last two a device is a placeholder file, for no user namespace may make one.
    """

    NATIVE = "native"
    MAPPED = "mapped"
    EMULATED = "emulated"
    ALL = (NATIVE, MAPPED, EMULATED)


def overlay_prefix(form: str) -> str:
    """The namespace of overlay's own xattrs in trees of this format; `Invalid` if unknown."""
    if form not in OwnershipFormat.ALL:
        raise Invalid(f"unknown ownership format {form!r}: native, mapped or emulated")
    return "trusted.overlay." if form == OwnershipFormat.NATIVE else "user.overlay."


def opaque_xattr(form: str) -> str:
    """The xattr by which overlay hides what lower layers have in a directory (value `y`)."""
    return overlay_prefix(form) + "opaque"
