"""Lines as a terminal of some width shows them. The only module that knows rich, and the only one that colours."""

import io
import os
import shutil
from typing import TextIO

from rich.cells import cell_len, set_cell_size
from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style
from rich.text import Text

from outrider.observe.line import Line, Tone

NARROWEST = 20
"""Cells that a wrapped text has at least, however deep it is indented."""

_STYLES: dict[Tone, Style] = {
    "plain": Style.null(),
    "dim": Style(dim=True),
    "bold": Style(bold=True),
    "good": Style(color="green"),
    "warn": Style(color="yellow"),
    "bad": Style(color="red"),
}

_console = Console(file=io.StringIO(), width=80)  # Text.wrap asks one for its defaults


def width_of(stream: TextIO) -> int:
    """Cells in a row of the terminal behind a stream; $COLUMNS, or 80, where the terminal does not say."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or shutil.get_terminal_size().columns
    except (OSError, ValueError):
        return shutil.get_terminal_size().columns


def rows(line: Line, width: int) -> list[str]:
    """The line as rows of at most ``width`` cells, coloured; those that are kept whole may be wider."""
    texts = line.text.expandtabs(4).split("\n")
    if line.fit == "keep":
        fitted = texts
    elif line.fit == "cut":
        fitted = [cut(" ".join(texts), width)]
    else:
        fitted = [row for text in texts for row in _wrapped(text, width, line.hang)]
    return [paint(row, line.tone) for row in fitted]


def paint(text: str, tone: Tone) -> str:
    """The text in that colour."""
    return _STYLES[tone].render(text, color_system=ColorSystem.STANDARD) if text else ""


def cut(text: str, width: int) -> str:
    """The text in at most ``width`` cells; where that is less than all, with an ellipsis."""
    return text if cell_len(text) <= width else f"{set_cell_size(text, max(0, width - 1)).rstrip()}…"


def end(text: str, width: int) -> str:
    """As much of the end of the text as ``width`` cells hold."""
    text = text[-width:]
    while cell_len(text) > width:
        text = text[1:]
    return text


def cells(text: str) -> int:
    """How wide a text is, painted or not."""
    return cell_len(Text.from_ansi(text).plain)


def padded(text: str, width: int) -> str:
    """The text in exactly ``width`` cells."""
    return set_cell_size(cut(text, width), width)


def _wrapped(text: str, width: int, hang: int) -> list[str]:
    most = max(0, width - NARROWEST)
    if 0 < hang <= most:
        first, body, margin = text[:hang], text[hang:], " " * hang
    else:
        body = text.lstrip(" ")
        first = margin = " " * min(len(text) - len(body), most)
    head, *more = [row.plain.rstrip() for row in Text(body).wrap(_console, max(1, width - len(margin)))] or [""]
    return [f"{first}{head}".rstrip(), *(margin + row for row in more)]
