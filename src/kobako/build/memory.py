"""Digests of files remembered between builds: who has not changed is not read again.

A file has not changed when its size, times of change and inode have not. The memory of a context
of 20,000 files is looked at when something has changed, so it is two strings: one of paths, one of
rows of fixed length.
"""

from __future__ import annotations

import os
from _operator import attrgetter
from binascii import a2b_base64, b2a_base64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_BETWEEN = "//"  # no path has it
_MOST = 0xFFFF_FFFF_FFFF_FFFF
_NUMBERS = attrgetter("st_size", "st_mtime_ns", "st_ctime_ns", "st_ino")
_SIGNS, _ROW = 32, 64


def signs(status: os.stat_result) -> bytes:
    """What tells that a file is as it was."""
    return b"".join([(number & _MOST).to_bytes(8, "little") for number in _NUMBERS(status)])


class Memory:
    """path -> digest (sha256, hex) of the files of one context."""

    def __init__(self, document: dict[str, Any] | None) -> None:
        """From what `document` gave, or empty."""
        self._rows: dict[str, bytes] = {}
        if document:
            rows = a2b_base64(document["rows"])
            paths = os.fsdecode(a2b_base64(document["paths"])).split(_BETWEEN)
            self._rows = {
                path: rows[at : at + _ROW]
                for path, at in zip(paths, range(0, len(rows), _ROW), strict=True)
            }

    def get(self, path: str, status: os.stat_result) -> str | None:
        """The digest of a file that has not changed."""
        row = self._rows.get(path)
        if row is None or row[:_SIGNS] != signs(status):
            return None
        return row[_SIGNS:].hex()

    def put(self, path: str, status: os.stat_result, digest: str) -> None:
        self._rows[path] = signs(status) + bytes.fromhex(digest)

    def keep_only(self, paths: Iterable[str]) -> None:
        """Forget the files that are not among `paths`."""
        self._rows = {path: self._rows[path] for path in paths if path in self._rows}

    def __len__(self) -> int:
        return len(self._rows)

    def document(self) -> dict[str, Any]:
        """What to keep, made of strings."""
        rows = b"".join(self._rows.values())
        return {
            "paths": _text(os.fsencode(_BETWEEN.join(self._rows))),
            "rows": _text(rows),
        }


def _text(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode()
