"""The modules that a verb needs, loaded at once.

Those of a group (`startup.GROUPS`) are kept together in one compiled file: reading their own ones
takes half as long again, as each is opened, and has anew what they have in common. Like a compiled
file it holds while the sources are as they were, and is written where compiled files are; by who
may not write there, in a cache of their own.

This is the first module that is loaded, and the only one that must be found by a search.
"""

from __future__ import annotations

import gc
import marshal
import os
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER, SourceFileLoader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType, ModuleType

    from kobako.straight import Head

_HERE = __file__.rpartition("/")[0]
_TAG = sys.implementation.cache_tag
_Module = type(sys)
_OTHERS_WRITE = 0o022
_HEAD = len(MAGIC_NUMBER) + 4  # before the head of a group's file
_MOST_OF_HEAD = 16384
_left: set[str] = set()  # the groups that are not loaded yet; none before `begin`
_held: dict[str, _File] = {}


def begin() -> None:
    """What a process of the command line does first: from now on imports are straight, and groups
    are loaded. Not where compiled files lie elsewhere, or are others."""
    gc.set_threshold(50_000, 20, 20)  # a short verb ends before there is anything to collect
    if sys.pycache_prefix or sys.flags.optimize:
        return
    try:
        _left.update(_load("every"))
        _left.discard("every")
        from kobako import straight

        straight.install()
    except KeyboardInterrupt:
        os._exit(130)
    except MemoryError:
        give_up()


def give_up() -> None:
    """Ends the process where there is no memory for another word."""
    os.write(2, b"Error: out of memory\n")
    os._exit(1)


def load(group: str) -> None:
    """Import the modules of a group, if there is one of that name; nothing without `begin`.

    They become what an import makes of them; but what importlib does for each (locks, asking the
    finders, walking to the parent) is a third of what it costs. Before any thread exists only.
    """
    if group in _left:
        _left.remove(group)
        _load(group)


def hold(group: str) -> int:
    """Have a later `load` find the modules of a group as they are now: by then the files may be
    another version's. A descriptor that has to stay open; -1 where there is nothing to hold."""
    if group not in _left:
        return -1
    if group not in _held:
        found = _find(group)
        if found is None:
            return -1
        _held[group] = found
    return _held[group].fd


def _load(group: str) -> Sequence[str]:
    """The names of all groups."""
    found = _held.pop(group, None) or _find(group)
    if found is not None and (codes := found.codes()):
        _run(found.heads, codes)
        return found.groups
    from kobako import startup

    startup.load(group)
    if not sys.dont_write_bytecode:
        startup.write(group, [file for file, _ in _places(group)])
    return tuple(startup.GROUPS)


def _places(group: str) -> list[tuple[str, bool]]:
    """Where the file of a group may be, and whether that place is the user's own, who has none
    without a home directory."""
    name = f"{group}.{_TAG}.group"
    shared = (f"{_HERE}/__pycache__/{name}", False)
    home = os.environ.get("HOME")
    cache = os.environ.get("XDG_CACHE_HOME") or (home and home + "/.cache")
    if not cache:
        return [shared]
    return [shared, (f"{cache}/kobako/{_HERE.replace('/', '%')}/{name}", True)]


class _File:
    """The file of a group, open: `startup.write` says what is in it."""

    groups: Sequence[str]
    heads: Sequence[Head]

    def __init__(self, fd: int, data: bytes) -> None:
        """`data` are its first bytes, the whole head at least."""
        self.fd = fd
        self._at = _HEAD + int.from_bytes(data[len(MAGIC_NUMBER) : _HEAD], "little")
        self.groups, self.heads, self._blocks = marshal.loads(memoryview(data)[_HEAD : self._at])

    def codes(self) -> Sequence[CodeType | None]:
        """Nothing where it is not whole."""
        found: list[CodeType | None] = []
        at = self._at
        try:
            for size in self._blocks:
                found += marshal.loads(os.pread(self.fd, size, at))
                at += size
        except (OSError, EOFError, ValueError, TypeError):
            return ()
        finally:
            os.close(self.fd)
        return found


def _find(group: str) -> _File | None:
    """The file of a group, where there is one that holds and, in a place of the user's, nobody else
    can have written."""
    for path, own in _places(group):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            info = os.fstat(fd)
            data = os.pread(fd, _MOST_OF_HEAD, 0)
            ours = info.st_uid == os.geteuid() and not info.st_mode & _OTHERS_WRITE
            if (ours or not own) and data.startswith(MAGIC_NUMBER):
                found = _File(fd, data)
                if found.heads and _are_as_they_were(found.heads):
                    return found
        except (OSError, EOFError, ValueError, TypeError):
            pass
        os.close(fd)
    return None


def _are_as_they_were(heads: Sequence[Head]) -> bool:
    """Whether the sources are what the entries were made from."""
    try:
        for _, path, mtime, size in heads:
            info = os.stat(f"{_HERE}/{path}")
            if (int(info.st_mtime), info.st_size) != (mtime, size):
                return False
    except OSError:
        return False
    return True


def _run(heads: Sequence[Head], codes: Sequence[CodeType | None]) -> None:
    """Makes modules of entries (see `startup`) and runs them, those that are not loaded yet."""
    found = [
        (_made(name, f"{_HERE}/{path}"), code)
        for (name, path, _, _), code in zip(heads, codes, strict=True)
        if code is not None and name not in sys.modules
    ]
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
