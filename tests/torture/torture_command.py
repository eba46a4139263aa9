"""The `kobako` command as these tests use it: one store, one environment, no traceback ever."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = (sys.executable, "-m", "kobako")
FULL = os.environ.get("KOBAKO_TEST_FULL", "") not in ("", "0")
"""Whether the long form of each test is asked for: the counts the project promises."""

_SIGNS = ("Traceback (most recent call last)", "unforeseen", "object at 0x", "Exception ignored")


class Result:
    """How a command ended. `said` is what it wrote to either stream."""

    def __init__(self, words: tuple[str, ...], code: int, out: bytes, err: bytes) -> None:
        self.words = words
        self.code = code
        self.raw = out
        self.out = out.decode("utf-8", "replace").strip()
        self.err = err.decode("utf-8", "replace").strip()

    @property
    def said(self) -> str:
        return f"{self.out}\n{self.err}"

    def __repr__(self) -> str:
        return (
            f"kobako {' '.join(self.words)} -> {self.code}\n{self.out[-2000:]}\n{self.err[-3000:]}"
        )


def check_manners(result: Result) -> None:
    """A failure has a message and no traceback; a command does not die of a signal."""
    for sign in _SIGNS:
        assert sign not in result.err, result
    assert result.code >= 0, result
    if result.code:
        assert result.said.strip(), result


class Kobako:
    """The command on one data root, with a home of its own."""

    def __init__(self, root: Path, home: Path) -> None:
        self.root = root
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        self.environ = {
            "HOME": str(home),
            "KOBAKO_ROOT": str(root),
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
        }
        if "PYTHONPATH" in os.environ:
            self.environ["PYTHONPATH"] = os.environ["PYTHONPATH"]

    def at(self, root: Path) -> Kobako:
        """The same user with another store."""
        return Kobako(root, self.home)

    def popen(self, *words: str, **options: object) -> subprocess.Popen[bytes]:
        """The command under way, its streams piped unless `options` (Popen's) say otherwise."""
        settings: dict[str, object] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "env": self.environ,
            **options,
        }
        return subprocess.Popen([*PROGRAM, *words], **settings)  # type: ignore[call-overload,no-any-return]

    def attempt(
        self, *words: str, data: bytes | None = None, timeout: float = 120, **options: object
    ) -> Result:
        """Run it to its end, however that is; only its manners are checked."""
        if data is not None:
            options["stdin"] = subprocess.PIPE
        with self.popen(*words, **options) as process:
            try:
                out, err = process.communicate(data, timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
                raise AssertionError(f"kobako {words} hangs\n{out!r}\n{err!r}") from None
        result = Result(words, process.returncode, out or b"", err or b"")
        check_manners(result)
        return result

    def __call__(self, *words: str, **options: object) -> Result:
        """Run it; it must succeed."""
        result = self.attempt(*words, **options)  # type: ignore[arg-type]
        assert result.code == 0, result
        return result

    def refuses(self, *words: str, **options: object) -> Result:
        """Run it; it must fail, with a message."""
        result = self.attempt(*words, **options)  # type: ignore[arg-type]
        assert result.code != 0, result
        return result

    def make_base(self) -> None:
        """The image `base`: a shell and a few programs of this machine."""
        self("image", "from-host", "--name", "base", *"sh cat sleep ls mkdir dd rm".split())

    def layers(self, image: str) -> str:
        """The DiffIDs of an image: what it holds, without the times of its making."""
        return self("inspect", "--format", "{{json .RootFS.Layers}}", image).out

    def whole(self) -> None:
        """fsck finds nothing broken, and nothing of the store is mounted where others see it."""
        self("fsck")
        with open("/proc/self/mountinfo") as lines:
            seen = [line for line in lines if str(self.root) in line]
        assert not seen, seen

    def remains(self) -> list[str]:
        """What operations left behind: scratch and ingest files, parts, directories of nothing."""
        containers = set(self("ps", "-aq", "--no-trunc").out.split())
        found = []
        for place in ("scratch", "ingest"):
            base = self.root / place
            found += sorted(base.iterdir()) if base.exists() else []
        for path in sorted(self.root.glob("*/*")) + sorted(self.root.glob("layers/*/*")):
            if path.suffix in (".part", ".new", ".tmp", ".lock"):
                found.append(path)
            if path.parent.name == "containers" and path.name not in containers:
                found.append(path)
        return [str(path.relative_to(self.root)) for path in found]
