"""docker's --publish: [[ip:]hostPort:]containerPort[/protocol], each a port or a range."""

from __future__ import annotations

from kobako.cli.flags import Refused


def check(text: str) -> None:
    """`Refused` when it is none."""
    word, slash, protocol = text.partition("/")
    if slash and protocol.lower() not in ("tcp", "udp", "sctp"):
        raise Refused(f"Invalid proto: {protocol}")
    rest, _, container = word.rpartition(":")
    if not container:
        raise Refused(f"No port specified: {text}<empty>")
    inside = _range(container, "containerPort")
    if not rest:
        return
    host = rest.rpartition(":")[2] if not rest.endswith("]") else ""
    if host:
        outside = _range(host, "hostPort")
        if outside != inside and inside != 1:
            raise Refused(
                f"Invalid ranges specified for container and host Ports: {container} and {host}"
            )


def _range(text: str, what: str) -> int:
    """How many ports a port or range has."""
    first, dash, last = text.partition("-")
    ends = (first, last) if dash else (first, first)
    if not all(end.isascii() and end.isdigit() and 0 < int(end) <= 65535 for end in ends):
        raise Refused(f"Invalid {what}: {text}")
    if int(ends[1]) < int(ends[0]):
        raise Refused(f"Invalid {what}: {text}")
    return int(ends[1]) - int(ends[0]) + 1
