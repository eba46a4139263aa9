"""--health-* and --no-healthcheck: laid over the image's health check."""

from __future__ import annotations

from kobako.cli.flags import BOOL, NUMBER, TEXT, Flag, Refused, Values, bad_value
from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TIMES = {
    "health-interval": "Interval",
    "health-timeout": "Timeout",
    "health-start-period": "StartPeriod",
    "health-start-interval": "StartInterval",
}
_SHORTEST = 1_000_000  # nanoseconds
FLAGS = (
    Flag("health-cmd", "", TEXT, "Command to run to check health"),
    Flag("health-interval", "", TEXT, "Time between running the check (ms|s|m|h) (default 30s)",
         "duration"),
    Flag("health-retries", "", NUMBER, "Consecutive failures needed to report unhealthy"),
    Flag("health-start-interval", "", TEXT, "Time between running the check during the start "
         "period (ms|s|m|h)", "duration"),
    Flag("health-start-period", "", TEXT, "Start period for the container to initialize before "
         "failures are counted (ms|s|m|h)", "duration"),
    Flag("health-timeout", "", TEXT, "Maximum time to allow one check to run (ms|s|m|h) "
         "(default 30s)", "duration"),
    Flag("no-healthcheck", "", BOOL, "Disable any container-specified HEALTHCHECK"),
)  # fmt: skip


def healthcheck(values: Values) -> dict[str, Any] | None:
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
