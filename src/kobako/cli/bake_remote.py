"""Bake files that are fetched: of a git repository, of an archive, or one file of a server."""

from __future__ import annotations

import os

from kobako.bake import inputs
from kobako.bake.read import DEFAULT_FILES
from kobako.bake.source import File
from kobako.errors import Invalid, NotFound
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kobako.cli.context import Context

_SECRETS = ("GIT_AUTH_TOKEN", "GIT_AUTH_HEADER")
_LARGEST = 2 << 20  # of a file that is no archive, as with buildx


class Remote(Record):
    """`files` are the bake files; `base` is what the paths of contexts in them start from, "" for
    the current directory: one file alone brings no others along."""

    files: tuple[File, ...]
    base: str


def split(words: list[str]) -> tuple[str, str, list[str]]:
    """(the URL the bake files are fetched from or "", BAKE_CMD_CONTEXT, the targets)."""
    if not words or not inputs.remote(words[0]):
        return "", inputs.CWD, words
    url, *rest = words
    if not rest or not inputs.remote(rest[0]):
        return url, inputs.CWD, rest
    return url, rest[0], rest[1:]


def fetch(context: Context, url: str, names: list[str]) -> Remote:
    """The bake files of those names, or those there are of the usual ones."""
    from kobako.cli import bake_files, build_sources
    from kobako.engine.build import contexts
    from kobako.engine.build.access import Access

    source = contexts.remote_source(url)
    if source is None:
        raise Invalid(f"{url} is neither a URL nor a git repository")
    ssh = context.environ.get("BUILDX_BAKE_GIT_SSH", "")
    keys = build_sources.ssh([f"default={ssh}"], context.environ) if ssh else ()
    access = Access.of(secrets(context.environ), keys)
    fetched = contexts.fetch(context.engine, source, access)
    try:
        if fetched.alone:
            return Remote((File(url, _text(fetched.directory, "Dockerfile", url)),), "")
        found = []
        for name in names or DEFAULT_FILES:
            if name.startswith(inputs.CWD):
                found += bake_files.files(context, [name])
            elif os.path.lexists(os.path.join(fetched.directory, name)) or names:
                found.append(File(name, _text(fetched.directory, name, url)))
        if not found:
            raise NotFound(f"couldn't find a bake definition in {url}")
        return Remote(tuple(found), url)
    finally:
        fetched.discard()


def secrets(environ: Mapping[str, str]) -> tuple[tuple[str, bytes], ...]:
    """What BUILDX_BAKE_GIT_AUTH_TOKEN and _HEADER give to servers of repositories."""
    found = ((name, environ.get(f"BUILDX_BAKE_{name}", "")) for name in _SECRETS)
    return tuple((name, value.encode("utf-8", "surrogateescape")) for name, value in found if value)


def _text(directory: str, name: str, url: str) -> str:
    """A file of what was fetched; its links lead nowhere else."""
    from kobako.build.ops.rootpath import resolve

    path = resolve(directory, name)
    if not os.path.isfile(path):
        raise NotFound(f"{url}: no file {name}")
    if os.path.getsize(path) > _LARGEST:
        raise Invalid(f"{url}: {name} is larger than {_LARGEST >> 20} MiB: no bake file")
    with open(path, "rb") as file:
        try:
            return file.read().decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError:
            raise Invalid(f"{url}: {name} is not UTF-8") from None
