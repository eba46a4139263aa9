"""Unpacked layers and the writable trees stacked on them.

Doors: `trees.LayerTrees`, `select`, which gives the `driver.Driver` that works on this machine
(`overlay.OverlayDriver` or `copy.CopyDriver`). Nothing here is heavy to import; what unpacks or
compares is loaded when called.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.snapshot.driver import Driver


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


def chosen(data_root: str, form: str) -> str:
    """The name of the driver of an ownership format by the last answer of `select`, of whichever
    boot; "" where nobody has asked. Asks nothing of the machine."""
    try:
        with open(f"{data_root}/snapshot.{form}") as file:
            return file.read().strip().rpartition(" ")[2]
    except OSError:
        return ""


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
