"""fsck: is everything that rows point to there, and is it what its digest says?"""

from __future__ import annotations

import os
from functools import partial

from kobako.errors import Corrupt, KobakoError, NotFound
from kobako.oci.digest import Digest
from kobako.record import Record
from kobako.store import ingest
from kobako.store.closure import Closure, missing
from kobako.store.collect import live_roots
from kobako.store.layout import EMPTY_INDEX, LAYOUT, replace_file
from kobako.store.leases import SUFFIX, read
from kobako.store.trees import remove_tree as remove_plain_tree
from kobako.store.trees import walk_layers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.store.store import Store

ERROR, WARNING, NOTE = "error", "warning", "note"


class Finding(Record):
    """Something fsck saw.

    `severity`: "error" (the store is not whole), "warning" (odd, harmless), "note" (the ordinary
    remains of a killed process, or content nothing refers to; gc takes them). `subject` is what it
    is about: a digest, a name, a path. `repaired` says whether it is gone now.
    """

    severity: str
    subject: str
    message: str
    repaired: bool = False


def fsck(
    store: Store,
    repair: bool = False,
    *,
    content: bool = True,
    remove_tree: Callable[[str], int] = remove_plain_tree,
) -> list[Finding]:
    """Check the whole store; an empty list, or one without errors, means it is whole.

    With `repair`, damaged blobs and unfinished trees are removed, and so is every name and image
    whose content is no longer complete. Names come back by pulling, loading or building again.
    `content=False` skips reading the blobs. Run it when nothing else works on the store; what
    others are just writing is otherwise reported as notes.
    """
    check = _Check(store, repair, remove_tree)
    check.layout()
    if not check.database():
        return check.findings
    check.blobs(content)
    check.refs_and_images()
    check.containers()
    check.trees()
    check.leases_and_ingest()
    check.orphans()
    return check.findings


class _Check:
    def __init__(self, store: Store, repair: bool, remove_tree: Callable[[str], int]) -> None:
        self._store = store
        self._repair = repair
        self._remove_tree = remove_tree
        self.findings: list[Finding] = []

    def _found(
        self, severity: str, subject: str, message: str, cure: Callable[[], object] | None = None
    ) -> None:
        repaired = False
        if self._repair and cure is not None:
            try:
                cure()
                repaired = True
            except (OSError, KobakoError) as error:
                message += f" (not repaired: {error})"
        self.findings.append(Finding(severity, str(subject), message, repaired))

    def layout(self) -> None:
        for name, content in (("oci-layout", LAYOUT), ("index.json", EMPTY_INDEX)):
            path = os.path.join(self._store.root, name)
            if not os.path.exists(path):
                self._found(ERROR, path, "the file is missing", self._rewriter(path, content))

    def _rewriter(self, path: str, content: bytes) -> Callable[[], object]:
        return lambda: replace_file(self._store.ingest_dir, path, content)

    def database(self) -> bool:
        """Whether the database can be read at all."""
        try:
            faults = self._store.db.integrity_faults()
        except Corrupt as error:
            faults = [str(error)]
        for fault in faults:
            self._found(ERROR, self._store.db.path, f"the database is damaged: {fault}")
        return not faults

    def blobs(self, content: bool) -> None:
        """Names and, with `content`, bytes of all blobs."""
        for algorithm in sorted(os.listdir(os.path.join(self._store.root, "blobs"))):
            directory = os.path.join(self._store.root, "blobs", algorithm)
            for name in sorted(os.listdir(directory)):
                try:
                    digest = Digest.parse(f"{algorithm}:{name}")
                except KobakoError:
                    self._found(WARNING, os.path.join(directory, name), "not a blob's name")
                    continue
                if content:
                    self._verify(digest)

    def _verify(self, digest: Digest) -> None:
        try:
            with self._store.blobs.open(digest) as stream:
                while stream.read(1 << 20):
                    pass
        except NotFound:
            pass  # collected by another process just now
        except Corrupt:
            self._found(
                ERROR,
                digest,
                "the blob is damaged: its bytes are not what its digest says",
                lambda: self._store.blobs.delete(digest),
            )

    def refs_and_images(self) -> None:
        db = self._store.db
        for image in db.images.list():
            for absent in self._missing(image.manifest, image.id):
                self._found(
                    ERROR,
                    image.id,
                    f"the image lacks its blob {absent}",
                    partial(self._drop_image, image.id),
                )
                break
        for ref in db.refs.list():
            for absent in self._missing(ref.digest):
                self._found(
                    ERROR,
                    ref.name,
                    f"the name points to {ref.digest}, which lacks the blob {absent}",
                    partial(db.refs.delete, ref.name),
                )
                break
            if ref.image and db.images.get(ref.image) is None:
                self._found(
                    ERROR,
                    ref.name,
                    f"the name means the image {ref.image}, which is not there",
                    partial(db.refs.delete, ref.name),
                )

    def _missing(self, *digests: Digest) -> list[Digest]:
        absent: list[Digest] = []
        for digest in digests:
            try:
                absent += missing(self._store.blobs, digest)
            except Corrupt:
                absent.append(digest)
        return absent

    def _drop_image(self, image_id: str) -> None:
        """Forget an image and its names, even one that containers use: they say so when started."""
        db = self._store.db
        with db.transaction():
            db.change_images()
            db.change("DELETE FROM refs WHERE image = ?", image_id)
            db.change("DELETE FROM images WHERE id = ?", image_id)

    def containers(self) -> None:
        db = self._store.db
        known = db.containers.ids()
        rows = db.containers.list()
        for damaged in sorted(known - {row.id for row in rows}):
            path = db.records.path("containers", damaged)
            self._found(
                ERROR, path, "the record of a container is damaged", partial(os.unlink, path)
            )
        for name in db.containers.left_names():
            message = "the name of a container that is gone"
            self._found(NOTE, name, message, partial(db.containers.free, name))
        for row in rows:
            if row.image_id and db.images.get(row.image_id) is None:
                self._found(WARNING, row.id, f"the container's image {row.image_id} is not there")
        directory = self._store.containers_dir
        for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else ():
            if name not in known:
                path = os.path.join(directory, name)
                self._found(NOTE, path, "a directory of no container", self._remover(path))

    def trees(self) -> None:
        for path, diff_id in walk_layers(self._store.root):
            if diff_id is None:
                if not ingest.is_locked(path.removesuffix(".part").removesuffix(".lock") + ".lock"):
                    self._found(NOTE, path, "remains of an unpacking", self._remover(path))
            elif not os.path.isdir(os.path.join(path, "tree")):
                self._found(ERROR, path, "an unpacked layer without its tree", self._remover(path))

    def _remover(self, path: str) -> Callable[[], object]:
        return partial(self._remove_tree, path)

    def leases_and_ingest(self) -> None:
        store = self._store
        for name in sorted(os.listdir(store.ingest_dir)):
            path = os.path.join(store.ingest_dir, name)
            if os.path.isdir(path):
                self._found(NOTE, path, "remains of a removal", self._remover(path))
            elif not ingest.is_locked(path):
                message = "remains of a write"
                held = read(path) if name.endswith(SUFFIX) else None
                if held is not None:
                    message = f"a lease of a process that is gone ({held.note or held.pid})"
                self._found(NOTE, path, message, partial(ingest.remove_if_dead, path))

    def orphans(self) -> None:
        """Content that no row refers to; gc removes it."""
        store = self._store
        try:
            blobs, trees = Closure(store.blobs).of(live_roots(store))
        except Corrupt:
            return  # reported above; who refers to what is not known until it is repaired
        for digest in store.blobs:
            if digest not in blobs:
                self._found(NOTE, digest, "a blob that nothing refers to")
        for path, diff_id in walk_layers(store.root):
            if diff_id is not None and diff_id not in trees:
                self._found(NOTE, path, "an unpacked layer that nothing refers to")
