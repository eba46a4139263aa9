"""What a user may do to a tree, tried out: `python user_calls.py make|use|show SEED`.

`make` builds /w with owners and modes at random, `use` makes a few hundred calls there, `show`
lists what is left. The same seed does the same, wherever it runs: what is printed can be compared.
"""

from __future__ import annotations

import errno
import os
import random
import stat
import sys
from collections.abc import Callable

OWNERS, GROUPS = (0, 1000, 1000, 2000), (0, 1000, 50, 7)
DIRECTORY_MODES = (0o755, 0o755, 0o755, 0o700, 0o711, 0o750, 0o770, 0o1777, 0o777, 0o2775, 0o3770)
FILE_MODES = (0o644, 0o644, 0o600, 0o640, 0o664, 0o666, 0o444, 0o755, 0o750, 0o111, 0o4755, 0o2755)
FLAGS = (
    os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_CREAT, os.O_RDONLY | os.O_TRUNC,
    os.O_WRONLY | os.O_CREAT | os.O_EXCL, os.O_RDWR | os.O_CREAT | os.O_TRUNC, os.O_PATH,
    os.O_WRONLY | os.O_APPEND, os.O_RDONLY | os.O_NOFOLLOW, os.O_RDONLY | os.O_DIRECTORY,
    os.O_RDWR | os.O_TMPFILE, os.O_RDONLY | os.O_NOATIME,
)  # fmt: skip


def directory_modes() -> tuple[int, ...]:
    """Without sticky directories where the machine guards them more than by their mode."""
    for name in ("regular", "fifos", "symlinks"):
        with open(f"/proc/sys/fs/protected_{name}") as setting:
            if setting.read(1) != "0":
                return tuple(mode for mode in DIRECTORY_MODES if not mode & 0o1000)
    return DIRECTORY_MODES


def names(r: random.Random) -> str:
    """A path in or about the tree; some lead nowhere."""
    parts = [r.choice("abcde") for _ in range(r.choice((1, 1, 2, 2, 2, 3, 3, 4)))]
    if r.random() < 0.1:
        parts.insert(r.randrange(len(parts) + 1), r.choice((".", "..")))
    path = "/".join(parts)
    return {0: path, 1: f"{path}/", 2: f"/{path}"}.get(r.randrange(30), f"/w/{path}")


def make(r: random.Random) -> None:
    os.umask(0)
    os.mkdir("/w", 0o755)
    places = ["/w"]
    for _ in range(60):
        path = f"{r.choice(places)}/{r.choice('abcde')}"
        if os.path.lexists(path):
            continue
        kind = r.choice(("directory", "directory", "directory", "file", "file", "link", "fifo"))
        if kind == "directory":
            os.mkdir(path)
            places.append(path)
        elif kind == "file":
            with open(path, "w") as file:
                file.write("#!/bin/true\n")
        elif kind == "link":
            os.symlink(names(r), path)
        else:
            os.mkfifo(path)
        os.chown(path, r.choice(OWNERS), r.choice(GROUPS), follow_symlinks=False)
        modes = directory_modes() if kind == "directory" else FILE_MODES
        if kind != "link":
            os.chmod(path, r.choice(modes) if r.random() < 0.85 else r.randrange(0o1000))
            if kind != "fifo" and r.random() < 0.2:
                os.setxattr(path, "user.x", b"1")


def spawned(path: str) -> int:
    child = os.posix_spawn(path, [path], {})
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def opened(path: str, flags: int) -> str:
    fd = os.open(path, flags | os.O_NONBLOCK, 0o666)
    info = os.fstat(fd)
    os.close(fd)
    return f"{info.st_uid} {info.st_gid} {info.st_mode:o}"


def calls(r: random.Random) -> dict[str, Callable[[], object]]:
    path, other = names(r), names(r)
    mode, follow = r.choice((0o600, 0o755, 0o777)), r.random() < 0.5
    times = r.choice((None, (1, 1)))
    return {
        f"open {path} {(flags := r.choice(FLAGS)):o}": lambda: opened(path, flags),
        f"access {path} {(want := r.randrange(8))}": lambda: os.access(path, want),
        f"eaccess {path} {want}": lambda: os.access(path, want, effective_ids=True),
        f"stat {path} {follow}": lambda: os.stat(path, follow_symlinks=follow).st_mode,
        f"readlink {path}": lambda: os.readlink(path),
        f"list {path}": lambda: sorted(os.listdir(path)),
        f"mkdir {path} {mode:o}": lambda: os.mkdir(path, mode),
        f"rmdir {path}": lambda: os.rmdir(path),
        f"unlink {path}": lambda: os.unlink(path),
        f"rename {path} {other}": lambda: os.rename(path, other),
        f"link {path} {other} {follow}": lambda: os.link(path, other, follow_symlinks=follow),
        f"symlink {path} {other}": lambda: os.symlink(path, other),
        f"fifo {path}": lambda: os.mkfifo(path),
        f"chmod {path} {mode:o}": lambda: os.chmod(path, mode),
        f"chown {path}": lambda: os.chown(
            path, -1, r.choice((1000, 50, 7)), follow_symlinks=follow
        ),
        f"utime {path} {times}": lambda: os.utime(path, times, follow_symlinks=follow),
        f"truncate {path}": lambda: os.truncate(path, 3),
        f"chdir {path}": lambda: (os.chdir(path), os.path.exists("."))[1],
        f"getxattr {path}": lambda: os.getxattr(path, "user.x"),
        f"setxattr {path}": lambda: os.setxattr(path, "user.x", b"2"),
        f"execute {path}": lambda: spawned(path),
    }


def use(r: random.Random) -> None:
    os.umask(0o022)
    os.chdir("/")
    for number in range(500):
        possible = calls(r)
        what = r.choice(list(possible))
        try:
            said = possible[what]()
        except OSError as fault:
            said = errno.errorcode[fault.errno or 0]
        print(number, what, said, flush=True)


def show(top: str) -> None:
    for directory, below, files in os.walk(top):
        below.sort()
        for name in sorted(below + files):
            path = os.path.join(directory, name)
            info = os.lstat(path)
            to = os.readlink(path) if stat.S_ISLNK(info.st_mode) else ""
            print(path, f"{info.st_mode:o} {info.st_uid} {info.st_gid} {info.st_nlink} {to}")


if __name__ == "__main__":
    {"make": make, "use": use}.get(sys.argv[1], lambda _: show("/w"))(random.Random(sys.argv[2]))
