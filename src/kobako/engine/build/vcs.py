"""Which revision of which repository a context directory is, for provenance: as buildx tells it."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.engine.engine import Engine


def facts(engine: Engine, context: str, dockerfile: str) -> tuple[tuple[str, str], ...]:
    """`revision`, `source` (without its user and password), and where in the repository context
    and Dockerfile are; nothing for a directory that is in no git repository."""
    top = _top(context)
    if not top:
        return ()
    revision = _git(engine, top, "rev-parse", "HEAD")
    if not revision:
        return ()
    found = {
        "localdir:context": os.path.relpath(os.path.realpath(context), top),
        "localdir:dockerfile": os.path.relpath(
            os.path.realpath(os.path.dirname(dockerfile) if dockerfile else context), top
        ),
        "revision": revision,
        "source": _redacted(_remote(engine, top)),
    }
    return tuple((key, value) for key, value in sorted(found.items()) if value)


def _top(directory: str) -> str:
    """The repository a directory is in, "" for none: no program is asked where there is none."""
    place = os.path.realpath(directory)
    while not os.path.lexists(os.path.join(place, ".git")):
        above = os.path.dirname(place)
        if above == place:
            return ""
        place = above
    return place


def _remote(engine: Engine, top: str) -> str:
    """The URL of `origin`, else of the first remote."""
    names = _git(engine, top, "remote").split()
    if not names:
        return ""
    return _git(engine, top, "remote", "get-url", "origin" if "origin" in names else names[0])


def _git(engine: Engine, top: str, *words: str) -> str:
    """What git says, "" when it is not there or says no."""
    import shutil
    import subprocess

    program = shutil.which("git", path=engine.settings.path)
    if program is None:
        return ""
    env = {"PATH": engine.settings.path, "HOME": engine.settings.home, "LC_ALL": "C"}
    done = subprocess.run(
        [program, "-C", top, *words], stdin=subprocess.DEVNULL, capture_output=True, env=env,
        check=False,
    )  # fmt: skip
    return "" if done.returncode else done.stdout.decode("utf-8", "replace").strip()


def _redacted(url: str) -> str:
    """As BuildKit writes it: that there was a user and a password, not which."""
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    who, at, server = host.rpartition("@")
    if not separator or not at:
        return url
    hidden = "xxxxx:xxxxx" if ":" in who else "xxxxx"
    return f"{scheme}://{hidden}@{server}{slash}{path}"
