"""The access log as data."""

from __future__ import annotations

from kobako.events import Event


class Served(Event):
    """One answered request. `received` and `sent` are bytes on the wire, heads included;
    `seconds` runs from the head's arrival to the last byte sent; `status` 0 means the client left
    before an answer.
    """

    method: str
    target: str
    status: int
    received: int
    sent: int
    seconds: float
    peer: str
    agent: str = ""
