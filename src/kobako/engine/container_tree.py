"""The files of a container as a tree to read or write from outside: its root and its volumes.

As with docker, what the container mounts itself and what is mounted for its processes alone (/proc,
/dev, /sys, tmpfs) is not there, whether the container runs or not.
"""

from __future__ import annotations

import os

from kobako.errors import Conflict, NotFound, StartFailed, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.engine.containers import Container
    from kobako.engine.engine import Engine
    from kobako.engine.scratch import Scratch
    from kobako.linux.ownership import Owners


class ContainerTree:
    """`root` is a descriptor of the tree, made by `open` for a process that does nothing else: it
    has one thread, has entered no user namespace yet, and ends when the tree is closed.

    For reading, a container that does not run is stacked anew, so that nobody waits for anybody;
    for writing it is locked, and cannot be started meanwhile.
    """

    def __init__(self, engine: Engine, container: Container, *, writing: bool) -> None:
        self._engine = engine
        self._container = container
        self._writing = writing
        self._scratch: Scratch | None = None
        self._lock = -1
        self._place = ""  # where it is mounted
        self.running = False
        self.root = -1
        self.form = ""

    def open(self) -> None:
        """Raises `NotFound` when the container has been removed, `Unavailable`."""
        from kobako.engine.privilege import MODES

        mode = self._container.document["Mode"]
        self.form = next(m.format for m in MODES if m.name == mode)
        try:
            if self._writing:
                self._take_lock()
            if not self._open_running():
                self._open_still()
        except StartFailed as fault:
            raise Unavailable(fault.message, hint=fault.hint) from None

    def _take_lock(self) -> None:
        from kobako.linux import claim

        lock = claim.take(self._container.directory, wait=True)
        if lock is None:
            raise NotFound(f"No such container: {self._container.name}")
        self._lock = lock

    def _open_running(self) -> bool:
        from kobako.runtime import outside, state

        self._place = os.path.join(self._container.directory, "rootfs")
        try:
            outside.enter(self._container.state_dir, self._place)
        except Conflict:
            if self._writing:  # nobody starts it: what still holds its mounts is about to end
                state.wait_unlocked(self._container.state_dir)
            return False
        self.running = True
        self._unlock()
        self._add_volumes()
        return True

    def _open_still(self) -> None:
        from kobako.engine import bundles
        from kobako.engine.scratch import Scratch

        engine, container = self._engine, self._container
        engine.own_mounts()
        if self._writing or not engine.driver.adoptable:
            self._place = os.path.join(container.directory, "rootfs")
            for mount in bundles.bundle(engine, container).rootfs:
                mount.apply()
        else:
            lowers = [os.path.join(container.directory, "upper"), *container.document["Lowers"]]
            self._scratch = Scratch(engine, lowers)
            self._place = self._scratch.__enter__().mount()
        self._add_volumes()

    def _add_volumes(self) -> None:
        from kobako.linux import mount
        from kobako.runtime import rootfs
        from kobako.runtime.bundle import Bundle

        spec = Bundle.load(self._container.directory).spec
        self.root = os.open(self._place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        rootfs.bind(self._container.directory, self.root, spec)
        if spec["root"].get("readonly"):
            mount.make_readonly(self.root)

    def owners(self, below: bytes = b"") -> Owners:
        """Who owns what cannot say it itself, for the tree at the path `below`."""
        from kobako.linux.ownership import Owners
        from kobako.snapshot.merge import merged_owners

        if self.form == "emulated" and self.running:
            from kobako.emulate import ownership
            from kobako.engine.bundles import control_socket

            ownership.flush(control_socket(self._container.directory))
        trees = [os.path.join(self._container.directory, "upper")]
        found = merged_owners([*trees, *self._container.document["Lowers"]], self.form)
        if not below:
            return found
        start = below + b"/"
        return Owners({p[len(start) :]: own for p, own in found.items() if p.startswith(start)})

    def own_table(self) -> Owners:
        """The table that what is written is to be noted in; `note` keeps it."""
        from kobako.linux.ownership import Owners

        if self.running or self.form != "emulated":
            return Owners()
        return Owners.load(os.path.join(self._container.directory, "owners"))

    def note(self, table: Owners) -> None:
        """Keep the owners of what was written."""
        if self.form != "emulated":
            return
        if not self.running:
            table.save(os.path.join(self._container.directory, "owners"))
        elif table:
            from kobako.emulate import ownership
            from kobako.engine.bundles import control_socket

            ownership.record(control_socket(self._container.directory), table.encode())

    def path_of(self, fd: int) -> bytes:
        """Where a descriptor of something in the tree lies, relative to the root."""
        root = os.readlink(b"/proc/self/fd/%d" % self.root).rstrip(b"/")
        return os.readlink(b"/proc/self/fd/%d" % fd)[len(root) :].strip(b"/")

    def why_read_only(self, path: bytes) -> str:
        """docker's words for a place nothing can be written to."""
        where = "/" + os.fsdecode(path)
        volumes = [m["Destination"] for m in self._container.document["Mounts"]]
        if any(where == place or where.startswith(place + "/") for place in volumes):
            return "mounted volume is marked read-only"
        return "container rootfs is marked read-only"

    def _unlock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def close(self) -> None:
        """Take it away again. No other descriptor of the tree is open any more."""
        from kobako.linux import mount

        if self.root >= 0:
            os.close(self.root)
            self.root = -1
            # Before the lock goes: nobody is to mount a tree that is still mounted here.
            mount.unmount(self._place, detach=True)
        if self._scratch is not None:
            self._scratch.mounted = False
            self._scratch.remove()
        self._unlock()
