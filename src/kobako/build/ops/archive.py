"""ADD of a local tar archive: recognised by its bytes, unpacked into a directory of the tree.

As docker unpacks in a chroot of the destination: names, link targets and the symlinks the archive
itself makes lead nowhere but below it.
"""

from __future__ import annotations

import os
import stat

from kobako.build.ops.rootpath import is_directory, parts_by_letter, resolve
from kobako.errors import Invalid, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    import tarfile
    from typing import IO

    from kobako.build.worker import Tree

_MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 20


def is_archive(fd: int) -> bool:
    """Whether the file is a tar archive, plain or compressed. Leaves the offset at 0."""
    head = os.pread(fd, 512, 0)
    if not _compression(head):
        return _is_header(head)
    try:
        with _uncompressed(fd) as stream:
            return _is_header(stream.read(512))
    except _errors((OSError,)):
        return False
    finally:
        os.lseek(fd, 0, os.SEEK_SET)


def unpack(fd: int, tree: Tree, directory: str, owner: tuple[int, int] | None, name: str) -> None:
    """Unpacks into `directory`, a resolved host path in `tree`; `owner` overrides the archive's."""
    import tarfile

    later: list[tuple[str, tarfile.TarInfo]] = []
    unpacker = _Unpacker(tree, directory, owner)
    try:
        with (
            _uncompressed(fd) as stream,
            tarfile.open(fileobj=stream, mode="r|", errorlevel=2) as tar,
        ):
            for member in tar:
                path = unpacker.put(member, tar)
                if path and member.isdir():
                    later.append((path, member))
            _check_sum(stream)
    except _errors((tarfile.TarError,)) as error:
        raise Invalid(f"cannot unpack {name}: {error}") from None
    for path, member in reversed(later):  # their times change while they are filled
        if is_directory(path):
            os.utime(path, ns=_times(member))


class _Unpacker:
    def __init__(self, tree: Tree, directory: str, owner: tuple[int, int] | None) -> None:
        self._tree = tree
        self._directory = directory
        self._owner = owner

    def put(self, member: tarfile.TarInfo, tar: tarfile.TarFile) -> str:
        """Writes one member; its host path, "" for the destination itself."""
        parts = parts_by_letter(member.name)
        if not parts:
            return ""
        parent = resolve(self._directory, "/".join(parts[:-1]))
        if not is_directory(parent) and parent != os.path.join(self._directory, *parts[:-1]):
            raise NotFound(f"the archive's {member.name!r} is behind a link to nowhere")
        self._make_parents(parent)
        path = os.path.join(parent, parts[-1])
        if member.isdir():
            if not is_directory(path):
                self._clear(path)
                os.mkdir(path)
            self._finish(path, member)
            return path
        self._clear(path)
        if member.issym():
            os.symlink(member.linkname, path)
        elif member.islnk():
            self._link(path, member)
            if os.path.islink(path):
                return path
        elif member.isreg():
            self._write(path, member, tar)
        elif member.isfifo():
            os.mkfifo(path)
        elif member.ischr() or member.isblk():
            kind = stat.S_IFCHR if member.ischr() else stat.S_IFBLK
            rdev = os.makedev(member.devmajor, member.devminor)
            self._tree.make_device(os.path.relpath(path, self._tree.path), kind, rdev)
            if not os.path.lexists(path):
                return ""  # a context has none
        else:
            return path
        self._finish(path, member)
        return path

    def _link(self, path: str, member: tarfile.TarInfo) -> None:
        """A hard link; what it leads to has to be there already."""
        head, _, last = member.linkname.rstrip("/").rpartition("/")
        try:
            os.link(os.path.join(resolve(self._directory, head), last), path, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError, PermissionError):  # the last: a directory
            raise NotFound(
                f"the archive's {member.name!r} is a hard link to {member.linkname!r},"
                " which is no file of it"
            ) from None

    def _write(self, path: str, member: tarfile.TarInfo, tar: tarfile.TarFile) -> None:
        source = tar.extractfile(member)
        with open(os.open(path, _NEW, 0o600), "wb") as sink:
            while source and (data := source.read(_CHUNK)):
                sink.write(data)

    def _finish(self, path: str, member: tarfile.TarInfo) -> None:
        uid, gid = self._owner or (member.uid, member.gid)
        self._tree.own(os.path.relpath(path, self._tree.path), uid, gid)
        for key, value in member.pax_headers.items():
            if key.startswith("SCHILY.xattr."):
                data = value.encode("utf-8", "surrogateescape")
                try:
                    os.setxattr(path, key[13:], data, follow_symlinks=False)
                except OSError:
                    pass  # as docker: attributes are kept where they can be
        if not member.issym():
            os.chmod(path, member.mode & 0o7777)
        os.utime(path, ns=_times(member), follow_symlinks=False)

    def _make_parents(self, path: str) -> None:
        missing = []
        while not is_directory(path):
            missing.append(path)
            path = os.path.dirname(path)
        for path in reversed(missing):
            self._clear(path)
            os.mkdir(path)
            self._tree.own(os.path.relpath(path, self._tree.path), 0, 0)  # --chown or not
            os.chmod(path, 0o755)

    def _clear(self, path: str) -> None:
        """As docker: what is there makes way, a full directory too."""
        if is_directory(path):
            import shutil

            shutil.rmtree(path)
        else:
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass


def _check_sum(stream: IO[bytes]) -> None:
    """Reads what is behind the archive, where a compressed one says what its sum is. More may
    follow, as with other readers."""
    import gzip

    try:
        while stream.read(_CHUNK):
            pass
    except gzip.BadGzipFile as error:
        if "Not a gzipped file" not in str(error):
            raise


def _times(member: tarfile.TarInfo) -> tuple[int, int]:
    nanoseconds = int(member.mtime * 1_000_000_000)
    return nanoseconds, nanoseconds


def _compression(head: bytes) -> str:
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    return ""


def _is_header(block: bytes) -> bool:
    """A first header whose checksum is right. An archive of nothing is a file like others."""
    if len(block) < 512 or not block.strip(b"\0"):
        return False
    try:
        said = int(block[148:156].rstrip(b"\0 ").lstrip(b" ") or b"0", 8)
    except ValueError:
        return False
    return said == sum(block[:148]) + sum(block[156:512]) + 8 * 32


def _uncompressed(fd: int) -> IO[bytes]:
    """A reader of the archive's plain bytes; closing it leaves `fd` open."""
    os.lseek(fd, 0, os.SEEK_SET)
    kind = _compression(os.pread(fd, 16, 0))
    raw = open(fd, "rb", closefd=False)
    if kind == "gzip":
        import gzip

        return gzip.open(raw, "rb")  # type: ignore[return-value]  # a GzipFile is an IO[bytes]
    if kind == "bz2":
        import bz2

        return bz2.open(raw, "rb")
    if kind == "xz":
        import lzma

        return lzma.open(raw, "rb")
    if kind == "zstd":
        return _zstd(raw)
    return raw


def _errors(besides: tuple[type[Exception], ...]) -> tuple[type[Exception], ...]:
    """What decompressors raise on damaged input: gzip's own is an OSError without a number."""
    import gzip
    import lzma
    import zlib

    return *besides, EOFError, ValueError, gzip.BadGzipFile, lzma.LZMAError, zlib.error


def _zstd(raw: IO[bytes]) -> IO[bytes]:
    import sys

    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd.open(raw, "rb")  # type: ignore[return-value]  # a ZstdFile is an IO[bytes]
