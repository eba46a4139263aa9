"""`kobako __complete WORD...`: the words that may stand where the last WORD begins."""

from __future__ import annotations

from kobako.cli import verbs
from kobako.cli.flags import BOOL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Command


def main(context: Context, words: list[str]) -> int:
    last = words[-1] if words else ""
    for word in candidates(context, words[:-1], last):
        if word.startswith(last):
            context.out(word)
    return 0


def candidates(context: Context, before: list[str], last: str) -> list[str]:
    """Every word that could follow `before`; `last` tells flags from arguments."""
    if not before:
        return sorted([*verbs.COMMON, *verbs.VERBS, *verbs.GROUPS])
    if before[0] in verbs.GROUPS and len(before) == 1:
        return sorted(verbs.GROUPS[before[0]][1])
    _, module, rest = verbs.find(before)
    if module is None:
        return []
    command: Command = verbs.load(module).COMMAND
    if rest and rest[-1].startswith("-") and "=" not in rest[-1]:
        name = rest[-1].lstrip("-")
        for flag in command.all_flags():
            if name in (flag.name, flag.short) and flag.kind != BOOL:
                return _choices(context, flag.choices)
    if last.startswith("-"):
        return [*sorted(f"--{f.name}" for f in command.all_flags() if not f.hidden), "--help"]
    return _choices(context, command.completes)


def _choices(context: Context, kind: str) -> list[str]:
    from kobako.errors import KobakoError

    try:
        if kind == "container":
            return _containers(context)
        if kind == "container:":
            return [f"{name}:" for name in _containers(context)]
        if kind == "image":
            return _images(context)
        if kind == "object":
            return _containers(context) + _images(context)
    except KobakoError:
        return []
    return kind.split()


def _containers(context: Context) -> list[str]:
    from kobako.engine import containers

    return [c.name for c in containers.select(context.engine, everything=True, filters={})]


def _images(context: Context) -> list[str]:
    from kobako.engine import image_listing

    found = image_listing.listing(context.engine, "", {})
    names = [f"{i.repository}:{i.tag}" for i in found if i.repository]
    return names + [i.repository for i in found if i.tag == "latest"]
