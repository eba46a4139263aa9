"""A planned tree as a layer: one tar, everything root's, one time for all."""

from __future__ import annotations

import os
import stat

from kobako.errors import Denied, Unavailable
from kobako.layer.entry import DIRECTORY, HARDLINK, SYMLINK, Entry
from kobako.layer.tar_writer import TarWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.image.from_host.plan import Planned, TreePlan
    from kobako.layer.tar_writer import Sink

_TIMESTAMP_PYC = 0  # the flags word of byte code checked by its source's time (PEP 552)


def newest(plan: TreePlan) -> int:
    """The time given to the tree, in seconds: that of the newest file of this machine in it, so
    that the same files give the same image."""
    return max((entry.mtime for entry in plan.entries.values()), default=0)


def write_layer(plan: TreePlan, sink: Sink, epoch: int) -> None:
    """The tree as an uncompressed tar, in path order; the same files give the same bytes.

    Byte code of Python is valid only for a source of the time it names, so that word of it is
    rewritten to `epoch`; byte code that does not fit its source is left out. Raises `Unavailable`
    for a file that changes meanwhile and `Denied` for one that cannot be read.
    """
    writer = TarWriter(sink)
    first_names: dict[tuple[int, int], bytes] = {}
    for where in sorted(plan.entries):
        planned = plan.entries[where]
        member = Entry(os.fsencode(where[1:]), mode=planned.mode, mtime_ns=epoch * 10**9)
        content = b""
        if planned.kind == "dir":
            member.type = DIRECTORY
        elif planned.kind == "link":
            member.type, member.link = SYMLINK, os.fsencode(planned.target)
        elif planned.inode is not None and planned.inode in first_names:
            member.type, member.link = HARDLINK, first_names[planned.inode]
        else:
            found = _content(plan, where, planned, epoch)
            if found is None:
                continue
            content = found
            member.size = len(content)
            if planned.inode is not None:
                first_names[planned.inode] = member.name
        writer.add(member, content)
    writer.finish()


def _content(plan: TreePlan, where: str, entry: Planned, epoch: int) -> bytes | None:
    if not entry.source:
        return entry.data
    data = _read(entry)
    if where.endswith(".pyc"):
        return _with_source_time(plan, where, data, epoch)
    return data


def _read(entry: Planned) -> bytes:
    try:
        fd = os.open(entry.source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except PermissionError:
        raise Denied(f"{entry.source} cannot be read", hint="run as root or leave it out") from None
    except OSError as error:
        raise Unavailable(f"{entry.source} cannot be read: {error.strerror}") from None
    with os.fdopen(fd, "rb", buffering=0) as file:
        info = os.fstat(fd)
        data = file.readall() if stat.S_ISREG(info.st_mode) else None
    if data is None or len(data) != entry.size:
        raise Unavailable(f"{entry.source} changed while it was copied", hint="try again")
    return data


def _with_source_time(plan: TreePlan, where: str, data: bytes, epoch: int) -> bytes | None:
    directory, name = os.path.split(where)
    source = plan.entries.get(f"{os.path.dirname(directory)}/{name.split('.')[0]}.py")
    if len(data) < 16 or int.from_bytes(data[4:8], "little") != _TIMESTAMP_PYC:
        return data
    if source is None or not source.source:
        return None
    fits = source.mtime & 0xFFFFFFFF, source.size & 0xFFFFFFFF
    if fits != (int.from_bytes(data[8:12], "little"), int.from_bytes(data[12:16], "little")):
        return None
    return data[:8] + (epoch & 0xFFFFFFFF).to_bytes(4, "little") + data[12:]
