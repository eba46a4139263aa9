"""Whether overlay works in a directory, found out in a throwaway child."""

from __future__ import annotations

import os
import stat

from kobako.linux import claim, fork, process
from kobako.linux import mount as mounts
from kobako.snapshot.driver import remove_tree
from kobako.snapshot.overlay import OverlayDriver

TYPE_CHECKING = False
if TYPE_CHECKING:
    pass


def why_not_overlay(data_root: str, form: str) -> str:
    """Why layers of this format cannot be stacked in `data_root`, or "" when they can.

    A child in a mount namespace of its own (and, unless we are root, a user namespace) mounts an
    overlay there and does what containers do: create, delete, and replace a lower directory.
    """
    place = f"{data_root}/scratch/overlay-probe.{os.urandom(6).hex()}"
    held = claim.make(place)
    try:
        return fork.try_in_child(lambda: _attempt(place, form), "probe overlay")
    finally:
        remove_tree(place)
        os.close(held)


def _attempt(place: str, form: str) -> None:
    if os.geteuid() != 0:
        from kobako.linux import userns

        userns.enter_single()
    process.unshare(process.CLONE_NEWNS)
    mounts.set_propagation("/", "rprivate")
    lower, upper = f"{place}/lower", f"{place}/tree"
    os.makedirs(f"{lower}/directory")
    for name in ("file", "directory/below"):
        with open(f"{lower}/{name}", "w"):
            pass
    driver = OverlayDriver(form)
    driver.prepare(upper, [lower])
    for mount in driver.mounts(upper, [lower]):
        mount.apply()
    root = f"{upper}/rootfs"
    os.unlink(f"{root}/file")
    os.unlink(f"{root}/directory/below")
    os.rmdir(f"{root}/directory")
    os.mkdir(f"{root}/directory")
    if os.listdir(f"{root}/directory"):
        raise OSError("a directory removed and made again shows its old content")
    if not stat.S_ISCHR(os.lstat(f"{upper}/upper/file").st_mode):
        raise OSError("a removed file leaves no whiteout")
