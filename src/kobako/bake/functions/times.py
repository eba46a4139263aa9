"""Functions of dates and times."""

from __future__ import annotations

import datetime
import re

from kobako.bake import values
from kobako.bake.functions.signature import ANY, function
from kobako.bake.source import Fault
from kobako.bake.values import NUMBER, STRING, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.bake.hcl.syntax import Call, Node
    from kobako.bake.scope import Function, Scope

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)"
)
_MONTHS = (
    "January February March April May June July August September October November December".split()
)
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9,
          "m": 60 * 10**9, "h": 3600 * 10**9}  # fmt: skip


def _parse(word: str) -> datetime.datetime:
    match = _RFC3339.fullmatch(word)
    if match is None:
        raise Fault(f'"{word}" is not a valid RFC3339 timestamp')
    try:
        zone = match[8]
        offset = datetime.timedelta()
        if zone not in "Zz":
            offset = datetime.timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
            offset = -offset if zone[0] == "-" else offset
        year, month, day, hour, minute, second = (int(match[i]) for i in range(1, 7))
        fraction = int((match[7] or "0")[:6].ljust(6, "0"))
        return datetime.datetime(
            year, month, day, hour, minute, second, fraction, datetime.timezone(offset)
        )
    except ValueError as error:
        raise Fault(f'"{word}" is not a valid RFC3339 timestamp: {error}') from None


def _shown(time: datetime.datetime) -> str:
    """RFC 3339, to the second."""
    text = time.isoformat(timespec="seconds")
    return text[:-6] + "Z" if text.endswith("+00:00") else text


def _formatdate(pattern: Value, moment: Value) -> Value:
    return values.text(_formatted(pattern.raw, _parse(moment.raw)))


def _formatted(pattern: str, time: datetime.datetime) -> str:
    found = re.finditer(r"'(?:[^']|'')*'?|([A-Za-z])\1*|[^A-Za-z']+", pattern)
    return "".join(_token(match[0], time) for match in found)


def _token(token: str, time: datetime.datetime) -> str:
    if token[0] == "'":
        if len(token) < 2 or not token.endswith("'"):
            raise Fault("unterminated literal '")
        return token[1:-1].replace("''", "'")
    if not token.isalpha() or not token.isascii():
        return token
    found = _verbs(time).get(token)
    if found is None:
        raise Fault(f'invalid date format verb "{token}"')
    return found


def _verbs(time: datetime.datetime) -> dict[str, str]:
    hour, zone = time.hour % 12 or 12, time.strftime("%z")
    half = "AM" if time.hour < 12 else "PM"
    utc = zone == "+0000"
    return {
        "YY": f"{time.year % 100:02d}",
        "YYYY": f"{time.year:04d}",
        "M": str(time.month),
        "MM": f"{time.month:02d}",
        "MMM": _MONTHS[time.month - 1][:3],
        "MMMM": _MONTHS[time.month - 1],
        "D": str(time.day),
        "DD": f"{time.day:02d}",
        "EEE": _DAYS[time.weekday()][:3],
        "EEEE": _DAYS[time.weekday()],
        "h": str(time.hour),
        "hh": f"{time.hour:02d}",
        "H": str(hour),
        "HH": f"{hour:02d}",
        "AA": half,
        "aa": half.lower(),
        "m": str(time.minute),
        "mm": f"{time.minute:02d}",
        "s": str(time.second),
        "ss": f"{time.second:02d}",
        "Z": "Z" if utc else f"{zone[:3]}:{zone[3:]}",
        "ZZZ": "UTC" if utc else zone,
        "ZZZZ": zone,
        "ZZZZZ": f"{zone[:3]}:{zone[3:]}",
    }


def _unix(value: Value) -> datetime.datetime:
    if not isinstance(value.raw, int):
        raise Fault("unix timestamp must be an integer")
    try:
        return datetime.datetime.fromtimestamp(value.raw, datetime.UTC)
    except (OverflowError, ValueError, OSError):
        raise Fault(f"{value.raw} is no time") from None


def _formattimestamp(pattern: Value, moment: Value) -> Value:
    if moment.type == STRING:
        time = _parse(moment.raw)
    elif moment.type == NUMBER:
        time = _unix(moment)
    else:
        raise Fault("must be a string timestamp or a unix timestamp number")
    if pattern.raw == "X":
        return values.text(str(int(time.timestamp() // 1)))
    return values.text(_formatted(pattern.raw, time))


def _timeadd(moment: Value, duration: Value) -> Value:
    word = duration.raw
    body = word.lstrip("+-")
    parts = re.findall(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", body)
    if "".join(a + b for a, b in parts) != body or (not parts and body != "0"):
        raise Fault(f'invalid duration "{word}"')
    total = sum(float(amount) * _UNITS[unit] for amount, unit in parts)
    try:
        delta = datetime.timedelta(microseconds=total / 1000)
        return values.text(_shown(_parse(moment.raw) + (-delta if word[:1] == "-" else delta)))
    except OverflowError:
        raise Fault(f'"{word}" leads out of the calendar') from None


def _timestamp(scope: Scope, node: Call, arguments: list[Node]) -> Value:
    if arguments:
        raise Fault("it takes no arguments")
    seconds = scope.outer.world.now_ns // 10**9
    return values.text(_shown(datetime.datetime.fromtimestamp(seconds, datetime.UTC)))


def _unixtimestampparse(moment: Value) -> Value:
    time = _unix(moment)
    iso = time.isocalendar()
    numbers = {
        "year": time.year,
        "year_day": time.timetuple().tm_yday,
        "day": time.day,
        "month": time.month,
        "weekday": (time.weekday() + 1) % 7,
        "hour": time.hour,
        "minute": time.minute,
        "second": time.second,
        "iso_year": iso.year,
        "iso_week": iso.week,
    }
    words = {
        "month_name": _MONTHS[time.month - 1],
        "weekday_name": _DAYS[time.weekday()],
        "rfc3339": _shown(time),
    }
    return values.object_of(
        {k: values.number(v) for k, v in numbers.items()}
        | {k: values.text(v) for k, v in words.items()}
    )


FUNCTIONS: dict[str, Function] = {
    "formatdate": function(_formatdate, STRING, STRING),
    "formattimestamp": function(_formattimestamp, STRING, ANY),
    "timeadd": function(_timeadd, STRING, STRING),
    "timestamp": _timestamp,
    "unixtimestampparse": function(_unixtimestampparse, NUMBER),
}
