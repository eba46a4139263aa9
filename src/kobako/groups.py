"""The modules that a verb needs, loaded at once.

Those of a group (`startup.GROUPS`) are kept together in one compiled file: reading their own ones
takes half as long again, as each is opened, and has anew what they have in common. Like a compiled
file it holds while the sources are as they were, and is written where compiled files are; by who
may not write there, in a cache of their own.

This is the first module that is loaded, and the only one that must be found by a search.
"""

from __future__ import annotations

import marshal
import os
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER, SourceFileLoader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from kobako.straight import Entry

_HERE = __file__.rpartition("/")[0]
_TAG = sys.implementation.cache_tag
_Module = type(sys)
_OTHERS_WRITE = 0o022
_left: set[str] = set()  # the groups that are not loaded yet; none before `begin`


def begin() -> None:
    """What a process of the command line does first: from now on imports are straight, and groups
    are loaded. Not where compiled files lie elsewhere, or are others."""
    if sys.pycache_prefix or sys.flags.optimize:
        return
    try:
        _left.update(_load("every"))
        _left.discard("every")
        from kobako import straight

        straight.install()
    except KeyboardInterrupt:
        os._exit(130)


def load(group: str) -> None:
    """Import the modules of a group, if there is one of that name; nothing without `begin`.

    They become what an import makes of them; but what importlib does for each (locks, asking the
    finders, walking to the parent) is a third of what it costs. Before any thread exists only.
    """
    if group in _left:
        _left.remove(group)
        _load(group)


def _load(group: str) -> Sequence[str]:
    """The names of all groups."""
    name = f"{group}.{_TAG}.group"
    shared, own = f"{_HERE}/__pycache__/{name}", _own(name)
    groups = _load_together(shared, mine=False) or (own and _load_together(own, mine=True))
    if groups:
        return groups
    from kobako import startup

    entries = startup.entries(group)
    if not _run(entries):
        startup.load(group)  # which compiles what is not
        entries = startup.entries(group)
    if entries and not sys.dont_write_bytecode:
        startup.write([shared, own] if own else [shared], entries)
    return tuple(startup.GROUPS)


def _own(name: str) -> str:
    """A file of the user's; "" where there is no home directory."""
    home = os.environ.get("HOME")
    cache = os.environ.get("XDG_CACHE_HOME") or (home and home + "/.cache")
    return f"{cache}/kobako/{_HERE.replace('/', '%')}/{name}" if cache else ""


def _load_together(file: str, *, mine: bool) -> Sequence[str]:
    """The names of all groups, where the file of this one (see `startup`) is there and holds.
    `mine`: only if nobody else can have written it."""
    groups: Sequence[str]
    try:
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            info = os.fstat(fd)
            data = os.read(fd, info.st_size)
        finally:
            os.close(fd)
        if mine and (info.st_uid != os.geteuid() or info.st_mode & _OTHERS_WRITE):
            return ()
        if not data.startswith(MAGIC_NUMBER):
            return ()
        groups, entries = marshal.loads(memoryview(data)[len(MAGIC_NUMBER) :])
        return groups if _run(entries) else ()
    except (OSError, EOFError, ValueError, TypeError):
        return ()


def _run(entries: Sequence[Entry]) -> bool:
    """Makes modules of entries (see `startup`) and runs them, those that are not loaded yet. False,
    and nothing done, where a source is not as it was, or there are no entries."""
    found = []
    for name, path, mtime, size, code in entries:
        path = f"{_HERE}/{path}"
        try:
            info = os.stat(path)
        except OSError:
            return False
        if (int(info.st_mtime), info.st_size) != (mtime, size):
            return False
        if code is not None and name not in sys.modules:
            found.append((_made(name, path), code))
    # A package is there before the modules in it, though its own code may come after theirs.
    early = {m.__name__: m for m, _ in found if "__path__" in m.__dict__}
    sys.modules.update(early)
    try:
        for module, code in found:
            name = module.__name__
            sys.modules[name] = early[name] = module
            exec(code, module.__dict__)
            del early[name]
            parent, _, last = name.rpartition(".")
            if parent not in sys.modules:
                __import__(parent)
            setattr(sys.modules[parent], last, module)
    finally:
        for name in early:
            del sys.modules[name]
    return bool(entries)


def _made(name: str, path: str) -> ModuleType:
    """An empty module with the attributes importlib gives it."""
    directory, _, last = path.rpartition("/")
    is_package = last == "__init__.py"
    spec = ModuleSpec(name, SourceFileLoader(name, path), origin=path)
    spec.has_location = True
    spec.cached = f"{directory}/__pycache__/{last[:-3]}.{_TAG}.pyc"
    module = _Module(name)
    attributes = module.__dict__
    attributes["__spec__"] = spec
    attributes["__loader__"] = spec.loader
    attributes["__file__"] = path
    attributes["__cached__"] = spec.cached
    attributes["__package__"] = name if is_package else name.rpartition(".")[0]
    if is_package:
        spec.submodule_search_locations = attributes["__path__"] = [directory]
    return module
