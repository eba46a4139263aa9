from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

import pytest

from bpf_machine import run
from kobako.errors import Invalid, Unsupported
from kobako.linux import seccomp
from kobako.linux.bpf import DATA_ARCH, DATA_NR, Assembler, data_arg
from kobako.linux.notify import Listener
from kobako.linux.process import set_no_new_privs
from kobako.linux.syscalls import machine

X86 = machine("x86_64")


def in_child(work: object) -> int:
    """Runs `work` in a forked child; its exit code."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(work() or 0)  # type: ignore[operator]
        except BaseException as e:
            os.write(2, repr(e).encode())
        finally:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_jumps_and_loads() -> None:
    a = Assembler()
    a.load(data_arg(1, high=True))
    a.if_equal(7, "seven", "other")
    a.label("seven")
    a.ret(1)
    a.label("other")
    a.load(data_arg(1))
    a.and_(0xF0)
    a.if_at_least(0x20, "big")
    a.if_any_bit(0x10, "bit")
    a.jump("last")
    a.label("big")
    a.ret(2)
    a.label("bit")
    a.ret(3)
    a.label("last")
    a.ret(4)
    program = a.assemble()
    assert run(program, 0, 0, (0, 7 << 32)) == 1
    assert run(program, 0, 0, (0, 0x2F)) == 2
    assert run(program, 0, 0, (0, 0x1F)) == 3
    assert run(program, 0, 0, (0, 0x0F)) == 4


def test_a_label_must_exist_and_lie_ahead() -> None:
    a = Assembler()
    a.label("here")
    with pytest.raises(Invalid, match="twice"):
        a.label("here")
    a.if_equal(1, "nowhere")
    with pytest.raises(Invalid, match="nowhere is not defined"):
        a.assemble()
    a = Assembler()
    a.label("back")
    a.ret(0)
    a.jump("back")
    with pytest.raises(Invalid, match="backwards"):
        a.assemble()


@pytest.mark.parametrize("between", [254, 255, 256, 300, 3000])
def test_a_jump_reaches_any_label(between: int) -> None:
    a = Assembler()
    a.load(DATA_NR)
    a.if_equal(1, "far", "other")
    a.if_equal(2, 1)  # over one instruction, however long that becomes
    a.if_at_least(7, "far", "other")
    a.ret(2)
    for _ in range(between):
        a.if_equal(9, "far", "other")
    a.label("other")
    a.ret(3)
    a.label("far")
    a.ret(4)
    program = a.assemble()
    assert [run(program, nr, 0) for nr in (1, 2, 7)] == [4, 3, 3]
    a = Assembler()
    a.load(DATA_NR)
    a.if_equal(2, 1)
    a.if_at_least(7, "far", "other")
    a.ret(2)
    for _ in range(between):
        a.ret(5)
    a.label("other")
    a.ret(3)
    a.label("far")
    a.ret(4)
    assert [run(a.assemble(), nr, 0) for nr in (1, 2, 7)] == [3, 2, 4]


def test_the_kernel_takes_and_obeys_a_program() -> None:
    here = machine()
    a = Assembler()
    a.load(DATA_ARCH)
    a.if_equal(here.audit_arch, "native")
    a.ret(seccomp.RET_ALLOW)
    a.label("native")
    a.load(DATA_NR)
    a.if_equal(here.numbers["getuid"], "answer")
    a.ret(seccomp.RET_ALLOW)
    a.label("answer")
    a.ret(seccomp.RET_ERRNO | errno.EXDEV)

    def work() -> int:
        set_no_new_privs()
        seccomp.install(a.assemble())
        # The wrapper cannot fail, so the errno comes back as an id.
        return int(ctypes.CDLL(None).syscall(here.numbers["getuid"]) != -1)

    assert in_child(work) == 0


def test_a_program_must_be_whole_instructions() -> None:
    with pytest.raises(Invalid, match="5 bytes"):
        seccomp.install(b"12345")


def test_unknown_machines_are_named() -> None:
    with pytest.raises(Unsupported, match="'vax'"):
        machine("vax")


@pytest.mark.parametrize("name", ["x86_64", "aarch64"])
def test_numbers_are_those_of_the_kernel_headers(name: str) -> None:
    header = {
        "x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
        "aarch64": "/usr/include/asm-generic/unistd.h",
    }[name]
    if not os.path.exists(header):
        pytest.skip(f"no kernel headers here: {header}")
    numbers: dict[str, int] = {}
    for line in Path(header).read_text().splitlines():
        words = line.split()
        if len(words) >= 3 and words[0] == "#define" and words[2].isdigit():
            numbers[words[1].removeprefix("__NR_").removeprefix("__NR3264_")] = int(words[2])
    if name == "aarch64":
        numbers["newfstatat"] = numbers["fstatat"]
    checked = 0
    for call, number in machine(name).numbers.items():
        if call in numbers:
            assert numbers[call] == number, call
            checked += 1
    assert checked > 60


def listening() -> Assembler:
    here = machine()
    a = Assembler()
    a.load(DATA_NR)
    a.if_equal(here.numbers["mkdirat"], "notify")
    a.if_equal(here.numbers["openat"], "test")
    a.ret(seccomp.RET_ALLOW)
    a.label("test")
    a.load(data_arg(2))
    a.if_any_bit(os.O_CREAT, "notify")
    a.ret(seccomp.RET_ALLOW)
    a.label("notify")
    a.ret(seccomp.RET_USER_NOTIF)
    return a


def test_a_listener_answers_resumes_and_gives_descriptors(tmp_path: object) -> None:
    here = machine()
    program = listening().assemble()
    libc = ctypes.CDLL(None, use_errno=True)
    read, write = os.pipe()
    go_read, go_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            set_no_new_privs()
            fd = seccomp.install_listener(program)
            try:
                seccomp.install_listener(program)
                os._exit(5)
            except OSError as e:
                if e.errno != errno.EBUSY:
                    os._exit(6)
            os.write(write, b"%d" % fd)
            os.read(go_read, 1)
            nr = here.numbers["mkdirat"]
            path = os.fsencode(f"{tmp_path}/made")
            first = libc.syscall(nr, -100, b"/nowhere/a", 0o755), ctypes.get_errno()
            second = libc.syscall(nr, -100, b"/nowhere/b", 0o755)
            third = libc.syscall(nr, -100, path, 0o700)
            given = libc.syscall(here.numbers["openat"], -100, b"/x", os.O_CREAT | os.O_RDWR, 0)
            content = os.read(given, 10)
            fine = first == (-1, errno.EXDEV) and second == 42 and third == 0
            os._exit(0 if fine and content == b"given" else 7)
        finally:
            os._exit(98)
    number = int(os.read(read, 16))
    process = os.pidfd_open(pid)
    from kobako.linux import libc as ours

    listener = Listener(ours.syscall(here.numbers["pidfd_getfd"], process, number, 0))
    listener.sync_wake_up()
    os.write(go_write, b"x")
    assert listener.receive() and listener.pid == pid and listener.valid()
    assert listener.nr == here.numbers["mkdirat"] and listener.args[2] == 0o755
    listener.finish(0, errno.EXDEV)
    assert listener.receive()
    listener.finish(42)
    assert listener.receive()
    listener.resume()
    assert listener.receive() and listener.nr == here.numbers["openat"]
    data = os.memfd_create("given")
    os.pwrite(data, b"given", 0)
    listener.finish_with_fd(data, cloexec=True)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert os.path.isdir(f"{tmp_path}/made")
    assert not listener.valid()
    for fd in (data, process, listener.fd, read, write, go_read, go_write):
        os.close(fd)
