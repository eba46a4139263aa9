"""What the paths of `cp` mean, as docker reads them: pure, for either side of a copy."""

from __future__ import annotations

import os

from kobako.errors import Invalid
from kobako.record import Record


def split_argument(text: str) -> tuple[str, str]:
    """(container, path) of a word of the command line; no container where it is a local path.

    A local name with a colon is told by a slash or dot before it: `./file:1`.
    """
    if text.startswith("/"):
        return "", text
    container, colon, path = text.partition(":")
    if not colon or container.startswith("."):
        return "", text
    return container, path


def absolute(path: str, base: str = "/") -> str:
    """The path from the root, cleaned lexically; the `/` or `/.` it ends with is kept."""
    cleaned = os.path.normpath("/" + os.path.join(base, path).lstrip("/"))
    if is_content(path) and not is_content(cleaned):
        cleaned = cleaned.rstrip("/") + "/."
    if path.endswith("/") and not cleaned.endswith("/"):
        cleaned += "/"
    return cleaned


def is_content(path: str) -> bool:
    """Whether what is in a directory is meant, not the directory: `DIR/.`"""
    return path.rstrip("/").rpartition("/")[2] == "." if path.strip("/") else False


def base(path: str) -> str:
    """The name of what an absolute path means: "." for what is in a directory, "/" for the root."""
    if is_content(path):
        return "."
    return path.rstrip("/").rpartition("/")[2] or "/"


def split_entry(path: str) -> tuple[str, str]:
    """The directory an absolute path lies in and its name there."""
    directory, _, name = (path.rstrip("/") or "/").rpartition("/")
    return directory or "/", name


class Source(Record):
    """What is copied: whether it is a directory, and `base` of its path as it was written."""

    is_directory: bool
    name: str

    @property
    def is_content(self) -> bool:
        return self.is_directory and self.name in (".", "/")


class Destination(Record):
    """Where it goes: the entry `name` in `directory`; with name "" what is in the source goes
    into that directory, which stays as it is."""

    directory: str
    name: str


def destination(source: Source, path: str, *, exists: bool, is_directory: bool) -> Destination:
    """docker's rules for a destination whose last component is no symlink. `Invalid` says why
    there can be no copy."""
    if exists and is_directory:
        return Destination(path, "" if source.is_content else source.name)
    if exists and source.is_directory:
        raise Invalid("cannot copy directory")
    if not (exists or source.is_directory) and (path.endswith("/") or is_content(path)):
        raise Invalid("no such directory")
    directory, name = split_entry(path)
    return Destination(directory, "" if name == "." else name)
