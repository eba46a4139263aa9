"""What a check is, and what it found."""

from __future__ import annotations

from kobako.record import Record

_DOCUMENTS = "https://docs.docker.com/go/dockerfile/rule/"


class Rule(Record):
    """One build check of the reference. `slug` names its page, "" where it has none.

    An `experimental` rule is carried out only when it is asked for.
    """

    name: str
    description: str
    slug: str = ""
    experimental: bool = False

    @property
    def url(self) -> str:
        return f"{_DOCUMENTS}{self.slug}/" if self.slug else ""


class Finding(Record):
    """A place that breaks a rule: lines `start` to `end`, 1-based, both inclusive.

    `token` is the text on those lines to point at, "" for the lines as a whole.
    """

    rule: str
    detail: str
    start: int
    end: int
    token: str = ""
