"""Ownership the kernel cannot hold, written down beside the files (`OwnershipFormat` emulated).

Two rooms share this: `emulate` writes it while a container runs, `layer` reads and writes it when a
tree is packed or unpacked; neither may import the other, so the format lives here.

- Regular files and directories carry the xattr `user.kobako.own`: `uid:gid`, or
  `uid:gid:type:rdev` for a placeholder file that stands for a device (type: the S_IFMT bits in
  octal; rdev: decimal `st_rdev`). No xattr means 0:0.
- Symbolic links, FIFOs and sockets cannot carry user xattrs: their owners are in the *owners table*
  of the tree, a file beside it. One line an entry, `uid:gid path`, the path relative to the tree's
  root with `\\n` and `\\\\` escaped; `- path` takes an entry back; the last line about a path wins.
  A torn last line (no newline: a crash) is ignored, so appending is crash-safe.
- Other xattrs a single-id user namespace may not set are kept as `user.kobako.xattr.<name>`
  (`security.capability`).
"""

from __future__ import annotations

import os

from kobako.errors import Corrupt
from kobako.record import Record

XATTR = "user.kobako.own"
XATTR_PREFIX = "user.kobako."
SHADOW_PREFIX = "user.kobako.xattr."
"""`SHADOW_PREFIX + name` keeps the value of an xattr the kernel would not take."""


class Own(Record):
    """What `user.kobako.own` says: owner, group and, for a device, its type and number."""

    uid: int
    gid: int
    type: int = 0
    rdev: int = 0

    def encode(self) -> bytes:
        if self.type:
            return b"%d:%d:%o:%d" % (self.uid, self.gid, self.type, self.rdev)
        return b"%d:%d" % (self.uid, self.gid)

    @classmethod
    def decode(cls, value: bytes) -> Own:
        """Reads the xattr's value; `Corrupt` when it is not one."""
        fields = value.split(b":")
        try:
            if not all(field.isdigit() for field in fields):
                raise ValueError
            if len(fields) == 2:
                return cls(int(fields[0]), int(fields[1]))
            if len(fields) == 4:
                return cls(int(fields[0]), int(fields[1]), int(fields[2], 8), int(fields[3]))
        except ValueError:
            pass
        raise Corrupt(f"{XATTR} holds {value!r}, not uid:gid or uid:gid:type:rdev")


def make_placeholder(path: str, kind: int, rdev: int) -> None:
    """A new file at `path` that stands for a device, where no device may be made."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    os.setxattr(path, XATTR, Own(0, 0, kind, rdev).encode())


def device_of(path: str) -> tuple[int, int] | None:
    """The type and number of the device the file at `path` stands for, if it does."""
    try:
        own = Own.decode(os.getxattr(path, XATTR, follow_symlinks=False))
    except OSError:
        return None
    return (own.type, own.rdev) if own.type else None


class Owners(dict[bytes, tuple[int, int]]):
    """The owners table of a tree: path relative to its root -> (uid, gid). Absent means 0:0."""

    @classmethod
    def load(cls, path: str) -> Owners:
        """Reads the table at `path`; a file that does not exist is an empty table."""
        try:
            with open(path, "rb") as file:
                content = file.read()
        except FileNotFoundError:
            return cls()
        return cls.decode(content, path)

    @classmethod
    def decode(cls, content: bytes, path: str = "") -> Owners:
        """Reads the content of a table's file; `path` is for the message of a `Corrupt`."""
        table = cls()
        for line in content[: content.rfind(b"\n") + 1].split(b"\n")[:-1]:
            owner, _, name = line.partition(b" ")
            if owner == b"-":
                table.pop(_unescape(name), None)
                continue
            uid, _, gid = owner.partition(b":")
            if not (uid.isdigit() and gid.isdigit() and name):
                raise Corrupt(f"owners table {path}: cannot read the line {line!r}")
            table[_unescape(name)] = (int(uid), int(gid))
        return table

    def encode(self) -> bytes:
        """The table as it stands in its file, in path order."""
        return b"".join(encode_line(name, self[name]) for name in sorted(self))

    def save(self, path: str) -> None:
        """Replaces the table at `path` in one step; an empty table removes the file."""
        if not self:
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass
            return
        part = f"{path}.{os.getpid()}.part"
        with open(part, "wb") as file:
            file.write(self.encode())
            file.flush()
            os.fsync(file.fileno())
        os.rename(part, path)


def encode_line(path: bytes, owner: tuple[int, int] | None) -> bytes:
    """The line that says `path` is owned by `owner`, or, for None, no longer recorded."""
    name = path.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return b"- %b\n" % name if owner is None else b"%d:%d %b\n" % (*owner, name)


def _unescape(name: bytes) -> bytes:
    if b"\\" not in name:
        return name
    parts = [p.replace(b"\\n", b"\n").replace(b"\\r", b"\r") for p in name.split(b"\\\\")]
    return b"\\".join(parts)
