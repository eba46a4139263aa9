"""One member of a tar archive."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

FILE, HARDLINK, SYMLINK = b"0", b"1", b"2"
CHAR, BLOCK, DIRECTORY, FIFO = b"3", b"4", b"5", b"6"
"""Entry types by their ustar flags. The reader folds all other spellings into these."""


class Entry:
    """A member's metadata. Slots and no `Record`: tens of thousands are made per layer.

    name, link: raw bytes as in the archive (link: target of a symbolic or hard link).
    type: one of the constants above.  mode: permission bits, 0-0o7777.
    size: bytes of the file as a program reads it.  mtime_ns: since the epoch.
    xattrs: full names ("user.x") -> values, or None.
    sparse: (offset, length) of the stored pieces in order, or None when all of it is stored.
    """

    __slots__ = (
        "gid",
        "link",
        "major",
        "minor",
        "mode",
        "mtime_ns",
        "name",
        "size",
        "sparse",
        "type",
        "uid",
        "xattrs",
    )

    def __init__(
        self,
        name: bytes,
        type: bytes = FILE,  # noqa: A002 - the format's own word
        mode: int = 0o644,
        uid: int = 0,
        gid: int = 0,
        size: int = 0,
        mtime_ns: int = 0,
        link: bytes = b"",
        major: int = 0,
        minor: int = 0,
        xattrs: dict[bytes, bytes] | None = None,
        sparse: Sequence[tuple[int, int]] | None = None,
    ) -> None:
        self.name = name
        self.type = type
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.size = size
        self.mtime_ns = mtime_ns
        self.link = link
        self.major = major
        self.minor = minor
        self.xattrs = xattrs
        self.sparse = sparse

    def __repr__(self) -> str:
        fields = ", ".join(f"{f}={getattr(self, f)!r}" for f in self.__slots__)
        return f"Entry({fields})"


def shown(name: bytes) -> str:
    """A member's name for a message: quoted, at most 200 characters."""
    text = name.decode("utf-8", "backslashreplace")
    return repr(text if len(text) <= 200 else text[:197] + "...")
