"""What goes wrong with the files of a store."""

from __future__ import annotations

import errno

from kobako.errors import Denied, KobakoError, Unavailable


def failed(doing: str, root: str, error: OSError) -> KobakoError:
    """What an `OSError` of the store means to its user."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Unavailable(
            f"cannot {doing}: no space left in {root}",
            hint="free some space: kobako system prune",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return Denied(
            f"cannot {doing} in {root}: {error.strerror}",
            hint="set KOBAKO_ROOT to a directory that you may write to",
        )
    return Unavailable(f"cannot {doing} in {root}: {error.strerror}")
