"""The supervisor's loop: takes notifications, finds who answers them, sends the answers."""

from __future__ import annotations

import errno
import os
import select
import sys

from kobako import emulate, straight
from kobako.emulate import chown, control, create, execute, ids, journal, sockets, xattrs
from kobako.emulate.caller import Paths
from kobako.emulate.credentials import Table
from kobako.emulate.inodes import Inodes
from kobako.emulate.memory import Memory
from kobako.emulate.stat import Stat
from kobako.emulate.world import RESUME, SENT, World
from kobako.linux.notify import Listener
from kobako.linux.ownership import Own, Owners
from kobako.linux.syscalls import machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable, Sequence

    from kobako.emulate.lookout import Lookout
    from kobako.emulate.world import Answer


def _roots_differ(w: World, c: Listener) -> int:
    """Whatever changes the view of the tree: from now on every caller's own root is used."""
    w.paths.roots_differ = True
    return RESUME


_VIEWS = ("chroot", "pivot_root", "mount", "move_mount", "setns", "unshare", "clone")


def answers() -> dict[str, Answer]:
    """Who answers a call that a plain filter shows."""
    return {
        **Stat().answers,
        **chown.ANSWERS,
        **create.ANSWERS,
        **ids.ANSWERS,
        **execute.ANSWERS,
        **xattrs.ANSWERS,
        **sockets.ANSWERS,
        **dict.fromkeys(_VIEWS, _roots_differ),
    }


def numbered(by_name: dict[str, Answer]) -> dict[int, Answer]:
    """The same by the calls' numbers on this machine."""
    numbers = machine().numbers
    return {numbers[name]: answer for name, answer in by_name.items() if name in numbers}


def serve(
    listener: Callable[[], int],
    init_pid: int,
    control_socket: str,
    owners_path: str,
    lower_owners: Sequence[str],
    checks: bool,
    judged: Sequence[str],
    begun: Lookout | None,
) -> None:
    """See `kobako.emulate.ownership.serve`."""
    server = begun.server if begun else control.listen(control_socket)
    recorded = journal.load(owners_path, lower_owners)
    below = journal.load(os.devnull, lower_owners) if lower_owners else type(recorded)()
    book = journal.Journal(owners_path)
    try:
        credentials = Table(init_pid)
    except ProcessLookupError:
        return  # it could not be set up
    by_name = answers()
    by_number = numbered(by_name)
    reach_modules = _modules()
    first = begun.listener if begun else None
    if first is None:
        listener_fd = listener()  # until there is one, all is done that can be
        if listener_fd < 0:
            return
        first = Listener(listener_fd)
    paths = Paths(os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), init_pid)
    inodes = Inodes(paths, book)
    journal.restore(recorded, inodes)
    paths.go_home()
    world = World(Memory(), paths, inodes, credentials)

    def checking() -> dict[int, Answer]:
        paths.go_home()
        reach_modules()
        from kobako.emulate.checked import answers as checked
        from kobako.emulate.rights import Rights

        return numbered(checked(by_name, Rights(inodes, judged, paths.guards_links())))

    supervisor = Supervisor(world, by_number, checking, book, below, server)
    supervisor.add(first, checks)
    if begun and begun.waiting:
        supervisor.answer(first)
    supervisor.run()
    paths.depart()


def _modules() -> Callable[[], None]:
    """What has to be called, between calls, before a module is imported later than this.

    Few containers have a checked listener, so what that takes is loaded for the first one. By then
    we are chrooted, but our working directory is /proc, and leads to the descriptors we have.
    """
    if straight.Finder not in sys.meta_path:  # other finders ask for absolute paths
        from kobako.emulate import checked

        assert checked
        return lambda: None
    fd = os.open(emulate.__path__[0], os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def reach() -> None:
        emulate.__path__ = [f"self/fd/{fd}"]

    return reach


class Supervisor:
    """Serves all listeners of one container from one thread."""

    def __init__(
        self,
        world: World,
        by_number: dict[int, Answer],
        checking: Callable[[], dict[int, Answer]],
        book: journal.Journal,
        below: Owners,
        server: _socket.socket,
    ) -> None:
        self._world = world
        self._plain = by_number
        self._checking = checking
        self._checked: dict[int, Answer] = {}
        self._book = book
        self._below = below
        self._server = server
        self._listeners: dict[int, tuple[Listener, dict[int, Answer]]] = {}
        self._poll = select.poll()
        self._poll.register(server.fileno(), select.POLLIN)

    def add(self, listener: Listener, checks: bool) -> None:
        """checks: the filter is a checked one."""
        if checks and not self._checked:
            self._checked = self._checking()
        listener.sync_wake_up()
        self._listeners[listener.fd] = listener, self._checked if checks else self._plain
        self._poll.register(listener.fd, select.POLLIN)

    def run(self) -> None:
        """Until no process is left under any of the filters."""
        poll, listeners = self._poll.poll, self._listeners
        while listeners:
            for fd, events in poll():
                known = listeners.get(fd)
                if known is None:
                    self._request()
                elif events & select.POLLIN:
                    if known[0].receive():
                        self.answer(known[0])
                elif events & (select.POLLHUP | select.POLLERR | select.POLLNVAL):
                    self._poll.unregister(fd)
                    del listeners[fd]
                    os.close(fd)
        self.flush()

    def flush(self) -> None:
        """Brings the owners table on disk up to date."""
        self._world.paths.go_home()
        self._book.rewrite(journal.settled(self._world.inodes, self._below, self._book))

    def _record(self, fd: int) -> None:
        """Notes the owners of files put into the tree from outside."""
        with open(fd, "rb") as file:
            file.seek(0)
            table = Owners.decode(file.read())
        self._world.paths.go_home()
        for path, (uid, gid) in table.items():
            try:
                self._world.inodes.created(b"/" + path, Own(uid, gid))
            except OSError:
                continue  # the container has removed it again

    def answer(self, c: Listener) -> None:
        """Answers what that one of the listeners has received. Nothing a container does may end the
        supervisor: whatever goes wrong is the call's."""
        answers = self._listeners[c.fd][1]
        try:
            value = answers[c.nr](self._world, c)
            error = 0
        except OSError as e:
            value, error = 0, e.errno or errno.EIO
        except Exception:
            value, error = 0, errno.EIO
        try:
            self._world.paths.leave()
        except OSError:
            pass
        if value == RESUME:
            c.resume()
        elif value != SENT:
            c.finish(value, error)

    def _request(self) -> None:
        request = control.receive(self._server)
        if request is None:
            return
        connection, kind, listener = request
        done = False
        try:
            if kind in (control.LISTENER, control.CHECKED) and listener >= 0:
                self.add(Listener(listener), kind == control.CHECKED)
                done = True
            elif kind == control.FLUSH:
                self.flush()
                done = True
            elif kind == control.RECORD and listener >= 0:
                self._record(listener)
                done = True
        except Exception:  # whoever asks is told, and the container goes on
            pass
        control.answer(connection, done)
