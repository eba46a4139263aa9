"""Which file the dynamic loader would load for a needed library: ld.so(8), without running it."""

from __future__ import annotations

import os

from kobako.errors import Invalid, NotFound
from kobako.image.from_host import elf, ldcache
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_DEFAULT_DIRECTORIES = ("/lib64", "/usr/lib64", "/lib", "/usr/lib")
_MULTIARCH = ("x86_64-linux-gnu", "aarch64-linux-gnu", "arm-linux-gnueabihf", "riscv64-linux-gnu")
_MUSL_DIRECTORIES = ("/lib", "/usr/local/lib", "/usr/lib")


class Library(Record):
    """A needed library as found: `name` is the word in DT_NEEDED, `path` where it lies."""

    name: str
    path: str


class Missing(Record):
    """A needed library the loader would not find either."""

    name: str
    needed_by: str


class LibrarySearch:
    """Finds closures of shared libraries on this machine; remembers what it has read.

    `cache` maps names to paths (as `ldcache.parse` gives them), `directories` are searched after
    it. `found` collects every library seen, in the order of discovery.
    """

    def __init__(self, cache: dict[str, list[str]], directories: Sequence[str]) -> None:
        self._cache = cache
        self._directories = tuple(directories)
        self._objects: dict[str, elf.ElfObject | None] = {}
        self._done: set[str] = set()

    @classmethod
    def of_host(cls) -> LibrarySearch:
        """The search as this machine's own loader does it."""
        try:
            with open("/etc/ld.so.cache", "rb") as file:
                cache = ldcache.parse(file.read())
        except OSError:
            cache = {}
        directories = [d for d in configured_directories("/etc/ld.so.conf") if os.path.isdir(d)]
        for base in _DEFAULT_DIRECTORIES:
            directories += [f"{base}/{m}" for m in _MULTIARCH if os.path.isdir(f"{base}/{m}")]
            directories.append(base)
        return cls(cache, directories)

    def object_at(self, path: str) -> elf.ElfObject | None:
        """`elf.read`, once per path."""
        if path not in self._objects:
            self._objects[path] = elf.read(path)
        return self._objects[path]

    def closure(self, path: str) -> tuple[list[Library], list[Missing]]:
        """All libraries `path` needs, directly or not, that no earlier call has returned.

        The program's interpreter (the loader itself) is not among them. Raises `NotFound` when
        `path` is not there and `Invalid` when it is a damaged ELF file.
        """
        found: list[Library] = []
        missing: list[Missing] = []
        pending: list[tuple[str, tuple[str, ...]]] = [(path, ())]
        while pending:
            current, inherited = pending.pop(0)
            try:
                loaded = self.object_at(current)
            except FileNotFoundError:
                raise NotFound(f"{current} does not exist") from None
            key = os.path.realpath(current)
            if loaded is None or key in self._done:
                continue
            self._done.add(key)
            rpath = inherited
            if not loaded.runpath:  # DT_RPATH counts only without DT_RUNPATH, and is inherited
                rpath = _expand(loaded.rpath, key) + inherited
            for name in loaded.needed:
                where = self._find(name, loaded, rpath, _expand(loaded.runpath, key))
                if where is None:
                    missing.append(Missing(name, current))
                else:
                    found.append(Library(name, where))
                    pending.append((where, rpath))
        return found, missing

    def find(self, name: str, like: elf.ElfObject) -> str | None:
        """The library called `name` that a program of `like`'s kind would get from dlopen."""
        return self._find(name, like, (), ())

    def _find(
        self,
        name: str,
        wanted: elf.ElfObject,
        rpath: tuple[str, ...],
        runpath: tuple[str, ...],
    ) -> str | None:
        if "/" in name:
            return name if self._fits(name, wanted) else None
        searched = [f"{d}/{name}" for d in (*rpath, *runpath)]
        searched += self._cache.get(name, ())
        searched += [f"{d}/{name}" for d in (*self._directories, *_musl_directories())]
        for candidate in searched:
            if self._fits(candidate, wanted):
                return candidate
        return None

    def _fits(self, path: str, wanted: elf.ElfObject) -> bool:
        try:
            found = self.object_at(path)
        except (OSError, Invalid):
            return False
        return found is not None and found.abi == wanted.abi


def _expand(paths: tuple[str, ...], real_path: str) -> tuple[str, ...]:
    """`$ORIGIN`, `$LIB` and `$PLATFORM` put in; relative entries (never safe) left out."""
    origin = os.path.dirname(real_path)
    lib = "lib64" if os.path.isdir("/lib64") else "lib"
    expanded = []
    for path in paths:
        for word, value in (("ORIGIN", origin), ("LIB", lib), ("PLATFORM", os.uname().machine)):
            path = path.replace("${" + word + "}", value).replace("$" + word, value)
        if path.startswith("/"):
            expanded.append(os.path.normpath(path))
    return tuple(expanded)


def configured_directories(path: str, depth: int = 0) -> list[str]:
    """The directories an ld.so.conf names, its includes followed; none when it is not there."""
    import fnmatch

    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return []
    found: list[str] = []
    for line in lines:
        words = line.partition("#")[0].split()
        if words[:1] == ["include"] and depth < 8:
            for pattern in words[1:]:
                pattern = os.path.join(os.path.dirname(path), pattern)
                directory, _, shape = pattern.rpartition("/")
                for name in sorted(_listed(directory)):
                    if fnmatch.fnmatchcase(name, shape):
                        found += configured_directories(f"{directory}/{name}", depth + 1)
        elif words and words[0].startswith("/"):
            found.append(words[0])
    return found


def _listed(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _musl_directories() -> tuple[str, ...]:
    """Where musl's loader looks: its path file, else the built-in three."""
    machine = os.uname().machine
    try:
        with open(f"/etc/ld-musl-{machine}.path", encoding="utf-8") as file:
            return tuple(file.read().replace("\n", ":").strip(":").split(":"))
    except OSError:
        return _MUSL_DIRECTORIES if os.path.exists(f"/lib/ld-musl-{machine}.so.1") else ()
