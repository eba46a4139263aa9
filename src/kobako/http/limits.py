"""What one client may take of a server: sizes in bytes, times in seconds."""

from __future__ import annotations

from kobako.record import Record


class Limits(Record):
    """Bounds of a `Server`; every one of them ends a connection, never the server.

    `head_time` is for the whole request head, however slowly it drips; `body_idle` and `send_idle`
    are for one wait without any progress; `body_rate` is the least a body must average (bytes per
    second, counted after `body_idle`), 0 to allow any pace. `linger` is how long a refused body
    is still read, so that the client sees the answer instead of a reset.
    """

    request_line: int = 16 * 1024
    head: int = 64 * 1024
    headers: int = 128
    head_time: float = 15.0
    keep_alive: float = 75.0
    body_idle: float = 60.0
    body_rate: int = 1024
    send_idle: float = 60.0
    drain: int = 256 * 1024
    linger: float = 2.0
    connections: int = 512
