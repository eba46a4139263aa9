"""The lowest tree of every container: the places things are mounted on."""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.engine.engine import Engine

_DIRS = ("dev", "dev/pts", "dev/shm", "proc", "sys", "etc")
_FILES = ("dev/console", "etc/hosts", "etc/hostname", "etc/resolv.conf")


def make(engine: Engine, directory: str) -> None:
    """Make it elsewhere; that becomes `directory`, unless another process was faster."""
    from kobako.engine import names, scratch
    from kobako.linux import claim, fs

    os.makedirs(os.path.dirname(directory), exist_ok=True)
    part = os.path.join(scratch.place(engine.settings.root), names.random_id())
    held = claim.make(part)
    try:
        tree = os.path.join(part, "tree")
        for name in _DIRS:
            os.makedirs(os.path.join(tree, name), exist_ok=True)
        for name in _FILES:
            with open(os.path.join(tree, name), "w") as file:
                os.fchmod(file.fileno(), 0o644)  # whatever the umask is
        for name in (".", *_DIRS):
            os.chmod(os.path.join(tree, name), 0o755)
        os.rename(part, directory)
    except OSError as fault:
        if fault.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
    finally:
        fs.remove_tree(part)
        os.close(held)
