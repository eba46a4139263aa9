"""The table of containers."""

from __future__ import annotations

from kobako.errors import Conflict, Invalid, NotFound
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from kobako.store.database import Database

_HEX = "0123456789abcdef"


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

    def add(self, row: ContainerRow) -> None:
        """Add a container. Raises `Conflict` where its name is taken and `NotFound` where its image
        is gone.
        """
        if len(row.id) < 12 or row.id.strip(_HEX):
            raise Invalid(f"invalid container id {row.id!r}: at least 12 hex digits are expected")
        with self._db.transaction():
            self._refuse_taken(row.name, row.id)
            if row.image_id and not self._db.query(
                "SELECT 1 FROM images WHERE id = ?", row.image_id
            ):
                raise NotFound(f"No such image: {row.image_ref or row.image_id}")
            self._db.change(
                "INSERT INTO containers VALUES (?, ?, ?, ?, ?, ?)",
                row.id, row.name, str(row.image_id), row.image_ref, row.created_ns, row.spec,
            )  # fmt: skip

    def get(self, container_id: str) -> ContainerRow | None:
        """The container with exactly this id."""
        return self._one("id = ?", container_id)

    def find(self, text: str) -> ContainerRow:
        """The container with this id, this name, or this unique prefix of an id, in that order.

        Raises `NotFound`, and `Conflict` where a prefix fits several.
        """
        row = self._one("id = ?", text) or self._one("name = ?", text.removeprefix("/"))
        if row is not None:
            return row
        found: Sequence[ContainerRow] = ()
        if text and not text.strip(_HEX):
            found = self._many("WHERE id >= ? AND id < ? LIMIT 2", text, text + "g")
        if not found:
            raise NotFound(f"No such container: {text}")
        if len(found) > 1:
            raise Conflict(f"multiple IDs found with provided prefix: {text}")
        return found[0]

    def rename(self, container_id: str, name: str) -> None:
        """Give a container another name; raises `Conflict` and `NotFound`."""
        with self._db.transaction():
            self._refuse_taken(name, container_id)
            if not self._db.change("UPDATE containers SET name=? WHERE id=?", name, container_id):
                raise NotFound(f"No such container: {container_id}")

    def update(self, container_id: str, spec: bytes) -> None:
        """Replace what is recorded of a container; raises `NotFound`."""
        if not self._db.change("UPDATE containers SET spec=? WHERE id=?", spec, container_id):
            raise NotFound(f"No such container: {container_id}")

    def delete(self, container_id: str) -> bool:
        """Forget a container; whether it was there."""
        return self._db.change("DELETE FROM containers WHERE id = ?", container_id) > 0

    def list(self) -> Sequence[ContainerRow]:
        """All containers, the newest first."""
        return self._many("ORDER BY created_ns DESC, id")

    def _refuse_taken(self, name: str, container_id: str) -> None:
        taken = self._one("name = ?", name)
        if taken is not None and taken.id != container_id:
            raise Conflict(
                f'Conflict. The container name "/{name}" is already in use by container '
                f'"{taken.id}". You have to remove (or rename) that container to be able to reuse '
                "that name."
            )

    def _one(self, where: str, value: str) -> ContainerRow | None:
        found = self._many("WHERE " + where, value)
        return found[0] if found else None

    def _many(self, where: str, *values: Any) -> Sequence[ContainerRow]:
        return [
            ContainerRow(*row)
            for row in self._db.query(
                "SELECT id, name, image_id, image_ref, created_ns, spec FROM containers " + where,
                *values,
            )
        ]
