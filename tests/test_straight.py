"""Imports of kobako's own modules: the same as any import, whatever state the files are in."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType

import pytest

from kobako.straight import Finder


def load(directory: Path, name: str) -> ModuleType:
    spec = Finder.find_spec(f"kobako.{name}", [str(directory)])
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)


def test_a_changed_source(tmp_path: Path) -> None:
    source = tmp_path / "one.py"
    source.write_text("VALUE = 1\n")
    module = load(tmp_path, "one")
    assert module.VALUE == 1
    assert module.__file__ == str(source)
    assert module.__cached__ and Path(module.__cached__).exists()
    assert load(tmp_path, "one").VALUE == 1
    source.write_text("VALUE = 20\n")
    assert load(tmp_path, "one").VALUE == 20


@pytest.mark.parametrize("damage", [b"", b"\0" * 40, b"garbage"])
def test_a_damaged_compiled_file(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "one.py").write_text("VALUE = 1\n")
    compiled = Path(load(tmp_path, "one").__cached__)
    compiled.write_bytes(damage)
    assert load(tmp_path, "one").VALUE == 1


def test_packages_and_strangers(tmp_path: Path) -> None:
    package = tmp_path / "room"
    package.mkdir()
    (package / "__init__.py").write_text("VALUE = 3\n")
    module = load(tmp_path, "room")
    assert (module.VALUE, list(module.__path__)) == (3, [str(package)])
    assert Finder.find_spec("kobako.absent", [str(tmp_path)]) is None
    assert Finder.find_spec("room", [str(tmp_path)]) is None
    assert Finder.find_spec("kobako") is None


def test_a_traceback_shows_the_source() -> None:
    script = (
        "from kobako import straight; straight.install()\n"
        "from kobako.oci.digest import Digest\n"
        "import kobako.oci.digest as m, inspect\n"
        "assert 'class Digest' in inspect.getsource(m)\n"
        "print(type(m.__loader__).__module__)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("kobako.straight\n", "")
