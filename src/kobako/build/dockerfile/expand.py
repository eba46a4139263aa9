"""Variables in instructions: `$v ${v:-w} ${v+w} ${v:?e} ${v#p} ${v%%p} ${v/p/r}`, quotes, escapes.

Follows "Environment replacement" of the Dockerfile reference. An `Expander` belongs to one
instruction: all of its words see the same values, whatever the instruction itself assigns.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kobako.build.dockerfile.scan import Scan


class Expander:
    """Expands words with the variables of `env`.

    `unset` collects the names that were asked for and not there; `used` those that were.
    """

    def __init__(self, env: Mapping[str, str], escape: str = "\\") -> None:
        self.env = env
        self.escape = escape
        self.used: set[str] = set()
        self.unset: set[str] = set()

    def word(self, text: str) -> str:
        """The text as one word: variables replaced, quotes and escapes removed."""
        if not any(c in text for c in ("$", "'", '"', self.escape)):
            return text
        return self._scan(text).run()[0]

    def words(self, text: str) -> list[str]:
        """The text as the words it splits into after expansion; quoted blanks do not split."""
        return self._scan(text).run()[1]

    def body(self, text: str) -> str:
        """A here-document: quotes are ordinary characters there."""
        scan = self._scan(text)
        scan.escape = "\\"
        scan.quotes = False
        return scan.run()[0]

    def label(self, text: str) -> str:
        """For showing: known variables replaced, quotes and unknown variables left alone."""
        from kobako.build.dockerfile.source import Problem

        scan = self._scan(text)
        scan.raw_quotes = True
        scan.skip_unset = True
        try:
            return scan.run()[0]
        except Problem:
            return text

    def get(self, name: str) -> str | None:
        value = self.env.get(name)
        (self.unset if value is None else self.used).add(name)
        return value

    def _scan(self, text: str) -> Scan:
        from kobako.build.dockerfile.scan import Scan

        return Scan(self, text)
