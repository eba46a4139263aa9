"""Unpacking a layer: tar entries become files of a tree in one of the ownership formats.

image-spec layer.md ("Applying Changesets"). The input is hostile until proven otherwise: nothing is
written outside the tree, and what cannot be is an error that names the entry.
"""

from __future__ import annotations

import errno
import os
import stat

from kobako.errors import Denied, Invalid, KobakoError, Unavailable
from kobako.layer import entry as kinds
from kobako.layer import holes
from kobako.layer.attributes import Attributes
from kobako.layer.blocks import Blocks
from kobako.layer.entry import Entry, shown
from kobako.layer.pump import ReadAhead
from kobako.layer.tar_reader import TarReader
from kobako.layer.target import Target, clean, is_whiteout
from kobako.linux import fs
from kobako.oci.digest import DiffID
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from kobako.linux.ownership import Owners

WHITEOUT = b".wh."
OPAQUE = b".wh..wh..opq"
_META = b".wh..wh."

_HUGE = 16 << 20
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Applied(Record):
    """What `apply` did. `diff_id` and `size` (bytes) are of the whole tar stream."""

    diff_id: DiffID
    size: int
    entries: int


def apply(
    stream: BinaryIO,
    tree_fd: int,
    form: str,
    owners: Owners | None = None,
    *,
    merge: bool = False,
    known: DiffID | None = None,
) -> Applied:
    """Unpacks an uncompressed tar into the directory `tree_fd`.

    Without `merge` the tree is one layer: whiteouts and opaque markers become overlay's. With it
    the tree is a merged one, and they delete (copy driver, import).

    form: an `OwnershipFormat`. For "mapped" and "emulated" the process is uid 0 of its user
        namespace. owners: changed in place in the emulated format; the caller saves it.
    known: the stream's digest, where the stream itself sees to it that it has it: reading fails at
        the end else. It is not computed then.
    The stream is read to its end, in a thread that is gone on return. What exists is replaced as
    docker does it: a directory onto a directory keeps its content, all else is removed first.
    Raises `Invalid` or `Corrupt` (naming the entry), `Denied`, `Unavailable`.
    """
    with ReadAhead(stream, known) as ahead:
        blocks = Blocks(ahead.next_block)
        unpacking = Unpacking(TarReader(blocks), tree_fd, Attributes(form, owners), merge)
        try:
            unpacking.run()
        finally:
            unpacking.target.close()
        blocks.drain()
    return Applied(ahead.digest, ahead.size, unpacking.count)


class Unpacking:
    """One pass over the entries of an archive; what `apply` and `receive` share."""

    def __init__(
        self, reader: TarReader, tree_fd: int, attributes: Attributes, merge: bool
    ) -> None:
        self.reader = reader
        self.target = Target(tree_fd)
        self.attributes = attributes
        self.merge = merge
        self.count = 0
        self._times: dict[bytes, int] = {}  # of directories, set when nothing will change in them
        self._unpacked: set[bytes] = set()  # merge: what opaque markers must leave alone
        self._makers = {
            kinds.FILE: self._file,
            kinds.HARDLINK: self._hard_link,
            kinds.SYMLINK: self._symlink,
            kinds.CHAR: self._device,
            kinds.BLOCK: self._device,
            kinds.FIFO: self._fifo,
        }

    def run(self) -> None:
        for member in self.reader:
            self.count += 1
            try:
                self._entry(member)
            except KobakoError as fault:
                raise self._naming(fault, member) from None
            except OSError as fault:
                raise self._explained(fault, member) from fault
        for path, mtime in self._times.items():
            self._set_time(path, mtime)

    def _naming(self, fault: KobakoError, member: Entry) -> KobakoError:
        message = f"layer entry {shown(member.name)}: {fault.message}"
        return type(fault)(message, hint=fault.hint)

    def _explained(self, fault: OSError, member: Entry) -> KobakoError:
        return _explain(fault, member)

    def _entry(self, member: Entry) -> None:
        path = clean(member.name)
        if not path:
            self._root(member)
            return
        fd, name, real = self.target.parent(path)
        if name.startswith(WHITEOUT):
            self._whiteout(fd, name, real)
            return
        if b"/" + WHITEOUT in b"/" + path:
            raise Invalid("its parent has a name reserved for whiteouts (.wh.)")
        if self.merge:
            self._remember(real)
        self._make(member, fd, name, real)

    def _make(self, member: Entry, fd: int, name: bytes, real: bytes) -> None:
        if member.type == kinds.DIRECTORY:
            self._directory(member, fd, name, real)
        else:
            self._makers[member.type](member, fd, name, real)

    def _root(self, member: Entry) -> None:
        if member.type != kinds.DIRECTORY:
            raise Invalid("the root of the tree must be a directory")
        self.attributes.directory(self.target.root_fd, member)
        self._times[b""] = member.mtime_ns

    def _remember(self, real: bytes) -> None:
        while real and real not in self._unpacked:
            self._unpacked.add(real)
            real = real.rpartition(b"/")[0]

    def _clear(self, fd: int, name: bytes, real: bytes) -> None:
        """Makes room for an entry. Cached descriptors may lead below what goes: keep only ours."""
        mine = os.dup(fd)
        try:
            self.target.close()
            self.target.remove(mine, name)
        finally:
            os.close(mine)
        self.attributes.forget(real)

    def _again(self, fd: int, member: Entry, name: bytes, real: bytes) -> int:
        """Clears the place and gives the parent's descriptor anew."""
        self._clear(fd, name, real)
        return self.target.parent(clean(member.name))[0]

    # Each kind of entry

    def _directory(self, member: Entry, fd: int, name: bytes, real: bytes) -> None:
        opaque = False
        try:
            os.mkdir(name, 0o700, dir_fd=fd)
        except FileExistsError:
            info = self.target.lstat(fd, name)
            if info is None or not stat.S_ISDIR(info.st_mode):
                opaque = info is not None and is_whiteout(info) and not self.merge
                fd = self._again(fd, member, name, real)
                os.mkdir(name, 0o700, dir_fd=fd)
        directory = os.open(name, fs.DIRECTORY, dir_fd=fd)
        try:
            if opaque:  # a whiteout and then a directory: what is below shows nothing of it
                self.attributes.set_opaque(directory)
            self.attributes.directory(directory, member)
        finally:
            os.close(directory)
        self._times[clean(member.name)] = member.mtime_ns

    def _file(self, member: Entry, fd: int, name: bytes, real: bytes) -> None:
        try:
            file = os.open(name, _NEW_FILE, 0o600, dir_fd=fd)
        except FileExistsError:
            fd = self._again(fd, member, name, real)
            file = os.open(name, _NEW_FILE, 0o600, dir_fd=fd)
        try:
            if member.sparse is not None:
                self._sparse(member, file)
            elif member.size > _HUGE:
                self._huge(member, file)
            elif member.size:
                for piece in self.reader.pieces():
                    if os.write(file, piece) != len(piece):
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.attributes.file(file, member)
        finally:
            os.close(file)

    def _huge(self, member: Entry, file: int) -> None:
        """A file whose long runs of zeros become holes."""
        at = 0
        for piece in self.reader.pieces():
            if not holes.blank(piece) and os.pwrite(file, piece, at) != len(piece):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            at += len(piece)
        os.ftruncate(file, member.size)

    def _sparse(self, member: Entry, file: int) -> None:
        os.ftruncate(file, member.size)
        places = iter(member.sparse or ())
        offset = room = 0
        for piece in self.reader.pieces():
            while piece:
                if not room:
                    offset, room = next(places)
                    continue
                count = os.pwrite(file, piece[:room], offset)
                offset, room, piece = offset + count, room - count, piece[count:]

    def _symlink(self, member: Entry, fd: int, name: bytes, real: bytes) -> None:
        if not member.link:
            raise Invalid("a symbolic link without a target")
        try:
            os.symlink(member.link, name, dir_fd=fd)
        except FileExistsError:
            fd = self._again(fd, member, name, real)
            os.symlink(member.link, name, dir_fd=fd)
        self.attributes.special(fd, name, real, member)

    def _hard_link(self, member: Entry, fd: int, name: bytes, real: bytes) -> None:
        try:
            source_path = clean(member.link)
            if not source_path:
                raise Invalid("it names the root")
            keep = os.dup(fd)  # the second parent may push out the first
            try:
                source_fd, source, source_real = self.target.parent(source_path, make=False)
                info = self.target.lstat(source_fd, source)
                if info is None:
                    raise Invalid("there is no such file in this layer")
                if stat.S_ISDIR(info.st_mode):
                    raise Invalid("it is a directory")
                self._link(source_fd, source, keep, name, real, info)
            finally:
                os.close(keep)
        except Invalid as fault:
            raise Invalid(f"hard link to {shown(member.link)}: {fault.message}") from None
        self.attributes.linked(source_real, real)

    def _link(
        self, source_fd: int, source: bytes, fd: int, name: bytes, real: bytes, info: os.stat_result
    ) -> None:
        present = self.target.lstat(fd, name)
        if present is not None:
            if (present.st_dev, present.st_ino) == (info.st_dev, info.st_ino):
                return
            keep = os.dup(source_fd)
            try:
                self._clear(fd, name, real)
                os.link(source, name, src_dir_fd=keep, dst_dir_fd=fd, follow_symlinks=False)
            finally:
                os.close(keep)
        else:
            os.link(source, name, src_dir_fd=source_fd, dst_dir_fd=fd, follow_symlinks=False)

    def _device(self, member: Entry, fd: int, name: bytes, real: bytes) -> None:
        if self.target.lstat(fd, name) is not None:
            fd = self._again(fd, member, name, real)
        kind = stat.S_IFCHR if member.type == kinds.CHAR else stat.S_IFBLK
        number = os.makedev(member.major, member.minor)
        if self.attributes.devices:
            os.mknod(name, kind | 0o600, number, dir_fd=fd)
            self.attributes.special(fd, name, real, member)
            return
        file = os.open(name, _NEW_FILE, 0o600, dir_fd=fd)
        try:
            self.attributes.file(file, member, kind, number)
        finally:
            os.close(file)

    def _fifo(self, member: Entry, fd: int, name: bytes, real: bytes) -> None:
        if self.target.lstat(fd, name) is not None:
            fd = self._again(fd, member, name, real)
        os.mkfifo(name, 0o600, dir_fd=fd)
        self.attributes.special(fd, name, real, member)

    # Whiteouts

    def _whiteout(self, fd: int, name: bytes, real: bytes) -> None:
        if name == OPAQUE:
            self._opaque(fd, real.rpartition(b"/")[0])
            return
        if name.startswith(_META):
            return  # aufs kept its own affairs in these; docker skips them too
        hidden = name[len(WHITEOUT) :]
        if hidden in (b"", b".", b".."):
            raise Invalid("a whiteout of nothing")
        real = real[: len(real) - len(name)] + hidden
        info = self.target.lstat(fd, hidden)
        if self.merge:
            if info is not None and real not in self._unpacked:
                self._clear(fd, hidden, real)
        elif info is None:
            os.mknod(hidden, stat.S_IFCHR, 0, dir_fd=fd)
        elif stat.S_ISDIR(info.st_mode):
            # hides the lower layers' directory, not the one this very layer brought before
            directory = os.open(hidden, fs.DIRECTORY, dir_fd=fd)
            try:
                self.attributes.set_opaque(directory)
            finally:
                os.close(directory)

    def _opaque(self, fd: int, real: bytes) -> None:
        if not self.merge:
            self.attributes.set_opaque(fd)
            return
        mine = os.dup(fd)
        try:
            self._remove_lower(mine, real)
        finally:
            os.close(mine)

    def _remove_lower(self, fd: int, real: bytes) -> None:
        """Deletes what an earlier layer left in a directory, deep down beside what is ours."""
        pending = [(fd, real, False)]
        while pending:
            here, path, owned = pending.pop()
            try:
                for text in os.listdir(here):
                    name = os.fsencode(text)
                    child = path + b"/" + name if path else name
                    if child not in self._unpacked:
                        self._clear(here, name, child)
                        continue
                    info = self.target.lstat(here, name)
                    if info is not None and stat.S_ISDIR(info.st_mode):
                        pending.append((os.open(name, fs.DIRECTORY, dir_fd=here), child, True))
            finally:
                if owned:
                    os.close(here)

    def _set_time(self, path: bytes, mtime: int) -> None:
        try:
            if not path:
                os.utime(self.target.root_fd, ns=(mtime, mtime))
                return
            fd, name, _ = self.target.parent(path, make=False)
            info = self.target.lstat(fd, name)
            if info is not None and stat.S_ISDIR(info.st_mode):
                os.utime(name, ns=(mtime, mtime), dir_fd=fd, follow_symlinks=False)
        except (Invalid, FileNotFoundError):
            pass  # a later entry replaced a directory on the way


def _explain(fault: OSError, member: Entry) -> KobakoError:
    message = f"layer entry {shown(member.name)}: {fault.strerror or fault}"
    if fault.errno in (errno.ENOSPC, errno.EDQUOT):
        return Unavailable(message, hint="free some space: kobako system prune")
    if fault.errno in (errno.EIO, errno.EROFS, errno.EMFILE):
        return Unavailable(message)
    if fault.errno in (errno.EPERM, errno.EACCES):
        return Denied(message)
    if fault.errno == errno.EINVAL and (member.uid > 65535 or member.gid > 65535):
        return Denied(
            f"layer entry {shown(member.name)}: its owner {member.uid}:{member.gid} is not among "
            "the ids of this user namespace",
            hint="ask for a longer range in /etc/subuid and /etc/subgid",
        )
    return Invalid(message)
