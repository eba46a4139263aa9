"""The file of a group: what is loaded is what the sources say, whatever state the files are in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import kobako
from kobako import startup

SOURCES = Path(kobako.__file__).parent
ROOMS = [p.name for p in SOURCES.iterdir() if p.is_dir()]
IN_GROUP = "kobako.errors"
"""A module of the group that every verb begins with."""


class Tree:
    """A copy of the package, with some of its rooms only."""

    def __init__(self, base: Path, rooms: list[str]) -> None:
        self.base = base
        self.package = base / "kobako"
        ignore = shutil.ignore_patterns("__pycache__", *(d for d in ROOMS if d not in rooms))
        shutil.copytree(SOURCES, self.package, ignore=ignore)
        self.cache = self.package / "__pycache__"

    @property
    def file(self) -> Path:
        return self.cache / f"every.{sys.implementation.cache_tag}.group"

    def begin(self, then: str = "", **environ: str) -> str:
        """What a process prints that begins as the command does."""
        script = f"from kobako import groups\ngroups.begin()\nimport sys\n{then}"
        own = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**own, "PYTHONPATH": str(self.base), **environ},
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def says(self, module: str = IN_GROUP) -> str:
        return self.begin(f"print(getattr(sys.modules[{module!r}], 'SAYS', 'nothing'))").strip()

    def is_used(self, then: str = "", **environ: str) -> bool:
        """Whether nothing had to be imported one by one."""
        show = f"{then}\nprint('kobako.startup' in sys.modules)"
        said = self.begin(show, **environ)
        assert said in ("True\n", "False\n")
        return said == "False\n"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path, rooms=["cli"])


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def test_it_is_made_once_and_used(tree: Tree) -> None:
    assert not tree.is_used()
    made = tree.file.read_bytes()
    assert tree.is_used()
    assert tree.file.read_bytes() == made
    assert [p.name for p in tree.cache.iterdir() if ".group" in p.name] == [tree.file.name]


def test_what_only_readers_need_is_left_out(tree: Tree) -> None:
    show = """
from kobako.cli import flags
from kobako import errors, groups
shown = flags.__doc__, errors.KobakoError.__doc__, flags.parse.__doc__, flags.parse.__annotations__
print(repr(shown))
print(groups.load.__doc__ is not None, *errors.KobakoError.__mro__)
"""
    one_by_one, grouped = tree.begin(show).splitlines(), tree.begin(show).splitlines()
    assert grouped[0] == "(None, None, None, {})" and one_by_one[0] != grouped[0]
    assert grouped[1:] == one_by_one[1:]


def test_what_a_killed_process_left_is_cleared_away(tree: Tree) -> None:
    tree.cache.mkdir()
    with subprocess.Popen(["true"]) as ended:
        pass
    left, others = (tree.file.with_name(f"{tree.file.name}.{pid}") for pid in (ended.pid, 1))
    left.write_bytes(b"half")
    others.write_bytes(b"half")
    tree.begin()
    assert tree.file.exists() and others.exists() and not left.exists()


SHOWN = """
for name in sorted(n for n in sys.modules if n.startswith("kobako.")):
    m = sys.modules[name]
    s = m.__spec__
    print(m.__name__, m.__file__, m.__cached__, m.__package__, getattr(m, "__path__", None),
        s.name, s.origin, s.cached, s.parent, s.has_location, s.submodule_search_locations,
        m.__loader__ is s.loader, s.loader.get_filename(name), s.loader.is_package(name))
"""


def test_what_is_loaded_is_as_importlib_makes_it(tree: Tree) -> None:
    tree.begin()
    grouped = tree.begin(SHOWN)
    names = [line.split()[0] for line in grouped.splitlines() if line.startswith("kobako.")]
    assert "kobako.cli.dispatch" in names
    script = f"import sys\nfor n in {names}: __import__(n)\n{SHOWN}"
    environ = {**os.environ, "PYTHONPATH": str(tree.base)}
    alone = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True)
    assert grouped == alone.stdout.decode()


def test_a_source_that_has_changed(tree: Tree) -> None:
    tree.begin()
    source = tree.package / "errors.py"
    then = source.stat()
    append(source, "SAYS = 'one'\n")
    assert tree.says() == "one"
    assert tree.is_used()
    os.utime(source, ns=(then.st_atime_ns, then.st_mtime_ns))  # only its size tells
    append(source, "SAYS = 'another'\n")
    assert tree.says() == "another"


def test_a_list_that_has_changed(tree: Tree) -> None:
    tree.begin()
    source = tree.package / "startup.py"
    source.write_text(source.read_text().replace('"every": "', '"every": "events '))
    assert tree.begin("print('kobako.events' in sys.modules)") == "True\n"
    assert tree.is_used()


def test_a_source_that_is_gone(tree: Tree) -> None:
    source = tree.package / "startup.py"
    whole = source.read_text()
    source.write_text(whole.replace('"every": "', '"every": "events '))
    tree.begin()
    source.write_text(whole)
    (tree.package / "events.py").unlink()
    assert tree.begin("print('kobako.events' in sys.modules)") == "False\n"


@pytest.mark.parametrize("damage", ["empty", "short", "garbage", "of another Python"])
def test_a_damaged_file(tree: Tree, damage: str) -> None:
    tree.begin()
    whole = tree.file.read_bytes()
    tree.file.write_bytes(
        {
            "empty": b"",
            "short": whole[: len(whole) // 2],
            "garbage": whole[:4] + b"garbage",
            "of another Python": b"\0\0\0\0" + whole[4:],
        }[damage]
    )
    assert tree.says() == "nothing"
    assert tree.is_used()


def test_a_package_may_import_its_own_modules(tree: Tree) -> None:
    """In the file they stand before it, and need it to be there."""
    (tree.package / "room").mkdir()
    (tree.package / "room/__init__.py").write_text("from kobako.room.inner import SAYS\n")
    (tree.package / "room/inner.py").write_text("import kobako.room\nSAYS = 'inner'\n")
    source = tree.package / "startup.py"
    source.write_text(source.read_text().replace('"every": "', '"every": "room '))
    for _ in range(2):
        assert tree.says("kobako.room") == "inner"
        assert tree.begin("import kobako\nprint(kobako.room.inner.SAYS)") == "inner\n"
    assert tree.is_used()


def test_a_module_that_fails_leaves_nothing(tree: Tree) -> None:
    tree.begin()
    source = tree.package / "cli/__init__.py"
    append(source, "import os\nif os.environ.get('FAIL'): raise RuntimeError\n")
    tree.begin()
    assert tree.is_used()
    script = (
        "from kobako import groups\nimport sys\n"
        "try: groups.begin()\n"
        "except RuntimeError: print(*(n for n in sys.modules if n.startswith('kobako.cli')))\n"
    )
    environ = {**os.environ, "PYTHONPATH": str(tree.base), "FAIL": "1"}
    found = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True)
    assert (found.returncode, found.stdout, found.stderr) == (0, b"\n", b"")


@pytest.fixture
def closed(tree: Tree) -> Iterator[Tree]:
    """With compiled files, and nowhere to write beside them."""
    tree.begin()
    tree.file.unlink()
    os.chmod(tree.cache, 0o555)
    yield tree
    os.chmod(tree.cache, 0o755)


@pytest.mark.only("user")
@pytest.mark.parametrize("variable", ["HOME", "XDG_CACHE_HOME"])
def test_who_may_not_write_has_a_file_of_their_own(
    closed: Tree, tmp_path: Path, variable: str
) -> None:
    home = tmp_path / "user"
    home.mkdir()
    environ = {"HOME": str(home), "XDG_CACHE_HOME": "", variable: str(home)}
    assert [closed.is_used(**environ) for _ in range(2)] == [False, True]
    (made,) = home.rglob("*.group")
    assert not closed.file.exists()
    made.chmod(0o666)  # anybody may have written it
    assert not closed.is_used(**environ)
    append(closed.package / "errors.py", "SAYS = 'one'\n")
    assert closed.begin(f"print(sys.modules[{IN_GROUP!r}].SAYS)", **environ) == "one\n"


@pytest.mark.only("user")
@pytest.mark.parametrize("home", ["", "/proc/none"])
def test_nowhere_to_write_at_all(closed: Tree, home: str) -> None:
    assert closed.begin("print('here')", HOME=home, XDG_CACHE_HOME="") == "here\n"
    assert not closed.file.exists()


@pytest.mark.only("root")
def test_a_file_of_another_user_is_not_loaded(tree: Tree, tmp_path: Path) -> None:
    """As of who became root by sudo, and has kept their HOME."""
    tree.begin()
    home = tmp_path / "user"
    place = home / ".cache/kobako" / str(tree.package).replace("/", "%")
    place.mkdir(parents=True)
    tree.file.rename(place / tree.file.name)
    tree.cache.rename(tree.package / "was")
    tree.cache.symlink_to("/proc/none")  # nothing can be made there
    environ = {"HOME": str(home), "XDG_CACHE_HOME": ""}
    assert tree.is_used(**environ)
    os.chown(place / tree.file.name, 65534, 65534)
    assert not tree.is_used(**environ)


@pytest.mark.parametrize(
    "environ",
    ["PYTHONDONTWRITEBYTECODE=1", "PYTHONOPTIMIZE=1", "PYTHONPYCACHEPREFIX={}/elsewhere"],
)
def test_it_is_not_made_where_compiled_files_are_not(
    tree: Tree, tmp_path: Path, environ: str
) -> None:
    name, _, value = environ.format(tmp_path).partition("=")
    assert tree.begin("import kobako.cli.dispatch\nprint('here')", **{name: value}) == "here\n"
    assert not tree.file.exists()


AFTER_EACH_OTHER = (
    "every run run-create run-end",
    "every run run-create run-emulated run-end",
    "every run first",
    "every run monitor lookout looks emulated",
    "every run monitor lookout emulated",
    "every run monitor emulated",
    "every exec exec-end",
    "every probe",
    "every build build-layer build-copy",
    "every build build-layer build-step",
    "every build build-layer build-step monitor emulated",
    "every build build-layer build-step first",
    "every commit",
    "every ps",
    "every images",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return Tree(tmp_path_factory.mktemp("whole"), rooms=ROOMS)


@pytest.mark.parametrize("names", AFTER_EACH_OTHER)
def test_nothing_is_asked_for_while_a_group_is_loaded(whole: Tree, names: str) -> None:
    """Each module comes after those it imports: importlib finds them all there."""
    script = f"""
asked = []
class Witness:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.startswith("kobako."):
            asked.append(name)
sys.meta_path.insert(0, Witness)
for name in {names.split()[1:]}:
    groups.load(name)
print(*asked)
"""
    whole.begin(script)
    assert whole.begin(script) == "\n"
    listed = [name for group in names.split() for name in startup.GROUPS[group].split()]
    loaded = whole.begin(script + "print(*sys.modules)").split()
    assert {"kobako." + name for name in listed} <= {*loaded}


def test_all_groups_are_loaded_here() -> None:
    assert {*startup.GROUPS} == {name for names in AFTER_EACH_OTHER for name in names.split()}


def test_a_group_is_read_once(tree: Tree) -> None:
    """Builds ask for theirs with every step."""
    tree.begin()
    script = (
        "opened = []\n"
        "sys.addaudithook(lambda name, about: name == 'open' and opened.append(about[0]))\n"
        "groups.load('every')\n"
        "print(*(name for name in opened if name.endswith('.group')))"
    )
    assert tree.begin(script) == "\n"


def test_a_verb_without_a_group_does_not_ask_for_the_lists(tree: Tree) -> None:
    tree.begin()
    assert tree.is_used("groups.load('no-group')")


HELD = """
from pathlib import Path
held = groups.hold("emulated")
source = Path(groups.__file__).parent / "emulate" / "chown.py"
source.write_text(source.read_text() + "SAYS = 'more'\\n")
groups.load("emulated")
from kobako.emulate import chown
print(held >= 0, hasattr(chown, "SAYS"))
"""


def test_what_is_held_is_loaded_as_it_was(tmp_path: Path) -> None:
    tree = Tree(tmp_path, rooms=["cli", "emulate", "linux", "runtime"])
    assert tree.begin("print(groups.hold('emulated'))") == "-1\n"  # there is no file yet
    tree.begin("groups.load('emulated')")
    assert tree.begin(HELD) == "True False\n"
    assert tree.begin(HELD) == "False True\n"  # the file does not hold any more
    assert tree.begin(HELD) == "True True\n"
    script = "groups.load('emulated'); print(groups.hold('emulated'), groups.hold('none'))"
    assert tree.begin(script) == "-1 -1\n"


@pytest.mark.parametrize("keep", [0, 3, 7, 100, 2000, -1])
def test_a_file_that_is_not_whole(tree: Tree, keep: int) -> None:
    tree.begin()
    whole = tree.file.read_bytes()
    tree.file.write_bytes(whole[:keep])
    assert not tree.is_used()
    assert tree.is_used()
