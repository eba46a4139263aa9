"""Programs of this machine and everything they need to run, as a plan of a tree."""

from __future__ import annotations

import os
import stat

from kobako.errors import Invalid, KobakoError, NotFound
from kobako.image.from_host import interpreters, ldcache, programs, skeleton
from kobako.image.from_host.libraries import LibrarySearch, configured_directories
from kobako.image.from_host.plan import TreePlan
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SCRIPT_DEPTH = 8
# Opened by libc at run time, so no DT_NEEDED names them.
_GLIBC_PLUGINS = ("libgcc_s.so.1", "libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2")


class Collection(Record):
    """The outcome of `collect`: the plan, the programs found and what was left out.

    `programs` are image paths in the order asked for; `skipped` are (path, reason) pairs the
    user should hear of.
    """

    plan: TreePlan
    programs: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    has_python: bool


def collect(
    words: Iterable[str],
    *,
    path: str = DEFAULT_PATH,
    homes: Iterable[str] = ("/root", "/home"),
    with_ca: bool = False,
    shell: bool = True,
) -> Collection:
    """Plan a tree that runs the programs `words` name (see `programs.find`).

    `path` is where program names are looked up, `homes` are directories whose files never show
    in the image under their own names. `/bin/sh` comes along unless `shell` is false. Raises
    `NotFound`, `Denied` or `Invalid`, naming the program or file.
    """
    collector = Collector(path, homes)
    asked = [place for word in words for place in collector.add_word(word)]
    if not asked:
        raise Invalid("no programs given", hint="name at least one, for example bash")
    if shell:
        collector.add_shell()
    collector.finish(with_ca=with_ca)
    plan = collector.plan
    return Collection(plan, tuple(asked), tuple(plan.skipped), collector.has_python)


class Collector:
    """Adds programs to a plan one by one; each file is examined once."""

    def __init__(self, path: str, homes: Iterable[str]) -> None:
        self.plan = TreePlan(homes)
        self.has_python = False
        self._path = path
        self._search = LibrarySearch.of_host()
        self._libraries: dict[str, str] = {}
        self._program_done: set[str] = set()
        self._glibc = ""  # the loader's path, once a program asks for it
        self._musl = ""

    def add_word(self, word: str) -> list[str]:
        """Everything `word` stands for; the image paths of its programs."""
        found = programs.find(word, self._path)
        places = []
        for program in found.programs:
            try:
                places.append(self.add_program(program))
            except KobakoError as error:
                if found.named and program == found.programs[0]:
                    raise
                self.plan.skip(program, error.message)
        for directory in found.support:
            if not any(interpreters.is_python(os.path.basename(p)) for p in found.programs):
                self._add_files(_walk(directory))
        return places

    def add_program(self, program: str, depth: int = 0) -> str:
        """A program, its interpreter and its libraries; returns its image path."""
        name = os.path.basename(program)
        if interpreters.is_python(name):
            return self._add_python(program)
        if program in self._program_done:
            return self.plan.place(program)
        self._program_done.add(program)
        place = self.plan.add(program, moved_to="/usr/local/bin")
        if self._search.object_at(program) is None:
            self._add_shebang(program, depth)
        else:
            self._add_closure(program)
            self._add_interpreter_library(program, name)
        return place

    def add_shell(self) -> None:
        """/bin/sh, for RUN lines and system(3)."""
        if os.path.exists("/bin/sh"):
            self.add_program("/bin/sh")

    def finish(self, *, with_ca: bool) -> None:
        """The fresh parts of the tree and the loader's cache."""
        plan = self.plan
        skeleton.add_directories(plan)
        shell = "/bin/bash" if plan.holds("/bin/bash") else "/bin/sh"
        skeleton.add_etc(plan, shell)
        skeleton.add_terminals(plan)
        skeleton.add_locale(plan)
        if with_ca:
            skeleton.add_certificates(plan)
        if self._glibc:
            self._write_loader_cache()
        if self._musl:
            self._write_musl_path()

    # Programs by kind

    def _add_shebang(self, script: str, depth: int) -> None:
        with open(script, "rb") as file:
            line = file.readline(4096)
        if not line.startswith(b"#!"):
            raise Invalid(f"{script} is neither an ELF program nor a script with a #! line")
        words = os.fsdecode(line[2:]).split()
        if not words or depth >= _SCRIPT_DEPTH:
            raise Invalid(f"{script} has a #! line that leads to no program")
        if self.plan.is_private(words[0]):
            raise Invalid(
                f"{script} is run by {words[0]}, which lies in a home directory",
                hint="install the program outside of it, or add it with a Dockerfile",
            )
        self.add_program(words[0], depth + 1)
        if os.path.basename(words[0]) == "env":
            rest = [w for w in words[1:] if not w.startswith("-") and "=" not in w]
            program = programs.which(rest[0], self._path) if rest else None
            if program is None:
                raise NotFound(
                    f"{script} is run by {' '.join(words[1:])}, which is not on {self._path}"
                )
            self.add_program(program, depth + 1)

    def _add_interpreter_library(self, program: str, name: str) -> None:
        real = os.path.basename(os.path.realpath(program))
        if name == "perl" or real.startswith("perl5"):
            self._add_files(interpreters.perl_library(program, self._path))
        elif name == "ruby" or real.startswith("ruby"):
            self._add_files(interpreters.ruby_library(program, self._path))
        elif name in ("node", "nodejs"):
            self._add_files(interpreters.node_library(program, self._path))
        elif name == "iconv":
            for directory in ("gconv", f"{os.uname().machine}-linux-gnu/gconv"):
                self._add_files(_walk(f"/usr/lib/{directory}"))

    def _add_python(self, program: str) -> str:
        python = interpreters.describe_python(program, self._path)
        self.has_python = True
        if self.plan.is_private(python.prefix):
            self.plan.move(python.prefix, "/usr/local")
        place = self.plan.add(python.executable, moved_to="/usr/local/bin")
        directory = os.path.dirname(place)
        known = os.path.dirname(program) in DEFAULT_PATH.split(":")
        if known and not self.plan.is_private(program) and self._is_elf(program):
            self.plan.add(program)  # keeps the chain of links it is known by
            directory = os.path.dirname(self.plan.place(program))
        if python.executable not in self._program_done:
            self._program_done.add(python.executable)
            self._add_closure(python.executable)
            self._add_files(interpreters.python_library(python))
        target = os.path.basename(place)
        if directory not in DEFAULT_PATH.split(":"):
            # A virtual environment's, or one with a prefix of its own: nobody would find it there.
            directory, target = "/usr/local/bin", place
        # `python hello.py` must work wherever `python3 hello.py` does.
        name = os.path.basename(program)
        for alias in dict.fromkeys((name, "python3", "python")):
            if not self.plan.holds(f"{directory}/{alias}"):
                self.plan.symlink(f"{directory}/{alias}", target)
        return f"{directory}/{name}"

    def _is_elf(self, program: str) -> bool:
        return self._search.object_at(program) is not None

    # Files and libraries

    def _add_files(self, paths: Iterable[str]) -> None:
        """Support files, one by one: what cannot be read or resolved is skipped, aloud."""
        for path in paths:
            try:
                if _may_be_elf(path):
                    self._add_closure(path, required=False)
                self.plan.add(path)
            except KobakoError as error:
                self.plan.skip(path, error.message)

    def _add_closure(self, path: str, *, required: bool = True) -> None:
        loaded = self._search.object_at(path)
        if loaded is None:
            return
        found, missing = self._search.closure(path)
        for gap in missing:
            message = f"{gap.needed_by} needs {gap.name}, which is not on this machine"
            if required:
                raise NotFound(message)
            raise NotFound(message.replace(f"{path} ", "it "))
        for library in found:
            self._libraries[library.name] = self.plan.add(library.path)
        if loaded.interpreter:
            self.plan.add(loaded.interpreter)
            if "ld-linux" in loaded.interpreter or "/ld64.so" in loaded.interpreter:
                self._add_glibc_plugins(path)
            elif "ld-musl" in loaded.interpreter:
                self._musl = loaded.interpreter

    def _add_glibc_plugins(self, program: str) -> None:
        loaded = self._search.object_at(program)
        if self._glibc or loaded is None:
            return
        self._glibc = loaded.interpreter
        for name in _GLIBC_PLUGINS:
            where = self._search.find(name, loaded)
            if where is not None:
                self._libraries[name] = self.plan.add(where)
                self._add_closure(where, required=False)

    def _write_musl_path(self) -> None:
        """Where musl's loader looks, if libraries lie outside its built-in directories."""
        here = {os.path.dirname(p) for p in self._libraries.values()}
        usual = ("/lib", "/usr/local/lib", "/usr/lib")
        if not here <= set(usual):
            name = os.path.basename(self._musl).split(".")[0]
            text = "\n".join([*usual, *sorted(here - set(usual))]) + "\n"
            self.plan.write(f"/etc/{name}.path", text.encode())

    def _write_loader_cache(self) -> None:
        """A cache of exactly the libraries here: the host's would name what is not."""
        cache = ldcache.build(sorted(self._libraries.items()), os.uname().machine)
        if cache is not None:
            self.plan.write("/etc/ld.so.cache", cache)
        here = {os.path.dirname(p) for p in self._libraries.values()} | {"/usr/local/lib"}
        ordered = [d for d in configured_directories("/etc/ld.so.conf") if d in here]
        ordered += sorted(here - set(ordered))
        self.plan.write("/etc/ld.so.conf", "".join(f"{d}\n" for d in ordered).encode())


def _may_be_elf(path: str) -> bool:
    name = os.path.basename(path)
    if name.endswith(".so") or ".so." in name:
        return True
    try:
        info = os.stat(path)
    except OSError:
        return False
    return stat.S_ISREG(info.st_mode) and bool(info.st_mode & 0o111)


def _walk(directory: str) -> Iterator[str]:
    for top, directories, files in os.walk(directory):
        directories.sort()
        for name in sorted(files):
            yield f"{top}/{name}"
