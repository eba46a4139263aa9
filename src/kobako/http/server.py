"""Listening sockets, a bounded number of connection threads, and an orderly end.

A thread for each connection: handlers block on disks, databases and processes, the big bytes move
in calls that release the interpreter lock (recv_into, write, sha256, sendfile), and a hijacked
connection simply goes on in its thread.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
import time

from kobako.errors import Conflict, Invalid, Unavailable
from kobako.http.connection import Connection, Service
from kobako.http.limits import Limits
from kobako.http.response import render_error as default_render_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.errors import KobakoError
    from kobako.http.response import Response
    from kobako.http.router import Handler
    from kobako.http.served import Served

_BACKLOG = 512
_EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


def _ignore(*_: object) -> None:
    """The callback of those who do not watch."""


class Server:
    """An HTTP/1.1 server on any number of TCP and Unix sockets.

        server = Server(router)
        host, port = server.listen_tcp("127.0.0.1", 0)
        server.start()
        ...
        server.close(grace=10)

    Callbacks come from connection threads. A context manager: leaving closes.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        limits: Limits | None = None,
        render_error: Callable[[KobakoError], Response] = default_render_error,
        on_served: Callable[[Served], None] = _ignore,
        on_fault: Callable[[BaseException, str], None] = _ignore,
    ) -> None:
        self._limits = limits or Limits()
        self._service = Service(handler, self._limits, render_error, on_served, on_fault)
        self._listeners: list[socket.socket] = []
        self._unix_paths: list[str] = []
        self._acceptors: list[threading.Thread] = []
        self._connections: dict[Connection, threading.Thread] = {}
        self._changed = threading.Condition()
        self._closing = False
        self._closed = threading.Event()

    def listen_tcp(self, host: str, port: int) -> tuple[str, int]:
        """Listen on an address; port 0 takes a free one. Returns the actual address."""
        try:
            found = socket.getaddrinfo(
                host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
        except (OSError, UnicodeError) as error:
            raise Invalid(f"{host!r} is no address to listen on: {error}") from error
        found.sort(key=lambda item: item[0] != socket.AF_INET)
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            hint = "choose another port" if error.errno == errno.EADDRINUSE else ""
            message = f"cannot listen on {host}:{port}: {error.strerror}"
            raise Unavailable(message, hint=hint) from error
        actual: tuple[str, int] = listener.getsockname()[:2]
        self._listeners.append(listener)
        return actual

    def listen_unix(self, path: str, mode: int = 0o600) -> None:
        """Listen on a Unix socket; one that nobody serves any more is replaced."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _remove_stale(path)
            listener.bind(path)
            os.chmod(path, mode)  # before listen: nobody can connect in between
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            raise Unavailable(f"cannot listen on {path}: {error.strerror or error}") from error
        except Conflict:
            listener.close()
            raise
        self._listeners.append(listener)
        self._unix_paths.append(path)

    def start(self) -> None:
        """Accept connections, in threads of the server's own; returns at once."""
        for listener in self._listeners[len(self._acceptors) :]:
            thread = threading.Thread(target=self._accept, args=(listener,), daemon=True)
            self._acceptors.append(thread)
            thread.start()

    def wait(self, seconds: float | None = None) -> bool:
        """Block until the server is closed; False when `seconds` passed first."""
        return self._closed.wait(seconds)

    def close(self, grace: float = 10.0) -> bool:
        """Stop accepting, let running requests end, then cut what is left after `grace` seconds.

        True when nothing had to be cut. Idempotent.
        """
        with self._changed:
            self._closing = True
            for connection in self._connections:
                connection.end_if_idle()
            for listener in self._listeners:
                _stop_listening(listener)
            self._changed.notify_all()
        for path in self._unix_paths:
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass
        orderly = self._wait_for_connections(time.monotonic() + grace)
        with self._changed:
            for connection in self._connections:
                connection.abort()
        self._wait_for_connections(time.monotonic() + 2)
        self._closed.set()
        return orderly

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wait_for_connections(self, deadline: float) -> bool:
        with self._changed:
            while self._connections:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(min(left, 0.5))
                for connection in self._connections:  # one may have gone idle since
                    connection.end_if_idle()
        return True

    def _accept(self, listener: socket.socket) -> None:
        while self._room():
            try:
                client, address = listener.accept()
            except OSError as error:
                if self._closing:
                    return
                if error.errno in _EXHAUSTED:
                    self._service.on_fault(error, "accepting a connection")
                    self._end_longest_idle()
                    time.sleep(0.1)
                continue
            peer = address[0] if listener.family != socket.AF_UNIX else ""
            self._adopt(client, peer)

    def _adopt(self, client: socket.socket, peer: str) -> None:
        if client.family != socket.AF_UNIX:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(client, peer, self._service)
        thread = threading.Thread(target=self._run, args=(connection,), daemon=True)
        with self._changed:
            if self._closing:
                client.close()
                return
            self._connections[connection] = thread
        try:
            thread.start()
        except RuntimeError as error:  # the machine has no thread left
            with self._changed:
                del self._connections[connection]
            client.close()
            self._service.on_fault(error, "starting a connection's thread")

    def _run(self, connection: Connection) -> None:
        try:
            connection.run()
        finally:
            with self._changed:
                del self._connections[connection]
                self._changed.notify_all()

    def _room(self) -> bool:
        """Wait until one more connection may be served; False when the server closes."""
        with self._changed:
            while not self._closing and len(self._connections) >= self._limits.connections:
                self._end_longest_idle()
                self._changed.wait(0.5)
            return not self._closing

    def _end_longest_idle(self) -> None:
        with self._changed:
            idle = [(c.idle_since, c) for c in self._connections if c.idle_since is not None]
            idle = [(since, c) for since, c in idle if not c.closing]
            if idle:
                min(idle, key=lambda pair: pair[0] or 0.0)[1].end_if_idle()


def _stop_listening(listener: socket.socket) -> None:
    try:
        listener.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread
    except OSError:
        pass
    listener.close()


def _remove_stale(path: str) -> None:
    """Remove a socket file nobody listens on; `Conflict` when somebody does."""
    if not os.path.lexists(path):
        return
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.settimeout(2)
        probe.connect(path)
    except ConnectionRefusedError:
        os.unlink(path)
        return
    finally:
        probe.close()
    raise Conflict(f"{path} is in use by another server")
