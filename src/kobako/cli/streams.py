"""Archives on the standard streams or in files."""

from __future__ import annotations

import errno
import os
import sys

from kobako.errors import Invalid, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import BinaryIO


class output:  # noqa: N801 - read as a verb: with output(path) as sink
    """A sink for an archive: standard output (never a terminal), or a file that appears whole.

    The file is written without a name, or beside its final place where the file system has no
    such files, and named when the block ends well: a failure leaves an older file as it was, and
    `kill -9` nothing.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.partial = ""  # a name in the directory
        self.unnamed = False
        self.directory = -1  # where the file goes, as it was seen before anybody changed mounts

    def __enter__(self) -> BinaryIO:
        if not self.path or self.path == "-":
            if sys.stdout.isatty():
                raise Invalid(
                    "cowardly refusing to save to a terminal. Use the -o flag or redirect"
                )
            self.file: BinaryIO = sys.stdout.buffer
            return self.file
        directory, name = os.path.split(self.path)
        directory = directory or "."
        if not os.path.isdir(directory):
            raise Invalid(f'invalid output path: directory "{directory}" does not exist')
        try:
            if os.path.exists(self.path) and not os.path.isfile(self.path):
                self.file = open(self.path, "wb")  # a device or a FIFO is written, not replaced
            else:
                self.directory = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
                self.partial = f"{name}.{os.getpid()}.part"
                self.file = self._open_unnamed(directory) or self._open_partial()
        except OSError as fault:
            self.partial = ""
            self._close_directory()
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
        try:
            if kind is None:
                self._finish()
        finally:
            try:
                self._close()
            finally:
                if self.partial and not self.unnamed:
                    os.unlink(self.partial, dir_fd=self.directory)
                self._close_directory()

    def _open_unnamed(self, directory: str) -> BinaryIO | None:
        if not os.path.isdir("/proc/self/fd"):
            return None  # nothing to name it by
        try:
            fd = os.open(directory, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o666)
        except OSError as fault:
            if fault.errno in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
                return None
            raise
        self.unnamed = True
        return open(fd, "wb")

    def _open_partial(self) -> BinaryIO:
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
        return open(os.open(self.partial, flags, 0o666, dir_fd=self.directory), "wb")

    def _finish(self) -> None:
        """Write what is left, and give the file its name."""
        self.file.flush()
        if not self.partial:
            return
        if self.unnamed:
            # With a directory's descriptor it is linkat, which follows: proc(5), /proc/pid/fd.
            # Both ends must be of one mount, and a container's tree is seen from another namespace.
            unnamed = f"/proc/self/fd/{self.file.fileno()}"
            os.link(unnamed, self.partial, dst_dir_fd=self.directory)
            self.unnamed = False
        name = os.path.basename(self.path)
        os.rename(self.partial, name, src_dir_fd=self.directory, dst_dir_fd=self.directory)
        self.partial = ""

    def _close(self) -> None:
        try:
            self.file.close()
        except OSError as fault:
            fault.filename = self.path
            raise

    def _close_directory(self) -> None:
        if self.directory >= 0:
            os.close(self.directory)
            self.directory = -1


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
