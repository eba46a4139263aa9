"""The tables every verb needs: refs, images, containers."""

from __future__ import annotations

from time import time_ns

from kobako.errors import Conflict, Invalid, NotFound
from kobako.oci.digest import Digest
from kobako.store.rows import ContainerRow, ImageRow, RefRow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from kobako.store.database import Database

_HEX = "0123456789abcdef"
_IMAGE = "i.id, i.manifest, i.created_ns, i.size, i.parent, i.platform, i.diff_ids"


class Refs:
    """Names and what they point to."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self, name: str) -> Digest | None:
        """The digest of the manifest or index that `name` points to."""
        rows = self._db.query("SELECT digest FROM refs WHERE name = ?", name)
        return Digest(rows[0][0]) if rows else None

    def row(self, name: str) -> RefRow | None:
        """The whole row of a name."""
        rows = self._db.query("SELECT name, digest, image, updated_ns FROM refs WHERE name=?", name)
        return _ref(rows[0]) if rows else None

    def set(self, name: str, digest: Digest, image: str = "") -> None:
        """Point a name to a manifest or index, moving it if it was there.

        `image` is the id of the image meant; without it the image of that manifest is looked up.
        Raises `NotFound` where the content is not (or no longer) all in the store.
        """
        with self._db.transaction():
            self._db.require(digest)
            if not image:
                rows = self._db.query("SELECT id FROM images WHERE manifest = ?", digest)
                image = rows[0][0] if rows else ""
            self._db.change(
                "INSERT INTO refs VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
                "digest=excluded.digest, image=excluded.image, updated_ns=excluded.updated_ns",
                str(name), str(digest), str(image), time_ns(),
            )  # fmt: skip

    def delete(self, name: str) -> bool:
        """Forget a name; whether it was there."""
        return self._db.change("DELETE FROM refs WHERE name = ?", name) > 0

    def list(self) -> Sequence[RefRow]:
        """All names, sorted."""
        return [
            _ref(row)
            for row in self._db.query(
                "SELECT name, digest, image, updated_ns FROM refs ORDER BY name"
            )
        ]

    def of_image(self, image_id: str) -> Sequence[RefRow]:
        """The names of an image, sorted."""
        return [
            _ref(row)
            for row in self._db.query(
                "SELECT name, digest, image, updated_ns FROM refs WHERE image = ? ORDER BY name",
                image_id,
            )
        ]


class Images:
    """Images by id."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self, image_id: str) -> ImageRow | None:
        return self._one("WHERE i.id = ?", image_id)

    def of_reference(self, name: str) -> ImageRow | None:
        """The image a name in `refs` means, in one look-up."""
        return self._one("JOIN refs r ON i.id = r.image WHERE r.name = ?", name)

    def of_manifest(self, manifest: str) -> ImageRow | None:
        return self._one("WHERE i.manifest = ?", manifest)

    def add(self, row: ImageRow) -> None:
        """Add an image, or renew what is known of it. Raises `NotFound` unless its manifest, config
        and layers are all in the store.
        """
        with self._db.transaction():
            self._db.require(row.manifest)
            self._db.change(
                "INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?, ?, ?)",
                str(row.id), str(row.manifest), row.created_ns, row.size, str(row.parent),
                str(row.platform), " ".join(row.diff_ids),
            )  # fmt: skip
            self._db.change(
                "UPDATE refs SET image = ? WHERE digest = ? AND image = ''",
                str(row.id), str(row.manifest),
            )  # fmt: skip

    def delete(self, image_id: str) -> bool:
        """Forget an image and every name of it; whether it was there.

        Its content stays until gc. Raises `Conflict` while a container uses it.
        """
        with self._db.transaction():
            users = self._db.query("SELECT id FROM containers WHERE image_id = ?", image_id)
            if users:
                raise Conflict(
                    f"conflict: unable to delete {_short(image_id)} - image is being used by "
                    f"container {users[0][0][:12]}",
                    hint="remove the container first",
                )
            self._db.change("DELETE FROM refs WHERE image = ?", image_id)
            return self._db.change("DELETE FROM images WHERE id = ?", image_id) > 0

    def list(self) -> Sequence[ImageRow]:
        """All images, the newest first."""
        return self._many("ORDER BY i.created_ns DESC, i.id")

    def children(self, image_id: str) -> Sequence[ImageRow]:
        """The images made from this one."""
        return self._many("WHERE i.parent = ? ORDER BY i.id", image_id)

    def find(self, prefix: str) -> ImageRow:
        """The image whose id starts with these hex digits, with or without `sha256:`.

        Raises `NotFound`, and `Conflict` where several do.
        """
        digits = prefix.removeprefix("sha256:")
        found: Sequence[ImageRow] = ()
        if digits and not digits.strip(_HEX):
            low = "sha256:" + digits
            found = self._many("WHERE i.id >= ? AND i.id < ? LIMIT 2", low, low + "g")
        if not found:
            raise NotFound(f"No such image: {prefix}")
        if len(found) > 1:
            raise Conflict(f"multiple images found with provided prefix: {prefix}")
        return found[0]

    def _one(self, where: str, *values: Any) -> ImageRow | None:
        found = self._many(where + " LIMIT 1", *values)
        return found[0] if found else None

    def _many(self, where: str, *values: Any) -> Sequence[ImageRow]:
        return [
            _image(row) for row in self._db.query(f"SELECT {_IMAGE} FROM images i {where}", *values)
        ]


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


def _ref(row: Sequence[Any]) -> RefRow:
    return RefRow(row[0], Digest(row[1]), row[2], row[3])


def _image(row: Sequence[Any]) -> ImageRow:
    diff_ids = tuple(map(Digest, row[6].split()))
    return ImageRow(Digest(row[0]), Digest(row[1]), row[2], row[3], row[4], row[5], diff_ids)


def _short(image_id: str) -> str:
    return image_id.removeprefix("sha256:")[:12]
