"""What an emulated user is refused: what the kernel refuses a real one, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from mode_c_container import HERE, Container

CALLS = "user_calls.py"
SYSTEM = ("usr", "bin", "lib", "lib64", "dev", "proc")


def really(root: Path, user: list[str], *words: object) -> list[str]:
    """The lines `user_calls.py` prints under the kernel's own rule: in a root directory at `root`
    with this machine's programs."""
    mounts = "".join(f"mount --rbind /{name} {root}/{name};" for name in SYSTEM)
    calls = " ".join(map(str, (*user, "python3", f"/{CALLS}", *words)))
    command = ["unshare", "--mount", "sh", "-ec", f"{mounts} exec chroot {root} {calls}"]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout.splitlines()


@pytest.mark.only("root")
@pytest.mark.parametrize("seed", range(6))
def test_calls_at_random_end_as_the_kernel_ends_them(
    container: Container, tmp_path: Path, seed: int
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    root.chmod(0o755)
    for name in SYSTEM:
        (root / name).mkdir()
    container.upper.mkdir()
    for top in (root, container.upper):
        shutil.copy(HERE / CALLS, top)
        (top / CALLS).chmod(0o755)
    user = ["setpriv", "--reuid=1000", "--regid=1000", "--groups=50"]
    for words, real, emulated in (
        ("make", [], ()), ("use", user, ("-u", "1000:50")), ("show", [], ()),
    ):  # fmt: skip
        wanted = really(root, real, words, seed)
        found = container.run(*emulated, "python3", f"/{CALLS}", words, str(seed)).splitlines()
        assert found == wanted


def test_what_has_no_owner_of_the_container_s_is_let_pass(container: Container) -> None:
    said = container.python(
        """
import os, socket, subprocess, sys, tempfile
for path in ("/dev/null", "/dev/zero", "/dev/full", "/dev/ptmx", "/proc/self/comm",
             "/proc/self/oom_score_adj"):
    os.close(os.open(path, os.O_RDWR))
read, write = os.pipe()
os.write(write, b"x")
print(open(f"/dev/fd/{read}", "rb", buffering=0).read(1), os.readlink("/proc/self/cwd"))
os.listdir("/proc/self/fd"), os.stat("/proc/self/exe"), os.listdir("/proc/1")
print(os.access("/dev/null", os.W_OK), os.access("/proc/self/environ", os.R_OK))
fd = os.memfd_create("program")
os.write(fd, open("/bin/true", "rb").read())
print(os.waitstatus_to_exitcode(os.waitpid(os.posix_spawn(f"/proc/self/fd/{fd}", ["x"], {}), 0)[1]))
os.chdir("/tmp"); server = socket.socket(socket.AF_UNIX); server.bind("s"); server.listen()
socket.socket(socket.AF_UNIX).connect("/tmp/s")
socket.socket(socket.AF_UNIX).bind(b"\\0abstract")
with tempfile.TemporaryFile() as file: file.write(b"x")
open("/dev/shm/x", "w").close(); os.unlink("/dev/shm/x")
os.mkdir("gone"); os.chdir("gone"); os.rmdir("/tmp/gone")
for call in (lambda: os.stat("x"), lambda: open("x", "w"), lambda: os.open("", 0)):
    try: call()
    except FileNotFoundError: print("none")
os.chdir("/tmp"); d = os.open("/tmp", os.O_RDONLY); os.mkdir("a", dir_fd=d)
os.close(os.open("a/f", os.O_CREAT, dir_fd=d)); os.rename("a/f", "g", src_dir_fd=d, dst_dir_fd=d)
os.utime(os.open("g", os.O_RDONLY)); os.chmod("g", 0o600, dir_fd=d); os.unlink("g", dir_fd=d)
print(os.path.realpath("/bin/sh"), os.stat("a", dir_fd=d).st_uid)
master, slave = os.openpty(); os.write(slave, b"y"); print(os.read(master, 1))
""",
        user="1000",
    )
    assert said == ("b'x' /\nTrue True\n0\nnone\nnone\nnone\n/usr/bin/dash 1000\nb'y'\n")


def test_what_is_made_through_a_dangling_link_or_by_openat2_is_the_user_s(
    container: Container,
) -> None:
    said = container.python(
        """
import ctypes, os, struct
os.chdir("/tmp"); os.symlink("there", "link"); open("link", "w").close()
libc = ctypes.CDLL(None, use_errno=True)
def openat2(path, flags, resolve=0):
    how = struct.pack("<3Q", flags, 0o644 if flags else 0, resolve)
    fd = libc.syscall(437, -100, path, how, 24)
    return fd if fd < 0 else os.close(fd) or 0
print(openat2(b"new", os.O_CREAT | os.O_WRONLY), openat2(b"/etc/shadow", 0), ctypes.get_errno())
print(openat2(b"/new", os.O_CREAT), openat2(b"/etc/passwd", 0), openat2(b"/etc/passwd", 0, 4))
for name in ("there", "new"):
    info = os.stat(name); print(info.st_uid, info.st_gid)
    os.chmod(name, 0o600); os.utime(name, (1, 1)); open(name, "w").close()
""",
        user="1000",
    )
    assert said == "0 -1 13\n-1 0 0\n1000 1000\n1000 1000\n"


def test_set_user_id_root_is_root_and_access_asks_about_the_real_user(
    container: Container,
) -> None:
    container.sh("""
        cp /usr/bin/python3 /usr/bin/rootpython; chmod 4755 /usr/bin/rootpython
        cp /bin/cat /bin/shadowcat; chgrp shadow /bin/shadowcat; chmod 2755 /bin/shadowcat
        mkdir -m 700 /closed; cp /bin/true /closed; chmod 4755 /closed/true
    """)
    said = container.sh(
        """
        rootpython -c 'import os; open("/root/x", "w").close(); print(os.stat("/root/x").st_uid)
print(os.access("/root", 1), os.access("/root", 1, effective_ids=True))
os.setuid(0); print(os.access("/root", 1), os.listdir("/closed"))
os.setresuid(1000, 1000, 1000); print(os.access("/root", 1))
try: os.listdir("/root")
except PermissionError: print("refused")'
        cat /etc/shadow > /tmp/x 2>&1 && echo wrong; shadowcat /etc/shadow | head -c 5; echo
        /closed/true 2> /tmp/x || echo refused
        """,
        user="1000",
    )
    assert said == "0\nFalse True\nTrue ['true']\nFalse\nrefused\nroot:\nrefused\n"


def test_capabilities_count(container: Container) -> None:
    """A process that is no longer root but has kept what root may."""
    container.sh("cp /usr/bin/python3 /usr/bin/rootpython; chmod 4755 /usr/bin/rootpython")
    container.sh("mkdir -m 700 /closed; echo x > /closed/f; chmod 600 /closed/f; mkdir -m 777 /o")
    said = container.sh(
        """
        cat > /o/t.py <<'END'
import ctypes, os, struct
libc = ctypes.CDLL(None, use_errno=True)
def caps(mask):
    data = struct.pack("<6I", mask, 15, 0, 0, 0, 0)
    assert libc.capset(struct.pack("<Ii", 0x20080522, 0), data) == 0
def tried(call, *args):
    try: call(*args)
    except OSError as e: return e.strerror
    return "ok"
libc.prctl(8, 1, 0, 0, 0); os.setresuid(1000, 1000, 1000)
for mask in (0, 2, 4, 8):
    caps(mask)
    print(tried(os.open, "/closed/f", os.O_RDONLY), tried(os.open, "/closed/f", os.O_WRONLY),
          tried(os.chmod, "/closed/f", 0o600), tried(os.chmod, "/etc/passwd", 0o644))
END
        rootpython /o/t.py
        """,
        user="1000",
    )
    no, not_owner = "Permission denied", "Operation not permitted"
    assert said == (
        f"{no} {no} {no} {not_owner}\nok ok {not_owner} {not_owner}\n"
        f"ok {no} {not_owner} {not_owner}\n{no} {no} {no} ok\n"
    )


def test_an_exec_by_a_user_is_checked_and_one_by_root_is_not(container: Container) -> None:
    commands = "-u 1000 touch /x 2> /dev/null; echo $?|touch /y; echo $?|-u 1000 test -w /; echo $?"
    said = container.sh(
        "touch /ready; while ! test -e /done; do sleep 0.01; done",
        options=("--forward", commands),
    )
    assert said == "1\nforwarded 0\n0\nforwarded 0\n1\nforwarded 0\nflushed \n"


def test_who_was_root_first_is_not_checked_at_all(container: Container) -> None:
    """Half of it would be worse: what `test -w` promises must hold."""
    said = container.sh("setpriv --reuid=1000 --clear-groups sh -c 'test -w / && touch /x; id -u'")
    assert said == "1000\n"
    assert (container.upper / "x").exists()
