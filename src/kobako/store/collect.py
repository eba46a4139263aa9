"""gc: content and unpacked layers that nothing refers to any more are removed.

Roots are refs, images (named or not), containers' images, the build cache and live leases.

How it is safe while others work:

- The sweep runs inside a database write transaction and under the exclusive content lock, and
  decides by roots read in that same transaction. So a row can neither appear nor vanish while it
  runs, and what points to content (`refs.set`, `images.add`) checks in its own transaction that
  the content is still there: it comes wholly before the sweep and is honoured, or wholly after it
  and fails with `NotFound`.
- Content is found (`exists`, `put`) or put in place under the shared content lock, which renews
  its mtime. The sweep spares what is newer than `grace_seconds` and what is newer than the oldest
  live lease. So whoever holds a lease keeps all it wrote or found since then, without saying so.
- A lease is a locked file: its owner's death voids it, whatever killed the owner.
- Trees leave `layers/` by one rename into `ingest/`; their slow removal happens after the locks are
  gone. Killed in between, the next gc finds the remains there.

The expensive part, reading manifests, is done once before the locks are taken; inside only what
appeared since is read.
"""

from __future__ import annotations

import os
from time import time_ns

from kobako.oci.digest import Digest
from kobako.record import Record
from kobako.store import ingest
from kobako.store.closure import Closure
from kobako.store.failures import failed
from kobako.store.leases import live
from kobako.store.trees import remove_tree as remove_plain_tree
from kobako.store.trees import walk_layers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kobako.store.store import Store

GRACE_SECONDS = 60.0
_CLOCK_SLACK_NS = 1_000_000_000  # file times come from a coarser clock than time_ns
_TRASH = ".trash"


class GcReport(Record):
    """What a collection removed. `freed` is in bytes of disk."""

    blobs: tuple[Digest, ...] = ()
    trees: tuple[Digest, ...] = ()
    leftovers: int = 0
    freed: int = 0


def gc(
    store: Store,
    *,
    grace_seconds: float = GRACE_SECONDS,
    roots: Iterable[Digest] = (),
    remove_tree: Callable[[str], int] = remove_plain_tree,
) -> GcReport:
    """Remove what nothing refers to and nobody wrote or found in the last `grace_seconds`.

    `roots` are kept besides the store's own. `remove_tree(path)` removes a directory and returns
    the bytes freed; the caller must have entered the user namespace the trees were made in.
    Raises `Corrupt` before anything is removed if a manifest is damaged.
    """
    extra = tuple(roots)
    closure = Closure(store.blobs)
    closure.of((*live_roots(store), *extra))
    try:
        with store.db.transaction(), store.blobs.exclusive():
            blobs, trees = closure.of((*live_roots(store), *extra))
            limit = _newest_to_remove(store, grace_seconds)
            swept, freed = _sweep_blobs(store, blobs, limit)
            moved = _sweep_trees(store, trees, limit)
        leftovers, remains = _sweep_ingest(store, remove_tree)
    except OSError as error:
        raise failed("collect garbage", store.root, error) from error
    store.db.checkpoint()
    return GcReport(swept, moved, leftovers - len(moved), freed + remains)


def live_roots(store: Store) -> list[Digest]:
    """The digests that the database, containers and live leases point to."""
    db = store.db
    found = [row.digest for row in db.refs.list()]
    for image in db.images.list():
        found += (image.id, image.manifest, *image.diff_ids)
    for container in db.containers.list():
        if container.image_id:
            found.append(Digest(container.image_id))
    for cached in db.cache.list():
        found += digests_in(cached.value)
    for held in live(store):
        found += held.digests
    return found


def digests_in(value: bytes) -> list[Digest]:
    """Every sha256 digest that stands somewhere in a document."""
    found = []
    for part in value.split(b"sha256:")[1:]:
        encoded = part[:64]
        if len(encoded) == 64 and not encoded.strip(b"0123456789abcdef"):
            found.append(Digest("sha256:" + encoded.decode("ascii")))
    return found


def _newest_to_remove(store: Store, grace_seconds: float) -> int:
    """The file time, in ns, from which on nothing is removed."""
    times = [time_ns() - int(grace_seconds * 1e9)]
    times += [held.created_ns - _CLOCK_SLACK_NS for held in live(store)]
    return min(times)


def _sweep_blobs(store: Store, kept: set[Digest], limit: int) -> tuple[tuple[Digest, ...], int]:
    swept, freed = [], 0
    for digest in store.blobs:
        if digest in kept:
            continue
        path = store.blobs.path(digest)
        found = os.stat(path)
        if found.st_mtime_ns <= limit:
            os.unlink(path)
            swept.append(digest)
            freed += found.st_blocks * 512
    return tuple(swept), freed


def _sweep_trees(store: Store, kept: set[Digest], limit: int) -> tuple[Digest, ...]:
    """Move trees, and remains of unfinished ones, to the ingest directory."""
    moved = []
    for path, diff_id in walk_layers(store.root):
        if diff_id is not None and diff_id in kept:
            continue
        if os.lstat(path).st_mtime_ns > limit:
            continue
        # Whoever fills or removes `<hex>` holds `<hex>.lock`, and works in `<hex>.part`.
        lock = path.removesuffix(".part").removesuffix(".lock") + ".lock"
        held = ingest.claim(lock)
        if held is None:
            continue
        try:
            if path != lock:
                trash = os.path.join(store.ingest_dir, os.urandom(12).hex() + _TRASH)
                os.rename(path, trash)
        except FileNotFoundError:
            continue
        finally:
            os.unlink(lock)
            os.close(held)
        if diff_id is not None:
            moved.append(diff_id)
    return tuple(moved)


def _sweep_ingest(store: Store, remove_tree: Callable[[str], int]) -> tuple[int, int]:
    """Remove what dead processes left and what the sweep moved here: how many, and their bytes."""
    count, freed = 0, 0
    for name in os.listdir(store.ingest_dir):
        path = os.path.join(store.ingest_dir, name)
        if os.path.isdir(path) and not os.path.islink(path):
            freed += remove_tree(path)
            count += 1
            continue
        size = ingest.remove_if_dead(path)
        if size is not None:
            count, freed = count + 1, freed + size
    return count, freed
