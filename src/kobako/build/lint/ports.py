"""Checks of EXPOSE."""

from __future__ import annotations

from kobako.build.dockerfile import instructions as i
from kobako.build.lint.finding import Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kobako.build.lint.subject import Visit


def exposed_ports(visit: Visit) -> Iterator[Finding]:
    """`ExposeProtoCasing` and `ExposeInvalidFormat`, port by port."""
    if not isinstance(visit.instruction, i.Expose):
        return
    start, end = visit.where.start, visit.where.end
    for port in visit.words:
        host, _, inside = port.rpartition(":")
        protocol = inside.partition("/")[2]
        if protocol != protocol.lower():
            detail = f"Defined protocol '{port}' in EXPOSE instruction should be lowercase"
            yield Finding("ExposeProtoCasing", detail, start, end, protocol)
        if host:
            detail = (
                "EXPOSE instruction should not define an IP address or host-port mapping, found"
                f" '{port}'"
            )
            yield Finding("ExposeInvalidFormat", detail, start, end, port)
