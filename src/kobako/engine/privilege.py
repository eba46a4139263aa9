"""How this process may be root: picked by attempting, and entered once per process.

See docs/architecture.md, "Three ways to be root". After `enter` the process has uid 0 over its own
files and a mount namespace of its own; it must still be single-threaded when it enters.
"""

from __future__ import annotations

import os

from kobako.errors import Invalid, KobakoError, Unsupported, remedy
from kobako.record import Record

NATIVE, MAPPED, EMULATED = "native", "mapped", "emulated"


class Mode(Record):
    """One way to be root. `format` is how trees on disk hold ownership; `entered` is whether a
    user namespace of ours stands between us and the host."""

    letter: str
    name: str
    format: str
    entered: bool


ROOT = Mode("A", "root", NATIVE, False)
SUBORDINATE = Mode("B", "mapped", MAPPED, True)
SINGLE = Mode("C", "emulated", EMULATED, True)
MODES = (ROOT, SUBORDINATE, SINGLE)


def enter(forced: str = "") -> Mode:
    """Become root in the best way that works, or in the one named; `Unsupported` says what was
    tried and why it failed."""
    candidates = _candidates(forced)
    refused: list[str] = []
    for mode in candidates:
        try:
            _enter(mode)
        except (OSError, KobakoError) as fault:
            if isinstance(fault, OSError) and remedy(fault):
                raise  # it is not for want of rights: another mode is another store
            why = getattr(fault, "strerror", None) or fault
            refused.append(f"mode {mode.letter} ({mode.name}): {why}")
            continue
        return mode
    raise Unsupported(
        "no way to start containers as this user: " + "; ".join(refused),
        hint="kobako needs root with CAP_SYS_ADMIN, or user namespaces "
        "(sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, "
        "kernel.apparmor_restrict_unprivileged_userns).",
    )


def stay(name: str) -> Mode:
    """Of a process whose parent has entered in the mode of this name: only its mounts become its
    own."""
    from kobako.linux import mount, process

    process.unshare(process.CLONE_NEWNS)
    mount.set_propagation("/", "rslave")
    return next(mode for mode in MODES if mode.name == name)


def expected(forced: str = "") -> Mode:
    """The mode `enter` will try first: for places that must not enter."""
    return _candidates(forced)[0]


def reasons(forced: str = "") -> dict[str, str]:
    """Why each mode before the one in use is not used, by letter (attempted in a child)."""
    from functools import partial

    from kobako.linux import fork

    found: dict[str, str] = {}
    for mode in MODES:
        if forced and mode.name != forced:
            found[mode.letter] = f"{forced} was asked for"
            continue
        why = fork.try_in_child(partial(_enter, mode), "probe the privilege modes")
        if not why:
            break
        found[mode.letter] = why
    return found


def _candidates(forced: str) -> tuple[Mode, ...]:
    if forced:
        for mode in MODES:
            if forced in (mode.name, mode.letter):
                return (mode,)
        names = ", ".join(mode.name for mode in MODES)
        raise Invalid(f"unknown privilege mode {forced!r}: one of {names}")
    if os.geteuid() == 0:
        return (ROOT, SINGLE)
    from kobako.linux import userns

    if userns.subordinate_ids(os.geteuid()) and _can_map():
        return (SUBORDINATE, SINGLE)
    return (SINGLE,)


def _can_map() -> bool:
    from kobako.linux import userns

    try:
        return bool(userns.find_tool("newuidmap") and userns.find_tool("newgidmap"))
    except Unsupported:
        return False


def _enter(mode: Mode) -> None:
    if mode is ROOT:
        from kobako.linux import mount, process

        if os.geteuid() != 0:
            raise Unsupported("this user is not root")
        process.unshare(process.CLONE_NEWNS)
        mount.set_propagation("/", "rslave")
        return
    from kobako.linux import userns

    if mode is SUBORDINATE:
        ids = userns.subordinate_ids(os.geteuid())
        if not ids:
            raise Unsupported(f"/etc/subuid and /etc/subgid have no range for uid {os.geteuid()}")
        userns.enter_mapped(ids.uids, ids.gids)
    else:
        userns.enter_single()


def own_pids(mode: Mode) -> bool:
    """Whether a container can have a PID namespace, where this process has entered in a mode.

    It needs a /proc of its own, which the kernel grants in a user namespace only if the one there
    is can be seen whole. Inside of a container of others it cannot: parts of it are masked. Found
    by attempting, but where nothing is mounted below /proc, as on most machines.
    """
    if not mode.entered and _in_first_user_namespace():
        return True
    with open("/proc/self/mountinfo", "rb") as file:
        if not any(map(_covers_proc, file.read().splitlines())):
            return True
    from kobako.linux import fork

    return not fork.try_in_child(_mount_own_proc, "probe for a /proc of a container's own")


def _in_first_user_namespace() -> bool:
    with open("/proc/self/uid_map", "rb") as file:
        return file.read().split() == [b"0", b"0", b"4294967295"]


def _covers_proc(line: bytes) -> bool:
    """Whether a line of mountinfo is of a mount that hides something of /proc."""
    if b" /proc/" not in line:
        return False
    kind = line.partition(b" - ")[2].partition(b" ")[0]
    return line.split(b" ")[4].startswith(b"/proc/") and kind not in (b"autofs", b"binfmt_misc")


def _mount_own_proc() -> None:
    from kobako.linux import mount, process

    process.unshare(process.CLONE_NEWNS | process.CLONE_NEWPID)
    mount.set_propagation("/", "rprivate")
    child = os.fork()
    if not child:
        try:
            mount.Mount("proc", "proc", "/proc").apply()
            os._exit(0)
        finally:
            os._exit(1)
    if os.waitpid(child, 0)[1]:
        raise Unsupported("a /proc of its own is refused")
