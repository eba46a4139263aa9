"""What a bake file may do: beyond the current directory it needs `--allow`, or a yes."""

from __future__ import annotations

import os
import sys

from kobako.bake import inputs
from kobako.errors import Denied, Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.bake.selection import Selection
    from kobako.bake.targets import Target
    from kobako.cli.context import Context

_PLAIN = ("network.host", "security.insecure", "ssh", "buildx.local.delete")
_PATHS = ("fs", "fs.read", "fs.write")
_ACCEPTED = ("image", "image.load", "image.push", "device")
_SAYS = {
    "network.host": "Running build containers that can access host network",
    "security.insecure": "Running privileged containers that can make system changes",
    "ssh": "Forwarding default SSH agent socket",
    "buildx.local.delete": "Deleting stale files from local output destinations",
    "fs.read": "Read access to path",
    "fs.write": "Write access to path",
}


def check(context: Context, said: list[str], free: list[str], selection: Selection) -> None:
    """`Denied` unless all the targets need is allowed, or the person at the terminal says yes.

    `free` are paths the command line itself named (`--set app.output=...`).
    """
    plain, reads, writes = _allowed(said)
    reads += [".", *free]
    writes += [".", *free]
    missing: dict[str, str] = {}
    files_matter = context.environ.get("BUILDX_BAKE_ENTITLEMENTS_FS", "1") not in ("0", "false")
    for target in selection.targets:
        for need in _needs(target):
            if need not in plain:
                missing[need] = _SAYS[need]
        if not files_matter:
            continue
        for kind, paths, allowed in (
            ("fs.read", _read(target), reads),
            ("fs.write", _written(target), writes),
        ):
            for path in paths:
                if not _within(path, allowed):
                    missing[f"{kind}={path}"] = f"{_SAYS[kind]} {path}"
    if missing:
        _ask(missing)


def _allowed(said: list[str]) -> tuple[set[str], list[str], list[str]]:
    plain: set[str] = set()
    reads: list[str] = []
    writes: list[str] = []
    for word in said:
        key, equals, value = word.partition("=")
        if key in _PLAIN and not equals:
            plain.add(key)
        elif key in _PATHS:
            reads += [value] if key != "fs.write" else []
            writes += [value] if key != "fs.read" else []
        elif key not in _ACCEPTED:
            raise Invalid(f'unknown entitlement key "{word}"')
    return plain, reads, writes


def _needs(target: Target) -> list[str]:
    found = [need for need in target.entitlements or () if need in _SAYS]
    if any(o.type == "local" and o.get("mode") == "delete" for o in target.output or ()):
        found.append("buildx.local.delete")
    return found + (["ssh"] if any(not ssh.paths for ssh in target.ssh or ()) else [])


def _read(target: Target) -> list[str]:
    found = []
    context = target.context or "."
    if not inputs.remote(context):
        found.append(context)
        if target.dockerfile_inline is None:
            found.append(inputs.dockerfile_path(target))
    for _, value in target.contexts:
        if not inputs.remote(value) and "://" not in value.removeprefix(inputs.CWD):
            found += [] if value.startswith("target:") else [value.removeprefix(inputs.CWD)]
    found += [secret.src for secret in target.secret or () if secret.src]
    found += [path for ssh in target.ssh or () for path in ssh.paths]
    return found + [c.get("src") for c in target.cache_from or () if c.type == "local"]


def _written(target: Target) -> list[str]:
    outputs = [o.get("dest") for o in target.output or ()]
    caches = [c.get("dest") for c in target.cache_to or () if c.type == "local"]
    return [path for path in (*outputs, *caches) if path and path != "-"]


def _within(path: str, allowed: list[str]) -> bool:
    """Whether a path lies in one of the allowed ones, links resolved; "*" allows everything."""
    real = os.path.realpath(path)
    for word in allowed:
        root = os.path.realpath(word or ".")
        if word == "*" or real == root or real.startswith(root.rstrip("/") + "/"):
            return True
    return False


def _ask(missing: dict[str, str]) -> None:
    flags = " ".join(f"--allow={need}" for need in missing)
    lines = [
        "Your build is requesting privileges for following possibly insecure capabilities:",
        "",
        *(f" - {text}" for text in missing.values()),
    ]
    if sys.stdin.isatty() and sys.stderr.isatty():
        sys.stderr.write(
            "\n".join(lines) + f"\n\nPass {flags} to grant them without this question.\n"
        )
        sys.stderr.write("Do you want to grant requested privileges and continue? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() == "y":
            return
        raise Denied("additional privileges requested")
    raise Denied(
        "additional privileges requested:\n" + "\n".join(lines[2:]),
        hint=f"Pass {flags} to grant them.",
    )
