"""The bottom of a terminal: a status line that gives way to whatever else is printed."""

import sys
import threading
from collections.abc import Callable, Sequence
from typing import Self, TextIO

from outrider.observe.paint import cells, width_of


class Glass:
    """Writes to a terminal for as long as its ``with`` block lasts.

    What the program prints meanwhile, to this terminal by Python's stdout or stderr, goes above the status line.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._write: Callable[[str], int] = stream.write
        self._lock = threading.RLock()  # a signal's function may print in the middle of a print
        self._status = ""
        self._unended = False
        """Whether what others printed last does not end its line: no status then, it would hide that."""
        self._watched: list[TextIO] = []

    def __enter__(self) -> Self:
        for stream in (sys.stdout, sys.stderr):
            if stream and stream.isatty():
                self._watch(stream)
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            for stream in self._watched:
                del stream.write
            self._put(self._cleared())

    def draw(self, rows: Sequence[str], status: str) -> bool:
        """Write rows that stay, and the status line below them. False when there is no terminal any more."""
        with self._lock:
            if not rows and (status == self._status or self._unended):
                return True
            text = self._cleared() + "".join(f"{row}\n" for row in rows) + status
            self._status = status
            return self._put(text)

    def _put(self, text: str) -> bool:
        try:
            self._write(text)
            self._stream.flush()
        except OSError:
            return False
        return True

    def _cleared(self) -> str:
        """What makes the cursor stand at the beginning of an empty line."""
        if self._unended:
            self._unended = False
            return "\n"
        if not self._status:
            return ""
        above = (cells(self._status) - 1) // width_of(self._stream)  # more than 0 where the terminal got narrower
        up = f"\x1b[{above}A" if above > 0 else ""
        return f"{up}\r\x1b[J"

    def _watch(self, stream: TextIO) -> None:
        """Have others' text clear the status first. On the stream itself: loggers keep the one they were given."""
        write: Callable[[str], int] = stream.write

        def beside(text: str) -> int:
            with self._lock:
                if self._status:
                    self.draw((), "")
                written = write(text)
                stream.flush()
                if text:
                    self._unended = not text.endswith("\n")
                return written

        stream.write = beside
        self._watched.append(stream)
