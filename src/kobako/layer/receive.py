"""A tree taken from one place to another as a tar stream: the end where it is unpacked (`cp`).

Not a layer: names mean themselves, there are no whiteouts. What is a directory on one side and
something else on the other is an error, as docker cp has it; all else is replaced.
"""

from __future__ import annotations

import errno
import os
import stat

from kobako.errors import Conflict, Corrupt, Denied, Invalid, KobakoError, Unavailable
from kobako.layer import entry as kinds
from kobako.layer.apply import Unpacking
from kobako.layer.attributes import Attributes
from kobako.layer.blocks import Blocks
from kobako.layer.format import OwnershipFormat
from kobako.layer.tar_reader import TarReader
from kobako.layer.target import clean
from kobako.linux import fs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.layer.entry import Entry


class OfUser(Attributes):
    """For files of whoever unpacks them: they get modes, times and xattrs, and no other owner.

    `late` are the modes of directories their owner could not write in, by the names of entries.
    """

    def __init__(self) -> None:
        super().__init__(OwnershipFormat.NATIVE, None)
        self.late: dict[bytes, int] = {}

    def directory(self, fd: int, member: Entry) -> None:
        mode = member.mode
        if mode & 0o700 != 0o700:
            self.late[member.name] = mode
            member.mode = mode | 0o700
        super().directory(fd, member)

    def _own(self, fd: int, member: Entry, kind: int, rdev: int) -> None:
        pass

    def special(self, fd: int, name: bytes, real: bytes, member: Entry) -> None:
        member.uid, member.gid = -1, -1
        super().special(fd, name, real, member)


def receive(
    next_block: Callable[[], bytes],
    root_fd: int,
    attributes: Attributes,
    into: bytes,
    *,
    place: str,
    keeps: bool,
    owner: tuple[int, int] | None = None,
) -> None:
    """Unpacks a plain tar, which `next_block` gives, at the path `into` below `root_fd`.

    The archive's own top (`.`) becomes `into`, be it a directory or not; with `keeps` that is a
    directory which is there and stays as it is. `place` is how messages call `root_fd`. Everything
    belongs to `owner`, else to whom the archive says. Nothing is written outside `root_fd`,
    whatever links there are: they are followed within. What was written stays on an error:
    `Conflict`, `Invalid`, `Corrupt`, `Denied`, `Unavailable`.
    """
    blocks = Blocks(next_block)
    receiving = _Receiving(TarReader(blocks), root_fd, attributes, into, place, keeps, owner)
    try:
        receiving.run()
    finally:
        receiving.finish()
    blocks.drain()


class _Receiving(Unpacking):
    def __init__(
        self,
        reader: TarReader,
        root_fd: int,
        attributes: Attributes,
        into: bytes,
        place: str,
        keeps: bool,
        owner: tuple[int, int] | None,
    ) -> None:
        super().__init__(reader, root_fd, attributes, merge=True)
        self._into = into
        self._place = place.rstrip("/")
        self._keeps = keeps
        self._owner = owner

    def finish(self) -> None:
        """Closes what is open; directories get the modes that were in the way."""
        late = self.attributes.late if isinstance(self.attributes, OfUser) else {}
        try:
            for path, mode in reversed(late.items()):
                try:
                    fd, name, _ = self.target.parent(path, make=False)
                    if stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                        fs.change_mode(fd, name, mode)
                except (OSError, Invalid):
                    continue  # it is gone again
        finally:
            self.target.close()

    def _entry(self, member: Entry) -> None:
        path = self._cleaned(member.name)
        if self._owner is not None:
            member.uid, member.gid = self._owner
        if not path and self._keeps:
            if member.type != kinds.DIRECTORY:
                raise Invalid(f'"{self._shown(self._into)}" is a directory, the archive\'s top not')
            return
        member.name = self._below(path)
        if member.type == kinds.HARDLINK:
            member.link = self._below(self._cleaned(member.link))
        fd, name, real = self.target.parent(member.name)
        self._check_kind(member, fd, name)
        self._make(member, fd, name, real)

    def _cleaned(self, name: bytes) -> bytes:
        try:
            return clean(name)
        except Invalid:
            text = name.decode("utf-8", "backslashreplace")
            raise Invalid(f'"{text}" is outside of "{self._shown(self._into)}"') from None

    def _below(self, path: bytes) -> bytes:
        return self._into + b"/" + path if self._into and path else self._into or path

    def _check_kind(self, member: Entry, fd: int, name: bytes) -> None:
        present = self.target.lstat(fd, name)
        if present is None:
            return
        was, becomes = stat.S_ISDIR(present.st_mode), member.type == kinds.DIRECTORY
        if was != becomes:
            old, new = ("directory", "non-directory") if was else ("non-directory", "directory")
            above = self._shown(self._into if self._keeps else self._into.rpartition(b"/")[0])
            raise Conflict(
                f'cannot overwrite {old} "{self._shown(member.name)}" with {new} "{above}"'
            )

    def _shown(self, path: bytes) -> str:
        return f"{self._place}/{path.decode('utf-8', 'backslashreplace')}".rstrip("/") or "/"

    def _naming(self, fault: KobakoError, member: Entry) -> KobakoError:
        if isinstance(fault, Conflict | Corrupt):
            return fault
        path = self._shown(member.name)
        message = fault.message if '"' in fault.message else f"{path}: {fault.message}"
        return type(fault)(message, hint=fault.hint)

    def _explained(self, fault: OSError, member: Entry) -> KobakoError:
        message = f"{self._shown(member.name)}: {os.strerror(fault.errno or 0).lower()}"
        if fault.errno == errno.EINVAL and max(member.uid, member.gid) > 0:
            return Denied(
                f"{message}: its owner {member.uid}:{member.gid} is not among the ids of the "
                "container",
                hint="Ask for a longer range in /etc/subuid and /etc/subgid.",
            )
        if fault.errno in (errno.EPERM, errno.EACCES, errno.EROFS):
            return Denied(message)
        if fault.errno == errno.EBUSY:
            hint = "Something is mounted there: it cannot be replaced, only written to."
            return Conflict(message, hint=hint)
        return Unavailable(message)
