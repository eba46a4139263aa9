"""What names mean, told without opening the database: copies of what it says.

`records/refs/<name>`, where "%" stands for "/", holds what a name points to and the row of the
image it means. A copy is made by who had to ask the database; a transaction that changes a name or
an image removes all of them first and keeps the lock of the records to its end, and copies are made
under that lock alone. So one that is there says what the database says; until the next boot only,
as the database may have lost its last changes in a power cut that a copy has survived.
"""

from __future__ import annotations

import os

from kobako.oci.digest import Digest
from kobako.store import records
from kobako.store.rows import ImageRow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.store.database import Database

_BOOT = "/proc/sys/kernel/random/boot_id"
_LONGEST = 255  # of a file's name


class NamedImages:
    """Images by full references (`str(Reference)`)."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._records = database.records
        self._found: dict[str, str] = {}  # image id -> the name it was found by
        self._boot = _this_boot()

    def get(self, name: str) -> tuple[ImageRow, Digest] | None:
        """The image a name means, and the manifest or index it points to."""
        found = self._copy(name) or self._look_up(name)
        if found is not None:
            self._found[found[0].id] = name
        return found

    def is_there(self, image_id: str) -> bool:
        """Whether the store has an image. Under the lock of the records it stays so."""
        found = self._copy(self._found.get(image_id, ""))
        if found is not None and found[0].id == image_id:
            return True
        return self._db.images.get(image_id) is not None

    def forget_all(self) -> None:
        """Removes all copies; the caller holds the lock, and is about to change the database."""
        records.forget_copies(self._records.directory)
        self._found.clear()

    def _path(self, name: str) -> str:
        file = name.replace("/", "%")
        return self._records.path("refs", file) if file and len(file) <= _LONGEST else ""

    def _copy(self, name: str) -> tuple[ImageRow, Digest] | None:
        path = self._path(name)
        data = self._read(path) if path else None
        fields = data.decode().split("\n") if data else []
        if len(fields) != 8:
            return None
        target, own_id, manifest, created_ns, size, parent, platform, diff_ids = fields
        row = ImageRow(
            Digest(own_id),
            Digest(manifest),
            int(created_ns),
            int(size),
            parent,
            platform,
            tuple(map(Digest, diff_ids.split())),
        )
        return row, Digest(target)

    def _look_up(self, name: str) -> tuple[ImageRow, Digest] | None:
        self._records.require()
        lock = self._records.share()
        try:
            row = self._db.images.of_reference(name)
            if row is None:
                return None
            target = self._db.refs.get(name) or row.manifest
            path = self._path(name)
            if lock >= 0 and path:
                fields = (
                    target, row.id, row.manifest, str(row.created_ns), str(row.size), row.parent,
                    row.platform, " ".join(row.diff_ids),
                )  # fmt: skip
                self._write("refs", path, "\n".join(fields).encode())
            return row, target
        finally:
            if lock >= 0:
                os.close(lock)

    def document(self, image_id: Digest) -> bytes | None:
        """What `keep_document` has kept of an image, if it has."""
        return self._read(self._records.path("images", image_id.encoded))

    def keep_document(self, image_id: Digest, document: bytes) -> None:
        """Keeps what somebody has made of an image's config, to have it again at once."""
        lock = self._records.share()
        if lock >= 0:
            try:
                self._write("images", self._records.path("images", image_id.encoded), document)
            finally:
                os.close(lock)

    def _read(self, path: str) -> bytes | None:
        """A copy that was made since the machine has booted."""
        boot, _, data = (records.read(path) or b"").partition(b"\n")
        return data if self._boot and boot == self._boot else None

    def _write(self, kind: str, path: str, data: bytes) -> None:
        """Makes a copy; the caller has the lock."""
        if not self._boot:
            return
        new = self._records.path(kind, f".{os.getpid()}")  # no name begins with a dot
        try:
            records.write(new, self._boot + b"\n" + data)
            os.rename(new, path)
        except OSError:
            pass  # the disk is full, or it cannot be written: it will be made again


def _this_boot() -> bytes:
    """b"" where it cannot be told: nothing is copied then."""
    try:
        return (records.read(_BOOT) or b"").strip()
    except OSError:
        return b""
