"""What an emulated user is refused: what the kernel refuses a real one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from mode_c_container import HERE, Container

CALLS = "user_calls.py"


def really(root: Path, user: list[str], *words: object) -> list[str]:
    """The lines `user_calls.py` prints under the kernel's own rule: in a root directory at `root`
    with this machine's programs."""
    mounts = "".join(
        f"mount --rbind /{d} {root}/{d};" for d in ("usr", "bin", "lib", "lib64", "dev", "proc")
    )
    script = (
        f"{mounts} exec chroot {root} {' '.join(user)} python3 /{CALLS} {' '.join(map(str, words))}"
    )
    command = ["unshare", "--mount", "sh", "-ec", script]
    done = subprocess.run(command, stdout=-1, stderr=-2, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout
    return done.stdout.splitlines()


@pytest.mark.only("root")
@pytest.mark.parametrize("seed", range(4))
def test_calls_at_random_end_as_the_kernel_ends_them(
    container: Container, tmp_path: Path, seed: int
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    root.chmod(0o755)
    for place in ("usr", "bin", "lib", "lib64", "dev", "proc"):
        (root / place).mkdir()
    container.upper.mkdir()
    for top in (root, container.upper):
        shutil.copy(HERE / CALLS, top)
        (top / CALLS).chmod(0o755)
    user = ["setpriv", "--reuid=1000", "--regid=1000", "--groups=50"]
    for words, real, emulated in (
        ("make", [], ()),
        ("use", user, ("-u", "1000:50")),
        ("show", [], ()),
    ):
        wanted = really(root, real, words, seed)
        found = container.run(*emulated, "python3", f"/{CALLS}", words, str(seed)).splitlines()
        assert found == wanted
