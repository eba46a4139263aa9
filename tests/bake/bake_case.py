"""Cases of bake files: a text file with the command's words, the files, and what is expected."""

from __future__ import annotations

import shlex
from pathlib import Path


class Case:
    """`words` and `environ` come from the lines above the first file; `files` by name."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.words: list[str] = []
        self.environ: dict[str, str] = {}
        self.files: dict[str, str] = {}
        self.expected = ""
        section = ""
        for line in text.splitlines(keepends=True):
            if line.startswith("-- ") and line.endswith(" --\n"):
                section = line[3:-4]
                self.files[section] = ""
            elif section:
                self.files[section] += line
            elif line.startswith("words:"):
                self.words = shlex.split(line[6:])
            elif line.startswith("env:"):
                key, _, value = line[4:].strip().partition("=")
                self.environ[key] = value
        self.expected = self.files.pop("expected", "")

    def lay(self, directory: Path) -> None:
        for name, text in self.files.items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_text(text)


def read(path: Path) -> Case:
    return Case(path.stem, path.read_text())
