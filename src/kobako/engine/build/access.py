"""What a person shows to servers of remote sources."""

from __future__ import annotations

from kobako.record import Record


class Access(Record):
    """Secrets by name; the socket of an ssh agent, or the files of keys."""

    secrets: tuple[tuple[str, bytes], ...] = ()
    ssh: tuple[str, ...] = ()
