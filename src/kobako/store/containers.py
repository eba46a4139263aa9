"""Containers: a record each, in a file of its own (`store.records`).

`containers/<id>` is the record; it is there when the container is. `names/<name>` is another link
to it, or to the one it had before a change: a name is taken by one alone, and says whose it is when
it is opened. Where that container has another name, or is not there, a killed process has left it.
"""

from __future__ import annotations

import errno
import os

from kobako.errors import Conflict, Invalid, NotFound
from kobako.record import Record
from kobako.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kobako.errors import KobakoError
    from kobako.store.database import Database

_HEX = "0123456789abcdef"
_FORM = b"1"


class ContainerRow(Record):
    """A container: `id` in hex digits (64), a unique name, and what was asked for as JSON."""

    id: str
    name: str
    image_id: str
    image_ref: str
    created_ns: int
    spec: bytes


class Containers:
    """Containers by id or name."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._records = database.records

    def add(self, row: ContainerRow) -> None:
        """Add a container. Raises `Conflict` where its name is taken and `NotFound` where its image
        is gone.
        """
        if len(row.id) < 12 or row.id.strip(_HEX):
            raise Invalid(f"invalid container id {row.id!r}: at least 12 hex digits are expected")
        try:
            with self._records:
                self._refuse_taken(row.name, row.id)
                if os.path.exists(self._path(row.id)):
                    raise Conflict(f"there is a container {row.id} already")
                if row.image_id and not self._db.named.is_there(row.image_id):
                    raise NotFound(f"No such image: {row.image_ref or row.image_id}")
                name = self._named(row.name)
                records.write(name, encoded(row))
                try:
                    os.link(name, self._path(row.id))
                except BaseException:
                    os.unlink(name)
                    raise
        except OSError as error:
            raise self._failed(error) from error

    def get(self, container_id: str) -> ContainerRow | None:
        """The container with exactly this id."""
        self._records.require()
        return None if container_id.strip(_HEX) or not container_id else self._read(container_id)

    def find(self, text: str) -> ContainerRow:
        """The container with this id, this name, or this unique prefix of an id, in that order.

        Raises `NotFound`, and `Conflict` where a prefix fits several.
        """
        row = self.get(text) or self._of_name(text.removeprefix("/"))
        if row is not None:
            return row
        found: Sequence[str] = ()
        if text and not text.strip(_HEX):
            found = [known for known in self.ids() if known.startswith(text)]
        if len(found) > 1:
            raise Conflict(f"multiple IDs found with provided prefix: {text}")
        row = self._read(found[0]) if found else None
        if row is None:
            raise NotFound(f"No such container: {text}")
        return row

    def rename(self, container_id: str, name: str) -> None:
        """Give a container another name; raises `Conflict` and `NotFound`."""
        with self._records:
            self._refuse_taken(name, container_id)
            row = self._require(container_id)
            if row.name != name:
                self._replace(row.replace(name=name), self._named(name))
                self._forget_name(row.name)

    def update(self, container_id: str, spec: bytes) -> None:
        """Replace what is recorded of a container; raises `NotFound`."""
        with self._records:
            self._replace(self._require(container_id).replace(spec=spec))

    def delete(self, container_id: str) -> ContainerRow | None:
        """Forget a container; what it was, if it was there."""
        with self._records:
            row = self.get(container_id)
            if row is not None:
                os.unlink(self._path(container_id))
                self._forget_name(row.name)
            return row

    def list(self) -> Sequence[ContainerRow]:
        """All containers, the newest first."""
        rows = [row for row in map(self._read, self.ids()) if row is not None]
        return sorted(rows, key=lambda row: (-row.created_ns, row.id))

    def ids(self) -> set[str]:
        """The ids of all containers, of those with a damaged record, too."""
        self._records.require()
        found = os.listdir(self._records.path("containers"))
        return {name for name in found if not name.strip(_HEX)}

    def left_names(self) -> Sequence[str]:
        """Names that processes which were killed have left."""
        with self._records:
            found = sorted(os.listdir(self._records.path("names")))
            return [name for name in found if self._of_name(name) is None]

    def free(self, name: str) -> None:
        """Forget a name that was left."""
        with self._records:
            if self._of_name(name) is None:
                self._forget_name(name)

    def _path(self, container_id: str) -> str:
        return self._records.path("containers", container_id)

    def _named(self, name: str) -> str:
        if not name or "/" in name or name.startswith("."):
            raise Invalid(f"invalid container name {name!r}")
        return self._records.path("names", name)

    def _read(self, container_id: str) -> ContainerRow | None:
        data = records.read(self._path(container_id))
        return decoded(data) if data is not None else None

    def _of_name(self, name: str) -> ContainerRow | None:
        if not name or "/" in name or name.startswith(".") or "\0" in name:
            return None
        try:
            data = records.read(self._records.path("names", name))
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                return None
            raise
        link = decoded(data) if data is not None else None
        row = self._read(link.id) if link is not None else None
        return row if row is not None and row.name == name else None

    def _require(self, container_id: str) -> ContainerRow:
        row = self.get(container_id)
        if row is None:
            raise NotFound(f"No such container: {container_id}")
        return row

    def _refuse_taken(self, name: str, container_id: str) -> None:
        taken = self._of_name(name)
        if taken is None:
            self._forget_name(name)
        elif taken.id != container_id:
            raise Conflict(
                f'Conflict. The container name "/{name}" is already in use by container '
                f'"{taken.id}". You have to remove (or rename) that container to be able to reuse '
                "that name."
            )

    def _replace(self, row: ContainerRow, name: str = "") -> None:
        """Puts a new record in the place of the old one in one step; `name` is the file of another
        name it is to have from then on."""
        new = self._records.path("containers", "new")  # one for all: we hold the lock
        try:
            if os.path.exists(new):
                os.unlink(new)  # a killed process has left it
            records.write(new, encoded(row), durable=True)
            if name:
                os.link(new, name)
            os.rename(new, self._path(row.id))
        except OSError as error:
            raise self._failed(error) from error

    def _forget_name(self, name: str) -> None:
        try:
            os.unlink(self._named(name))
        except FileNotFoundError:
            pass

    def _failed(self, error: OSError) -> KobakoError:
        from kobako.store.failures import failed

        return failed("keep the record of a container", self._records.directory, error)


def encoded(row: ContainerRow) -> bytes:
    """A record: the fields a line each, and the document as it is."""
    texts = (row.id, row.name, str(row.image_id), row.image_ref, str(row.created_ns))
    if any("\n" in text for text in texts):
        raise Invalid(f"a line break in the name or image of the container {row.id}")
    return b"\n".join((_FORM, *(text.encode() for text in texts), row.spec))


def decoded(data: bytes) -> ContainerRow | None:
    """What `encoded` made; None of what a power cut has left of it."""
    parts = data.split(b"\n", 6)
    if len(parts) != 7 or parts[0] != _FORM or not parts[5].isdigit():
        return None
    own_id, name, image_id, image_ref = (part.decode() for part in parts[1:5])
    return ContainerRow(own_id, name, image_id, image_ref, int(parts[5]), parts[6])
