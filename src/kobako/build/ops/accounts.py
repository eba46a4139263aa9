"""Names of users and groups, looked up in an image's own passwd and group files."""

from __future__ import annotations

from kobako.build.files import FILE, Files
from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.build.files import Entry

_LIMIT = 16 << 20


def resolve(
    owner: str, files: Files | None, note: Callable[[str], object] = str
) -> tuple[int, int]:
    """The uid and gid `user[:group]` means in the tree of `files`; numbers need no entry there.

    A user without a group brings the group of the passwd file if named, else the gid that equals
    the uid given as a number. As BuildKit has it, a user that is not there is root and a group that
    is not there is the user's own: `note` is told. Without `files` there are no names.
    """
    user, _, group = owner.partition(":")
    uid = gid = 0
    if user.isdigit():
        uid = gid = _number(user, owner)
    elif user:
        fields = _find(files, "/etc/passwd", user, 4, owner)
        if fields is None:
            note(f"user {user} is not in /etc/passwd of the image: root is taken")
        else:
            uid, gid = _number(fields[2], owner), _number(fields[3], owner)
    if group.isdigit():
        gid = _number(group, owner)
    elif group:
        fields = _find(files, "/etc/group", group, 3, owner)
        if fields is None:
            note(f"group {group} is not in /etc/group of the image: {gid} is taken")
        else:
            gid = _number(fields[2], owner)
    return uid, gid


def _number(text: str, owner: str) -> int:
    plain = text.isascii() and text.isdigit() and len(text) <= len(str(1 << 32))
    if not plain or int(text) >= (1 << 32) - 1:
        raise Invalid(f"invalid owner {owner!r}: {text!r} is not a uid or gid")
    return int(text)


def _find(files: Files | None, path: str, name: str, least: int, owner: str) -> list[str] | None:
    if files is None:
        raise Invalid(
            f"invalid owner {owner!r}: there is no {path} to look {name} up in",
            hint="Upon scratch, and with --link, owners are numbers.",
        )
    entry = files.lookup(path)
    if entry is None or entry.kind != FILE:
        return None
    for line in _read(files, entry).splitlines():
        fields = line.split(":")
        if len(fields) >= least and fields[0] == name:
            return fields
    return None


def _read(files: Files, entry: Entry) -> str:
    with open(files.open(entry), "rb") as file:
        return file.read(_LIMIT).decode("utf-8", "replace")
