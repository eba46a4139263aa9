"""--health-* and --no-healthcheck: kept with the container, and carried out by nobody yet."""

from __future__ import annotations

from kobako.cli.flags import BOOL, NUMBER, TEXT, Flag, Refused, Values, bad_value
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
_SHORTEST = 1_000_000  # nanoseconds
FLAGS = (
    Flag("health-cmd", "", TEXT, "Command to run to check health", hidden=True),
    *(Flag(name, "", TEXT, "Time of health checks", "duration", hidden=True) for name in _TIMES),
    Flag("health-retries", "", NUMBER, "Failures needed to report unhealthy", hidden=True),
    Flag("no-healthcheck", "", BOOL, "Disable any container-specified HEALTHCHECK", hidden=True),
)


def healthcheck(context: Context, values: Values) -> dict[str, Any] | None:
    """docker's Healthcheck as the flags say it; None when none was given.

    What is not asked for is left out: the image's stays. As in docker a flag that is empty or
    zero asks for nothing.
    """
    found: dict[str, Any] = {}
    if values.text("health-cmd"):
        found["Test"] = ["CMD-SHELL", values.text("health-cmd")]
    for name, key in _TIMES.items():
        if values.given(name):
            found[key] = _nanoseconds(name, values.text(name))
    found["Retries"] = values.number("health-retries")
    found = {key: value for key, value in found.items() if value}
    if values.on("no-healthcheck"):
        if found:
            raise Refused("--no-healthcheck conflicts with --health-* options")
        return {"Test": ["NONE"]}
    if not found:
        return None
    _check(found)
    context.err("WARNING: health checks are not carried out yet: nothing checks the container.")
    return found


def _check(asked: dict[str, Any]) -> None:
    for name, key in (*_TIMES.items(), ("health-retries", "Retries")):
        if asked.get(key, 0) < 0:
            raise Refused(f"--{name} cannot be negative")
    for key in _TIMES.values():
        if 0 < asked.get(key, 0) < _SHORTEST:
            raise Invalid(f"{key} in Healthcheck cannot be less than 1ms")


def _nanoseconds(name: str, text: str) -> int:
    from kobako.image.config_change import duration

    sign = -1 if text.startswith("-") else 1
    digits = text[1:] if text[:1] in ("-", "+") else text
    if digits == "0":  # needs no unit in Go
        return 0
    try:
        return sign * duration(digits)
    except Invalid:
        number = digits.replace(".", "", 1)
        why = "missing unit in" if number.isascii() and number.isdigit() else "invalid"
        raise bad_value(f"--{name}", text, f'time: {why} duration "{text}"') from None
