"""Checks of paths: where a WORKDIR begins, what a COPY can find."""

from __future__ import annotations

import posixpath

from kobako.build.dockerfile import instructions as i
from kobako.build.gotext import quoted
from kobako.build.lint.finding import Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kobako.build.ignore import Ignore
    from kobako.build.lint.subject import Visit

_REMOTE = ("http://", "https://", "git://", "git@", "ssh://")
_EVERYTHING = ("*", "**", "**/*")


def workdir_relative_path(visit: Visit) -> Iterator[Finding]:
    """Only the first WORKDIR: those after it are relative to what this file says."""
    if not isinstance(visit.instruction, i.Workdir) or visit.placed:
        return
    path = visit.words[0]
    if not path.startswith("/"):
        name = quoted(path)
        detail = f"Relative workdir {name} can have unexpected results if the base image changes"
        where, token = visit.where, visit.instruction.path
        yield Finding("WorkdirRelativePath", detail, where.start, where.end, token)


def copy_ignored_file(visit: Visit) -> Iterator[Finding]:
    """Sources that the `.dockerignore` excludes. With a `!` pattern nothing is said: a directory
    may be excluded and files in it not."""
    instruction, ignore = visit.instruction, visit.subject.ignore
    if not isinstance(instruction, (i.Copy, i.Add)) or not ignore or ignore.takes_back:
        return
    if isinstance(instruction, i.Copy) and instruction.from_:
        return
    verb = "Copy" if isinstance(instruction, i.Copy) else "Add"
    for written, source in zip(instruction.sources, visit.words, strict=True):
        if isinstance(instruction, i.Add) and source.startswith(_REMOTE):
            continue
        path = posixpath.normpath(source)
        if _ignored(ignore, path):
            detail = f"Attempting to {verb} file {quoted(path)} that is excluded by .dockerignore"
            where = visit.where
            yield Finding("CopyIgnoredFile", detail, where.start, where.end, written)


def _ignored(ignore: Ignore, path: str) -> bool:
    if path in (".", "/", "//"):  # the context itself: only where nothing of it is left
        return any(text in _EVERYTHING for text in ignore.patterns)
    verdict = ignore.top
    reached = ""
    for part in path.strip("/").split("/"):
        reached = f"{reached}/{part}" if reached else part
        verdict = ignore.verdict(reached, verdict)
    return verdict.excluded
