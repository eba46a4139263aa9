"""Names of users and groups, looked up in an image's own passwd and group files."""

from __future__ import annotations

from kobako.build.files import FILE, Files
from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.build.files import Entry

_LIMIT = 16 << 20
_DIGITS = len(str(1 << 32))


def resolve(
    owner: str, files: Files | None, note: Callable[[str], object] = str
) -> tuple[int, int]:
    """The uid and gid `user[:group]` means in the tree of `files`; numbers need no entry there.

    A user without a group brings the group of the passwd file if named, else the gid that equals
    the uid given as a number. As BuildKit has it, a user that is not there is root and a group that
    is not there is the user's own: `note` is told; behind "user:" it is root's. Without `files`
    there are no names but root.
    """
    user, colon, group = owner.partition(":")
    uid = gid = 0
    number = _given_number(user)
    if number is not None:
        uid = gid = number
    elif user:
        fields = _find(files, "/etc/passwd", user, 4, owner)
        if fields is None:
            note(f"user {user} is not in /etc/passwd of the image: root is taken")
        else:
            uid, gid = _number(fields[2]), _number(fields[3])
    number = _given_number(group)
    if number is not None:
        gid = number
    elif not group:
        gid = 0 if colon else gid
    else:
        fields = _find(files, "/etc/group", group, 3, owner)
        if fields is None:
            note(f"group {group} is not in /etc/group of the image: {gid} is taken")
        else:
            gid = _number(fields[2])
    return uid, gid


def _given_number(text: str) -> int | None:
    """What is a number for BuildKit, which takes larger ones for names, and root for 0. A negative
    one is counted from the end, where the last says not to change the owner, who is root."""
    if text == "root":
        return 0
    digits = text[1:] if text[:1] in ("+", "-") else text
    plain = digits.isascii() and digits.isdigit() and len(digits.lstrip("0")) <= _DIGITS
    number = int(text) if plain else 1 << 31
    if not -1 << 31 <= number < 1 << 31:
        return None
    return 0 if number == -1 else number % (1 << 32)


def _number(text: str) -> int:
    """A field of passwd or group. What is no number is 0 there, as in BuildKit."""
    plain = text.isascii() and text.isdigit() and len(text) <= _DIGITS
    return int(text) if plain and int(text) < (1 << 32) - 1 else 0


def _find(files: Files | None, path: str, name: str, least: int, owner: str) -> list[str] | None:
    if files is None:
        raise Invalid(
            f"invalid owner {owner!r}: there is no {path} to look {name} up in",
            hint="Upon scratch, and with --link, owners are numbers.",
        )
    entry = files.lookup(path)
    if entry is None or entry.kind != FILE:
        return None
    for line in _read(files, entry).split("\n"):
        fields = line.strip().split(":")
        if fields[0] == name:
            return fields + [""] * (least - len(fields))
    return None


def _read(files: Files, entry: Entry) -> str:
    with open(files.open(entry), "rb") as file:
        return file.read(_LIMIT).decode("utf-8", "replace")
