"""The tables of images and of the names that point to them."""

from __future__ import annotations

from time import time_ns

from kobako.errors import Conflict, NotFound
from kobako.oci.digest import Digest
from kobako.store.rows import ImageRow, RefRow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from kobako.store.database import Database

_HEX = "0123456789abcdef"
_COLUMNS = "i.id, i.manifest, i.created_ns, i.size, i.parent, i.platform, i.diff_ids"


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
            self._db.change_images()
            self._db.change(
                "INSERT INTO refs VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
                "digest=excluded.digest, image=excluded.image, updated_ns=excluded.updated_ns",
                str(name), str(digest), str(image), time_ns(),
            )  # fmt: skip

    def delete(self, name: str) -> bool:
        """Forget a name; whether it was there."""
        with self._db.transaction():
            self._db.change_images()
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
            self._db.change_images()
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
            self._db.change_images()
            users = [row.id for row in self._db.containers.list() if row.image_id == image_id]
            if users:
                raise Conflict(
                    f"conflict: unable to delete {_short(image_id)} - image is being used by "
                    f"container {users[0][:12]}",
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
            _image(row)
            for row in self._db.query(f"SELECT {_COLUMNS} FROM images i {where}", *values)
        ]


def _ref(row: Sequence[Any]) -> RefRow:
    return RefRow(row[0], Digest(row[1]), row[2], row[3])


def _image(row: Sequence[Any]) -> ImageRow:
    diff_ids = tuple(map(Digest, row[6].split()))
    return ImageRow(Digest(row[0]), Digest(row[1]), row[2], row[3], row[4], row[5], diff_ids)


def _short(image_id: str) -> str:
    return image_id.removeprefix("sha256:")[:12]
