"""Unpacked layers: once, entirely, by whoever comes first."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from kobako.errors import Corrupt
from kobako.layer import codec
from kobako.oci.digest import Digest
from kobako.snapshot.trees import LayerTrees

FORM = "native" if os.geteuid() == 0 else "emulated"


def blob(count: int = 20) -> tuple[Digest, bytes]:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as tar:
        for n in range(count):
            info = tarfile.TarInfo(f"d/f{n}")
            info.size = 3
            tar.addfile(info, io.BytesIO(b"abc"))
    packed = io.BytesIO()
    writer = codec.open_writer(packed, "gzip")
    writer.write(sink.getvalue())
    writer.close()
    return Digest.of(sink.getvalue()), packed.getvalue()


def test_unpack_is_idempotent_and_leaves_only_the_layer(tmp_path: Path) -> None:
    diff_id, data = blob()
    trees = LayerTrees(str(tmp_path / "layers"), FORM)
    assert not trees.has(diff_id) and trees.list() == []
    trees.unpack(diff_id, lambda: io.BytesIO(data))
    trees.unpack(diff_id, lambda: pytest.fail("opened again"))
    assert trees.has(diff_id) and trees.list() == [diff_id]
    assert os.listdir(tmp_path / "layers") == [diff_id.encoded]
    assert len(os.listdir(trees.path(diff_id) + "/d")) == 20
    assert trees.usage(diff_id) == 60
    trees.remove(diff_id)
    trees.remove(diff_id)
    assert os.listdir(tmp_path / "layers") == []


def test_a_wrong_diff_id_leaves_nothing(tmp_path: Path) -> None:
    diff_id, _ = blob()
    _, other = blob(3)
    trees = LayerTrees(str(tmp_path), FORM)
    with pytest.raises(Corrupt, match=diff_id.short):
        trees.unpack(diff_id, lambda: io.BytesIO(other))
    with pytest.raises(Corrupt):
        trees.unpack(diff_id, lambda: io.BytesIO(other[:-20]))
    assert os.listdir(tmp_path) == []


_UNPACK = """
import sys
from kobako.oci.digest import Digest
from kobako.snapshot.trees import LayerTrees
root, form, diff_id, path, log = sys.argv[1:]
def open_blob():
    with open(log, "a") as file:
        file.write("opened\\n")
    return open(path, "rb")
LayerTrees(root, form).unpack(Digest(diff_id), open_blob)
"""


def test_ten_processes_unpack_once(tmp_path: Path) -> None:
    diff_id, data = blob(500)
    (tmp_path / "blob").write_bytes(data)
    words = [str(tmp_path / "layers"), FORM, diff_id, str(tmp_path / "blob"), str(tmp_path / "log")]
    children = [subprocess.Popen([sys.executable, "-c", _UNPACK, *words]) for _ in range(10)]
    assert [child.wait() for child in children] == [0] * 10
    assert (tmp_path / "log").read_text() == "opened\n"
    assert os.listdir(tmp_path / "layers") == [diff_id.encoded]


def test_what_a_killed_process_leaves_is_swept_or_replaced(tmp_path: Path) -> None:
    diff_id, data = blob(50)
    trees = LayerTrees(str(tmp_path), FORM)

    def killed() -> None:
        r, w = os.pipe()
        child = os.fork()
        if child == 0:

            class Slow(io.BytesIO):
                def read(self, size: int | None = -1, /) -> bytes:
                    if self.tell() > 0:
                        os.write(w, b"x")
                        time.sleep(60)
                    return super().read(6 if size is None or size > 6 else size)

            trees.unpack(diff_id, lambda: Slow(data))
            os._exit(0)
        os.read(r, 1)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(r)
        os.close(w)

    killed()
    assert not trees.has(diff_id) and trees.list() == []
    assert f"{diff_id.encoded}.part" in os.listdir(tmp_path)
    assert trees.sweep() == 1
    assert os.listdir(tmp_path) == []
    killed()
    trees.unpack(diff_id, lambda: io.BytesIO(data))
    assert os.listdir(tmp_path) == [diff_id.encoded]


def test_adopt_takes_the_tree_as_it_is(tmp_path: Path) -> None:
    diff_id, _ = blob()
    trees = LayerTrees(str(tmp_path / "layers"), FORM)
    upper = tmp_path / "upper"
    upper.mkdir()
    (upper / "f").write_text("f")
    (tmp_path / "owners").write_bytes(b"1:1 x\n")
    assert trees.adopt(diff_id, str(upper), str(tmp_path / "owners"))
    assert not upper.exists()
    assert os.listdir(trees.path(diff_id)) == ["f"]
    assert Path(trees.owners_path(diff_id)).read_bytes() == b"1:1 x\n"
    upper.mkdir()
    assert not trees.adopt(diff_id, str(upper))
    assert upper.exists()


def test_run_needs_little_of_this_room() -> None:
    code = (
        "import sys; import kobako.snapshot.driver, kobako.snapshot.overlay, kobako.snapshot.trees;"
        "bad = {'hashlib', 'threading', 'isal', 're', 'json', 'typing', 'dataclasses', 'enum',"
        " 'subprocess', 'tempfile', 'pathlib', 'queue', 'contextlib'} & set(sys.modules);"
        "sys.exit(' '.join(sorted(bad)) or 0)"
    )
    paths = f"import sys; sys.path[:0] = {[p for p in sys.path if p]!r}; "
    command = [sys.executable, "-I", "-S", "-c", paths + code]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
