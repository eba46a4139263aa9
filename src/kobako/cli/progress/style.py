"""Which way progress is shown."""

from __future__ import annotations

import os

from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kobako.cli.progress.base import Progress

STYLES = "auto classic none plain quiet rawjson tty"


def choose(said: str, environ: Mapping[str, str], dockerfiles: tuple[str, ...]) -> str:
    """The style to use: what was said, else BUILDKIT_PROGRESS, else what fits.

    A build of one stage is told as docker's first builder did; of several, as a live tree on a
    terminal and as plain lines elsewhere. `dockerfiles` are the texts of all that is built.
    """
    style = said or environ.get("BUILDKIT_PROGRESS", "") or "auto"
    if style not in STYLES.split():
        raise Invalid(f"invalid progress mode {style!r}: one of {', '.join(STYLES.split())}")
    if style == "tty" and not os.isatty(2):
        raise Invalid(
            "--progress=tty: standard error is not a terminal", hint="Use plain, or auto."
        )
    if style != "auto":
        return style
    if environ.get("DOCKER_BUILDKIT") == "0":
        return "classic"
    if len(dockerfiles) == 1 and _stages(dockerfiles[0]) <= 1:
        return "classic"
    return "tty" if os.isatty(2) and environ.get("TERM", "") not in ("", "dumb") else "plain"


def _stages(dockerfile: str) -> int:
    """How many lines begin with FROM. One in a here-document counts too, which does no harm."""
    return sum(line[:5].upper().split(None, 1)[:1] == ["FROM"] for line in dockerfile.split("\n"))


def make(style: str, environ: Mapping[str, str]) -> Progress:
    """What shows the events of a build in this style."""
    if style == "classic":
        from kobako.cli.progress.classic import Classic

        return Classic()
    if style == "plain":
        from kobako.cli.progress.plain import Plain

        return Plain()
    if style == "tty":
        from kobako.cli.progress.tree import Tree

        return Tree(2, color="NO_COLOR" not in environ)
    if style == "rawjson":
        from kobako.cli.progress.rawjson import RawJson

        return RawJson()
    from kobako.cli.progress.base import Progress, Silent

    return Silent() if style == "none" else Progress()
