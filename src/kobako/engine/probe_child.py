"""One probe of a health check: a child that executes a command in the container.

It is a process of its own as an exec may not come back from the container's namespaces. It ends
with the program's exit code, or is killed where there is none. Told to end (SIGTERM, also when the
prober dies) it kills the program first, with its process group.
"""

from __future__ import annotations

import os

from kobako.engine import execute
from kobako.engine.engine import Engine
from kobako.engine.execute import ExecRequest
from kobako.errors import KobakoError
from kobako.linux import process
from kobako.runtime.bundle import Stdio

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from types import FrameType
    from typing import NoReturn

    from kobako.engine.engine import Settings
else:
    import _signal  # `signal` itself imports enum: 2 ms

_SIGKILL, _SIGTERM = 9, 15
_KEPT = 4096  # bytes of output
_CHUNK = 65536


class Child:
    """A probe under way. `out` gives what it prints, `pidfd` is readable when it has ended; `end`,
    which must be called, closes both. `OSError` where no process can be made."""

    def __init__(self, settings: Settings, container_id: str, command: tuple[str, ...]) -> None:
        self._output = b""
        self.out, sink = os.pipe()
        parent = os.getpid()
        try:
            self._pid = os.fork()
            if self._pid == 0:
                _execute(settings, ExecRequest(container_id, command), sink, parent)
        except OSError:
            os.close(self.out)
            raise
        finally:
            os.close(sink)
        self.pidfd = os.pidfd_open(self._pid)

    def take(self) -> bool:
        """Reads what is there of its output; False at the end."""
        data = os.read(self.out, _CHUNK)
        self._output += data[: _KEPT + 1 - len(self._output)]
        return bool(data)

    def stop(self) -> None:
        """Has it kill its program, and end."""
        os.kill(self._pid, _SIGTERM)

    def kill(self) -> None:
        os.kill(self._pid, _SIGKILL)

    def end(self) -> int:
        """Its exit code, -1 where there is none; it has ended, or is about to."""
        while self.take():
            pass
        os.close(self.out)
        os.close(self.pidfd)
        _, status = os.waitpid(self._pid, 0)
        return max(-1, os.waitstatus_to_exitcode(status))

    def text(self) -> str:
        """What it has printed, as much of it as docker keeps."""
        cut = self._output[:_KEPT].decode(errors="replace")
        return cut if len(self._output) <= _KEPT else cut + "..."


def _execute(settings: Settings, request: ExecRequest, sink: int, parent: int) -> NoReturn:
    """The child's whole life."""
    code = -1
    try:
        _signal.signal(_SIGTERM, _end_program)
        process.set_parent_death_signal(_SIGTERM)
        if os.getppid() != parent:
            os._exit(0)
        found = execute.execute(Engine(settings), request, Stdio(stdout=sink, stderr=sink))
        code = 0 if found is None else found
    except (KobakoError, OSError) as fault:
        os.write(sink, str(fault).encode(errors="replace")[:_KEPT])
    finally:
        if code < 0:
            os.kill(os.getpid(), _SIGKILL)
        os._exit(code)


def _end_program(number: int, frame: FrameType | None) -> None:
    own = os.getpid()
    with open(f"/proc/{own}/task/{own}/children") as file:
        programs = [int(pid) for pid in file.read().split()]
    for pid in programs:
        try:
            os.killpg(pid, _SIGKILL)
        except ProcessLookupError:  # it leads no group yet
            os.kill(pid, _SIGKILL)
    if not programs:
        os._exit(0)
