"""The case files: what they say, and their contexts on disk. README.md here describes them."""

from __future__ import annotations

import io
import os
import shlex
import tarfile
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
CASES = HERE / "cases"
EXPECTED = HERE / "expected"
TIME = 1_600_000_000


class Part(NamedTuple):
    """One `--- path words` section and the text below it."""

    path: str
    words: list[str]
    text: str


class Case(NamedTuple):
    """One build: `flags` are the words of `build` before the context; of the result, what `ignore`
    names is not compared."""

    topic: str
    name: str
    flags: list[str]
    parts: list[Part]
    ignore: list[str]

    @property
    def id(self) -> str:
        return f"{self.topic}/{self.name}"


def topics() -> list[str]:
    return sorted(path.stem for path in CASES.glob("*.txt"))


def read(topic: str) -> list[Case]:
    """The cases of a topic, in the file's order."""
    cases: list[Case] = []
    with open(CASES / f"{topic}.txt", encoding="utf-8", newline="\n") as file:
        lines = file.read().split("\n")
    body: list[str] = []
    for line in lines:
        if line.startswith("=== "):
            body = []
            name = line[4:].strip()
            assert name not in [c.name for c in cases], f"{topic}: two cases are called {name}"
            cases.append(Case(topic, name, [], [], []))
        elif not cases:
            continue  # what stands before the first case explains the topic
        elif line.startswith("--- "):
            body = []
            path, *words = shlex.split(line[4:])
            cases[-1].parts.append(Part(path, words, ""))
        elif line.startswith("flags: ") and not cases[-1].parts:
            cases[-1].flags.extend(shlex.split(line[7:]))
        elif line.startswith("ignore: ") and not cases[-1].parts:
            cases[-1].ignore.extend(line[8:].split())
        elif cases[-1].parts:
            body.append(line)
            parts = cases[-1].parts
            parts[-1] = parts[-1]._replace(text="\n".join(body).rstrip("\n") + "\n")
    return cases


def write(case: Case, place: Path, time_ns: int = TIME * 1_000_000_000) -> Path:
    """Lay out a case below the new directory `place`, all of `time_ns`; the context's directory."""
    context = place / "context"
    context.mkdir(parents=True)
    context.chmod(0o755)
    for part in case.parts:
        _write(context / part.path, part)
    for directory, names, files in os.walk(context):
        for name in (*names, *files):
            path = os.path.join(directory, name)
            os.utime(path, ns=(time_ns, time_ns), follow_symlinks=False)
    return context


def _write(path: Path, part: Part) -> None:
    """A section's file. Its words: a mode, `->` with a target, or a kind of content."""
    for parent in reversed(path.parents):
        if not parent.exists():
            parent.mkdir()
            parent.chmod(0o755)
    words = list(part.words)
    mode = 0
    if words and words[0].isdigit():
        mode = int(words.pop(0), 8)
    kind = words[0] if words else ""
    if str(part.path).endswith("/"):
        path.mkdir(exist_ok=True)
        path.chmod(mode or 0o755)
        return
    if kind == "->":
        path.symlink_to(" ".join(words[1:]))
        return
    if kind == "=":
        os.link(path.parent / words[1], path)
        return
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "sparse":
        with open(path, "wb") as file:
            file.truncate(int(words[1]))
    else:
        path.write_bytes(_content(kind, words[1:], part.text))
    path.chmod(mode or 0o644)


def _content(kind: str, words: list[str], text: str) -> bytes:
    if kind == "":
        return text.encode()
    if kind == "open":  # without a newline at the end
        return text.encode().removesuffix(b"\n")
    if kind == "escaped":  # \r \t \0 \x.. as Python has them, without a newline at the end
        return (
            text.removesuffix("\n")
            .encode("latin-1", "backslashreplace")
            .decode("unicode_escape")
            .encode("latin-1")
        )
    if kind == "empty":
        return b""
    if kind == "times":  # the text so many times
        return text.encode() * int(words[0])
    assert kind == "tar", kind
    return _archive(words[0] if words else "", text)


def _archive(compression: str, text: str) -> bytes:
    """A tar whose entries are lines: `path mode uid:gid [text | -> target | = target | type]`."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode=f"w:{compression}") as tar:  # type: ignore[call-overload]
        for line in text.splitlines():
            if not line.strip():
                continue
            name, mode, owner, *rest = line.split(" ")
            entry = tarfile.TarInfo(name.rstrip("/") if name != "/" else name)
            entry.mtime = TIME
            entry.mode = int(mode, 8)
            entry.uid, entry.gid = map(int, owner.split(":"))
            data = b""
            if name.endswith("/"):
                entry.type = tarfile.DIRTYPE
            elif rest[:1] == ["->"]:
                entry.type, entry.linkname = tarfile.SYMTYPE, rest[1]
            elif rest[:1] == ["="]:
                entry.type, entry.linkname = tarfile.LNKTYPE, rest[1]
            elif rest[:1] == ["fifo"]:
                entry.type = tarfile.FIFOTYPE
            elif rest[:1] == ["char"]:
                entry.type = tarfile.CHRTYPE
                entry.devmajor, entry.devminor = map(int, rest[1].split(","))
            elif rest[:1] == ["xattr"]:
                key, _, value = rest[1].partition("=")
                entry.pax_headers = {f"SCHILY.xattr.{key}": value}
            else:
                data = " ".join(rest).encode() + b"\n"
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return sink.getvalue()
