"""The files of a running container for a process outside of it.

The root is cloned as a mount without what is mounted below it: /proc, /dev, /sys and whatever the
container itself mounts are not seen. The clone is made in the container's mount namespace and works
in any other; what is done through it is at once seen in the container.
"""

from __future__ import annotations

import errno
import os

from kobako.errors import Conflict
from kobako.linux import mount, process
from kobako.linux.channel import Channel
from kobako.linux.fork import fork_helper
from kobako.runtime import program, state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


_LEAVING_MS = 1000


def enter(state_dir: str, target: str) -> None:
    """Shows the root of a running or paused container at the directory `target`, in a mount
    namespace of this process alone, which becomes root in the container's user namespace.

    The process has one thread, and has not entered a user namespace of its own. `Conflict` when
    the container does not run.
    """
    process.require_single_thread("look into a container")
    now = state.running(state_dir)
    pidfd = state.open_process(state_dir)
    try:
        apart = process.namespaces_apart_from(now.pid)
        user = apart & process.CLONE_NEWUSER
        tree = _clone_root(pidfd, user | apart & process.CLONE_NEWNS)
        if user:
            process.setns(pidfd, process.CLONE_NEWUSER)
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
    except OSError:
        if _has_ended(pidfd):
            raise Conflict(f"the container of {state_dir} is not running") from None
        raise
    finally:
        os.close(pidfd)
    try:
        process.unshare(process.CLONE_NEWNS)
        mount.set_propagation("/", "rprivate")
        mount.move(tree, -1, target)
    finally:
        os.close(tree)


def _clone_root(pidfd: int, flags: int) -> int:
    """A descriptor of the clone, which hangs nowhere yet."""
    ours, theirs = Channel.pair()
    helper = fork_helper()
    if helper == 0:
        ours.close()
        _clone_inside(pidfd, flags, theirs)
    theirs.close()
    try:
        message, fds = ours.receive()
    finally:
        ours.close()
        os.waitpid(helper, 0)
    if fds:
        return fds[0]
    number, _, what = message.decode().partition(" ")
    raise OSError(int(number or errno.ECHILD), what or "the helper died", "the container's root")


def _has_ended(pidfd: int) -> bool:
    """Whether a process that could not be joined ends: it leaves its namespaces just before."""
    import select

    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(_LEAVING_MS))


def _clone_inside(pidfd: int, flags: int, channel: Channel) -> NoReturn:
    """In a process that joins the container, of which nothing is loaded and nobody may look."""
    try:
        program.forget_imports()
        process.set_dumpable(False)
        process.setns(pidfd, flags)
        channel.send(b"tree", (mount.clone("/", deep=False),))
    except OSError as fault:
        channel.send(b"%d %b" % (fault.errno or 0, (fault.strerror or "").encode()))
    finally:
        os._exit(0)
