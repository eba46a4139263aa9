"""What a container runs: the image's command line, environment and limits, and those asked for."""

from __future__ import annotations

from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.runtime.process_spec import Ulimit

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ULIMITS = (
    "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending "
    "stack"
)


def command_line(
    config: dict[str, Any], entrypoint: tuple[str, ...] | None, command: tuple[str, ...]
) -> tuple[list[str], list[str]]:
    """(entrypoint, command): the image's, each replaced by what was asked for.

    Giving an entrypoint drops the image's command, as docker does.
    """
    own = list(config.get("Entrypoint") or [])
    words = list(config.get("Cmd") or [])
    if entrypoint is not None:
        own, words = list(entrypoint), []
    if command:
        words = list(command)
    return own, words


def environment(
    image: list[str], given: tuple[str, ...], *, terminal: bool, hostname: str, home: str
) -> list[str]:
    """The environment of a container's process, in docker's order: PATH, HOSTNAME, TERM, image,
    given, HOME."""
    found: dict[str, str] = {}
    defaults = [PATH, f"HOSTNAME={hostname}"] + (["TERM=xterm"] if terminal else [])
    for entry in (*defaults, *image, *given):
        key, _, value = entry.partition("=")
        found[key] = value
    found.setdefault("HOME", home)
    return [f"{key}={value}" for key, value in found.items()]


def ulimit(text: str) -> Ulimit:
    """`name=soft[:hard]`. `Invalid` for anything else."""
    from kobako.runtime.process_spec import Ulimit

    name, _, limits = text.partition("=")
    soft, colon, hard = limits.partition(":")
    if name not in _ULIMITS.split():
        raise Invalid(f"invalid ulimit type: {name}", hint=f"Known: {_ULIMITS}.")
    try:
        found = Ulimit(name, int(soft), int(hard) if colon else int(soft))
    except ValueError:
        raise Invalid(f"invalid ulimit argument: {text}", hint="Use name=soft:hard.") from None
    if found.soft > found.hard >= 0 or (found.soft < 0 <= found.hard):
        raise Invalid(
            f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
        )
    return found
