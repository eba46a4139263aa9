"""A merged tree written to a directory of the user's choosing (`--output type=local`).

Files belong to whoever writes them, whatever the image says; modes (set-id bits too), times, links
and xattrs are the image's. The destination may hold anything, even things made to catch us: every
step is relative to a descriptor, a symbolic link that is in the way is replaced and never followed,
and a file takes its place by one rename.
"""

from __future__ import annotations

import errno
import os
import stat

from kobako.errors import Denied, KobakoError, Unavailable
from kobako.layer.attributes import UNPORTABLE
from kobako.layer.format import overlay_prefix
from kobako.linux import fs
from kobako.linux.ownership import SHADOW_PREFIX, XATTR, XATTR_PREFIX, Own
from kobako.record import Record

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class CopiedOut(Record):
    """`paths` are all names written, relative; `devices` those left out, as only the machine's
    root can make a device."""

    paths: frozenset[bytes]
    devices: tuple[str, ...]


def copy_out(
    source_fd: int, target_fd: int, form: str, *, name: str, epoch: int | None = None
) -> CopiedOut:
    """Writes the tree `source_fd` into the directory `target_fd`, beside and over what is there.

    `form` is the source's `OwnershipFormat`, `name` what messages call the target. With `epoch`
    (seconds) everything gets that time. Raises `Denied` and `Unavailable`; what was written stays.
    """
    return _CopyOut(source_fd, target_fd, form, name, epoch).run()


def write_file(target_fd: int, name: bytes, data: bytes, *, place: str, epoch: int | None) -> None:
    """One more file of mode 0600 in the directory `target_fd`, over whatever is there."""
    try:
        part = _part()
        fd = os.open(part, _NEW_FILE, 0o600, dir_fd=target_fd)
        try:
            fs.write_all(fd, data)
            if epoch is not None:
                os.utime(fd, ns=(epoch * 10**9, epoch * 10**9))
        finally:
            os.close(fd)
        _put_in_place(target_fd, part, name)
    except OSError as fault:
        raise explain(fault, f"{place}/{os.fsdecode(name)}") from fault


def remove_others(target_fd: int, kept: frozenset[bytes], *, name: str) -> None:
    """Removes what is below `target_fd` and not among `kept` (relative paths)."""
    pending = [b""]
    while pending:
        path = pending.pop()
        try:
            fd = fs.open_directory(target_fd, path)
            try:
                for each in map(os.fsencode, os.listdir(fd)):
                    child = path + b"/" + each if path else each
                    if child not in kept:
                        fs.remove_tree(each, fd)
                    elif stat.S_ISDIR(os.stat(each, dir_fd=fd, follow_symlinks=False).st_mode):
                        pending.append(child)
            finally:
                os.close(fd)
        except OSError as fault:
            raise explain(fault, f"{name}/{os.fsdecode(path)}") from fault


def explain(fault: OSError, path: str) -> KobakoError:
    """An error of writing to `path`, with what to do about it."""
    message = f"write {path}: {fault.strerror or fault}"
    if fault.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return Denied(message, hint="Choose a destination that you may write to.")
    if fault.errno in (errno.ENOSPC, errno.EDQUOT):
        return Unavailable(message, hint="Free some space there; what was written so far stays.")
    return Unavailable(message)


class _CopyOut:
    def __init__(
        self, source_fd: int, target_fd: int, form: str, name: str, epoch: int | None
    ) -> None:
        self._source = source_fd
        self._target = target_fd
        self._name = name
        self._epoch_ns = None if epoch is None else epoch * 10**9
        self._foreign = (XATTR_PREFIX, "trusted.overlay.", "user.overlay.")
        self._escaped = overlay_prefix(form) + "overlay."
        self._native = form == "native"
        self._linked: dict[tuple[int, int], bytes] = {}  # inode -> path of its first name
        self._paths: set[bytes] = set()
        self._devices: list[str] = []
        self._owner = os.geteuid(), os.getegid()

    def run(self) -> CopiedOut:
        directories: list[tuple[bytes, os.stat_result]] = []
        pending = [b""]
        while pending:
            path = pending.pop()
            for child, info in self._directory(path):
                pending.append(child)
                directories.append((child, info))
        for path, info in reversed(directories):  # the children first: filling one sets its time
            self._finish(path, info)
        return CopiedOut(frozenset(self._paths), tuple(sorted(self._devices)))

    def _directory(self, path: bytes) -> list[tuple[bytes, os.stat_result]]:
        """Writes what is in a directory; the directories in it are made and returned."""
        found = []
        origin, into = fs.open_directory(self._source, path), -1
        child = path
        try:
            into = fs.open_directory(self._target, path)
            for name in sorted(map(os.fsencode, os.listdir(origin))):
                child = path + b"/" + name if path else name
                info = os.stat(name, dir_fd=origin, follow_symlinks=False)
                if stat.S_ISDIR(info.st_mode):
                    self._make_directory(name, into)
                    found.append((child, info))
                elif not self._member(origin, into, name, child, info):
                    continue
                self._paths.add(child)
        except OSError as fault:
            raise explain(fault, self._shown(child)) from fault
        finally:
            os.close(origin)
            if into >= 0:
                os.close(into)
        return found

    def _make_directory(self, name: bytes, into: int) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=into)
        except FileExistsError:
            if stat.S_ISDIR(os.stat(name, dir_fd=into, follow_symlinks=False).st_mode):
                return
            os.unlink(name, dir_fd=into)
            os.mkdir(name, 0o700, dir_fd=into)

    def _finish(self, path: bytes, info: os.stat_result) -> None:
        """Gives a directory its mode, xattrs and time."""
        try:
            fd = fs.open_directory(self._target, path)
            try:
                origin = fs.open_directory(self._source, path)
                try:
                    self._attributes(origin, fd, info)
                finally:
                    os.close(origin)
            finally:
                os.close(fd)
        except OSError as fault:
            raise explain(fault, self._shown(path)) from fault

    def _member(
        self, origin: int, into: int, name: bytes, path: bytes, info: os.stat_result
    ) -> bool:
        """Writes one name that is no directory; False when it was left out."""
        kind = stat.S_IFMT(info.st_mode)
        if info.st_nlink > 1 and self._link(into, name, path, info):
            return True
        part = _part()
        if kind == stat.S_IFREG:
            if not self._file(origin, into, name, part, path, info):
                return False
        elif kind == stat.S_IFLNK:
            os.symlink(os.readlink(name, dir_fd=origin), part, dir_fd=into)
            self._special(into, part, info)
        elif kind == stat.S_IFIFO or (kind in (stat.S_IFCHR, stat.S_IFBLK) and self._native):
            os.mknod(part, kind | 0o600, info.st_rdev, dir_fd=into)
            fs.change_mode(into, part, stat.S_IMODE(info.st_mode))
            self._special(into, part, info)
        else:
            return False  # sockets mean nothing without their process
        _put_in_place(into, part, name)
        return True

    def _link(self, into: int, name: bytes, path: bytes, info: os.stat_result) -> bool:
        first = self._linked.setdefault((info.st_dev, info.st_ino), path)
        if first == path or first not in self._paths:
            return False
        directory, _, source = first.rpartition(b"/")
        fd = fs.open_directory(self._target, directory)
        try:
            part = _part()
            os.link(source, part, src_dir_fd=fd, dst_dir_fd=into, follow_symlinks=False)
        except OSError as fault:
            if fault.errno in (errno.EPERM, errno.EMLINK, errno.EXDEV, errno.EOPNOTSUPP):
                return False  # a file system without hard links: a copy then
            raise
        finally:
            os.close(fd)
        os.rename(part, name, src_dir_fd=into, dst_dir_fd=into)
        if _exists(into, part):  # both were the same file already: rename(2) does nothing then
            os.unlink(part, dir_fd=into)
        return True

    def _file(
        self, origin: int, into: int, name: bytes, part: bytes, path: bytes, info: os.stat_result
    ) -> bool:
        source = os.open(name, _READ, dir_fd=origin)
        try:
            if not self._native and self._stands_for_device(source):
                self._devices.append(os.fsdecode(path))
                return False
            fd = os.open(part, _NEW_FILE, 0o600, dir_fd=into)
            try:
                fs.copy_content(source, fd, info.st_size)
                self._attributes(source, fd, info)
            except BaseException:
                os.unlink(part, dir_fd=into)
                raise
            finally:
                os.close(fd)
        finally:
            os.close(source)
        return True

    @staticmethod
    def _stands_for_device(fd: int) -> bool:
        try:
            return Own.decode(os.getxattr(fd, XATTR)).type != 0
        except OSError:
            return False

    def _attributes(self, origin: int, fd: int, info: os.stat_result) -> None:
        made = os.fstat(fd)
        if (made.st_uid, made.st_gid) != self._owner:  # a set-gid directory gave it its group
            try:
                os.fchown(fd, *self._owner)
            except PermissionError:
                pass  # a directory of another's that was there
        os.fchmod(fd, stat.S_IMODE(info.st_mode))
        for key in os.listxattr(origin):
            wanted = self._portable(key)
            if wanted:
                try:
                    os.setxattr(fd, wanted, os.getxattr(origin, key))
                except OSError:
                    pass  # not this user's to set, or not on this file system: as BuildKit
        time = info.st_mtime_ns if self._epoch_ns is None else self._epoch_ns
        os.utime(fd, ns=(time, time))

    def _portable(self, key: str) -> str:
        """The name by which an xattr of the tree is known outside; "" for one that is not."""
        if key.startswith(SHADOW_PREFIX):
            return key[len(SHADOW_PREFIX) :]
        if key.startswith(self._escaped):
            return self._escaped.removesuffix("overlay.") + key[len(self._escaped) :]
        return "" if key.startswith(self._foreign) or key.encode() in UNPORTABLE else key

    def _special(self, into: int, part: bytes, info: os.stat_result) -> None:
        time = info.st_mtime_ns if self._epoch_ns is None else self._epoch_ns
        os.utime(part, ns=(time, time), dir_fd=into, follow_symlinks=False)

    def _shown(self, path: bytes) -> str:
        return f"{self._name}/{path.decode('utf-8', 'backslashreplace')}"


def _part() -> bytes:
    return b".kobako-" + os.urandom(8).hex().encode()


def _put_in_place(into: int, part: bytes, name: bytes) -> None:
    try:
        os.rename(part, name, src_dir_fd=into, dst_dir_fd=into)
    except IsADirectoryError:
        fs.remove_tree(name, into)
        os.rename(part, name, src_dir_fd=into, dst_dir_fd=into)
    except BaseException:
        os.unlink(part, dir_fd=into)
        raise


def _exists(fd: int, name: bytes) -> bool:
    try:
        os.stat(name, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
