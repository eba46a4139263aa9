"""Failures no room has foreseen, told as a message: a person never sees a bare traceback."""

from __future__ import annotations

import errno
import os
import sys

from kobako.errors import remedy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def text(fault: Exception, environ: Mapping[str, str]) -> str:
    """What to tell of a fault that is none of kobako's own. KOBAKO_DEBUG adds the traceback."""
    if isinstance(fault, MemoryError):
        return "Error: out of memory"
    import traceback

    if environ.get("KOBAKO_DEBUG"):
        return "".join(traceback.format_exception(fault)).rstrip()
    if isinstance(fault, OSError) and fault.strerror:
        names = [repr_name(name) for name in (fault.filename, fault.filename2) if name is not None]
        if not names and _printing(fault):
            names = ["write to standard output"]
        elif not names and fault.errno == errno.ENOENT and _homeless():
            names = ["the current directory has been removed"]
        elif not names and fault.errno == errno.EAGAIN:
            names = ["cannot start a process"]
        told = "Error: " + ": ".join([*names, fault.strerror])
        return f"{told}\n{hint}" if (hint := remedy(fault)) else told
    frames = traceback.extract_tb(fault.__traceback__)
    where = f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
    return (
        f"Error: unforeseen {type(fault).__name__}{where}: {fault}\n"
        "This is a defect of kobako. Please report it; KOBAKO_DEBUG=1 shows the traceback."
    )


def _homeless() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _printing(fault: OSError) -> bool:
    """Whether it was print or a flush of what it had printed that failed: this room prints, and
    whatever else it writes to has a name."""
    trace = fault.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith(
        __package__
    )


def repr_name(name: object) -> str:
    """A file's name as it can be printed on any terminal."""
    if isinstance(name, int):
        return f"descriptor {name}"
    shown = os.fsdecode(name) if isinstance(name, bytes | str) else str(name)
    return shown if shown.isprintable() else repr(shown)


def open_missing_streams() -> None:
    """Put /dev/null where a standard stream is closed.

    Otherwise the next file opened (the database) would be what the container gets as its output.
    """
    for number in 0, 1, 2:
        try:
            os.fstat(number)
        except OSError:
            os.open("/dev/null", os.O_RDWR)  # the lowest free number: this one
    sys.stdin = sys.stdin or open(0, closefd=False)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)
    sys.stderr = sys.stderr or open(2, "w", closefd=False)
