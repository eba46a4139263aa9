"""User and group names of an image as numbers: docker's `--user`, looked up in its own files.

The files are read from the stack of unpacked trees, topmost first, without mounting anything.
"""

from __future__ import annotations

import os
import stat

from kobako.errors import Invalid, NotFound
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_LARGEST = 2**31 - 1


class User(Record):
    """Who a process is. `home` is "/" for an id that no line of passwd names.

    `groups` begins with `gid`: a setgid-less way out of a group that is denied something must not
    exist (CVE-2022-36109).
    """

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


def resolve(text: str, trees: Sequence[str], extra: Sequence[str] = ()) -> User:
    """`<name|uid>[:<group|gid>]` in the root filesystem that `trees` make, topmost first.

    `extra` are groups to join in addition. `NotFound` has docker's words.
    """
    name, colon, group = text.partition(":")
    passwd = _read(trees, "etc/passwd")
    uid, gid, home, login = _user(name or "0", passwd)
    groups: list[int] = []
    lines: list[list[str]] | None = None
    if colon and group:
        lines = _read(trees, "etc/group")
        gid = _group(group, lines)
    elif login:
        lines = _read(trees, "etc/group")
        groups = [
            int(f[2]) for f in lines if len(f) > 3 and f[2].isdigit() and login in f[3].split(",")
        ]
    for word in extra:
        lines = _read(trees, "etc/group") if lines is None else lines
        groups.append(_group(word, lines))
    return User(uid, gid, tuple(dict.fromkeys([gid, *groups])), home)


def _user(name: str, passwd: list[list[str]]) -> tuple[int, int, str, str]:
    for fields in passwd:
        if len(fields) < 6 or not (fields[2].isdigit() and fields[3].isdigit()):
            continue
        if fields[0] == name or fields[2] == name:
            return int(fields[2]), int(fields[3]), fields[5] or "/", fields[0]
    if name.isdigit():
        return _number(name), 0, "/root" if name == "0" else "/", ""
    raise NotFound(f"unable to find user {name}: no matching entries in passwd file")


def _group(name: str, lines: list[list[str]]) -> int:
    for fields in lines:
        if len(fields) > 2 and name in (fields[0], fields[2]) and fields[2].isdigit():
            return int(fields[2])
    if name.isdigit():
        return _number(name)
    raise NotFound(f"unable to find group {name}: no matching entries in group file")


def _number(text: str) -> int:
    """An id that no file names. What the kernel takes beyond docker's bound stands for "nobody" or
    "unchanged" in some of its calls."""
    if not text.isascii() or len(text) > len(str(_LARGEST)) or int(text) > _LARGEST:
        raise Invalid(f"uids and gids must be in range 0-{_LARGEST}: {text}")
    return int(text)


def _read(trees: Sequence[str], path: str) -> list[list[str]]:
    """The colon-separated lines of a file in the uppermost tree that has it.

    A link is not followed by the kernel: it could lead out of the tree.
    """
    for tree in trees:
        full = os.path.join(tree, path)
        if os.path.islink(full) or os.path.islink(os.path.dirname(full)):
            from kobako.engine.stacked import locate

            found = locate(trees, path)
            if found is None:
                return []
            full = found
        try:
            fd = os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        except OSError:
            return []  # a whiteout (a device) or something unreadable: as if it were not there
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            return []
        with open(fd, "rb") as file:
            text = file.read(1 << 20).decode("utf-8", "replace")
        return [line.split(":") for line in text.split("\n")]
    return []
