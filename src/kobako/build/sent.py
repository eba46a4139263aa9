"""What of a context BuildKit has been sent: what instructions name in it, and what that is in.

So a directory that nothing is taken from is not there, though it is in the context: `COPY d/* /x/`
fails when `d` is empty, unless another instruction names `d` itself or something in it.
"""

from __future__ import annotations

from kobako.build.match import Pattern
from kobako.build.ops.rootpath import parts_by_letter
from kobako.build.wildcards import has_wildcards
from kobako.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from kobako.build.files import Entry, Files


def check(files: Files, source: str, named: Iterable[str], keyword: str) -> None:
    """Raises `NotFound` when the directory that a pattern looks in was not sent, `named` being all
    that the instructions of the build name in the context."""
    base, pattern = _split(files, source)
    if base is None or not base.path or not pattern:
        return
    if not any(_reaches(files, other, base) for other in (source, *named)):
        raise NotFound(
            f'{keyword} failed: "/{base.path}" is not sent with the context: nothing in it is'
            " copied",
            hint="As in BuildKit. A directory that is named itself may be empty.",
        )


def _split(files: Files, source: str) -> tuple[Entry | None, str]:
    """(what lies before the first part with wildcards, that part and the rest)"""
    parts = parts_by_letter(source)
    plain = 0
    while plain < len(parts) and not has_wildcards(parts[plain]):
        plain += 1
    return files.lookup("/".join(parts[:plain])), "/".join(parts[plain:])


def _reaches(files: Files, source: str, directory: Entry) -> bool:
    """Whether a source is, is in or is above a directory."""
    base, rest = _split(files, source)
    if base is None:
        return False
    if not rest:
        return _related(base.path, directory.path)
    pattern = Pattern(f"{base.path}/{rest}".strip("/"), double_star=True)
    below = files.walk(base) if base.kind == "directory" else ()
    return any(_related(e.path, directory.path) for e in below if pattern.matches(e.path))


def _related(one: str, other: str) -> bool:
    return not one or one == other or one.startswith(other + "/") or other.startswith(one + "/")
