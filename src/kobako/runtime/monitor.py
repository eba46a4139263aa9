"""The parent of a container's first process: keeps its log, its exit code and its terminal.

It runs in two ways with the same code: inside the process the launcher forked, while a client is
attached; and, detached, as a fresh interpreter that has replaced that process
(`python -I -S monitor.py ...`) and so keeps it small. Hence this file imports built-in modules
alone, and of kobako only `guests` and `cgroup`.

What it leaves in the state directory is described in `runtime.state`.
"""

import posix
import select
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.runtime.guests import Guests
    from kobako.runtime.supervision import Supervision

_POLLIN, _POLLOUT, _POLLGONE = 1, 4, 8 | 16 | 32  # ERR, HUP, NVAL
_CHUNK = 65536
_PIPE_BUF = 4096  # what a pipe that polls writable takes without blocking
_SERVE_GRACE_MS = 10000
_HEAD = 13  # of a record of the log
_S_IFREG, _S_IFMT = 0o100000, 0o170000
_NUMBERS = (
    "pid", "pidfd", "state", "log", "lock", "serve_pid", "held", "sweep", "log_size", "log_files",
    "began_ns", "limited",
)  # fmt: skip


class Monitor:
    """What a monitor holds; every descriptor is its own, -1 where there is none.

    `streams` maps descriptors to read from to their stream (1 stdout and the terminal, 2 stderr);
    `sinks` maps streams to descriptors of the attached client; `control` reaches that client, and
    its end means the client is gone. `terminal` is among `streams` when there is one. `held` is
    kept open only so that the container's stdin does not end. `sweep`: the container has no pid
    namespace that would take its processes away. `log` is -1 when none is kept; a file that would
    get longer than `log_size` bytes (0: any length) becomes `log.1`, and of these `log_files` - 1
    are kept. `serve_pid` is the supervisor of intercepted calls, if there is one; that it is done
    with the container's files is told by the end of `served`, else by its own. `guests` are those
    who look at the container from outside, None where nobody can. `journal` is where and about
    whom events are recorded (see `record`), b"" where nowhere; `began_ns` is when the program was
    started. `limited`: the container has a cgroup, and `cgroup` is the module of that name.
    """

    def __init__(
        self,
        pid: int,
        pidfd: int,
        state: int,
        log: int,
        lock: int,
        streams: dict[int, int],
        serve_pid: int = 0,
        held: int = -1,
        sweep: int = 0,
        on_exit: tuple[str, ...] = (),
        log_size: int = 0,
        log_files: int = 1,
        served: int = -1,
        began_ns: int = 0,
        journal: bytes = b"",
        limited: int = 0,
    ) -> None:
        self.lost = 0  # why some output did not reach the client: an errno
        self.log_size = log_size
        self.log_files = log_files
        self.log_at = posix.fstat(log).st_size if log >= 0 else 0
        self.pid = pid
        self.pidfd = pidfd
        self.state = state
        self.log = log
        self.lock = lock
        self.streams = streams
        self.serve_pid = serve_pid
        self.served = served
        self.began_ns = began_ns
        self.journal = journal
        self.held = held
        self.sweep = sweep
        self.on_exit = on_exit
        self.guests: Guests | None = None
        self.supervision: Supervision | None = None
        self.limited = limited
        self.cgroup: Any = None
        self.control = -1
        self.sinks: dict[int, int] = {}
        self.broken: set[int] = set()  # sinks whose reader has gone
        self.late: list[tuple[int, bytes]] = []  # (sink, bytes) the client has not taken yet

    def watch(self) -> bool:
        """Copies output until the container's first process ends.

        True when it has; False when the client has gone before it.
        """
        poll = select.poll()
        poll.register(self.pidfd, _POLLIN)
        if self.control >= 0:
            poll.register(self.control, 0)
        for fd in self.streams:
            posix.set_blocking(fd, False)
            poll.register(fd, _POLLIN)
        if self.guests is not None:
            self.guests.watch(poll)
        watched = self.supervision.watched if self.supervision else []
        for fd in watched:
            poll.register(fd, _POLLIN)
        waiting: dict[int, tuple[bytes, int]] = {}  # sink -> (bytes, source at rest)
        while True:
            for fd, events in poll.poll():
                if fd == self.pidfd:
                    self.late = [(sink, data) for sink, (data, _) in waiting.items()]
                    return True
                if fd == self.control:
                    return False
                if fd in self.streams:
                    data = self.read(fd)
                    if data is None:
                        continue
                    if not data:
                        poll.unregister(fd)
                        continue
                    sink = self.sinks.get(self.streams[fd], -1)
                    if sink >= 0:
                        rest = self.offer(sink, data)
                        if rest:
                            poll.unregister(fd)
                            poll.register(sink, _POLLOUT)
                            waiting[sink] = (rest, fd)
                        elif self.reader_gone(sink, fd):
                            poll.unregister(fd)
                            self.break_pipe(fd)
                elif fd in waiting:
                    rest, source = waiting.pop(fd)
                    rest = self.offer(fd, rest)
                    if rest:
                        waiting[fd] = (rest, source)
                    else:
                        poll.unregister(fd)
                        if self.reader_gone(fd, source):
                            self.break_pipe(source)
                        else:
                            poll.register(source, _POLLIN)
                elif fd in watched:
                    self.asked(fd, events, poll, watched)
                elif self.guests is not None:
                    terminal = next((s for s in self.streams if posix.isatty(s)), -1)
                    if self.guests.serve(fd, events, terminal, self.held):
                        posix.close(self.held)
                        self.held = -1

    def asked(self, fd: int, events: int, poll: "select.poll", watched: list[int]) -> None:
        """Answers an intercepted call, or has a supervisor do it: then nothing is `watched`."""
        if self.supervision is None or not events & _POLLIN:
            poll.unregister(fd)  # nobody is left who could ask
            watched.remove(fd)
        elif self.supervision.serve(fd):
            while watched:
                poll.unregister(watched.pop())
            self.supervised_by(self.supervision)

    def supervised_by(self, supervision: "Supervision") -> None:
        self.supervision = supervision
        self.serve_pid, self.served = supervision.pid, supervision.served

    def reader_gone(self, sink: int, source: int) -> bool:
        """Whether the client is there, but nobody reads what it is given (`kobako run ... | head`).

        When the client itself has gone, the container is to run on.
        """
        if sink not in self.broken or posix.isatty(source):
            return False
        poll = select.poll()
        poll.register(self.control, 0)
        return not poll.poll(0)

    def break_pipe(self, source: int) -> None:
        """The container's next write fails as that of any program in a pipeline would."""
        posix.close(source)
        del self.streams[source]

    def read(self, fd: int) -> bytes | None:
        """The next bytes of a stream, already in the log; b"" at its end, None when there are none
        just now."""
        try:
            data = posix.read(fd, _CHUNK)
        except BlockingIOError:
            return None
        except OSError:  # EIO: the last process has closed the terminal
            return b""
        if data:
            self.keep(self.streams[fd], data)
        return data

    def keep(self, stream: int, data: bytes) -> None:
        """Appends to the log; a line is in one file, and has one of its own if it is that long.

        Guests read the log: what it cannot take they are given themselves."""
        try:
            if self.log < 0:
                raise OSError
            while self.log_size and self.log_at + _HEAD + len(data) > self.log_size:
                room = max(0, self.log_size - self.log_at - _HEAD)
                cut = data.rfind(b"\n", 0, room) + 1
                if not cut and not self.log_at:
                    cut = data.find(b"\n") + 1 or len(data)
                if cut:
                    self.append(stream, data[:cut])
                    data = data[cut:]
                if not data:
                    return
                self.rotate()
            self.append(stream, data)
        except OSError:  # a full disk must not stop the container
            if self.guests is not None:
                self.guests.tell(b"%d" % stream, data)

    def append(self, stream: int, data: bytes) -> None:
        """One record, or none of it."""
        head = stream.to_bytes(1, "little") + time.time_ns().to_bytes(8, "little")
        record = head + len(data).to_bytes(4, "little") + data
        if posix.write(self.log, record) < len(record):  # the disk is full
            posix.ftruncate(self.log, self.log_at)
            raise OSError
        self.log_at += len(record)

    def rotate(self) -> None:
        """Begins a new log file; the oldest goes. Who reads the old ones still has them open."""
        flags = posix.O_WRONLY | posix.O_CREAT | posix.O_APPEND | posix.O_CLOEXEC
        new = posix.open("log.new", flags, 0o600, dir_fd=self.state)
        for number in range(self.log_files - 1, 0, -1):
            older = f"log.{number - 1}" if number > 1 else "log"
            try:
                posix.rename(older, f"log.{number}", src_dir_fd=self.state, dst_dir_fd=self.state)
            except FileNotFoundError:
                pass
        posix.rename("log.new", "log", src_dir_fd=self.state, dst_dir_fd=self.state)
        posix.close(self.log)
        self.log, self.log_at = new, 0

    def offer(self, sink: int, data: bytes) -> bytes:
        """Writes what the client takes at once; the rest is returned, b"" also when it has gone."""
        try:
            if posix.fstat(sink).st_mode & _S_IFMT == _S_IFREG:
                while data:
                    data = data[posix.write(sink, data) :]
                return b""
            poll = select.poll()
            poll.register(sink, _POLLOUT)
            while data:
                ready = poll.poll(0)
                if not ready:
                    return data
                if not ready[0][1] & _POLLOUT:
                    raise BrokenPipeError
                data = data[posix.write(sink, data[:_PIPE_BUF]) :]
        except BlockingIOError:
            return data
        except OSError as fault:  # nobody reads, or the disk is full; the log goes on
            if isinstance(fault, BrokenPipeError):
                self.broken.add(sink)
            else:
                self.lost = fault.errno or 0
            for stream in [s for s, fd in self.sinks.items() if fd == sink]:
                del self.sinks[stream]
        return b""

    def finish(self) -> int:
        """Ends what is left of the container and publishes its exit code, which is returned.
        `see_off` comes after it."""
        _, status = posix.waitpid(self.pid, 0)
        code = posix.waitstatus_to_exitcode(status)
        code = 128 - code if code < 0 else code
        finished = time.time_ns()
        if self.sweep:
            self.kill_orphans()
        for fd in self.streams:
            while True:
                data = self.read(fd)
                if not data:
                    break
                sink = self.sinks.get(self.streams[fd], -1)
                if sink >= 0:
                    self.late.append((sink, data))
        self.end_server()
        oom = b""
        if self.limited and self.cgroup.end(self.state):
            oom = b',"oom":true'
            self.record(b"oom")
        if self.guests is not None:
            self.guests.tell(b"Z", b"%d" % code)
        seconds = (finished - self.began_ns) // 1000000000
        self.record(b"die", b',"exitCode":"%d","execDuration":"%d"' % (code, seconds))
        self.publish(b'{"exit_code":%d,"finished_ns":%d,"error":""%b}' % (code, finished, oom))
        return code

    def flush(self) -> None:
        """Hands the client the output it has not yet taken, however slowly it reads."""
        poll = select.poll()
        for sink, data in self.late:
            while data and sink in self.sinks.values():
                data = self.offer(sink, data)
                if data:
                    poll.register(sink, _POLLOUT)
                    if self.control >= 0:
                        poll.register(self.control, 0)
                    if any(fd == self.control for fd, _ in poll.poll()):
                        return
                    poll.unregister(sink)

    def let_go(self) -> None:
        """Closes the client's streams: who reads them is not kept waiting."""
        for fd in {*self.sinks.values()}:
            posix.close(fd)
        self.sinks.clear()

    def publish(self, document: bytes) -> None:
        """Writes the exit file in one step, then lets the lock go: whoever waits wakes now."""
        flags = posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC | posix.O_CLOEXEC
        try:
            fd = posix.open("exit.new", flags, 0o600, dir_fd=self.state)
            posix.write(fd, document)
            posix.close(fd)
            posix.rename("exit.new", "exit", src_dir_fd=self.state, dst_dir_fd=self.state)
        except OSError:  # the state directory was removed under us
            pass
        if self.log >= 0:
            posix.close(self.log)
        posix.close(self.lock)

    def record(self, action: bytes, more: bytes = b"") -> None:
        """Appends an event to the log of the store: `store.event_log` tells the form of a line.

        `journal` is the log's path, a zero byte and what the line says of the container; if that
        has changed, it is in `subject` in the state directory. `more` are further attributes."""
        path, _, subject = self.journal.partition(b"\0")
        if not path:
            return
        try:
            fd = posix.open("subject", posix.O_RDONLY | posix.O_CLOEXEC, dir_fd=self.state)
            subject = posix.read(fd, 1 << 20)
            posix.close(fd)
        except OSError:  # it has kept its name
            pass
        head = b'{"timeNano":%d,"Type":"container","Action":"%b",' % (time.time_ns(), action)
        flags = posix.O_WRONLY | posix.O_CREAT | posix.O_APPEND | posix.O_CLOEXEC
        try:
            fd = posix.open(path, flags, 0o600)
            posix.write(fd, b"%b%b%b}}\n" % (head, subject, more))
            posix.close(fd)
        except OSError:  # the disk is full, or the store is gone
            pass

    def end_server(self) -> None:
        """Waits for the supervisor of intercepted calls: it writes its table at the end."""
        if not self.serve_pid:
            return
        poll = select.poll()
        try:
            fd = self.served if self.served >= 0 else posix.pidfd_open(self.serve_pid)
            poll.register(fd, _POLLIN)
            if not poll.poll(_SERVE_GRACE_MS):
                posix.kill(self.serve_pid, 9)
                posix.waitpid(self.serve_pid, 0)
                self.serve_pid = 0
            posix.close(fd)
        except OSError:
            pass

    def see_off(self) -> None:
        """Gives the guests what they are owed, and waits until nothing is left of the supervisor,
        which takes longer than its work."""
        if self.guests is not None:
            self.guests.settle()
        if self.serve_pid:
            try:
                posix.waitpid(self.serve_pid, 0)
            except OSError:
                pass

    def kill_orphans(self) -> None:
        """Kills what the first process left behind; as a subreaper we are its parent now."""
        while True:
            pid = posix.getpid()
            try:
                fd = posix.open(f"/proc/{pid}/task/{pid}/children", posix.O_RDONLY)
                listed = posix.read(fd, 1 << 20).split()
                posix.close(fd)
            except OSError:
                return
            children = [int(c) for c in listed if int(c) != self.serve_pid]
            if not children:
                return
            for child in children:
                posix.kill(child, 9)
                posix.waitpid(child, 0)

    def argv(self, python: str, script: str) -> list[str]:
        """The command line that carries on with this monitor, detached, in a fresh interpreter."""
        numbers = [str(int(getattr(self, name))) for name in _NUMBERS]
        streams = ",".join(f"{fd}:{stream}" for fd, stream in self.streams.items())
        guests = "" if self.guests is None else ",".join(map(str, self.guests.descriptors()))
        once = "once" if self.guests is not None and self.guests.once else ""
        journal = self.journal.decode("utf-8", "surrogateescape")
        begin = [python, "-I", "-S", script, *numbers, streams, guests, once]
        return [*begin, *journal.partition("\0")[::2], *self.on_exit]

    def descriptors(self) -> list[int]:
        """Everything that must stay open when another program takes over."""
        own = [self.pidfd, self.state, self.log, self.lock, self.held, *self.streams]
        if self.guests is not None:
            own += self.guests.descriptors()
        return [fd for fd in own if fd >= 0]


def main(args: list[str]) -> None:
    """The detached monitor's whole life."""
    at = len(_NUMBERS)
    numbers = dict(zip(_NUMBERS, map(int, args[:at]), strict=True))
    pairs = [p.split(":") for p in args[at].split(",") if p]
    streams = {int(fd): int(stream) for fd, stream in pairs}
    on_exit = tuple(args[at + 5 :])
    journal = "\0".join(args[at + 3 : at + 5]).encode("utf-8", "surrogateescape")
    monitor = Monitor(streams=streams, on_exit=on_exit, journal=journal, **numbers)
    if args[at + 1] or monitor.limited:
        sys.path.append(__file__.rpartition("/")[0])
    if monitor.limited:
        monitor.cgroup = __import__("cgroup")
    if args[at + 1]:
        door, *inside = map(int, args[at + 1].split(","))
        monitor.guests = __import__("guests").Guests(door, bool(args[at + 2]), inside)
    for fd in monitor.descriptors():
        posix.set_inheritable(fd, False)
    monitor.watch()
    monitor.finish()
    monitor.see_off()
    if on_exit:
        posix.execv(on_exit[0], on_exit)


if __name__ == "__main__":
    main(sys.argv[1:])
