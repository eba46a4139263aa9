"""Identity: the set*id and get*id families, groups, capability sets, keep-capabilities."""

from __future__ import annotations

import errno
from struct import pack, unpack

from kobako.emulate.credentials import CAP_SETGID, CAP_SETUID, KEEP, PR_GET_KEEPCAPS
from kobako.emulate.world import RESUME, World, still_there

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.emulate.credentials import Credentials
    from kobako.emulate.world import Answer
    from kobako.linux.notify import Listener

_NGROUPS_MAX = 65536


def _set(w: World, c: Listener, new: Credentials) -> int:
    still_there(c)
    w.credentials.set(c.pid, new)
    return 0


def _require(condition: bool) -> None:
    if not condition:
        raise OSError(errno.EPERM, "credentials")


def _set_user(w: World, c: Listener, kind: str) -> int:
    old = w.credentials.of(c.pid)
    a, b, d = (x & KEEP for x in c.args[:3])
    mine = (old.ruid, old.euid, old.suid)
    allowed = w.credentials.can(c.pid, old, CAP_SETUID)
    new = _three(kind, a, b, d, mine, allowed)
    native = 0
    if old.permitted is None or old.effective is None:
        native = w.credentials.native_capabilities(c.pid)[0]
    return _set(w, c, old.with_uids(*new, native))


def _set_group(w: World, c: Listener, kind: str) -> int:
    old = w.credentials.of(c.pid)
    a, b, d = (x & KEEP for x in c.args[:3])
    mine = (old.rgid, old.egid, old.sgid)
    allowed = w.credentials.can(c.pid, old, CAP_SETGID)
    return _set(w, c, old.with_gids(*_three(kind, a, b, d, mine, allowed)))


def _three(
    kind: str, a: int, b: int, d: int, mine: tuple[int, int, int], allowed: bool
) -> tuple[int, int, int]:
    """The real, effective and saved id a call asks for; EPERM if it may not."""
    real, effective, saved = mine
    if kind == "one":
        if a == KEEP:
            raise OSError(errno.EINVAL, "-1 is no id")
        _require(allowed or a in (real, saved))
        return (a, a, a) if allowed else (KEEP, a, KEEP)
    if kind == "two":
        _require(allowed or (a in (KEEP, real, effective) and b in (KEEP, *mine)))
        new = effective if b == KEEP else b
        keeps = a == KEEP and b in (KEEP, real)
        return a, b, KEEP if keeps else new
    _require(allowed or all(x == KEEP or x in mine for x in (a, b, d)))
    return a, b, d


def _set_fs(w: World, c: Listener, user: bool) -> int:
    """Returns the former id, whether or not it was changed."""
    old = w.credentials.of(c.pid)
    wanted = c.args[0] & KEEP
    if user:
        mine = (old.ruid, old.euid, old.suid, old.fsuid)
        if wanted in mine or (wanted != KEEP and w.credentials.can(c.pid, old, CAP_SETUID)):
            _set(w, c, old.replace(fsuid=wanted))
        return old.fsuid
    mine = (old.rgid, old.egid, old.sgid, old.fsgid)
    if wanted in mine or (wanted != KEEP and w.credentials.can(c.pid, old, CAP_SETGID)):
        _set(w, c, old.replace(fsgid=wanted))
    return old.fsgid


def _set_groups(w: World, c: Listener) -> int:
    old = w.credentials.of(c.pid)
    _require(w.credentials.can(c.pid, old, CAP_SETGID))
    count = c.args[0] & 0xFFFFFFFF
    if count > _NGROUPS_MAX:
        raise OSError(errno.EINVAL, "setgroups")
    groups = unpack(f"<{count}I", w.memory.read(c.pid, c.args[1], 4 * count)) if count else ()
    return _set(w, c, old.replace(groups=tuple(sorted(groups))))


def _get_groups(w: World, c: Listener) -> int:
    groups = w.credentials.of(c.pid).groups
    room = c.args[0] & 0xFFFFFFFF
    if room:
        if room < len(groups) or room >= 1 << 31:
            raise OSError(errno.EINVAL, "getgroups")
        if groups:
            still_there(c)
            w.memory.write(c.pid, c.args[1], pack(f"<{len(groups)}I", *groups))
    return len(groups)


def _get_three(w: World, c: Listener, user: bool) -> int:
    who = w.credentials.of(c.pid)
    ids = (who.ruid, who.euid, who.suid) if user else (who.rgid, who.egid, who.sgid)
    still_there(c)
    for address, value in zip(c.args[:3], ids, strict=True):
        w.memory.write(c.pid, address, pack("<I", value))
    return 0


def _capabilities_get(w: World, c: Listener) -> int:
    """For a process that has only been root, and for another process, the kernel's own answer."""
    who = w.credentials.of(c.pid)
    if who.permitted is None or who.effective is None or not c.args[1]:
        return RESUME
    about = unpack("<Ii", w.memory.read(c.pid, c.args[0], 8))[1]
    if about not in (0, w.paths.thread_in_container(c.pid)):
        return RESUME
    low, high = KEEP, who.permitted >> 32
    sets = (who.effective & low, who.permitted & low, 0, who.effective >> 32, high, 0)
    still_there(c)
    w.memory.write(c.pid, c.args[1], pack("<6I", *sets))
    return 0


def _capabilities_set(w: World, c: Listener) -> int:
    who = w.credentials.of(c.pid)
    if who.permitted is None or who.effective is None:
        return RESUME
    sets = unpack("<6I", w.memory.read(c.pid, c.args[1], 24))
    effective, permitted = sets[0] | sets[3] << 32, sets[1] | sets[4] << 32
    _require(not permitted & ~who.permitted and not effective & ~permitted)
    return _set(w, c, who.replace(effective=effective, permitted=permitted))


def _keep_capabilities(w: World, c: Listener) -> int:
    who = w.credentials.of(c.pid)
    if c.args[0] & 0xFFFFFFFF == PR_GET_KEEPCAPS:
        return int(who.keep_capabilities)
    if c.args[1] > 1:
        raise OSError(errno.EINVAL, "PR_SET_KEEPCAPS")
    return _set(w, c, who.replace(keep_capabilities=bool(c.args[1])))


ANSWERS: dict[str, Answer] = {
    "setuid": lambda w, c: _set_user(w, c, "one"),
    "setreuid": lambda w, c: _set_user(w, c, "two"),
    "setresuid": lambda w, c: _set_user(w, c, "three"),
    "setgid": lambda w, c: _set_group(w, c, "one"),
    "setregid": lambda w, c: _set_group(w, c, "two"),
    "setresgid": lambda w, c: _set_group(w, c, "three"),
    "setfsuid": lambda w, c: _set_fs(w, c, True),
    "setfsgid": lambda w, c: _set_fs(w, c, False),
    "setgroups": _set_groups,
    "getuid": lambda w, c: w.credentials.of(c.pid).ruid,
    "geteuid": lambda w, c: w.credentials.of(c.pid).euid,
    "getgid": lambda w, c: w.credentials.of(c.pid).rgid,
    "getegid": lambda w, c: w.credentials.of(c.pid).egid,
    "getresuid": lambda w, c: _get_three(w, c, True),
    "getresgid": lambda w, c: _get_three(w, c, False),
    "getgroups": _get_groups,
    "capget": _capabilities_get,
    "capset": _capabilities_set,
    "prctl": _keep_capabilities,
}
