"""What every process that enters a container does on its way to execve: a container's first one and
that of an exec alike. Once it is in there, nothing may be imported.
"""

from __future__ import annotations

import errno
import os
import stat
import sys

from kobako.errors import StartFailed
from kobako.linux import caps, process, seccomp
from kobako.runtime import ourselves

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable, Iterable
    from typing import Any, NoReturn

    from kobako.linux.channel import Channel
else:
    import _signal  # `signal` itself imports enum: 2 ms

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_RLIM_INFINITY = (1 << 64) - 1
_ROOTS = [0]  # the groups of who is root by `bundle.Interception`


def preload(document: dict[str, Any]) -> None:
    """Imports what is needed from here on, while the host's file system is still what we see."""
    if document.get("terminal"):
        from kobako.runtime import terminal

        assert terminal
    if document.get("rlimits"):
        import resource

        assert resource
    os.fsencode("")
    "".encode("utf-8", "surrogateescape")


def forget_imports() -> None:
    """No module is ever to be loaded from the container's files."""
    sys.path.clear()
    sys.meta_path.clear()
    sys.path_importer_cache.clear()


def set_oom_score(document: dict[str, Any]) -> None:
    """Adjusts how readily the kernel kills us when memory ends; needs the host's /proc."""
    score = document.get("oomScoreAdj")
    if score is None:
        return
    try:
        with open("/proc/self/oom_score_adj", "r+b", buffering=0) as file:
            if int(file.read()) != score:
                file.write(b"%d" % score)
    except PermissionError:
        pass  # less than the parent's: needs CAP_SYS_RESOURCE outside


def own_streams(document: dict[str, Any]) -> None:
    """Gives the pipes of a program to its user, who may want to open /dev/stdout again."""
    user = document.get("user") or {}
    if not user.get("uid"):
        return
    for fd in (1, 2):
        try:
            os.fchown(fd, user["uid"], -1)
        except OSError:
            pass  # this user namespace has no such id


def enter(
    document: dict[str, Any],
    channel: Channel,
    filter_program: bytes,
    prepare: Callable[[], None],
    profile: seccomp.Filter | None,
) -> NoReturn:
    """Becomes the program of a runtime-spec `process` object.

    With a `filter_program` the listener is sent over the channel (b"L"); b"X" announces execve, and
    the channel closes when that succeeds. `prepare` is called once credentials are final. `profile`
    is the container's seccomp filter; of what it and the other filter say the stricter holds.
    """
    user = document.get("user") or {}
    no_new_privs = bool(document.get("noNewPrivileges"))
    _set_limits(document.get("rlimits") or ())
    sets = document.get("capabilities")
    _reset_signals()
    if sets is not None:
        caps.limit_bounding(caps.mask(sets.get("bounding") or ()))
    held = caps.current().permitted
    present = (os.getresuid(), os.getresgid())  # asked under the filter it is two round trips
    args = [str(a) for a in document.get("args") or ()]
    if not args:
        raise StartFailed("No command specified")
    search = _Search(args[0], document.get("env") or ())
    unseen = ""
    if filter_program:
        if not user.get("uid") and present == _ids(user):
            unseen = search.plain()
        # Before the credentials change: in a user namespace of one id the filter's supervisor is
        # what makes another user possible.
        listener = _intercept(filter_program)
        channel.send(b"L", (listener,))
        os.close(listener)
    if profile is not None:
        # While we still have CAP_SYS_ADMIN in our user namespace: no_new_privs is not needed.
        _confine(profile)
    # As runc: with the rights we still have, or with those of a user who may go where we may not.
    directory = document.get("cwd") or "/"
    there = _change_directory(directory, again=True)
    _become_user(user, sets, present, held, emulated=bool(filter_program))
    if no_new_privs:
        process.set_no_new_privs()
    os.umask(user.get("umask", 0o022))
    if not there:
        _change_directory(directory)
    prepare()
    _execute(args, search, channel, unseen)


def _intercept(filter_program: bytes) -> int:
    try:
        return seccomp.install_listener(filter_program)
    except OSError as fault:
        if fault.errno != errno.EBUSY:
            raise
        raise StartFailed(
            "a container around this one emulates root already, and the kernel allows that once",
            hint="Start the outer container as root or with subordinate ids (modes A and B).",
        ) from None


def _confine(profile: seccomp.Filter) -> None:
    try:
        seccomp.install(profile.program, profile.flags)
    except OSError as fault:
        raise StartFailed(
            f"cannot install the seccomp profile: {_words(fault)}",
            hint="--security-opt seccomp=unconfined does without",
        ) from None


def _set_limits(limits: Any) -> None:
    if not limits:
        return
    import resource

    seen: set[str] = set()
    for limit in limits:
        name = limit["type"]
        number = getattr(resource, name, None)
        if number is None or name in seen:
            raise StartFailed(f"rlimit {name}: {'given twice' if name in seen else 'unknown'}")
        seen.add(name)
        soft, hard = (-1 if limit[k] >= _RLIM_INFINITY else limit[k] for k in ("soft", "hard"))
        try:
            resource.setrlimit(number, (soft, hard))
        except (OSError, ValueError) as fault:
            raise StartFailed(f"cannot set {name} to {soft}:{hard}: {fault}") from None


def _reset_signals() -> None:
    """Default dispositions and nothing blocked: what we ignore the program must not inherit."""
    for number in range(1, 65):
        if number in (9, 19, 32, 33):  # KILL, STOP, and libc's own two
            continue
        if _signal.getsignal(number) != _signal.SIG_DFL:
            _signal.signal(number, _signal.SIG_DFL)
    process.set_libc_signals_default()
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


def _become_user(
    user: dict[str, Any],
    sets: dict[str, Any] | None,
    present: tuple[tuple[int, int, int], tuple[int, int, int]],
    held: int,
    *,
    emulated: bool,
) -> None:
    """From the `present` user and group ids and the permitted capabilities that are `held`.
    `emulated`: in the groups of root, and under a filter that shows such calls to somebody, who
    need not see that root stays root."""
    uid, gid = user.get("uid", 0), user.get("gid", 0)
    changes = present != _ids(user)
    if sets is not None and changes:
        caps.keep_across_setuid(True)
    groups = user.get("additionalGids") or []
    try:
        if not emulated or groups != _ROOTS:
            os.setgroups(groups)
    except PermissionError:
        pass  # a user namespace of one id has no groups to set
    except OSError as fault:
        if fault.errno != errno.EINVAL:
            raise
        # groups this user namespace has no ids for
    if changes:
        _set_ids(uid, gid)
    if sets is None:
        return
    wanted = {kind: caps.mask(sets.get(kind) or ()) for kind in _SETS}
    permitted = wanted["permitted"] & held
    effective = wanted["effective"] & permitted
    inheritable = wanted["inheritable"] & held
    mark = seccomp.OUR_OWN if emulated and not changes else 0
    caps.set_current(caps.CapabilitySets(effective, permitted, inheritable), sixth=mark)
    if changes:
        caps.keep_across_setuid(False)
    caps.set_ambient(wanted["ambient"] & permitted & inheritable)


def _ids(user: dict[str, Any]) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """The user and group ids of a spec's `user`: real, effective and saved."""
    uid, gid = user.get("uid", 0), user.get("gid", 0)
    return (uid, uid, uid), (gid, gid, gid)


def _set_ids(uid: int, gid: int) -> None:
    try:
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    except OSError as fault:
        if fault.errno != errno.EINVAL:
            raise
        raise StartFailed(
            f"cannot become user {uid}:{gid}: this user namespace has no such id",
            hint="ask for subordinate ids in /etc/subuid and /etc/subgid",
        ) from None


_SETS = ("effective", "permitted", "inheritable", "ambient")


def _change_directory(path: str, *, again: bool = False) -> bool:
    """Whether it could be entered; that it may not be is no failure yet if it is tried `again`."""
    try:
        os.chdir(path)
        return True
    except OSError as fault:
        if again and isinstance(fault, PermissionError):
            return False
        code = 126 if isinstance(fault, PermissionError | NotADirectoryError) else 127
        raise StartFailed(
            f"cannot change to the working directory {path}: {_words(fault)}", exit_code=code
        ) from None


class _Search:
    """Where a program may be, by its name and its environment."""

    def __init__(self, name: str, environment: Iterable[str]) -> None:
        self.environment: dict[str, str] = {}
        for pair in environment:
            key, _, value = pair.partition("=")
            self.environment[key] = value
        self.paths = [name]
        if "/" not in name:
            directories = self.environment.get("PATH", _DEFAULT_PATH).split(":")
            self.paths = [f"{directory}/{name}" for directory in directories if directory]

    def plain(self) -> str:
        """The first that is there, if it gives whoever executes it no other ids; else "". Only of
        absolute paths: it is not decided yet from where others are meant."""
        for path in self.paths:
            try:
                mode = os.stat(path).st_mode if path[:1] == "/" else stat.S_ISUID
            except FileNotFoundError:
                continue
            except OSError:
                break
            return "" if mode & (stat.S_ISUID | stat.S_ISGID) else path
        return ""


def _execute(args: list[str], search: _Search, channel: Channel, unseen: str) -> NoReturn:
    """`unseen`: of which path a filter of ours need not show to anybody that it is executed."""
    name = args[0]
    refusal: StartFailed | None = None
    channel.send(b"X")
    for path in search.paths:
        if "/" not in name and not os.access(path, os.F_OK):
            continue  # not worth an execve, which a filter would hand to its supervisor
        if ourselves.leads_here(path):
            raise StartFailed(
                f'exec: "{name}": it leads to the program that starts containers', exit_code=126
            )
        try:
            mark = seccomp.OUR_OWN if path == unseen else 0
            process.execute(path, args, search.environment, sixth=mark)
        except OSError as fault:
            answer = _refusal(name, path, fault)
            if answer is not None and (refusal is None or answer.exit_code == 126):
                refusal = answer
        except ValueError as fault:
            raise StartFailed(f'exec: "{name}": {fault}') from None
    raise refusal or StartFailed(
        f'exec: "{name}": executable file not found in $PATH', exit_code=127
    )


def _refusal(name: str, path: str, fault: OSError) -> StartFailed | None:
    """docker's words for a failed execve; None when a search should simply go on."""
    if isinstance(fault, FileNotFoundError | NotADirectoryError):
        if os.path.lexists(path):
            hint = "the interpreter or loader it names does not exist in the image"
            return StartFailed(f"exec {path}: no such file or directory", exit_code=127, hint=hint)
        if "/" not in name:
            return None
        return StartFailed(f'exec: "{name}": stat {path}: {_words(fault)}', exit_code=127)
    if os.path.isdir(path):
        if "/" not in name:
            return None
        return StartFailed(f'exec: "{name}": is a directory: permission denied', exit_code=126)
    if fault.errno == errno.ENOEXEC:
        return StartFailed(
            f"exec {path}: exec format error",
            exit_code=126,
            hint="is the image for another architecture, or does the script lack its #! line?",
        )
    return StartFailed(f'exec: "{name}": {_words(fault)}', exit_code=126)


def _words(fault: OSError) -> str:
    return os.strerror(fault.errno or 0).lower()
