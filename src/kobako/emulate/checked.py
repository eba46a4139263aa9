"""The answers under a checked filter (`program.CHECKED`).

Each call is first asked whether its emulated user may do that to that file (`checks`). What may be
done, and what cannot be judged, goes the way it goes under the plain filter.
"""

from __future__ import annotations

import os
from struct import unpack

from kobako.emulate import create
from kobako.emulate.checks import CHECKS, descriptor, find
from kobako.emulate.inodes import S_IFMT, S_IFREG
from kobako.emulate.rights import READ, SEARCH, WRITE, Found, Refused, Rights
from kobako.emulate.world import RESUME, World
from kobako.linux.notify import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.emulate.checks import Check
    from kobako.emulate.credentials import Credentials
    from kobako.emulate.world import Answer
    from kobako.linux.notify import Listener

_AT_EACCESS = 0x200
_RESOLVE_IN_ROOT = 0x10
_EXCLUSIVE = os.O_CREAT | os.O_EXCL
_OPEN_WANTS = (READ, WRITE, READ | WRITE, READ | WRITE)
_FILES = (S_IFREG, 0o010000)  # and FIFOs; of all else that has a name the kernel says what it is


def answers(plain: dict[str, Answer], rights: Rights) -> dict[str, Answer]:
    """The answers of a checked listener by name, made of those of a `plain` one."""
    found = dict(plain)
    for name, check in CHECKS.items():
        found[name] = _after(check, rights, plain.get(name, _resume))
    return found | Opening(rights).answers


def _resume(w: World, c: Listener) -> int:
    return RESUME


def _after(check: Check, rights: Rights, answer: Answer) -> Answer:
    def answered(w: World, c: Listener) -> int:
        who = w.credentials.of(c.pid)
        if not who.is_plain_root:
            _ask(w, lambda: check(rights, w, c, who))
        return answer(w, c)

    return answered


def _ask(w: World, question: Callable[[], object]) -> None:
    """`OSError` where the answer is no; whatever else happens is no reason to refuse."""
    try:
        question()
    except Refused as refusal:
        raise OSError(refusal.number, "refused") from None
    except Exception:
        pass
    w.paths.leave()


class Opening:
    """The calls whose arguments say what is asked for: the open and the access family."""

    def __init__(self, rights: Rights) -> None:
        self._rights = rights
        self.answers: dict[str, Answer] = {
            "open": lambda w, c: self._open(w, c, AT_FDCWD, c.args[0], c.args[1], c.args[2]),
            "openat": lambda w, c: self._open(w, c, c.args[0], c.args[1], c.args[2], c.args[3]),
            "creat": lambda w, c: self._open(
                w, c, AT_FDCWD, c.args[0], os.O_CREAT | os.O_WRONLY | os.O_TRUNC, c.args[1]
            ),
            "openat2": self._open_how,
            "access": lambda w, c: self._access(w, c, AT_FDCWD, c.args[0], c.args[1], 0),
            "faccessat": lambda w, c: self._access(w, c, c.args[0], c.args[1], c.args[2], 0),
            "faccessat2": lambda w, c: self._access(
                w, c, c.args[0], c.args[1], c.args[2], c.args[3]
            ),
        }

    def _open(self, w: World, c: Listener, directory: int, at: int, flags: int, mode: int) -> int:
        flags &= 0xFFFFFFFF
        makes = bool(flags & os.O_CREAT) or flags & os.O_TMPFILE == os.O_TMPFILE
        who = w.credentials.of(c.pid)
        found: Found | None = None

        def question() -> None:
            nonlocal found
            follow = not flags & os.O_NOFOLLOW and flags & _EXCLUSIVE != _EXCLUSIVE
            found = find(self._rights, w, c, who, directory, at, follow)
            self._may_open(who, found, flags)

        if not who.is_plain_root:
            _ask(w, question)
        if not makes:
            return RESUME
        if found is not None and found.glance is None and flags & os.O_CREAT:
            # Where a link leads that leads nowhere, too.
            w.paths.enter(c.pid, directory, w.memory.string(c.pid, at))
            return create.open_at(w, c, who, found.path, flags, mode)
        return create.open_(w, c, directory, at, flags, mode)

    def _may_open(self, who: Credentials, found: Found, flags: int) -> None:
        if flags & os.O_PATH:
            return
        if found.glance is None:
            if flags & os.O_CREAT:
                self._rights.require_entry(who, found)
            return
        if flags & _EXCLUSIVE == _EXCLUSIVE:
            return  # EEXIST
        if flags & os.O_DIRECTORY and not found.is_directory:
            return  # ENOTDIR
        want = _OPEN_WANTS[flags & os.O_ACCMODE]
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            want = WRITE | SEARCH
        elif found.is_directory:
            if want != READ or flags & (os.O_CREAT | os.O_TRUNC):
                return  # EISDIR
        elif found.glance[0] & S_IFMT not in _FILES:
            return
        elif flags & os.O_TRUNC:
            want |= WRITE
        self._rights.require(who, found, want)
        if flags & os.O_NOATIME:
            self._rights.require_owner(who, found)

    def _open_how(self, w: World, c: Listener) -> int:
        """struct open_how { u64 flags, mode, resolve }"""
        try:
            flags, mode, resolve = unpack("<3Q", w.memory.read(c.pid, c.args[2], 24))
        except OSError:
            return RESUME
        if resolve & _RESOLVE_IN_ROOT or (resolve and flags & os.O_CREAT):
            return RESUME
        return self._open(w, c, c.args[0], c.args[1], flags, mode)

    def _access(self, w: World, c: Listener, directory: int, at: int, mode: int, flags: int) -> int:
        who = w.credentials.of(c.pid)
        if not flags & _AT_EACCESS:
            who = who.as_real()
        if not who.is_plain_root:
            _ask(w, lambda: self._may_access(w, c, who, directory, at, mode, flags))
        return RESUME

    def _may_access(
        self,
        w: World,
        c: Listener,
        who: Credentials,
        directory: int,
        at: int,
        mode: int,
        flags: int,
    ) -> None:
        if flags & AT_EMPTY_PATH and not w.memory.string(c.pid, at):
            found = descriptor(self._rights, w, c, directory)
        else:
            found = find(self._rights, w, c, who, directory, at, not flags & AT_SYMLINK_NOFOLLOW)
        if mode & 7 and found.glance is not None:
            self._rights.require(who, found, mode & 7)
