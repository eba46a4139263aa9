"""The supervisor as a process: several listeners, its death, hostile callers, many callers."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from mode_c_container import Container

from kobako.emulate import control, ownership
from kobako.errors import NotFound
from kobako.linux.ownership import Owners

WAIT = "touch /ready; while [ ! -e /done ]; do sleep 0.05; done; "


def test_exec_shares_credentials_and_tables(container: Container) -> None:
    said = container.sh(
        "ln -s x /l; chown -h 5:6 /l; mknod /n c 1 3; mkdir -m 777 /w;"
        + WAIT
        + "stat -c '%n %u:%g' /f /w/*",
        options=(
            "--forward",
            "stat -c '%u %F' /l /n; touch /f; chown 7:8 /f;"
            "mv /l /w/l; ln -s y /w/m; chown -h 9 /w/m"
            "|-u 1000 id -u; touch /w/mine; chown 0 /w/mine 2>/dev/null",
        ),
    )
    assert "5 symbolic link\n0 character special file\nforwarded 0\n" in said
    assert "1000\nforwarded 1\n" in said
    assert "flushed 5:6 w/l\n9:0 w/m\n" in said
    assert "/f 7:8\n/w/l 5:6\n/w/m 9:0\n/w/mine 1000:1000\n" in said


def test_when_the_supervisor_dies_calls_fail_and_nothing_hangs(container: Container) -> None:
    said = container.run(
        "python3",
        "-c",
        """
import os, time
open("/under-way", "w").close()
os.symlink("x", "/l"); os.lchown("/l", 5, 6)
open("/marked", "w").close()
while True:
    time.sleep(0.01)
    try: os.chown("/under-way", 1, 1)
    except OSError as e:
        print(e.strerror, flush=True)
        break
os._exit(3)
""",
        options=("--kill-supervisor", "/marked"),
        code=3,
    )
    assert said == "Function not implemented\n"
    assert Owners.load(str(container.base / "owners")) in ({}, {b"l": (5, 6)})


def test_a_hostile_process_gets_errors_and_others_go_on(container: Container) -> None:
    said = container.python("""
import ctypes, mmap, os, random, signal
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
random.seed(1)
long = b"/" + b"a" * 5000
edge = mmap.mmap(-1, 8192)
edge[:] = b"x" * 8192
base = ctypes.addressof(ctypes.c_char.from_buffer(edge))
libc.mprotect(ctypes.c_void_p(base + 4096), 4096, 0)
pointers = [0, 1, 8, 0x7fffffffffff, 2**64 - 1, 2**63, base + 4090, base, id(long) + 32]
values = [0, 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1, 0o20666, 0o100, 0x1000, 0xffffff9c, 3, 999]
calls = [4, 5, 6, 262, 332, 92, 93, 94, 260, 90, 91, 268, 452, 85, 83, 258, 133, 259, 88, 266, 49,
         105, 106, 113, 114, 117, 119, 122, 123, 116, 118, 120, 115, 125, 126,
         188, 189, 190, 191, 192, 193, 194, 195, 196, 197, 198, 199, 59, 322, 55, 157]
if os.uname().machine != "x86_64":
    calls = [79, 80, 291, 54, 55, 52, 53, 452, 34, 33, 36, 200, 143, 144, 145, 146, 147, 149, 151,
             152, 159, 148, 150, 158, 90, 91, *range(5, 17), 221, 281, 209]
failed = 0
for pid in range(4):
    if os.fork() == 0:
        # A FIFO may come of it, and who opens one may wait for ever.
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 0.2, 0.2)
        random.seed(pid)
        for _ in range(2500):
            nr = random.choice(calls)
            arguments = [random.choice(random.choice((pointers, values))) for _ in range(6)]
            if nr == 157: arguments[0] = 8
            libc.syscall(nr, *map(ctypes.c_ulong, arguments))
        os._exit(0)
for _ in range(4):
    failed += os.wait()[1] != 0
os.makedirs("ok"); os.chown("ok", 5, 5)
print(failed, os.stat("ok").st_uid, os.getuid())
""")
    assert said == "0 5 0\n"


def test_different_credentials_are_bounded(container: Container) -> None:
    said = container.python("""
import os
try:
    for n in range(1, 20000): os.setresuid(n, 0, 0)
except OSError as e: print(n > 16000, e.strerror)
print(os.geteuid()); os.setresuid(5, 0, 0); print(os.getuid())
""")
    assert said == "True Resource temporarily unavailable\n0\n5\n"


def test_nothing_outside_is_reached(container: Container, tmp_path: Path) -> None:
    """Paths through /proc, out of a root and along links end where the container's end."""
    secret = tmp_path / "secret"
    secret.write_text("s")
    before = os.stat(secret)
    said = container.python(f"""
import os
target = "{secret}"
paths = [target, "/proc/self/root" + target, "/proc/1/root" + target, "/../../../.." + target,
         "/proc/self/cwd/../../.." + target, "/proc/thread-self/root/.." + target,
         "/proc/self/../.." + target, "/proc/self/task/../../../.." + target]
os.symlink("/proc/self/root/..", "up"); paths.append("/up" + target)
fd = os.open("/", os.O_PATH); paths.append(f"/proc/self/fd/{{fd}}/..{{target}}")
os.chdir("/proc"); paths.append(".." + target); paths.append("self/root/../.." + target)
found = 0
for path in paths:
    for call in (lambda p: os.chown(p, 66, 66), os.stat, lambda p: os.mknod(p, 0o20600, 5)):
        try: call(path); found += 1
        except OSError: pass
print(found)
""")
    assert said == "0\n"
    after = os.stat(secret)
    assert (before.st_uid, before.st_ctime_ns) == (after.st_uid, after.st_ctime_ns)


def test_many_callers_at_once(container: Container) -> None:
    said = container.python("""
import os
def work(n):
    os.mkdir(f"d{n}"); os.chown(f"d{n}", n, n); os.chdir(f"d{n}")
    os.setgid(n); os.setuid(n)
    for i in range(60):
        fd = os.open(f"f{i}", os.O_CREAT | os.O_WRONLY); os.close(fd)
        os.symlink("x", f"l{i}"); os.rename(f"l{i}", f"m{i}"); os.mkdir(f"e{i}")
        for name in (f"f{i}", f"m{i}", f"e{i}"):
            s = os.lstat(name)
            assert (s.st_uid, s.st_gid, os.getuid()) == (n, n, n), (name, s, n)
pids = []
for n in range(1, 13):
    pid = os.fork()
    if pid == 0:
        try: work(n)
        except BaseException as e: print(repr(e), flush=True); os._exit(1)
        os._exit(0)
    pids.append(pid)
print([os.waitpid(p, 0)[1] for p in pids])
""")
    assert said == f"{[0] * 12}\n"
    owners = Owners.load(str(container.base / "owners"))
    assert owners == {f"d{n}/m{i}".encode(): (n, n) for n in range(1, 13) for i in range(60)}


def test_sync_can_be_left_out(container: Container) -> None:
    script = """
import os
fd = os.open("f", os.O_CREAT | os.O_WRONLY)
os.close(fd)
try: os.fsync(fd)
except OSError as e: print(e.strerror)
else: print("skipped")
"""
    assert container.python(script) == "Bad file descriptor\n"
    assert container.python(script, options=("--no-sync",)) == "skipped\n"


def test_without_a_supervisor_forward_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no ownership supervisor"):
        ownership.flush(str(tmp_path / "nobody"))
    with pytest.raises(NotFound, match="no ownership supervisor"):
        ownership.forward(0, str(tmp_path / ("deep" * 30) / "nobody"))


def test_the_control_socket_takes_long_paths_and_survives_bad_clients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / ("long" * 30)
    directory.mkdir()
    path = str(directory / "socket")
    server = control.listen(path)
    control.listen(path).close()  # a stale one is replaced
    server.close()
    server = control.listen(path)
    assert control.receive(server) is None
    client = socket.socket(socket.AF_UNIX)
    monkeypatch.chdir(directory)
    client.connect("socket")
    client.close()
    request = control.receive(server)
    assert request is not None and request[1:] == (b"", -1)
    control.answer(request[0], False)
    server.close()
