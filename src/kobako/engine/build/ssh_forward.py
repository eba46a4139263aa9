"""`RUN --mount=type=ssh`: a socket in the container that leads to an ssh agent outside of it.

A process of ours listens and connects, so that the agent sees the person who builds and not an id
of the container, whoever may use the socket there.
"""

from __future__ import annotations

import os
import select
import socket
import stat

from kobako.errors import Invalid, Unavailable, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.build.worker import SshMount

_SIGTERM = 15
_CHUNK = 65536
_OWN = "own"  # relative: an address of a socket has 107 bytes


class Forward:
    """`socket` is the path to mount; `close` ends everything. `directory` is made and ours."""

    def __init__(self, mount: SshMount, directory: str, search_path: str) -> None:
        self._pids: list[int] = []
        self._search_path = search_path
        self._directory = directory
        os.mkdir(directory, 0o700)
        self.socket = os.path.join(directory, "agent")
        try:
            agent = self._agent(mount.sources, mount.id)
            listener = _listen(self.socket)
            try:
                self._pids.append(_spawn(listener, agent))
            finally:
                listener.close()
        except BaseException:
            self.close()
            raise

    def _agent(self, sources: tuple[str, ...], name: str) -> str:
        """The socket of the agent the sources mean: one that runs, or one of our own with keys."""
        if len(sources) == 1:
            try:
                if stat.S_ISSOCK(os.stat(sources[0]).st_mode):
                    return sources[0]
            except OSError as fault:
                raise Invalid(f"--ssh {name}={sources[0]}: {fault.strerror}") from None
        return self._own_agent(sources, name)

    def _own_agent(self, keys: tuple[str, ...], name: str) -> str:
        import shutil
        import subprocess

        programs = [shutil.which(p, path=self._search_path) for p in ("ssh-agent", "ssh-add")]
        if None in programs:
            raise Unsupported(
                f"--ssh {name}: keys in files need ssh-agent and ssh-add",
                hint="Install OpenSSH's client, or give the socket of an agent.",
            )
        path = os.path.join(self._directory, _OWN)
        agent = subprocess.Popen(
            [str(programs[0]), "-D", "-a", _OWN],
            cwd=self._directory,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._pids.append(agent.pid)
        assert agent.stdout is not None
        agent.stdout.readline()  # it says where it listens once it does
        for key in keys:
            env = {"SSH_AUTH_SOCK": _OWN, "PATH": self._search_path}
            env["SSH_ASKPASS_REQUIRE"] = "never"
            added = subprocess.run(
                [str(programs[1]), "-q", key],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                cwd=self._directory, env=env, check=False,
            )  # fmt: skip
            if added.returncode:
                said = added.stderr.decode("utf-8", "replace").strip().replace("\n", "; ")
                raise Invalid(f"--ssh {name}: cannot use the key {key}: {said}")
        return path

    def close(self) -> None:
        for pid in self._pids:
            try:
                os.kill(pid, _SIGTERM)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
        self._pids = []


def _listen(path: str) -> socket.socket:
    """A listening socket at `path`, however long that is."""
    listener = socket.socket(socket.AF_UNIX)
    parent = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        listener.bind(f"/proc/self/fd/{parent}/{os.path.basename(path)}")
        listener.listen(16)
    except OSError as fault:
        listener.close()
        raise Unavailable(f"cannot listen for ssh: {fault.strerror}") from None
    finally:
        os.close(parent)
    return listener


def _spawn(listener: socket.socket, agent: str) -> int:
    """Forks the process that serves `listener`; it ends with us."""
    from kobako.linux import fork, process

    parent = os.getpid()
    pid = fork.fork_helper()
    if pid:
        return pid
    try:
        process.set_parent_death_signal(_SIGTERM)
        if os.getppid() == parent:
            _reset_signals()
            process.close_all_but({listener.fileno()})
            _serve(listener, agent)
    finally:
        os._exit(0)


def _reset_signals() -> None:
    import signal

    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started us says when it is over
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _serve(listener: socket.socket, agent: str) -> None:
    """Joins each connection with one to the agent, until it is killed."""
    os.chdir(os.path.dirname(agent))
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    pairs: dict[int, tuple[socket.socket, socket.socket]] = {}
    while True:
        for fd, _ in poll.poll():
            if fd == listener.fileno():
                client, _ = listener.accept()
                server = socket.socket(socket.AF_UNIX)
                try:
                    server.connect(os.path.basename(agent))
                except OSError:
                    client.close()
                    server.close()
                    continue
                for one, other in ((client, server), (server, client)):
                    pairs[one.fileno()] = (one, other)
                    poll.register(one, select.POLLIN)
                continue
            if fd not in pairs:
                continue
            source, sink = pairs[fd]
            try:
                data = source.recv(_CHUNK)
                if data:
                    sink.sendall(data)
            except OSError:
                data = b""
            if not data:
                for one in (source, sink):
                    poll.unregister(one)
                    del pairs[one.fileno()]
                    one.close()
