"""A very small terminal: what a step's output would look like on a few lines of its own.

It knows the cursor movements that progress bars use; everything else a program could send is
dropped, so nothing it says reaches the real terminal but characters.
"""

from __future__ import annotations

import codecs

from kobako.cli.progress.cells import cell_width

_LONGEST = 256
"""A control sequence that is longer than this is none."""


class Window:
    """`feed` bytes, read `lines`."""

    def __init__(self, rows: int, columns: int) -> None:
        self.rows = rows
        self.columns = max(1, columns)
        self.grid: list[list[str]] = [[]]
        self.row = 0
        self.column = 0
        self.escape = ""
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, data: bytes) -> None:
        for char in self.decoder.decode(data):
            if self.escape:
                self._escaped(char)
            elif char == "\x1b":
                self.escape = char
            else:
                self._put(char)

    def lines(self) -> list[str]:
        """The lines that show anything."""
        texts = ("".join(row).rstrip() for row in self.grid)
        return [text for text in texts if text]

    def resize(self, columns: int) -> None:
        """Another width: what is there is cut, what comes fits."""
        self.columns = max(1, columns)
        for row in self.grid:
            del row[self.columns :]
        self.column = min(self.column, self.columns)

    def _put(self, char: str) -> None:
        if char == "\n":
            self._line_feed()
            self.column = 0
        elif char == "\r":
            self.column = 0
        elif char == "\b":
            self.column = max(0, self.column - 1)
        elif char == "\t":
            for _ in range(8 - self.column % 8):
                self._put(" ")
        elif char.isprintable():
            self._print(char)

    def _print(self, char: str) -> None:
        cells = cell_width(char)
        row = self.grid[self.row]
        if cells == 0:
            if 0 < self.column <= len(row):
                row[self.column - 1] += char if len(row[self.column - 1]) < 8 else ""
            return
        if self.column + cells > self.columns:
            self._line_feed()
            self.column = 0
            row = self.grid[self.row]
        row += [" "] * (self.column + cells - len(row))
        row[self.column] = char
        if cells == 2:
            row[self.column + 1] = ""
        self.column += cells

    def _line_feed(self) -> None:
        if self.row + 1 < len(self.grid):
            self.row += 1
            return
        self.grid.append([])
        if len(self.grid) > self.rows:
            del self.grid[0]
        self.row = len(self.grid) - 1

    def _escaped(self, char: str) -> None:
        """One more character of a control sequence."""
        self.escape += char
        kind = self.escape[1]
        if kind == "[":
            if len(self.escape) > 2 and "@" <= char <= "~":
                self._control(self.escape[2:-1], char)
                self.escape = ""
        elif kind in "]PX^_":  # a title, a picture: up to BEL or ESC \
            if char == "\x07" or self.escape.endswith("\x1b\\"):
                self.escape = ""
        elif not " " <= char <= "/":
            self.escape = ""
        if len(self.escape) > _LONGEST:
            self.escape = self.escape[:2] if kind in "]PX^_" else ""

    def _control(self, parameters: str, final: str) -> None:
        first = parameters.partition(";")[0]
        count = int(first) if first.isascii() and first.isdigit() else 0
        step = min(max(1, count), 10_000)
        if final == "A":
            self.row = max(0, self.row - step)
        elif final == "B":
            self.row = min(len(self.grid) - 1, self.row + step)
        elif final == "C":
            self.column = min(self.columns - 1, self.column + step)
        elif final == "D":
            self.column = max(0, self.column - step)
        elif final == "G":
            self.column = min(self.columns, step) - 1
        elif final == "K":
            self._erase_line(count)
        elif final == "J" and count in (2, 3):
            self.grid, self.row, self.column = [[]], 0, 0
        elif final == "J" and count == 0:
            del self.grid[self.row][self.column :]
            del self.grid[self.row + 1 :]
        elif final in "Hf":
            self.row = self.column = 0

    def _erase_line(self, count: int) -> None:
        row = self.grid[self.row]
        if count == 0:
            del row[self.column :]
        elif count == 1:
            row[: self.column] = [" "] * min(self.column, len(row))
        else:
            row.clear()
