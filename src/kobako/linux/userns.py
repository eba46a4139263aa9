"""Becoming root of a user namespace, and finding out whether that is possible.

`enter_single` and `enter_mapped` move *this* process: afterwards it is uid 0 with every capability
over its user's own files, and so is whatever it forks. Do it before any thread exists.
"""

from __future__ import annotations

import errno
import os

from kobako.errors import Denied, Invalid, Unsupported, remedy
from kobako.linux import process
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    pass

_NO_TOOL, _NO_PROCESS = 1, 75  # exit codes of the helper beside those of the tools
_SEARCH = ("/usr/bin", "/usr/local/bin", "/bin", "/usr/sbin", "/run/wrappers/bin")


class IdRange(Record):
    """`count` ids: from `inside` in the namespace, from `outside` in the parent namespace."""

    inside: int
    outside: int
    count: int


class SubordinateIds(Record):
    """What /etc/subuid and /etc/subgid grant a user, as (first id, count) in file order."""

    uids: tuple[tuple[int, int], ...]
    gids: tuple[tuple[int, int], ...]

    def __bool__(self) -> bool:
        return bool(self.uids and self.gids)


def user_name(uid: int) -> str:
    """The login name of a uid, or "" when the user database does not have it."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


def subordinate_ids(
    uid: int, name: str = "", *, subuid: str = "/etc/subuid", subgid: str = "/etc/subgid"
) -> SubordinateIds:
    """The ranges of a user, whose lines are found by login name or by number (subuid(5))."""
    owners = {str(uid), name or user_name(uid)} - {""}
    return SubordinateIds(_ranges(subuid, owners), _ranges(subgid, owners))


def _ranges(path: str, owners: set[str]) -> tuple[tuple[int, int], ...]:
    try:
        with open(path, encoding="utf-8", errors="replace") as lines:
            rows = [line.strip().split(":") for line in lines]
    except OSError:
        return ()
    return tuple(
        (int(row[1]), int(row[2]))
        for row in rows
        if len(row) == 3 and row[0] in owners and row[1].isdigit() and row[2].isdigit()
    )


def map_ranges(own: int, ranges: tuple[tuple[int, int], ...]) -> tuple[IdRange, ...]:
    """Root inside is `own`; 1, 2, ... are the subordinate ids, range after range."""
    mapped = [IdRange(0, own, 1)]
    inside = 1
    for first, count in ranges:
        mapped.append(IdRange(inside, first, count))
        inside += count
    return tuple(mapped)


def enter_single() -> None:
    """Moves this process into a user namespace whose only id is 0: the present user (mode C).

    Raises `Denied` or `Unsupported` with the reason, `Unsupported` when threads exist.
    """
    process.require_single_thread("enter a user namespace")
    uid, gid = os.geteuid(), os.getegid()
    _unshare_user()
    try:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"0 {uid} 1")
        _write("/proc/self/gid_map", f"0 {gid} 1")
        _prove_capable()
    except OSError as fault:
        raise _explain(fault) from None


def enter_mapped(
    uids: tuple[tuple[int, int], ...],
    gids: tuple[tuple[int, int], ...],
    *,
    search: tuple[str, ...] = _SEARCH,
) -> None:
    """Moves this process into a user namespace of its user's subordinate ids (mode B).

    `uids` and `gids` are (first id, count) as `subordinate_ids` gives them. newuidmap and newgidmap
    must run in the parent namespace: a helper forked beforehand runs both at once.
    Raises `Denied` or `Unsupported` with the reason.
    """
    from kobako.linux import fork

    process.require_single_thread("enter a user namespace")
    if not uids or not gids:
        raise Invalid("enter a user namespace: no subordinate ids were given")
    tools = find_tool("newuidmap", search), find_tool("newgidmap", search)
    me = str(os.getpid())
    maps = map_ranges(os.geteuid(), uids), map_ranges(os.getegid(), gids)
    ready_r, ready_w = os.pipe()
    helper = fork.fork_helper()
    if helper == 0:
        _run_map_tools(me, tools, maps, ready_r, ready_w)
    os.close(ready_r)
    try:
        _unshare_user()
        os.write(ready_w, b"x")
    finally:
        os.close(ready_w)
        status = os.waitstatus_to_exitcode(os.waitpid(helper, 0)[1])
    if status == _NO_PROCESS:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    if status:
        raise Denied(
            f"enter a user namespace: newuidmap or newgidmap failed with exit code {status}",
            hint="check /etc/subuid and /etc/subgid, and that both programs are set-user-ID root",
        )
    try:
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        os.setgroups([])
        _prove_capable()
    except OSError as fault:
        raise _explain(fault) from None


def _run_map_tools(
    pid: str,
    tools: tuple[str, str],
    maps: tuple[tuple[IdRange, ...], tuple[IdRange, ...]],
    ready_r: int,
    ready_w: int,
) -> None:
    """The helper's whole life; it stays in the parent namespace."""
    code = _NO_TOOL
    try:
        os.close(ready_w)
        if os.read(ready_r, 1):
            running = []
            for tool, ranges in zip(tools, maps, strict=True):
                words = [str(n) for r in ranges for n in (r.inside, r.outside, r.count)]
                running.append(os.posix_spawn(tool, [os.path.basename(tool), pid, *words], {}))
            codes = [os.waitstatus_to_exitcode(os.waitpid(p, 0)[1]) for p in running]
            code = max(abs(c) for c in codes)
    except BlockingIOError:
        code = _NO_PROCESS
    finally:
        os._exit(code)


def find_tool(name: str, search: tuple[str, ...] = _SEARCH) -> str:
    """The path of newuidmap or newgidmap; `Unsupported` when it is not installed."""
    for directory in search:
        path = f"{directory}/{name}"
        if os.access(path, os.X_OK):
            return path
    raise Unsupported(f"{name} is not installed", hint="it is in the package uidmap (shadow-utils)")


def _unshare_user() -> None:
    try:
        process.unshare(process.CLONE_NEWUSER)
    except OSError as fault:
        raise _explain(fault) from None


def _prove_capable() -> None:
    """Some systems grant the namespace and then withhold its capabilities (AppArmor)."""
    from kobako.linux import caps

    if not caps.current().effective & 1 << caps.NUMBERS["CAP_SYS_ADMIN"]:
        raise OSError(errno.EACCES, "no capabilities inside")


def _explain(fault: OSError) -> Denied | Unsupported | OSError:
    if remedy(fault):
        return fault
    if fault.errno in (errno.EPERM, errno.EACCES):
        hints = (
            ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"),
            ("/proc/sys/kernel/unprivileged_userns_clone", "0"),
        )
        for path, bad in hints:
            if _read(path) == bad:
                good = str(1 - int(bad))
                name = path.removeprefix("/proc/sys/").replace("/", ".")
                return Denied(
                    f"user namespaces are forbidden here ({name} is {bad})",
                    hint=f"ask for: sysctl {name}={good}",
                )
        return Denied(f"user namespaces are forbidden here ({fault.strerror})")
    if fault.errno in (errno.ENOSPC, errno.EUSERS):
        return Denied(
            "no user namespace can be made: the limit is reached",
            hint=f"user.max_user_namespaces is {_read('/proc/sys/user/max_user_namespaces')}",
        )
    return Unsupported(f"user namespaces do not work here ({fault.strerror})")


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
