"""A table for people: columns as wide as what is in them, the first one cut where the terminal is narrow."""

from collections.abc import Iterator, Sequence
from typing import TextIO

from msgspec import Struct

from outrider.cli.text import coloured, fitted
from outrider.observe.line import Line

GAP = "  "


class Column(Struct, frozen=True):
    """A column: its ``head``, its cells of printable text, and whether they stand at its right edge."""

    head: str
    cells: Sequence[str]
    right: bool = False

    @property
    def width(self) -> int:
        """Characters of its widest cell."""
        return max(map(len, (self.head, *self.cells)))

    def rows(self, width: int) -> Iterator[str]:
        """Its head and its cells, each of so many characters."""
        for text in (self.head, *self.cells):
            shown = text if len(text) <= width else f"{text[: max(0, width - 1)]}…"
            yield shown.rjust(width) if self.right else shown.ljust(width)


def width_of(columns: Sequence[Column]) -> int:
    """How wide a table with these columns is."""
    return sum(column.width for column in columns) + len(GAP) * (len(columns) - 1)


def table(columns: Sequence[Column], stream: TextIO, room: int | None) -> Iterator[str]:
    """The rows of a table, head first; ``room`` is how wide it may be, None for as wide as it is."""
    first = columns[0].width - (max(0, width_of(columns) - room) if room else 0)
    widths = [max(1, first), *(column.width for column in columns[1:])]
    parts = [column.rows(width) for column, width in zip(columns, widths, strict=True)]
    rows = [GAP.join(cells).rstrip() for cells in zip(*parts, strict=True)]
    head = Line(rows[0], "dim", "keep") if coloured(stream) else Line(rows[0], fit="keep")
    yield from fitted([head], stream)
    yield from rows[1:]
