"""A small mode C container for this room's tests: run as a script, it is the monitor.

    python mode_c.py LOWER DIR [--no-sync] [--profile] [--forward COMMANDS] [--kill-supervisor FILE]
        -- COMMAND...

LOWER is a tree (its owners table `owners` beside it), DIR holds upper, work, rootfs, owners and
the control socket. The command becomes pid 1; its exit code becomes ours. Where it begins with
`-u ID[:GROUP,...]` it is that user's, under a checked filter, as are forwarded commands.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import warnings

from kobako.emulate import ownership
from kobako.linux import mount, process, seccomp, userns
from kobako.linux.channel import Channel
from kobako.linux.mount import Mount

NEWNS, NEWPID, NEWIPC, NEWUTS = 0x20000, 0x20000000, 0x08000000, 0x04000000
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "DEBIAN_FRONTEND": "noninteractive",
    "TERM": "dumb",
    "LC_ALL": "C.UTF-8",
}


def prepare(lower: str, base: str) -> str:
    """Mounts the container's tree; returns where."""
    for name in ("upper", "work", "rootfs"):
        os.makedirs(f"{base}/{name}", exist_ok=True)
    root = f"{base}/rootfs"
    process.unshare(NEWNS)
    mount.set_propagation("/", "rprivate")
    data = f"lowerdir={lower},upperdir={base}/upper,workdir={base}/work,userxattr"
    Mount("overlay", "overlay", root, (), data).apply()
    Mount("tmpfs", "tmpfs", f"{root}/dev", (), "mode=755").apply()
    for name in ("null", "zero", "random", "urandom", "tty", "full"):
        open(f"{root}/dev/{name}", "w").close()
        Mount("none", f"/dev/{name}", f"{root}/dev/{name}", ("bind",)).apply()
    for link, target in (
        ("fd", "/proc/self/fd"),
        ("stdin", "fd/0"),
        ("stdout", "fd/1"),
        ("stderr", "fd/2"),
        ("ptmx", "pts/ptmx"),
    ):
        os.symlink(target, f"{root}/dev/{link}")
    for name in ("shm", "pts"):
        os.mkdir(f"{root}/dev/{name}")
    options = "newinstance,ptmxmode=0666,mode=620"
    Mount("devpts", "devpts", f"{root}/dev/pts", (), options).apply()
    Mount("tmpfs", "tmpfs", f"{root}/dev/shm", (), "mode=1777").apply()
    return root


def become(command: list[str], channel: Channel, program: bytes) -> None:
    """Goes under the filter, hands its listener over, and executes."""
    listener = seccomp.install_listener(program)
    channel.send(b"L", [listener])
    os.close(listener)
    os.umask(0o022)
    if command[0] == "-u":  # a user id, as `exec -u` would
        user, _, groups = command[1].partition(":")
        os.setgroups([int(group) for group in groups.split(",") if group])
        os.setgid(int(user))
        os.setuid(int(user))
        command = command[2:]
    assert warnings  # which execvpe imports, and here there are the container's files
    os.execvpe(command[0], command, ENVIRONMENT)


def started(
    enter: object, command: list[str], program: bytes, namespaces: int = 0
) -> tuple[int, int]:
    """Forks a process that calls `enter` and becomes the command: its pid and listener."""
    ours, theirs = Channel.pair()
    pid = process.clone(namespaces)
    if pid == 0:
        try:
            ours.close()
            enter()  # type: ignore[operator]
            become(command, theirs, program)
        except BaseException as e:
            os.write(2, f"init: {e!r}\n".encode())
        finally:
            os._exit(120)
    theirs.close()
    _, fds = ours.receive()
    ours.close()
    return pid, fds[0]


def main(arguments: list[str]) -> int:
    split = arguments.index("--")
    lower, base, *options = arguments[:split]
    command = arguments[split + 1 :]
    userns.enter_single()
    root = prepare(lower, base)
    checked = command[0] == "-u"
    program = ownership.program(no_sync="--no-sync" in options, checked=checked)

    def enter() -> None:
        Mount("proc", "proc", f"{root}/proc").apply()
        mount.pivot_root(os.open(root, os.O_PATH))

    init, listener = started(enter, command, program, NEWNS | NEWPID | NEWIPC | NEWUTS)
    control = f"{base}/supervisor.sock"
    supervisor = os.fork()
    if supervisor == 0:
        code = 1
        try:
            work = lambda: ownership.serve(  # noqa: E731 - also what the profiler runs
                lambda: listener,
                init,
                control_socket=control,
                owners_path=f"{base}/owners",
                lower_owners=[os.path.join(os.path.dirname(lower), "owners")],
                checked=checked,
                judged=["/dev", "/dev/shm"],
            )
            if "--profile" in options:
                import cProfile
                import pstats

                profile = cProfile.Profile()
                report = open(f"{base}/profile", "w")
                profile.runcall(work)
                pstats.Stats(profile, stream=report).sort_stats("tottime").print_stats(30)
                report.flush()
            else:
                work()
            code = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(listener)
    if "--forward" in options:
        forwarded(options[options.index("--forward") + 1].split("|"), init, control, base)
    if "--kill-supervisor" in options:
        # The command says by this file that it is under way.
        sign = options[options.index("--kill-supervisor") + 1]
        while not os.path.lexists(f"{base}/upper{sign}"):
            time.sleep(0.01)
        os.kill(supervisor, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(init, 0)[1])
    ended = os.waitstatus_to_exitcode(os.waitpid(supervisor, 0)[1])
    if ended and "--kill-supervisor" not in options:
        print("supervisor ended with", ended, file=sys.stderr)
        return 119
    return code


def forwarded(commands: list[str], init: int, control: str, base: str) -> None:
    """Runs shell commands in the container as `exec` does: a filter and a listener of their own."""
    while not os.path.exists(f"{base}/upper/ready"):
        time.sleep(0.01)
    namespaces = os.open(f"/proc/{init}/ns/mnt", os.O_RDONLY)
    pids = os.open(f"/proc/{init}/ns/pid", os.O_RDONLY)
    process.setns(pids, NEWPID)
    for text in commands:
        words = text.split(" ", 2) if text.startswith("-u ") else []
        command = [*words[:2], "sh", "-c", words[2] if words else text]
        program = ownership.program(checked=bool(words))
        pid, listener = started(lambda: process.setns(namespaces, NEWNS), command, program)
        ownership.forward(listener, control, checked=bool(words))
        os.close(listener)
        print("forwarded", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
    ownership.flush(control)
    print("flushed", open(f"{base}/owners").read() if os.path.exists(f"{base}/owners") else "")
    sys.stdout.flush()
    open(f"{base}/rootfs/done", "w").close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
