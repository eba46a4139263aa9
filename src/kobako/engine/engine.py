"""The engine: what all use cases share. Each use case is a function in a module beside this one."""

from __future__ import annotations

import os

from kobako.errors import Unsupported
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.engine.config import Config
    from kobako.engine.privilege import Mode
    from kobako.snapshot.driver import Driver
    from kobako.snapshot.trees import LayerTrees
    from kobako.store.store import Store


class Settings(Record):
    """Everything that comes from outside: nothing below the engine reads the environment.

    `root` is the data root (absolute), `mode` a privilege mode's name to insist on or "",
    `docker_config` the directory of docker's config.json, `path` the search path for credential
    helpers and host programs, `home` the user's home directory, `proxies` (lower-case variable,
    value) pairs.
    """

    root: str
    mode: str = ""
    config_path: str = ""
    docker_config: str = ""
    path: str = os.defpath
    home: str = "/root"
    proxies: tuple[tuple[str, str], ...] = ()


class Engine:
    """A data root in use. Cheap to make: store, privileges and drivers come when first needed.

    `mode` and whatever needs it *enter* the user namespace: use them before any thread exists,
    and not in verbs that must stay outside (`exec`).
    """

    __slots__ = (
        "_config", "_driver", "_mode", "_outside", "_own_mounts", "_own_pids", "_store", "_trees",
        "settings",
    )  # fmt: skip

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._store: Store | None = None
        self._mode: Mode | None = None
        self._trees: LayerTrees | None = None
        self._driver: Driver | None = None
        self._config: Config | None = None
        self._outside = False  # it was tried, and there is no mode
        self._own_mounts = False
        self._own_pids: bool | None = None

    @property
    def store(self) -> Store:
        if self._store is None:
            from kobako.store.store import Store

            self._store = Store.open(self.settings.root)
        return self._store

    @property
    def mode(self) -> Mode:
        if self._mode is None:
            from kobako.engine import privilege

            self._mode = privilege.enter(self.settings.mode)
        return self._mode

    def stay(self, mode: str) -> None:
        """Instead of `enter`: what a container's monitor has turned into is where it is to be."""
        from kobako.engine import privilege

        self._mode = privilege.stay(mode)

    def enter(self) -> None:
        """Become root in this engine's mode, if that has not happened: before threads exist, and
        before what was made inside a user namespace is read or removed."""
        _ = self.mode

    def try_enter(self) -> bool:
        """`enter`, for what images of the store need no root for: False where this user cannot be
        root in any way, and has not insisted on one."""
        if self._outside:
            return False
        try:
            self.enter()
        except Unsupported:
            if self.settings.mode:
                raise
            self._outside = True
            return False
        return True

    @property
    def trees(self) -> LayerTrees:
        """The unpacked layers, in the format of this mode."""
        if self._trees is None:
            from kobako.snapshot.trees import LayerTrees

            form = self.mode.format
            self._trees = LayerTrees(self.store.layers_dir(form), form)
        return self._trees

    @property
    def driver(self) -> Driver:
        if self._driver is None:
            from kobako.snapshot import select

            self._driver = select(self.settings.root, self.mode.format)
        return self._driver

    @property
    def config(self) -> Config:
        if self._config is None:
            from kobako.engine.config import Config

            self._config = Config.load(self.settings.config_path)
        return self._config

    @property
    def own_pids(self) -> bool:
        """Whether containers can have PID namespaces; else they see the processes around them."""
        if self._own_pids is None:
            from kobako.engine import privilege

            self._own_pids = privilege.own_pids(self.mode)
        return self._own_pids

    def own_mounts(self) -> None:
        """From now on nobody else sees what this process mounts."""
        if self._own_mounts:
            return
        if self.mode.entered:
            from kobako.linux import mount, process

            process.unshare(process.CLONE_NEWNS)
            mount.set_propagation("/", "rprivate")
        self._own_mounts = True

    @property
    def volumes_dir(self) -> str:
        return os.path.join(self.settings.root, "volumes")

    def container_dir(self, container_id: str) -> str:
        return os.path.join(self.settings.root, "containers", container_id)
