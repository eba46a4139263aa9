"""How a start goes on: told by who enters a container, heard by who waits for that."""

from __future__ import annotations

import gc
import os

from kobako import fastjson
from kobako.errors import KobakoError, StartFailed, remedy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from kobako.linux.channel import Channel


def tend(control: Channel, detach: bool, work: Callable[[], NoReturn]) -> NoReturn:
    """What is left of the life of a process that was forked to tend a container: `work`. What keeps
    it from that is told over `control`."""
    try:
        if detach and os.fork():
            os._exit(0)  # the monitor is nobody's child: a caller that lives on need not reap
        gc.disable()  # a descriptor it closes must not be closed again by its old owner
        os.setsid()  # what ends the caller's group is not for us
        work()
    except Exception as fault:
        report(control, fault)
    finally:
        os._exit(125)


def report(channel: Channel, fault: BaseException) -> None:
    """Tells the other side why the program could not be started."""
    code = fault.exit_code if isinstance(fault, StartFailed) else 125
    if isinstance(fault, KobakoError):
        text, hint = fault.message, fault.hint
    elif isinstance(fault, OSError) and fault.strerror:
        text = f"{fault.filename}: {fault.strerror}" if fault.filename else fault.strerror
        hint = remedy(fault)
    else:
        text, hint = f"{type(fault).__name__}: {fault}", ""
    channel.send(b"E" + fastjson.dumps({"code": code, "message": text, "hint": hint}))


def failure(message: bytes) -> StartFailed:
    """The error `report` sent."""
    told = fastjson.restore(message[1:])
    return StartFailed(told["message"], exit_code=told["code"], hint=told["hint"])


def hear_out(
    receive: Callable[[], tuple[bytes, list[int]]],
    hear: Callable[[bytes, list[int]], None],
    who: str,
) -> StartFailed | None:
    """Follows what enters a container by what is received from its channel, until that closes.

    None when the program was executed, else why not (`who` was killed, where nobody said why).
    Messages other than `report`'s and the announcement of execve are the caller's to `hear`.
    """
    about_to_exec = False
    refusal: StartFailed | None = None
    while True:
        message, fds = receive()
        kind = message[:1]
        if kind == b"X":
            about_to_exec = True
        elif kind == b"E":
            refusal = failure(message)
        elif message:
            hear(message, fds)
        else:
            break
    if refusal is None and not about_to_exec:
        return StartFailed(f"{who} was killed while being set up")
    return refusal
