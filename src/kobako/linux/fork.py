"""Forks for a short job beside the one at hand, and the signals that must not disturb them."""

from __future__ import annotations

import os

from kobako.linux.process import require_single_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable
else:
    import _signal  # `signal` itself imports enum: 2 ms


class Undisturbed:
    """Inside the block the signals that end a program wait: SIGINT, SIGTERM and SIGHUP.

    One that has come before raises on the way in; one that comes meanwhile, on the way out.
    """

    _ENDING = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP)

    def __enter__(self) -> None:
        self._held = _signal.pthread_sigmask(_signal.SIG_BLOCK, ())
        try:
            _signal.pthread_sigmask(_signal.SIG_BLOCK, self._ENDING)
        except BaseException:  # what the handler of an earlier signal raises
            _signal.pthread_sigmask(_signal.SIG_SETMASK, self._held)
            raise

    def __exit__(self, *fault: object) -> None:
        _signal.pthread_sigmask(_signal.SIG_SETMASK, self._held)


def fork_helper() -> int:
    """fork for a short-lived helper: an interrupt from the keyboard is for the parent alone.

    SIGINT stays blocked in the child, and in the parent until the interpreter has put its locks in
    order; an exception in the middle of that would be printed, not raised.
    """
    held = _signal.pthread_sigmask(_signal.SIG_BLOCK, (_signal.SIGINT,))
    pid = -1
    try:
        pid = os.fork()
    finally:
        if pid:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, held)
    return pid


def try_in_child(attempt: Callable[[], None], doing: str) -> str:
    """Why `attempt` fails, or "" when it works, found out in a child process that ends with it.

    `doing` is what `require_single_thread` calls it when there are threads.
    """
    require_single_thread(doing)
    r, w = os.pipe()
    pid = fork_helper()
    if pid == 0:
        reason = "the attempt died"
        try:
            attempt()
            reason = ""
        except Exception as fault:
            reason = str(getattr(fault, "strerror", None) or fault) or type(fault).__name__
        finally:
            os.write(w, reason.encode("utf-8", "replace")[:4000])
            os._exit(0)
    os.close(w)
    with open(r, "rb") as answer:
        reason = answer.read().decode(errors="replace")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return reason or (f"the attempt ended with {status}" if status else "")
