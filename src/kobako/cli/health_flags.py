"""--health-* and --no-healthcheck: kept with the container, and carried out by nobody yet."""

from __future__ import annotations

from kobako.cli.flags import BOOL, NUMBER, TEXT, Flag, Values
from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.cli.context import Context

_TIMES = {
    "health-interval": "Interval",
    "health-timeout": "Timeout",
    "health-start-period": "StartPeriod",
    "health-start-interval": "StartInterval",
}
FLAGS = (
    Flag("health-cmd", "", TEXT, "Command to run to check health", hidden=True),
    *(Flag(name, "", TEXT, "Time of health checks", "duration", hidden=True) for name in _TIMES),
    Flag("health-retries", "", NUMBER, "Failures needed to report unhealthy", hidden=True),
    Flag("no-healthcheck", "", BOOL, "Disable any container-specified HEALTHCHECK", hidden=True),
)


def healthcheck(context: Context, values: Values) -> dict[str, Any] | None:
    """docker's Healthcheck as the flags say it; None when none was given."""
    given = [f.name for f in FLAGS if f.name != "no-healthcheck" and values.given(f.name)]
    if values.on("no-healthcheck"):
        if given:
            raise Invalid("--no-healthcheck conflicts with --health-* options")
        return {"Test": ["NONE"]}
    if not given:
        return None
    found: dict[str, Any] = {}
    if values.text("health-cmd"):
        found["Test"] = ["CMD-SHELL", values.text("health-cmd")]
    for name, key in _TIMES.items():
        if values.given(name):
            found[key] = _nanoseconds(name, values.text(name))
    retries = values.number("health-retries")
    if retries < 0:
        raise Invalid("--health-retries cannot be negative")
    if retries:
        found["Retries"] = retries
    context.err("WARNING: health checks are not carried out yet: nothing checks the container.")
    return found


def _nanoseconds(name: str, text: str) -> int:
    from kobako.image.config_change import duration

    try:
        return duration(text)
    except Invalid:
        raise Invalid(
            f'invalid argument "{text}" for "--{name}" flag: time: invalid duration "{text}"'
        ) from None
