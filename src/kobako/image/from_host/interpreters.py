"""Interpreters and the libraries they cannot run without: Python, Perl, Ruby, Node.

Each is asked, isolated from the user's settings, where its library lies: only the interpreter
itself knows what its distributor patched into the search path.
"""

from __future__ import annotations

import os

from kobako import fastjson
from kobako.errors import Invalid
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_ASK_LIMIT = 20  # seconds; a shim that waits for a terminal must not hang us

_ASK_PYTHON = """
import json, os, sys
base = getattr(sys, "_base_executable", None) or sys.executable
print(json.dumps({
    "executable": os.path.realpath(base),
    "prefix": sys.base_prefix,
    "stdlib": os.path.dirname(os.__file__),
    "dynload": [p for p in sys.path if os.path.basename(p) == "lib-dynload"],
    "version": "%d.%d" % sys.version_info[:2],
    "tag": sys.implementation.cache_tag or "",
}))
"""

# Directories of the standard library nobody runs in a container.
_PYTHON_LEFT_OUT = frozenset(
    "site-packages dist-packages test tests idlelib idle_test tkinter turtledemo lib2to3/tests"
    " __phello__".split()
)
_PYTHON_MODULES_LEFT_OUT = ("_tkinter", "_test", "_ctypes_test", "_xxtest", "xxlimited", "_xx")


class Python(Record):
    """A Python as it describes itself. Paths are of this machine and resolved to the base
    installation: a virtual environment or a shim leads to the interpreter behind it."""

    executable: str
    prefix: str
    stdlib: str
    dynload: tuple[str, ...]
    version: str
    tag: str


def is_python(name: str) -> bool:
    """Whether a program of this name is a CPython: python, python3, python3.11."""
    rest = name.removeprefix("python")
    return rest != name and all(c.isdigit() or c == "." for c in rest)


def describe_python(program: str, search_path: str) -> Python:
    """Ask the Python at `program`; `Invalid` when it does not answer as one."""
    answer = _ask([program, "-I", "-S", "-c", _ASK_PYTHON], search_path)
    try:
        told = fastjson.loads(answer)
        return Python(
            executable=told["executable"],
            prefix=os.path.realpath(told["prefix"]),
            stdlib=os.path.realpath(told["stdlib"]),
            dynload=tuple(told["dynload"]),
            version=told["version"],
            tag=told["tag"],
        )
    except (ValueError, KeyError, TypeError):
        raise Invalid(f"{program} does not answer as a Python interpreter") from None


def python_library(python: Python) -> Iterator[str]:
    """The files of its standard library: sources, the byte code that belongs to them, modules.

    Left out: installed packages, test suites, IDLE and Tk, static libraries, and byte code of
    other versions or optimisation levels.
    """
    roots = [python.stdlib, *(d for d in python.dynload if not _inside(d, python.stdlib))]
    for root in roots:
        yield from _python_files(root, python)


def _python_files(directory: str, python: Python) -> Iterator[str]:
    try:
        listing = sorted(os.scandir(directory), key=lambda e: e.name)
    except OSError:
        return
    for entry in listing:
        name = entry.name
        if entry.is_dir(follow_symlinks=False):
            if name not in _PYTHON_LEFT_OUT and not name.startswith("config-"):
                yield from _python_files(entry.path, python)
        elif name.endswith(".pyc"):
            source = f"{os.path.dirname(directory)}/{name.split('.')[0]}.py"
            if name.endswith(f".{python.tag}.pyc") and os.path.exists(source):
                yield entry.path
        elif name.endswith(".so"):
            if not name.startswith(_PYTHON_MODULES_LEFT_OUT):
                yield entry.path
        elif name == "sitecustomize.py":
            continue  # this machine's own hook
        elif not name.endswith((".a", ".o", ".exe", ".orig")):
            yield entry.path


def perl_library(program: str, search_path: str) -> Iterator[str]:
    """The directories of Perl's own modules, site and user directories left out."""
    script = (
        "use Config; print join(qq(\\n), grep { length && -d } map { $Config{$_} }"
        " qw(privlibexp archlibexp vendorlibexp vendorarchexp)), qq(\\n);"
        " print join(qq(\\n), grep { m{^/(usr|lib)} && !m{/local/} && -d } @INC)"
    )
    yield from _trees(_ask([program, "-e", script], search_path))


def ruby_library(program: str, search_path: str) -> Iterator[str]:
    """The directories of Ruby's standard library and its default gems."""
    script = (
        "c = RbConfig::CONFIG; puts c['rubylibdir'], c['rubyarchdir'];"
        " puts Gem.default_dir + '/specifications/default' rescue nil;"
        " puts $LOAD_PATH.grep(%r{^/(usr/lib|usr/share|opt)}).grep_v(/site_ruby|local/)"
    )
    yield from _trees(_ask([program, "-rrbconfig", "-e", script], search_path))


def node_library(program: str, search_path: str) -> Iterator[str]:
    """Directories of built-in modules a distributor keeps outside the node binary."""
    script = (
        "const v = process.config.variables; const s = Object.entries(v)"
        ".filter(([k, f]) => k.endsWith('_path') && typeof f == 'string' && f.startsWith('/'));"
        "console.log(s.map(([k, f]) => require('path').dirname(f)).join('\\n'));"
        "for (const f of v.node_builtin_shareable_builtins || [])"
        " if (f.startsWith('/')) console.log(require('path').dirname(f))"
    )
    yield from _trees(_ask([program, "-e", script], search_path))


def _trees(answer: bytes) -> Iterator[str]:
    seen: set[str] = set()
    for line in answer.splitlines():
        root = os.fsdecode(line)
        if not root.startswith("/") or root.count("/") < 3 or not os.path.isdir(root):
            continue
        for directory, directories, files in os.walk(root):
            directories.sort()
            for name in sorted(files):
                path = f"{directory}/{name}"
                if path not in seen and not name.endswith((".a", ".o", ".pod", ".ri")):
                    seen.add(path)
                    yield path


def _ask(arguments: list[str], search_path: str) -> bytes:
    import subprocess

    try:
        done = subprocess.run(
            arguments,
            env={"PATH": search_path, "LC_ALL": "C"},
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ASK_LIMIT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Invalid(f"{arguments[0]} cannot be asked for its library: {error}") from None
    if done.returncode != 0:
        last = os.fsdecode(done.stderr.strip().splitlines()[-1]) if done.stderr.strip() else ""
        raise Invalid(f"{arguments[0]} cannot be asked for its library: {last}".rstrip(": "))
    return done.stdout


def _inside(path: str, directory: str) -> bool:
    return os.path.realpath(path).startswith(directory.rstrip("/") + "/")
