"""Times as documents write them: RFC 3339 (image-spec config.md, `created`)."""

from __future__ import annotations


def parse(text: str) -> int:
    """Nanoseconds since 1970 of an RFC 3339 time; 0 for what is none."""
    date, _, clock = text.partition("T")
    try:
        year, month, day = map(int, date.split("-"))
        zone, offset = "", 0
        for mark in ("Z", "+", "-"):
            at = clock.find(mark)
            if at >= 0:
                clock, zone = clock[:at], clock[at:]
                break
        if zone not in ("", "Z"):
            hours, _, minutes = zone[1:].partition(":")
            offset = (int(hours) * 60 + int(minutes or 0)) * (-60 if zone[0] == "+" else 60)
        hour, minute, rest = clock.split(":")
        second, _, fraction = rest.partition(".")
        days = _days(year, month, day)
        whole = days * 86400 + int(hour) * 3600 + int(minute) * 60 + int(second) + offset
        return whole * 1_000_000_000 + int((fraction + "000000000")[:9])
    except ValueError:
        return 0


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the proleptic Gregorian calendar (days_from_civil)."""
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
