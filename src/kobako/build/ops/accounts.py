"""Names of users and groups, looked up in an image's own passwd and group files."""

from __future__ import annotations

from kobako.build.files import FILE, Files
from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.build.files import Entry

_LIMIT = 16 << 20


def resolve(owner: str, files: Files) -> tuple[int, int]:
    """The uid and gid `user[:group]` means in the tree of `files`; numbers need no entry there.

    A user without a group brings the group of the passwd file if named, else the gid that equals
    the uid given as a number.
    """
    user, colon, group = owner.partition(":")
    if not user or (colon and not group):
        raise Invalid(f"invalid owner {owner!r}: expected user or user:group")
    if user.isdigit():
        uid = gid = _number(user, owner)
    else:
        fields = _find(files, "/etc/passwd", user, 4)
        if fields is None:
            raise Invalid(
                f"unable to convert uid/gid chown string to host mapping: "
                f"can't find uid for user {user}: no such user: {user}",
                hint="The name is looked up in /etc/passwd of the image.",
            )
        uid, gid = _number(fields[2], owner), _number(fields[3], owner)
    if group.isdigit():
        gid = _number(group, owner)
    elif group:
        fields = _find(files, "/etc/group", group, 3)
        if fields is None:
            raise Invalid(
                f"unable to convert uid/gid chown string to host mapping: "
                f"can't find gid for group {group}: no such group: {group}",
                hint="The name is looked up in /etc/group of the image.",
            )
        gid = _number(fields[2], owner)
    return uid, gid


def _number(text: str, owner: str) -> int:
    if not text.isdigit() or int(text) >= (1 << 32) - 1:
        raise Invalid(f"invalid owner {owner!r}: {text!r} is not a uid or gid")
    return int(text)


def _find(files: Files, path: str, name: str, least: int) -> list[str] | None:
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
