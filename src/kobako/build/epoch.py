"""The time a build's results bear: never that of the clock, so that the same build gives the same
image. https://reproducible-builds.org/specs/source-date-epoch/
"""

from __future__ import annotations

from kobako.errors import Invalid
from kobako.oci.moment import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.build.dockerfile.instructions import Dockerfile
    from kobako.build.worker import BaseImage

ARGUMENT = "SOURCE_DATE_EPOCH"
EARLIEST = 315_532_800  # 1980-01-01, the first day of zip archives and of many programs
_LATEST = 253_402_300_799  # the last second of the year 9999, beyond which RFC 3339 has no dates


def given(build_args: tuple[tuple[str, str], ...]) -> int | None:
    """The epoch asked for by the build argument, in seconds; None without one."""
    text = dict(build_args).get(ARGUMENT, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise Invalid(
            f"{ARGUMENT}={text}: this is no number of seconds since 1970",
            hint="Give it as `date +%s` or `git log -1 --pretty=%ct` prints it.",
        )
    seconds = int(text[:20])
    if seconds > _LATEST:
        raise Invalid(
            f"{ARGUMENT}={text}: this is after the year 9999",
            hint="It counts seconds, not milliseconds.",
        )
    return seconds


def of_arguments(dockerfile: Dockerfile) -> str:
    """What an ARG above the first FROM says, "" for nothing."""
    for instruction in dockerfile.arguments:
        for name, default in instruction.pairs:
            if name == ARGUMENT and default:
                return default.strip("\"'")
    return ""


def of_base(image: BaseImage | None) -> int:
    """The epoch of a stage on this image (None: scratch): when the image was made, in seconds."""
    created = parse(image.config.created) if image is not None else 0
    return min(max(created // 1_000_000_000, EARLIEST), _LATEST)
