"""Words to programs: what `bash`, `coreutils` or `/opt/bin/tool` means on this machine."""

from __future__ import annotations

import os

from kobako.errors import Denied, NotFound
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_BIN_DIRECTORIES = ("/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/", "/usr/local/bin/")
_SUPPORT_DIRECTORIES = ("/usr/lib/", "/usr/libexec/", "/usr/share/")

# What the sets hold where no package database tells. Names absent on a machine are left out.
_SETS = {
    "coreutils": (
        "[ arch b2sum base32 base64 basename basenc cat chcon chgrp chmod chown chroot cksum comm"
        " cp csplit cut date dd df dir dircolors dirname du echo env expand expr factor false fmt"
        " fold groups head hostid id install join link ln logname ls md5sum mkdir mkfifo mknod"
        " mktemp mv nice nl nohup nproc numfmt od paste pathchk pinky pr printenv printf ptx pwd"
        " readlink realpath rm rmdir runcon seq sha1sum sha224sum sha256sum sha384sum sha512sum"
        " shred shuf sleep sort split stat stdbuf stty sum sync tac tail tee test timeout touch tr"
        " true truncate tsort tty uname unexpand uniq unlink users vdir wc who whoami yes"
    ),
    "findutils": "find xargs",
    "diffutils": "cmp diff diff3 sdiff",
    "grep": "grep egrep fgrep",
    "gzip": "gzip gunzip zcat zcmp zdiff zegrep zfgrep zforce zgrep zless zmore znew uncompress",
    "util-linux": (
        "dmesg findmnt flock getopt lsblk lscpu more mount mountpoint nsenter prlimit rev setpriv"
        " setsid su taskset umount unshare whereis"
    ),
    "procps": "free kill pgrep pidof pidwait pkill pmap ps pwdx slabtop sysctl tload top uptime"
    " vmstat w watch",
    "iproute2": "bridge ip ss tc",
    "ncurses-bin": "clear infocmp reset tabs tic toe tput tset",
    "net-tools": "arp ifconfig netstat route",
}


class Found(Record):
    """What a word stands for: `programs` on this machine, and directories they cannot do without.

    `named` is true when the word itself is a program rather than a set of them.
    """

    word: str
    programs: tuple[str, ...]
    support: tuple[str, ...] = ()
    named: bool = True


def which(name: str, path: str) -> str | None:
    """The executable `name` on a colon-separated search path; as the shell finds it."""
    for directory in path.split(":"):
        candidate = f"{directory.rstrip('/')}/{name}"
        if directory.startswith("/") and _executable(candidate):
            return candidate
    return None


def find(word: str, path: str) -> Found:
    """The meaning of `word`: an absolute path, a program on `path`, a package or a known set.

    Raises `NotFound` with the places looked at, `Denied` for a file that is not executable.
    """
    if word.startswith("/"):
        if not os.path.exists(word):
            raise NotFound(f"{word} does not exist on this machine")
        if not os.access(word, os.X_OK) or os.path.isdir(word):
            raise Denied(f"{word} is not an executable file")
        return Found(word, (word,))
    program = which(word, path)
    files = tuple(_package_files(word))
    support = tuple(sorted(_support(word, files)))
    if program is not None:
        rest = tuple(p for p in _programs_of(word, files, path) if word in _SETS)
        return Found(word, tuple(dict.fromkeys((program, *rest))), support)
    members = tuple(dict.fromkeys(_programs_of(word, files, path)))
    if not members:
        raise NotFound(
            f"no program, package or set called {word} on this machine (looked in {path})",
            hint="give a program's name, an absolute path, or a set such as coreutils",
        )
    return Found(word, members, support, named=False)


def _programs_of(word: str, files: tuple[str, ...], path: str) -> Iterator[str]:
    for file in files:
        directory, _, name = file.rpartition("/")
        if directory + "/" in _BIN_DIRECTORIES and name and _executable(file):
            yield file
    if not files:
        for name in _SETS.get(word, "").split():
            program = which(name, path)
            if program is not None:
                yield program


def _support(word: str, files: tuple[str, ...]) -> set[str]:
    """The private directories a package brings along: /usr/lib/git-core of git, and the like."""
    found = set()
    for file in files:
        for base in _SUPPORT_DIRECTORIES:
            name = file[len(base) :].partition("/")[0] if file.startswith(base) else ""
            if name in (word, f"{word}-core"):
                found.add(base + name)
    return {d for d in found if os.path.isdir(d)}


def _package_files(word: str) -> Iterator[str]:
    """The files of an installed package, from dpkg's or apk's database, or asked of rpm."""
    if not word or not all(c.isalnum() or c in "+-._" for c in word) or word.startswith("."):
        return
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, "")
    for name in (word, f"{word}:{machine}"):
        try:
            with open(f"/var/lib/dpkg/info/{name}.list", errors="surrogateescape") as file:
                yield from file.read().splitlines()
                return
        except OSError:
            pass
    yield from _apk_files(word)
    if os.path.isdir("/var/lib/rpm") and os.path.exists("/usr/bin/rpm"):
        import subprocess

        asked = subprocess.run(
            ["/usr/bin/rpm", "-ql", "--", word], capture_output=True, text=True, check=False
        )
        if asked.returncode == 0:
            yield from asked.stdout.splitlines()


def _apk_files(word: str) -> Iterator[str]:
    try:
        with open("/lib/apk/db/installed", errors="surrogateescape") as file:
            inside, directory = False, ""
            for line in file:
                key, value = line[:2], line[2:].rstrip("\n")
                if key == "P:":
                    inside = value == word
                elif inside and key == "F:":
                    directory = value
                elif inside and key == "R:":
                    yield f"/{directory}/{value}"
    except OSError:
        return


def _executable(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)
