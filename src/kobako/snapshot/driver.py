"""What every snapshot driver offers."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kobako.layer.change import Change
    from kobako.linux.mount import Mount
    from kobako.linux.ownership import Owners


class Driver:
    """Writable trees on top of unpacked layers.

    A tree lives in a directory `dir` of its own, which holds `rootfs` (where the tree is seen),
    `upper` (the tree `layer.pack` reads changes from) and `owners` (emulated format only). `lowers`
    are the `tree` paths of layers, topmost first, and never change while `dir` exists. In the
    mapped and emulated formats every method is called as uid 0 of the user namespace.
    """

    name = ""
    adoptable = False
    """Whether `upper` after packing is itself the layer's tree (`LayerTrees.adopt`)."""

    def prepare(
        self,
        dir: str,  # noqa: A002 - the room's word
        lowers: Sequence[str],
        *,
        merged: bool = True,
    ) -> None:
        """Makes what is needed in `dir`, which is created where missing. Idempotent. Without
        `merged` there may be nothing but the writable layer: the tree cannot be made visible."""
        raise NotImplementedError

    def mounts(
        self,
        dir: str,  # noqa: A002
        lowers: Sequence[str],
        *,
        volatile: bool = False,
        readonly: bool = False,
    ) -> tuple[Mount, ...]:
        """The mounts that make the tree visible at `dir/rootfs`, to be applied in order.

        volatile: skip syncing; after a crash of the machine the tree must be thrown away. Such
        mounts work once; `renew` first for another time.
        """
        raise NotImplementedError

    def renew(self, dir: str) -> None:  # noqa: A002
        """Lets an unmounted tree be mounted again although it was mounted volatile."""

    def diff(
        self,
        dir: str,  # noqa: A002
        lowers: Sequence[str],
        idle: list[str] | None = None,
    ) -> list[Change]:
        """What differs from the lowers, in path order, as `docker diff` shows it. Of an adoptable
        tree, paths in `upper` that are no change are added to `idle`."""
        raise NotImplementedError

    def strip(self, dir: str, idle: Sequence[str]) -> None:  # noqa: A002
        """Takes what is `idle` from `upper`, before that becomes a layer's tree."""

    def usage(self, dir: str) -> int:  # noqa: A002
        """Bytes of the files the tree has of its own; hard links count once."""
        raise NotImplementedError

    def remove(self, dir: str) -> None:  # noqa: A002
        """Removes everything the driver made in `dir`, and `dir` if nothing else is in it."""
        raise NotImplementedError

    def owners(self, dir: str, lowers: Sequence[str]) -> Owners:  # noqa: A002
        """The owners table of the merged tree at `rootfs` (emulated format; else empty)."""
        raise NotImplementedError


def remove_tree(path: str) -> None:
    """Removes whatever is at `path`; a failure is a `KobakoError` that names it."""
    from kobako.errors import Denied, Unavailable
    from kobako.linux import fs

    try:
        fs.remove_tree(path)
    except PermissionError as fault:
        raise Denied(f"remove {path}: {fault.strerror}: {fault.filename}") from fault
    except OSError as fault:
        raise Unavailable(f"remove {path}: {fault.strerror or fault}") from fault
