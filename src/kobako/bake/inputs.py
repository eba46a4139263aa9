"""Where a target's files come from, with the paths that a bake file writes made plain."""

from __future__ import annotations

import posixpath

from kobako.bake.targets import Target
from kobako.errors import Invalid

CWD = "cwd://"


def remote(path: str) -> bool:
    """Whether a context is fetched: an http(s) or git URL."""
    return path.startswith(("http://", "https://", "git://", "ssh://", "git@", "github.com/"))


def cleaned(target: Target) -> Target:
    """The target as buildx prints it: its context without `./`, `..` within and `cwd://`."""
    context, dockerfile = target.context or ".", target.dockerfile or "Dockerfile"
    if context == "-":
        raise Invalid(f"target {target.name}: context from stdin not allowed in bake")
    if dockerfile == "-":
        raise Invalid(f"target {target.name}: dockerfile from stdin not allowed in bake")
    if context.startswith(CWD):
        context = _clean(context.removeprefix(CWD))
    elif not remote(context):
        context = _clean(context)
    return target.replace(context=context, dockerfile=dockerfile)


def dockerfile_path(target: Target) -> str:
    """The path of the Dockerfile: within a local context unless it is absolute or `cwd://`."""
    path = target.dockerfile or "Dockerfile"
    if path.startswith(CWD):
        return _clean(path.removeprefix(CWD))
    context = target.context or "."
    if remote(context) or remote(path) or path.startswith("/"):
        return path
    return posixpath.join(context, _clean(path)) if context != "." else _clean(path)


def _clean(path: str) -> str:
    """Go's path.Clean."""
    found = posixpath.normpath(path) if path else "."
    return found[1:] if found.startswith("//") else found
