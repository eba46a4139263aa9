"""The container's first process, from clone to execve."""

from __future__ import annotations

import marshal
import os

from kobako.errors import StartFailed
from kobako.linux import mount, process
from kobako.linux.channel import content
from kobako.runtime import program, rootfs
from kobako.runtime.bundle import Bundle
from kobako.runtime.stage import Stage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Set
    from typing import Any

    from kobako.linux.channel import Channel
    from kobako.runtime.bundle import Prospect

_SIGKILL = 9


def stand_by(
    channel: Channel, stdio: tuple[int, int, int], word: Channel, prospect: Prospect
) -> None:
    """The first process of an `ahead.Ahead`: sets the stage, and waits to be told over `word` what
    to become. `channel` and `stdio` as of `run`."""

    def told() -> tuple[Bundle, bytes] | None:
        message, fds = word.receive()
        process.run_anywhere(prospect.processors)
        if not message:
            return None
        values, filter_program = marshal.loads(content(fds[0]))
        return Bundle.unpacked(values), filter_program

    run(channel, stdio, told, Stage(prospect.stage, prospect.around), {word.fileno()})


def run(
    channel: Channel,
    stdio: tuple[int, int, int],
    obtain: Callable[[], tuple[Bundle, bytes] | None],
    stage: Stage | None = None,
    keep: Set[int] = frozenset(),
) -> None:
    """Becomes the program; raises what stops it.

    `obtain` gives the bundle and the filter of intercepted calls (b"": none), or None when there is
    nothing to be done after all; it may wait, with the `stage` set already, and needs the
    descriptors in `keep`, which are close-on-exec. `stdio` are descriptors for 0, 1, 2;
    (-1, -1, -1) asks for a terminal of the container's own devpts, whose master is sent over the
    channel (b"M").
    When all but the program is ready, it waits for `First.let_go`.
    """
    process.set_parent_death_signal(_SIGKILL)
    os.setsid()
    if stdio[0] >= 0:
        for number, fd in enumerate(stdio):
            os.dup2(fd, number)
    process.close_all_but({channel.fileno(), *keep})
    if stage is not None:
        _raise_loopback(stage.namespaces)
        stage.set()
        channel.send(b"S")
    obtained = obtain()
    if obtained is None:
        return
    bundle, filter_program = obtained
    bundle = bundle.filtered()  # as it should be already: never without
    spec = bundle.spec
    document = spec["process"]
    if stage is None:
        _raise_loopback(spec.get("linux", {}).get("namespaces") or [])
    _join_namespaces(spec)
    root_fd = rootfs.prepare(bundle, stage)
    if spec.get("hostname"):
        process.set_hostname(spec["hostname"])
    if spec.get("domainname"):
        process.set_domainname(spec["domainname"])
    if stdio[0] < 0:
        from kobako.runtime import terminal

        terminal.take(root_fd, document, channel, lambda slave: rootfs.bind_console(root_fd, slave))
    rootfs.finish(root_fd, spec)
    program.set_oom_score(document)
    program.preload(document)
    program.forget_imports()
    mount.pivot_root(root_fd)
    os.close(root_fd)
    if stdio[0] >= 0:
        program.own_streams(document)

    def prepare() -> None:
        process.set_parent_death_signal(_SIGKILL)
        if not channel.receive()[0]:
            os._exit(125)  # nobody waits for us any more

    program.enter(document, channel, filter_program, prepare, bundle.filter)


def _raise_loopback(namespaces: list[dict[str, str]]) -> None:
    """In a network namespace made for us; what it is for if there is nothing else is a loopback."""
    if not any(n["type"] == "network" and not n.get("path") for n in namespaces):
        return
    try:
        process.set_loopback_up()
    except OSError as fault:
        raise StartFailed(f"cannot bring the loopback interface up: {fault.strerror}") from None


def _join_namespaces(spec: dict[str, Any]) -> None:
    for namespace in spec.get("linux", {}).get("namespaces") or ():
        path = namespace.get("path")
        if not path or namespace["type"] == "pid":
            continue
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            process.setns(fd, process.NAMESPACES[namespace["type"]][0])
            os.close(fd)
        except OSError as fault:
            raise StartFailed(
                f"cannot join the {namespace['type']} namespace {path}: {fault.strerror}"
            ) from None
