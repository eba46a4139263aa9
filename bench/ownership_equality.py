"""Is what mode C writes what real root writes? The same apt run both ways, compared entry by entry.

    python bench/ownership_equality.py BASE.tar SCRATCH [--user NAME] [--packages "A B"]

Run as root. BASE.tar is a Debian root filesystem; this machine's apt configuration is copied into
it. The packages are installed as real root in an overlay, then as NAME (default: root itself) in a
single-id user namespace under the supervisor; prints every entry of the two upper trees whose
(type, mode, uid, gid, rdev) differ, and the time each run took. Exit code 1 if any differ.
"""

from __future__ import annotations

import argparse
import os
import pwd
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

from kobako.linux.ownership import XATTR, Own, Owners

PACKAGES = "nginx-light redis-server dbus openssh-client postgresql sudo"
TESTS = Path(__file__).resolve().parent.parent / "tests" / "emulate"
# Downloads: apt's own, and neither layer nor ownership is about them.
IGNORED = ("var/lib/apt/lists/", "var/cache/apt/")
NATIVE = """
set -e
mount --make-rprivate /
mount -t overlay overlay -o lowerdir="$1/tree,upperdir=$2/upper,workdir=$2/work" "$2/rootfs"
cd "$2/rootfs"
mount -t tmpfs -o mode=755 tmpfs dev
for n in null zero random urandom tty full; do touch dev/$n; mount --bind /dev/$n dev/$n; done
ln -s /proc/self/fd dev/fd; ln -s fd/0 dev/stdin; ln -s fd/1 dev/stdout; ln -s fd/2 dev/stderr
ln -s pts/ptmx dev/ptmx; mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t proc proc proc
umask 022
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \\
  DEBIAN_FRONTEND=noninteractive TERM=dumb LC_ALL=C.UTF-8 chroot . sh -c "$3"
"""
Entry = tuple[str, int, int, int, int]


def command(packages: list[str]) -> str:
    names = " ".join(packages)
    return f"apt-get update -q && apt-get install -qy --no-install-recommends {names}"


def configure(tree: Path) -> None:
    """Gives a root filesystem the apt configuration, certificates and resolver of this machine."""
    shutil.rmtree(tree / "etc/apt")
    shutil.copytree("/etc/apt", tree / "etc/apt", symlinks=True)
    for name in ("etc/ssl/certs/ca-certificates.crt", "etc/resolv.conf", "etc/hosts"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).unlink(missing_ok=True)
        shutil.copy(Path("/") / name, tree / name)
    policy = tree / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)


def native(base: Path, run: Path, script: str) -> float:
    for name in ("upper", "work", "rootfs"):
        (run / name).mkdir(parents=True)
    start = time.perf_counter()
    with open(run / "log", "wb") as log:
        inner = ["sh", "-c", NATIVE, "sh", str(base), str(run), script]
        outer = ["unshare", "--mount", "--pid", "--fork", "--uts", "--ipc"]
        subprocess.run([*outer, *inner], check=True, stdout=log, stderr=log)
    return time.perf_counter() - start


def emulated(base: Path, run: Path, script: str, user: list[str], options: list[str]) -> float:
    start = time.perf_counter()
    with open(run.parent / (run.name + ".log"), "wb") as log:
        driver = [sys.executable, str(TESTS / "mode_c.py"), str(base / "tree"), str(run)]
        subprocess.run(
            [*user, *driver, *options, "--", "sh", "-c", script], check=True, stdout=log, stderr=log
        )
    return time.perf_counter() - start


def entries(upper: Path, owners: Owners) -> dict[str, Entry]:
    """Path -> (type, mode, uid, gid, rdev), as recorded where there are records."""
    found: dict[str, Entry] = {}
    for directory, names, files in os.walk(upper):
        for name in names + files:
            path = os.path.join(directory, name)
            short = os.path.relpath(path, upper)
            if short.startswith(IGNORED):
                continue
            status = os.lstat(path)
            kind, rdev, uid, gid = stat.S_IFMT(status.st_mode), status.st_rdev, 0, 0
            if owners is NATIVE_OWNERS:
                uid, gid = status.st_uid, status.st_gid
            elif kind in (stat.S_IFREG, stat.S_IFDIR):
                try:
                    own = Own.decode(os.getxattr(path, XATTR, follow_symlinks=False))
                    uid, gid = own.uid, own.gid
                    kind, rdev = own.type or kind, own.rdev
                except OSError:
                    pass
            elif kind != stat.S_IFCHR:
                uid, gid = owners.get(os.fsencode(short), (0, 0))
            found[short] = (oct(kind), stat.S_IMODE(status.st_mode), uid, gid, rdev)
    return found


NATIVE_OWNERS = Owners()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("base")
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--user", default="root")
    parser.add_argument("--no-sync", action="store_true")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--packages", default=PACKAGES)
    options = parser.parse_args()
    scratch: Path = options.scratch
    who = pwd.getpwnam(options.user)
    as_user = ["setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups"]
    script = command(options.packages.split())

    a, c = scratch / "a", scratch / "c"
    if not (a / "base/tree").exists():
        (a / "base/tree").mkdir(parents=True)
        subprocess.run(
            ["tar", "-C", a / "base/tree", "-xpf", options.base, "--exclude=./dev/*"], check=True
        )
        configure(a / "base/tree")
    if not (c / "base/tree").exists():
        c.mkdir(parents=True, exist_ok=True)
        os.chown(c, who.pw_uid, who.pw_gid)
        subprocess.run(
            [*as_user, sys.executable, TESTS / "unpack.py", options.base, c / "base"], check=True
        )
        configure(c / "base/tree")
        subprocess.run(["chown", "-R", f"{who.pw_uid}:{who.pw_gid}", c], check=True)
    for run in (a / "run", c / "run"):
        if run.exists():
            shutil.rmtree(run)
    (c / "run").mkdir()
    os.chown(c / "run", who.pw_uid, who.pw_gid)
    flags = ["--no-sync"] * options.no_sync + ["--profile"] * options.profile

    times = {
        "root": native(a / "base", a / "run", script),
        "mode C": emulated(c / "base", c / "run", script, as_user, flags),
    }
    want = entries(a / "run/upper", NATIVE_OWNERS)
    have = entries(c / "run/upper", Owners.load(str(c / "run/owners")))
    different = [p for p in sorted(want.keys() | have.keys()) if want.get(p) != have.get(p)]
    for path in different:
        print(f"{path}\n  root   {want.get(path)}\n  mode C {have.get(path)}")
    for name, seconds in times.items():
        print(f"{name:8} {seconds:6.1f} s")
    print(f"{len(want)} entries as root, {len(have)} in mode C, {len(different)} differ")
    return bool(different)


if __name__ == "__main__":
    sys.exit(main())
