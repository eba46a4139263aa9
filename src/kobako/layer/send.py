"""A tree taken from one place to another as a tar stream: the end where it is read (`cp`)."""

from __future__ import annotations

import os

from kobako.errors import Denied, KobakoError, NotFound, Unavailable
from kobako.layer import entry as kinds
from kobako.layer.blocks import BLOCK
from kobako.layer.change import Change
from kobako.layer.export import everything
from kobako.layer.format import OwnershipFormat
from kobako.layer.pack import Packing
from kobako.layer.tar_writer import END, encode
from kobako.linux import fs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.layer.entry import Entry
    from kobako.linux.ownership import Owners


class Pipe:
    """A sink that writes to a descriptor in large blocks. `size` counts the bytes given to it."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._parts: list[bytes] = []
        self._held = 0
        self.size = 0

    def write(self, data: bytes, /) -> None:
        self._parts.append(data)
        self._held += len(data)
        if self._held >= BLOCK:
            self.flush()

    def flush(self) -> None:
        data = b"".join(self._parts)
        self._parts = []
        self.size += len(data)
        self._held = 0
        fs.write_all(self._fd, data)


def send(
    at_fd: int,
    name: bytes,
    out: Pipe,
    top: bytes = b".",
    *,
    place: str,
    form: str = OwnershipFormat.NATIVE,
    owners: Owners | None = None,
    moving: bool = False,
    whole: bool = False,
) -> None:
    """Writes `name` in the directory `at_fd`, or with b"" the directory itself, as a plain tar
    whose only top is called `top`.

    `place` is what messages call that directory. `owners` is the table of the tree below `at_fd`.
    moving: the tree is in use, as of `layer.pack`. whole: no sparse members. Sockets are left out.
    What cannot be read is an error that names it (`Denied`, `NotFound`, `Unavailable`), and so is
    what `out` cannot take: `BrokenPipeError` and other `OSError`s of writing.
    """
    sending = _Sending(at_fd, out, form, owners, top, place, moving)
    sending.whole = whole
    try:
        if name:
            changes = [Change("/" + os.fsdecode(name), "A")]
            sending.only = True
        else:
            changes = everything(at_fd, form)
            sending.prefix = top.rstrip(b"/") + b"/"
    except OSError as fault:
        path = fault.filename if isinstance(fault.filename, bytes) else b""
        raise sending.explained(fault, os.fsdecode(path)) from None
    sending.run(changes)
    out.write(END)
    out.flush()


class _Sending(Packing):
    def __init__(
        self,
        at_fd: int,
        out: Pipe,
        form: str,
        owners: Owners | None,
        top: bytes,
        place: str,
        moving: bool,
    ) -> None:
        super().__init__(at_fd, out, form, owners, None, moving)
        self.literal = True
        self.only = False
        self._top = top
        self._place = place.rstrip("/")

    def _change(self, change: Change) -> None:
        try:
            super()._change(change)
        except (BrokenPipeError, FileNotFoundError):
            raise
        except OSError as fault:
            if self._moving or fault.filename is None:
                raise
            raise self.explained(fault, change.path.lstrip("/")) from None

    def explained(self, fault: OSError, path: str) -> KobakoError:
        where = f"{self._place}/{path}".rstrip("/") if path not in ("", ".") else self._place
        message = f"open {where or '/'}: {os.strerror(fault.errno or 0).lower()}"
        if isinstance(fault, PermissionError):
            return Denied(message)
        return NotFound(message) if isinstance(fault, FileNotFoundError) else Unavailable(message)

    def _root(self) -> None:
        member = self._entry(b"", kinds.DIRECTORY, os.fstat(self._source))
        self._owned(member, self._source, b"")
        self._write(encode(member))

    def _entry(self, path: bytes, kind: bytes, info: os.stat_result) -> Entry:
        member = super()._entry(path, kind, info)
        if self.only:
            member.name = self._top
        return member
