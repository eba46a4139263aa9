"""What every snapshot driver offers, and which one works on this machine."""

from __future__ import annotations

import os

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

    def prepare(self, dir: str, lowers: Sequence[str]) -> None:  # noqa: A002 - the room's word
        """Makes what is needed in `dir`, which is created where missing. Idempotent."""
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

    def diff(self, dir: str, lowers: Sequence[str]) -> list[Change]:  # noqa: A002
        """What differs from the lowers, in path order, as `docker diff` shows it."""
        raise NotImplementedError

    def usage(self, dir: str) -> int:  # noqa: A002
        """Bytes of the files the tree has of its own; hard links count once."""
        raise NotImplementedError

    def remove(self, dir: str) -> None:  # noqa: A002
        """Removes everything the driver made in `dir`, and `dir` if nothing else is in it."""
        raise NotImplementedError

    def owners(self, dir: str, lowers: Sequence[str]) -> Owners:  # noqa: A002
        """The owners table of the merged tree at `rootfs` (emulated format; else empty)."""
        raise NotImplementedError


def select(data_root: str, form: str, *, fresh: bool = False) -> Driver:
    """The best driver that works in `data_root` for an ownership format, found by attempting.

    The answer is remembered in the data root until the next boot (`fresh` asks again). The attempt
    forks: do it before threads exist.
    """
    from kobako.snapshot.overlay import OverlayDriver

    memory = f"{data_root}/snapshot.{form}"
    circumstance = _circumstance(data_root)
    answer = "" if fresh else _recall(memory, circumstance)
    if not answer:
        from kobako.snapshot.probe import why_not_overlay

        answer = "copy" if why_not_overlay(data_root, form) else "overlay"
        _remember(memory, f"{circumstance} {answer}\n")
    if answer == "overlay":
        return OverlayDriver(form)
    from kobako.snapshot.copy import CopyDriver

    return CopyDriver(form)


def _circumstance(data_root: str) -> str:
    """What the answer depends on: this boot and the filesystem. Empty where it cannot be told."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            boot = file.read().strip()
        return f"{boot} {os.stat(data_root).st_dev} {int(os.geteuid() == 0)}"
    except OSError:
        return ""


def _recall(path: str, circumstance: str) -> str:
    try:
        with open(path) as file:
            said, _, answer = file.read().strip().rpartition(" ")
    except OSError:
        return ""
    return answer if circumstance and said == circumstance else ""


def _remember(path: str, line: str) -> None:
    part = f"{path}.part"  # one for all: a killed process leaves one file, and the next uses it
    try:
        with open(part, "w") as file:
            file.write(line)
        os.rename(part, path)
    except OSError:
        pass  # asked again next time


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
