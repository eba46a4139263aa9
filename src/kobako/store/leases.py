"""Leases: what a running operation wrote but nothing points to yet survives gc.

A lease is a locked file, `ingest/<id>.lease`. The kernel drops the lock when its process dies,
however it dies and in whichever pid namespace it ran, and with it the lease is void.

A live lease keeps everything written or found again (`exists`, a `put` of what is there) since it
began, and the digests added to it with all they refer to. Who looks finds it there before its
owner has looked at any content, as that takes the content lock and collecting holds it alone.
"""

from __future__ import annotations

import os
from time import time_ns

from kobako.oci.digest import Digest
from kobako.record import Record
from kobako.store import ingest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kobako.store.store import Store

SUFFIX = ".lease"


class Held(Record):
    """A running operation and the digests it asked to keep. `pid` is for people only."""

    id: str
    pid: int
    note: str
    created_ns: int
    digests: tuple[Digest, ...] = ()


class Lease:
    """A lease being held: a context manager, made by `lease`."""

    def __init__(self, store: Store, note: str) -> None:
        self._root = store.root
        head = f"{time_ns()} {os.getpid()} {' '.join(note.split())}\n"
        try:
            self._file = ingest.create(store.ingest_dir, suffix=SUFFIX)
            self.id = os.path.basename(self._file.path)
            try:
                self._write(head)
            except BaseException:
                self._file.discard()
                raise
        except OSError as error:
            from kobako.store.failures import failed

            raise failed("begin an operation", store.root, error) from error

    def keep(self, *digests: Digest) -> None:
        """Keep content that is neither new nor looked up under this lease: a manifest keeps its
        config, layers and their unpacked trees, a config its trees.
        """
        try:
            self._write("".join(f"{digest}\n" for digest in digests))
        except OSError as error:
            from kobako.store.failures import failed

            raise failed("keep content", self._root, error) from error

    def end(self) -> None:
        """Give the lease up. Idempotent."""
        self._file.discard()

    def _write(self, lines: str) -> None:
        """One write: who reads meanwhile sees whole lines and perhaps a piece of the last."""
        data = lines.encode("utf-8", "surrogateescape")
        if os.write(self._file.fd, data) < len(data):
            raise OSError(28, os.strerror(28))  # ENOSPC: there was room for a part

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.end()


def lease(store: Store, note: str = "") -> Lease:
    """Begin a lease; use it as `with lease(store, "pull python") as held:`.

    Take it before the operation's first look at the store, and end it after the transaction that
    makes refs or rows point to what was written.
    """
    return Lease(store, note)


def live(store: Store) -> Iterator[Held]:
    """The leases whose owners are there."""
    for name in os.listdir(store.ingest_dir):
        path = os.path.join(store.ingest_dir, name)
        if name.endswith(SUFFIX) and ingest.is_locked(path):
            found = read(path)
            if found is not None:
                yield found


def read(path: str) -> Held | None:
    """What a lease's file says; None where it is gone. One that says nothing yet begins now."""
    try:
        with open(path, "rb") as file:
            head, *lines = file.read().split(b"\n")
    except FileNotFoundError:
        return None
    words = head.decode("utf-8", "replace").split(" ", 2)
    known = len(words) == 3 and bool(lines)
    return Held(
        id=os.path.basename(path),
        pid=int(words[1]) if known else 0,
        note=words[2] if known else "",
        created_ns=int(words[0]) if known else time_ns(),
        digests=tuple(Digest(line.decode("ascii")) for line in lines[:-1]),
    )
