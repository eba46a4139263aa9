"""Where a target's files come from, with the paths that a bake file writes made plain."""

from __future__ import annotations

import posixpath
import re

from kobako.bake.targets import Target
from kobako.errors import Invalid, KobakoError
from kobako.oci import Platform

CWD = "cwd://"


def remote(path: str) -> bool:
    """Whether a context is fetched: an http(s) or git URL."""
    return path.startswith(("http://", "https://", "git://", "ssh://", "git@", "github.com/"))


def placed(target: Target, base: str) -> Target:
    """The target of a bake file that was fetched from `base`: what its contexts mean there."""
    contexts = tuple((name, _beneath(base, value)) for name, value in target.contexts)
    return target.replace(context=_beneath(base, target.context or "."), contexts=contexts)


def _beneath(base: str, path: str) -> str:
    """A path within what a URL gives; what names a place of its own stays."""
    if remote(path) or path.startswith("/") or ":" in path:
        return path
    inner = _clean(path)
    if inner == ".":
        return base
    head, _, fragment = base.partition("#")
    plain = head.partition("?")[0]
    archive = plain.startswith(("http://", "https://")) and not plain.endswith(".git")
    if inner.startswith("../") or inner == ".." or archive or "subdir=" in head:
        raise Invalid(f"context {path} of the bake file fetched from {base} is not supported")
    ref, _, above = fragment.partition(":")
    return f"{head}#{ref}:{posixpath.join(above, inner)}"


def cleaned(target: Target) -> Target:
    """The target as buildx prints it: its context without `./`, `..` within and `cwd://`."""
    context, dockerfile = target.context or ".", target.dockerfile or "Dockerfile"
    if context == "-":
        raise Invalid(f"target {target.name}: context from stdin not allowed in bake")
    if dockerfile == "-":
        raise Invalid(f"target {target.name}: dockerfile from stdin not allowed in bake")
    _check(target)
    if context.startswith(CWD):
        context = _clean(context.removeprefix(CWD))
    elif not remote(context):
        context = _clean(context)
    return target.replace(context=context, dockerfile=dockerfile)


def _check(target: Target) -> None:
    """`Invalid` for values whose form only a build would find wrong."""
    for platform in target.platforms or ():
        if platform != "local":
            try:
                Platform.parse(platform)
            except KobakoError as fault:
                raise Invalid(f"target {target.name}: platforms: {fault.message}") from None
    for limit in target.ulimits or ():
        if not re.fullmatch(r"[a-z]+=-?\d+(:-?\d+)?", limit):
            raise Invalid(f"target {target.name}: ulimits: invalid ulimit argument: {limit}")
    if target.shm_size and not re.fullmatch(_SIZE, target.shm_size, re.IGNORECASE):
        raise Invalid(f"target {target.name}: shm-size: invalid size '{target.shm_size}'")


_SIZE = r"\d+(\.\d+)? ?([kmgtp]?i?b?)"


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
