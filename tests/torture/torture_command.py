"""The command as these tests use it: one store, whole after whatever happens."""

from __future__ import annotations

import os
from pathlib import Path

from kobako_command import Command, Result

FULL = os.environ.get("KOBAKO_TEST_FULL", "") not in ("", "0")
"""Whether the long form of each test is asked for: the counts the project promises."""

_SIGNS = ("Traceback (most recent call last)", "unforeseen", "object at 0x", "Exception ignored")


class Kobako(Command):
    def __init__(self, root: Path, home: Path) -> None:
        """Settings and logins are looked for in the usual places of `home`."""
        super().__init__(root, home)
        del self.environ["KOBAKO_CONFIG"], self.environ["DOCKER_CONFIG"]

    def check(self, result: Result) -> None:
        """A failure has a message and no traceback; a command does not die of a signal."""
        for sign in _SIGNS:
            assert sign not in result.err, result
        assert result.code >= 0, result
        if result.code:
            assert result.said.strip(), result

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
