"""How much a tree holds."""

from __future__ import annotations

import os
import stat


def size_of_tree(path: str) -> int:
    """Bytes of all files below `path` as docker counts them: lengths, hard links once."""
    total = 0
    seen: set[int] = set()
    pending = [path]
    while pending:
        try:
            entries = os.scandir(pending.pop())
        except FileNotFoundError:
            continue  # a running container may remove what we are about to read
        with entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                    continue
                try:
                    info = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if stat.S_ISREG(info.st_mode) and info.st_nlink > 1:
                    if info.st_ino in seen:
                        continue
                    seen.add(info.st_ino)
                total += info.st_size
    return total
