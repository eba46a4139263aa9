"""Imports of kobako's own modules, without a search.

An ordinary import asks every finder and every directory of `sys.path` and lists directories: a
dozen system calls and 50 us for each module. But where a module of this package lies is known:
beside its parent. What is found is the ordinary loader with the ordinary compiled file; whatever is
unusual (no compiled file yet, an older one, a hash instead of a time in it) is left to that loader.
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
    from types import CodeType, ModuleType

    Head = tuple[str, str, int, int]
    Entry = tuple[str, str, int, int, CodeType | None]
    """Of a module in the file of a group: see `startup.write`."""

_BY_TIME = MAGIC_NUMBER + b"\0\0\0\0"  # the head of a compiled file that is checked by time
_HEAD = 16
_SUFFIX = f".{sys.implementation.cache_tag}.pyc"


class Loader(SourceFileLoader):
    """The ordinary loader of a source file whose `stat` and compiled file are known already."""

    def __init__(self, name: str, path: str, info: os.stat_result, compiled: str) -> None:
        self.name = name  # as `super().__init__` does
        self.path = path
        self.info = info
        self._compiled = compiled

    def get_code(self, fullname: str) -> CodeType | None:
        return self.compiled() or super().get_code(fullname)

    def compiled(self) -> CodeType | None:
        """What the compiled file holds, if it is the one of this source."""
        most = 4 * self.info.st_size + 1024  # it is about twice the source
        try:
            fd = os.open(self._compiled, os.O_RDONLY | os.O_CLOEXEC)
            try:
                data = os.read(fd, most)
            finally:
                os.close(fd)
            made_from = int(self.info.st_mtime), self.info.st_size
            found = int.from_bytes(data[8:12], "little"), int.from_bytes(data[12:16], "little")
            if data.startswith(_BY_TIME) and found == made_from and len(data) < most:
                code: CodeType = marshal.loads(memoryview(data)[_HEAD:])
                return code
        except (OSError, EOFError, ValueError, TypeError):
            pass
        return None


class Finder:
    """Answers for modules below a package whose files lie in one directory."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if path is None or not name.startswith("kobako."):
            return None
        (directory,) = path
        last = name.rpartition(".")[2]
        source, compiled = f"{directory}/{last}.py", f"{directory}/__pycache__/{last}{_SUFFIX}"
        package = ""
        try:
            try:
                info = os.stat(source)
            except FileNotFoundError:
                package = f"{directory}/{last}"
                source = f"{package}/__init__.py"
                compiled = f"{package}/__pycache__/__init__{_SUFFIX}"
                info = os.stat(source)
        except OSError:
            return None
        spec = ModuleSpec(name, Loader(name, source, info, compiled), origin=source)
        spec.has_location = True
        spec.cached = compiled
        if package:
            spec.submodule_search_locations = [package]
        return spec


def install() -> None:
    """From now on kobako's modules are imported so. Not to be called where compiled files lie
    elsewhere, or are others. Idempotent."""
    if Finder not in sys.meta_path:
        sys.meta_path.insert(0, Finder)
