"""What a person shows to servers of remote sources."""

from __future__ import annotations

from kobako.record import Record


class Access(Record):
    """Secrets by name; the socket of an ssh agent, or the files of keys."""

    secrets: tuple[tuple[str, bytes], ...] = ()
    ssh: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, secrets: tuple[tuple[str, bytes], ...], ssh: tuple[tuple[str, tuple[str, ...]], ...]
    ) -> Access:
        """Of a build's `--secret`s and `--ssh`s, of which the one called default is meant."""
        return cls(secrets, dict(ssh).get("default", ()))
