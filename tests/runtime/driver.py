"""What the tests start as a program of its own: entering a user namespace cannot be undone.

driver.py start|ahead|supervised|exec|remove DIRECTORY, with the options as JSON in
DIRECTORY/options.json. The exit code is the container's; a StartFailed is printed on stderr as
"StartFailed: message".
"""

from __future__ import annotations

import json
import os
import pathlib
import select
import shutil
import signal
import sys
import time

from kobako.errors import KobakoError
from kobako.linux import bpf, notify, seccomp, syscalls, userns
from kobako.linux.mount import Mount
from kobako.runtime import join, launch, process_spec, spec
from kobako.runtime.ahead import Ahead
from kobako.runtime.bundle import Bundle, Interception, Stdio
from kobako.runtime.surroundings import Surroundings


def enter() -> None:
    ids = userns.subordinate_ids(os.getuid())
    if os.getuid() == 0:
        return
    if ids:
        userns.enter_mapped(ids.uids, ids.gids)
    else:
        userns.enter_single()


def records(options: dict) -> spec.ContainerOptions:
    process = dict(options["process"])
    process["args"] = tuple(process["args"])
    process["env"] = tuple(process.get("env", ("PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8")))
    for key in ("cap_add", "cap_drop", "groups"):
        process[key] = tuple(process.get(key, ()))
    process["ulimits"] = tuple(process_spec.Ulimit(*u) for u in process.get("ulimits", ()))
    process["size"] = tuple(process.get("size", (0, 0)))
    rest = {k: v for k, v in options.items() if k != "process"}
    rest["binds"] = tuple(
        spec.BindMount(b["source"], b["target"], b.get("ro", False), tuple(b.get("options", ())))
        for b in rest.get("binds", ())
    )
    rest["tmpfs"] = tuple(spec.Tmpfs(t[0], tuple(t[1:])) for t in rest.get("tmpfs", ()))
    rest["sysctls"] = tuple(tuple(s) for s in rest.get("sysctls", ()))
    known = ("network", "pid", "ipc", "uts", "cgroupns", "bare_paths", "shm_size")
    around = {key: rest.pop(key) for key in known if key in rest}
    return spec.ContainerOptions(
        process=process_spec.ProcessOptions(**process),
        around=Surroundings(privileged=process.get("privileged", False), **around),
        **rest,
    )


def overlay(base: str, lower: str) -> tuple[Mount, ...]:
    for name in ("upper", "work", "rootfs"):
        os.makedirs(f"{base}/{name}", exist_ok=True)
    data = f"lowerdir={lower},upperdir={base}/upper,workdir={base}/work,userxattr"
    return (Mount("overlay", "overlay", f"{base}/rootfs", (), data),)


def main(verb: str, base: str) -> int:
    if verb == "remove":
        enter()
        os.system(f"chmod -R u+rwx {base}")
        shutil.rmtree(base)
        return 0
    with open(f"{base}/options.json") as file:
        given = json.load(file)
    stdin = 0 if given.get("interactive") else -1
    hold = given.get("hold_stdin", False)
    detach = given.get("detach", False)
    io = Stdio(stdin, 1, 2, hold_stdin=hold)
    if verb == "exec":
        document = process_spec.process(records(given["options"]).process)
        if document["terminal"]:
            rows, columns = io.size()
            document["consoleSize"] = {"height": rows, "width": columns}
        return join.exec_(f"{base}/state", document, io)
    enter()
    options = records(given["options"])
    bundle = Bundle(base, spec.document(options), overlay(base, given["lower"]))
    if verb == "ahead":
        return ahead(bundle, options.around, base, io, given["foreseen"])
    if verb == "supervised":
        return supervised(bundle, base, io)
    container = launch.start(
        bundle,
        state_dir=f"{base}/state",
        io=io,
        detach=detach,
        on_exit=tuple(given.get("on_exit", ())),
    )
    if given.get("announce"):
        print("started", container.pid, file=sys.stderr, flush=True)
    return 0 if detach else container.wait()


def ahead(bundle: Bundle, around: Surroundings, base: str, io: Stdio, foreseen: str) -> int:
    """Prints the pid of the process that waits for the bundle, then starts it or sends it away."""
    waiting = Ahead(
        io,
        terminal=False,
        around=around.replace(uts="host") if foreseen == "others" else around,
        stage=f"{base}/stage",
        detach=False,
        prepare=lambda: None,
        intercept_of=lambda spec, given: None,
        tied="again" in foreseen,
        again="again" in foreseen,
    )
    first = ""
    while not first:
        with open(f"/proc/{waiting._child}/task/{waiting._child}/children") as children:
            first = children.read()
    print(first, file=sys.stderr, flush=True)
    if foreseen == "nothing":
        waiting.abandon()
        return 0
    if foreseen == "this, again and again":
        return again(waiting, bundle, base, io)
    try:
        waiting.foresee(bundle, f"{base}/state")
    except KobakoError:
        waiting.abandon()
        raise
    if foreseen == "this, taken back":
        waiting.abandon()
        return 0
    waiting.launch()
    return waiting.started().wait()


class Newcomer:
    """A lookout that leaves everything to a supervisor."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.descriptors: list[int] = []

    def take(self, listener_fd: int) -> None:
        self.descriptors = [listener_fd]

    def answer(self, fd: int) -> bool:
        return False

    def refuse(self) -> None:
        raise AssertionError

    def close(self) -> None:
        os.close(self.descriptors.pop())

    def serve(self) -> None:
        """The supervisor: slow to put down what it knows when the container has ended."""
        pathlib.Path(f"{self.base}/begun").touch()
        listener = notify.Listener(self.descriptors[0])
        poll = select.poll()
        poll.register(listener.fd, select.POLLIN)
        while poll.poll()[0][1] & select.POLLIN:
            if listener.receive():
                listener.resume()
        time.sleep(0.3)
        pathlib.Path(f"{self.base}/done").touch()


def supervised(bundle: Bundle, base: str, io: Stdio) -> int:
    """A container that needs a supervisor before its client attends to it. Prints whether that was
    done when the container's end was told."""
    numbers = syscalls.machine().numbers
    targets = {numbers[n]: "show" for n in ("mkdir", "mkdirat") if n in numbers}
    a = bpf.Assembler()
    a.load(bpf.DATA_NR)
    a.choose(bpf.ranges(targets, "allow"))
    for label, answer in (("allow", seccomp.RET_ALLOW), ("show", seccomp.RET_USER_NOTIF)):
        a.label(label)
        a.ret(answer)
    lookout = Newcomer(base)
    intercept = Interception(
        a.assemble(), lambda listener, pid, begun: lookout.serve(), (), lambda pid: lookout
    )
    container = launch.start(bundle, state_dir=f"{base}/state", io=io, intercept=intercept)
    while not os.path.exists(f"{base}/begun"):
        time.sleep(0.01)
    code = container.wait()
    print(os.path.exists(f"{base}/done"))
    return -1 if code is None else code


def again(waiting: Ahead, bundle: Bundle, base: str, io: Stdio) -> int:
    """One monitor for several containers; it is killed before the last, and one is sent away."""
    monitor = waiting._child
    for number in range(3):
        if number:
            assert waiting.renew(io)
        waiting.foresee(bundle, f"{base}/state")
        waiting.launch()
        assert waiting.started().wait(reap=False) == 3
        with open(f"/proc/{monitor}/task/{monitor}/children") as children:
            assert children.read() == "", "it has reaped its container"
        while len(os.listdir(f"/proc/{monitor}/fd")) > 5:  # it closes all that was of it
            time.sleep(0.01)
    assert waiting.renew(io)
    os.kill(monitor, signal.SIGKILL)
    os.waitid(os.P_PID, monitor, os.WEXITED | os.WNOWAIT)
    while waiting.renew(io):  # its child may have its end of the channel for a moment
        time.sleep(0.01)
    waiting.abandon()
    assert not os.path.exists(f"/proc/{monitor}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except KobakoError as fault:
        print(f"{type(fault).__name__}: {fault}", file=sys.stderr)
        sys.exit(fault.exit_code)
