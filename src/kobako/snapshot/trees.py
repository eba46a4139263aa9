"""Unpacked layers, each by its DiffID and independent of the layers below it."""

from __future__ import annotations

import os

from kobako.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from kobako.oci.digest import DiffID

_HEX = frozenset("0123456789abcdef")


class LayerTrees:
    """The directory `<root>/layers/<format>`; one subdirectory a layer, named by its DiffID's hex.

    A layer is there entirely or not at all: it is unpacked beside its place and renamed. Whoever
    unpacks holds a lock, so that ten processes at once do the work once; what a killed one left
    behind is removed by the next, or by `sweep`.
    """

    def __init__(self, root_dir: str, form: str) -> None:
        self.root_dir = root_dir
        self.form = form

    def _dir(self, diff_id: DiffID) -> str:
        return f"{self.root_dir}/{diff_id.encoded}"

    def has(self, diff_id: DiffID) -> bool:
        """Whether the layer is unpacked."""
        return os.path.isdir(f"{self._dir(diff_id)}/tree")

    def renew(self, diff_id: DiffID) -> bool:
        """Whether the layer is unpacked; if so it is new to collections that begin from now on,
        and the lease of whoever asks keeps it."""
        try:
            os.utime(self._dir(diff_id))
        except FileNotFoundError:
            return False
        return self.has(diff_id)

    def path(self, diff_id: DiffID) -> str:
        """The tree an overlay stacks; only meaningful when `has` says so."""
        return f"{self._dir(diff_id)}/tree"

    def owners_path(self, diff_id: DiffID) -> str:
        """The owners table beside the tree (emulated format; absent when nothing is recorded)."""
        return f"{self._dir(diff_id)}/owners"

    def unpack(
        self, diff_id: DiffID, open_blob: Callable[[], BinaryIO], *, verified: bool = False
    ) -> None:
        """Unpacks a layer unless it is there.

        `open_blob` gives the blob, compressed or not; it is closed here. `Corrupt` when its content
        is not what the DiffID says. What `layer.apply` raises passes through. Nothing of a failed
        attempt stays. verified: if the blob is a plain tar, reading it fails at its end unless it
        has the DiffID; that is not computed again then.
        """
        if self.has(diff_id):
            return
        from kobako.snapshot.unpacking import unpack

        unpack(self, diff_id, open_blob, verified)

    def adopt(self, diff_id: DiffID, upper_dir: str, owners_path: str = "") -> bool:
        """Makes an unmounted overlay's `upper` the tree of the layer packed from it, by renaming.

        Returns False, leaving everything as it was, when the layer is there already or lies on
        another filesystem. `owners_path` names the owners table that goes with it.
        """
        from kobako.snapshot.unpacking import adopt

        return adopt(self, diff_id, upper_dir, owners_path)

    def remove(self, diff_id: DiffID) -> None:
        """Removes an unpacked layer; absent is fine. No container may be stacked on it."""
        from kobako.snapshot.unpacking import remove

        remove(self, diff_id)

    def list(self) -> list[DiffID]:
        """The layers that are unpacked."""
        from kobako.oci.digest import Digest

        try:
            names = os.listdir(self.root_dir)
        except FileNotFoundError:
            return []
        layers = [n for n in names if len(n) == 64 and _HEX.issuperset(n)]
        return [Digest.parse(f"sha256:{n}") for n in sorted(layers)]

    def usage(self, diff_id: DiffID) -> int:
        """Bytes of the layer's files; `NotFound` when it is not unpacked.

        Counted once: a layer never changes, and the number is kept beside its tree.
        """
        kept = f"{self._dir(diff_id)}/size"
        try:
            with open(kept) as file:
                return int(file.read())
        except (OSError, ValueError):
            pass
        if not self.has(diff_id):
            raise NotFound(f"layer {diff_id.short} is not unpacked")
        from kobako.snapshot.usage import size_of_tree

        size = size_of_tree(self.path(diff_id))
        part = f"{kept}.{os.getpid()}.part"
        try:
            with open(part, "w") as file:
                file.write(f"{size}\n")
            os.rename(part, kept)
        except OSError:
            pass  # counted again next time
        return size

    def sweep(self) -> int:
        """Removes what killed processes left half unpacked; returns how many directories."""
        from kobako.snapshot.unpacking import sweep

        return sweep(self)
