"""kobako events"""

from __future__ import annotations

from kobako.cli.flags import LIST, TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.cli.context import Context
    from kobako.cli.flags import Values
    from kobako.engine.event_stream import Happening

COMMAND = Command(
    "events",
    "events [OPTIONS]",
    "Show what happens to containers, images and volumes as it happens",
    (
        Flag("filter", "f", LIST, "Filter output based on conditions provided", "filter"),
        Flag("format", "", TEXT, "Format output using a Go template or 'json'"),
        Flag("since", "", TEXT, "Show all events created since timestamp"),
        Flag("until", "", TEXT, "Stream events until this timestamp"),
    ),
    most=0,
    details="""\
Every kobako command that works on the same data root writes down what it does; this one shows it
until it is interrupted, or until the time given.""",
)


def main(context: Context, values: Values, words: list[str]) -> int:
    import sys

    from kobako.cli import listing, moments
    from kobako.engine import event_stream

    written = _form(values.text("format"))
    for event in event_stream.stream(
        context.engine,
        since_ns=moments.parse(values.text("since"), "since"),
        until_ns=moments.parse(values.text("until"), "until"),
        filters=listing.filters(values.many("filter")),
    ):
        if event is None:
            sys.stdout.flush()
        else:
            context.out(written(event))
    return 0


def _form(form: str) -> Callable[[Happening], str]:
    """How an event is written: as docker's line, its JSON, or by a template."""
    if not form:
        return _line
    from kobako.cli import template

    if form in ("json", "{{json .}}"):
        return lambda event: template.to_json(event.document())
    run = template.compile_template(template.unescape(form))
    return lambda event: run(_fields(event))


def _line(event: Happening) -> str:
    head = f"{_moment(event.time_ns)} {event.type} {event.action} {event.subject}"
    told = ", ".join(f"{name}={value}" for name, value in event.attributes.items())
    return f"{head} ({told})" if told else head


def _moment(ns: int) -> str:
    """RFC 3339 with all nine digits, in the time zone of the user."""
    import time

    seconds, rest = divmod(ns, 1_000_000_000)
    local = time.localtime(seconds)
    minutes = local.tm_gmtoff // 60
    sign = "-" if minutes < 0 else "+"
    zone = f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}" if minutes else "Z"
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', local)}.{rest:09}{zone}"


class _Attributes(dict[str, str]):
    """For a template one that an event does not have is empty, as in Go's maps."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> str:
        return ""


def _fields(event: Happening) -> dict[str, object]:
    """The fields of docker's message, for a template."""
    found = event.document()
    return {
        "Status": found.get("status", ""),
        "ID": found.get("id", ""),
        "From": found.get("from", ""),
        "Type": event.type,
        "Action": event.action,
        "Actor": {"ID": event.subject, "Attributes": _Attributes(event.attributes)},
        "Scope": "local",
        "Time": found["time"],
        "TimeNano": event.time_ns,
    }
