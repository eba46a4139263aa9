"""kobako logs"""

from __future__ import annotations

from kobako.cli.flags import BOOL, TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "logs",
    "logs [OPTIONS] CONTAINER",
    "Fetch the logs of a container",
    (
        Flag("details", "", BOOL, "Show extra details provided to logs"),
        Flag("follow", "f", BOOL, "Follow log output"),
        Flag("since", "", TEXT, "Show logs since timestamp (2013-01-02T13:23:37Z) or 42m"),
        Flag("tail", "n", TEXT, "Number of lines to show from the end of the logs", default="all"),
        Flag("timestamps", "t", BOOL, "Show timestamps"),
        Flag("until", "", TEXT, "Show logs before a timestamp or relative (e.g. 42m)"),
    ),
    least=1,
    most=1,
    completes="container",
)


def main(context: Context, values: Values, words: list[str]) -> int:
    import os
    import sys

    from kobako.cli import moments
    from kobako.engine import container_logs
    from kobako.engine.moments import rfc3339
    from kobako.errors import Invalid

    tail = values.text("tail")
    if tail.startswith("-") and tail[1:].isdigit():
        tail = "all"
    if tail != "all" and not tail.isdigit():
        raise Invalid(f'invalid argument "{tail}" for "-n, --tail" flag: a number or "all"')
    records = container_logs.logs(
        context.engine,
        words[0],
        follow=values.on("follow"),
        tail=None if tail == "all" else int(tail),
        since_ns=moments.parse(values.text("since"), "since"),
        until_ns=moments.parse(values.text("until"), "until"),
    )
    stamps = values.on("timestamps")
    details = ""
    if values.on("details"):
        details = container_logs.log_details(context.engine, words[0]) + " "
    streams = {1: sys.stdout.buffer, 2: sys.stderr.buffer}
    for record in records:
        sink = streams[record.stream]
        if stamps or details:
            head = f"{rfc3339(record.time_ns)} ".encode() if stamps else b""
            head += os.fsencode(details)
            for line in record.data.splitlines(keepends=True):
                sink.write(head + line)
        else:
            sink.write(record.data)
        sink.flush()
    return 0
