"""Archives on the standard streams or in files."""

from __future__ import annotations

import os
import sys

from kobako.errors import Invalid, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import BinaryIO


class output:  # noqa: N801 - read as a verb: with output(path) as sink
    """A sink for an archive: standard output (never a terminal), or a file that appears whole.

    The file is written beside its final place and renamed when the block ends well, so that a
    failure leaves an older file as it was.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.partial = ""

    def __enter__(self) -> BinaryIO:
        if not self.path or self.path == "-":
            if sys.stdout.isatty():
                raise Invalid(
                    "cowardly refusing to save to a terminal. Use the -o flag or redirect"
                )
            self.file: BinaryIO = sys.stdout.buffer
            return self.file
        self.partial = f"{self.path}.{os.getpid()}.part"
        directory = os.path.dirname(self.path) or "."
        if not os.path.isdir(directory):
            raise Invalid(f'invalid output path: directory "{directory}" does not exist')
        try:
            if os.path.exists(self.path) and not os.path.isfile(self.path):
                self.partial = ""  # a device or a FIFO is written, not replaced
                self.file = open(self.path, "wb")
            else:
                self.file = open(self.partial, "xb")
        except OSError as fault:
            self.partial = ""
            raise Invalid(f"open {self.path}: {fault.strerror}") from None
        return self.file

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(value, OSError) and value.filename is None:
            value.filename = self.path if self.file is not sys.stdout.buffer else "standard output"
        if self.file is sys.stdout.buffer:
            self.file.flush()
            return
        self._close()
        if self.partial and kind is None:
            os.rename(self.partial, self.path)
        elif self.partial:
            os.unlink(self.partial)

    def _close(self) -> None:
        try:
            self.file.close()
        except OSError as fault:
            if self.partial:
                os.unlink(self.partial)
            fault.filename = self.path
            raise


def source(path: str, verb: str) -> BinaryIO:
    """An archive to read: a file, or standard input when `path` is empty and it is no terminal."""
    if not path:
        if sys.stdin.isatty():
            raise Invalid(f"requested {verb} from stdin, but stdin is empty", hint="Give a file.")
        return sys.stdin.buffer
    try:
        return open(path, "rb")
    except FileNotFoundError:
        raise NotFound(f"open {path}: no such file or directory") from None
    except OSError as fault:
        raise Invalid(f"open {path}: {fault.strerror}") from None
