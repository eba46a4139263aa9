"""The door of this room: an emulated root for containers whose user namespace holds a single id.

A seccomp filter (`program`) hands the calls that deal in ownership and credentials to a supervisor
(`serve`), which answers as if there were a real root and many users.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kobako.emulate.lookout import Lookout


def program(machine: str | None = None, *, no_sync: bool = False, checked: bool = False) -> bytes:
    """The `sock_filter[]` for `machine` (`x86_64`, `aarch64`; default: this machine's).

    With `no_sync` the sync family succeeds without doing anything: for build steps, whose result is
    read back by us and not by the next boot. A `checked` one is for a process that begins as
    another user than root: it is refused what the kernel would refuse it, at the price of a
    notification for each path it names. `Unsupported` for another machine.

    It is assembled already, in `<kind>.<machine>.bpf` beside this file (`prepare.write_prepared`).
    """
    path = prepared(machine or os.uname().machine, no_sync=no_sync, checked=checked)
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        from kobako.emulate.program import assemble

        return assemble(machine, no_sync=no_sync, checked=checked)


def prepared(machine: str, *, no_sync: bool, checked: bool) -> str:
    """The path of a filter that is assembled already, if it is."""
    kind = ("checked" if checked else "root") + ("-no-sync" if no_sync else "")
    return os.path.join(os.path.dirname(__file__), f"{kind}.{machine}.bpf")


def serve(
    listener: Callable[[], int],
    init_pid: int,
    *,
    control_socket: str,
    owners_path: str,
    lower_owners: Sequence[str] = (),
    checked: bool = False,
    judged: Sequence[str] = (),
    begun: Lookout | None = None,
) -> None:
    """Answers the notifications of a container until the last user of its filters is gone.

    Runs in a process of its own, forked from one that is in the container's user namespace and has
    one thread; it chroots into the container, so nothing else can be done in that process later.
    When it returns, nothing of the container's tree is in use any more.

    listener: waits for the listener of the filter in init, then owned by this call, and for init's
        mounts to be in place. -1: there will be none, and this returns.
    init_pid: the container's init as seen from here.
    control_socket: path at which `forward` and `flush` find this supervisor.
    owners_path: the owners table (`kobako.linux.ownership`) of the writable layer; `upper` beside
        it is the layer's tree. Appended to while running, rewritten at `flush` and at the end.
    lower_owners: the tables of the layers below, topmost first; `tree` beside each is its tree.
    checked: whether init's filter is.
    judged: where in the container things are mounted whose owners are the container's own affair,
        as its root's are. On other mounts no user is refused anything by us.
    begun: what has answered so far, in the process this one was forked from. It may not have had a
        listener yet.
    """
    from kobako.emulate.supervisor import serve as run

    run(listener, init_pid, control_socket, owners_path, lower_owners, checked, judged, begun)


def forward(listener_fd: int, control_socket: str, *, checked: bool = False) -> None:
    """Hands the listener of a further filter (an exec's) to the container's supervisor.

    Returns when the supervisor has taken it; the caller still owns `listener_fd` and should close
    it. `checked` says of which kind the filter is. `NotFound` when no supervisor answers at
    `control_socket`.
    """
    from kobako.emulate.control import forward as send

    send(listener_fd, control_socket, checked)


def flush(control_socket: str) -> None:
    """Has the supervisor bring its owners table on disk up to date (before a running container is
    committed: renames since an entry was recorded are followed). `NotFound` as for `forward`.
    """
    from kobako.emulate.control import flush as request

    request(control_socket)


def record(control_socket: str, lines: bytes) -> None:
    """Tells the supervisor who owns files that somebody else has put into the container's tree.

    lines: of an owners table (`kobako.linux.ownership`). `NotFound` as for `forward`.
    """
    from kobako.emulate.control import record as request

    request(control_socket, lines)
