"""Reading characters of an HCL file: blanks, comments, words."""

from __future__ import annotations

from kobako.bake.source import BakeError, Range

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.bake.source import File

DEPTH = 100
"""Deeper nesting than this is refused before Python's own stack would."""


class Cursor:
    """A place in a file. `fixed`: text decoded from elsewhere, whose every range is that one."""

    def __init__(self, file: File, at: int = 0, end: int = -1, fixed: Range | None = None) -> None:
        self.file = file
        self.text = file.text
        self.at = at
        self.end = len(file.text) if end < 0 else end
        self.fixed = fixed
        self.nested = 0
        """In how many brackets we are: within one, a line's end is a blank."""
        self.depth = 0

    def range(self, start: int, end: int | None = None) -> Range:
        return self.fixed or Range(self.file, start, self.at if end is None else end)

    def fault(self, summary: str, detail: str, start: int | None = None) -> BakeError:
        """An error about the text from `start`, or the next character."""
        first = self.at if start is None else start
        last = first if self.text[first : first + 1] in ("\n", "") else first + 1
        return BakeError(self.range(first, max(last, self.at)), summary, detail)

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > DEPTH:
            raise self.fault("Nested too deeply", f"Expressions may be nested {DEPTH} deep.")

    def peek(self, word: str) -> bool:
        return self.text.startswith(word, self.at, self.end)

    def char(self) -> str:
        """The next character, "" at the end."""
        return self.text[self.at] if self.at < self.end else ""

    def take(self, word: str) -> bool:
        """Skip `word` where it is next."""
        if not self.peek(word):
            return False
        self.at += len(word)
        return True

    def blanks(self, lines: bool | None = None) -> None:
        """Skip blanks and comments; line ends too when `lines`, or when in brackets."""
        over = self.nested > 0 if lines is None else lines
        while self.at < self.end:
            char = self.text[self.at]
            if char in " \t\r\ufeff" or (char == "\n" and over):
                self.at += 1
            elif char == "#" or self.peek("//"):
                stop = self.text.find("\n", self.at, self.end)
                self.at = self.end if stop < 0 else stop
            elif self.peek("/*"):
                stop = self.text.find("*/", self.at + 2, self.end)
                if stop < 0:
                    raise self.fault(
                        "Unterminated comment", "No closing */ was found for the comment."
                    )
                self.at = stop + 2
            else:
                return

    def word(self) -> str:
        """An identifier, "" when none is next."""
        start = self.at
        while self.at < self.end:
            char = self.text[self.at]
            if not (char == "_" or char.isalpha() or (self.at > start and _continues(char))):
                break
            self.at += 1
        return self.text[start : self.at]

    def is_word(self, word: str) -> bool:
        """Whether exactly this word is next."""
        after = self.at + len(word)
        if not self.peek(word):
            return False
        return after >= self.end or not (
            self.text[after] == "_" or self.text[after].isalpha() or _continues(self.text[after])
        )

    def take_word(self, word: str) -> bool:
        if not self.is_word(word):
            return False
        self.at += len(word)
        return True

    def found(self) -> str:
        """What is next, for a message."""
        char = self.char()
        if not char:
            return "the end of the file" if not self.fixed else "the end of the text"
        return "the end of the line" if char == "\n" else f'"{char}"'


def _continues(char: str) -> bool:
    return char == "-" or char.isdigit() or char.isidentifier() or ("a" + char).isidentifier()
