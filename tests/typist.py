"""``outrider`` on a terminal of its own: what a person would type, and what they would see."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
import unicodedata
from collections.abc import Callable

from shell import PATIENCE, START, Shell

# the first terminal that the leader of a session opens becomes its controlling one: Ctrl-C works there
LEAD = f"import os; os.close(os.open(os.ttyname(2), os.O_RDWR)); {START}"


class Glass:
    """A terminal of some width without a bottom. It knows few control sequences; any other is an error."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.rows: list[list[str]] = [[]]
        self.wrapped: set[int] = set()
        """Rows that went on in the next one, because the line was wider than the terminal."""
        self.row = self.column = 0

    def feed(self, text: str) -> "Glass":
        for control, character in re.findall(r"(\x1b\[[0-9;]*[A-Za-z])|(.)", text, re.DOTALL):
            self._control(control) if control else self._put(character)
        return self

    @property
    def lines(self) -> list[str]:
        return ["".join(row).rstrip() for row in self.rows]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def _control(self, sequence: str) -> None:
        number, kind = sequence[2:-1], sequence[-1]
        if kind == "A":
            self.row -= int(number or 1)
        elif (number, kind) == ("", "J"):
            del self.rows[self.row][self.column :]
            del self.rows[self.row + 1 :]
        elif kind != "m":
            raise AssertionError(f"unknown control sequence {sequence!r}")

    def _put(self, character: str) -> None:
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self._down()
        elif character == "\a":  # the terminal's own answer to a key that does nothing
            pass
        elif unicodedata.category(character) == "Cc":
            raise AssertionError(f"a control character {character!r}")
        elif not unicodedata.combining(character) and unicodedata.category(character) != "Mn":
            self._write(character, 2 if unicodedata.east_asian_width(character) in "WF" else 1)

    def _write(self, character: str, width: int) -> None:
        if self.column + width > self.columns:
            self.wrapped.add(self.row)
            self._down()
            self.column = 0
        row = self.rows[self.row]
        row += [" "] * (self.column + width - len(row))
        row[self.column : self.column + width] = [character] + [""] * (width - 1)
        self.column += width

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append([])


class Typist:
    """A person at a terminal in which ``outrider`` was started with these arguments."""

    def __init__(
        self, shell: Shell, *args: str, columns: int = 60, stdout: int | None = None, env: dict[str, str] | None = None
    ) -> None:
        self.columns = columns
        self._master, slave = pty.openpty()
        self.resizes(columns)
        self.process = subprocess.Popen(
            [sys.executable, "-c", LEAD, *args],
            cwd=shell.work,
            env=shell.env | {"TERM": "xterm-256color", "LANG": "C.UTF-8"} | (env or {}),
            stdin=slave,
            stdout=slave if stdout is None else stdout,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self._bytes = b""
        self._more = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def raw(self) -> str:
        """All that was written to the terminal so far, control sequences and all."""
        return self._bytes.decode("utf-8", "ignore")

    @property
    def glass(self) -> Glass:
        """What the terminal shows now, and what has scrolled away."""
        return Glass(self.columns).feed(re.sub(r"\x1b(\[[0-9;]*)?$", "", self.raw))  # half a sequence is still to come

    def sees(self, text: str, times: int = 1) -> "Typist":
        """Wait until the text has been written so many times."""
        return self.waits(lambda: self.raw.count(text) >= times, f"{text!r} was not written")

    def waits(self, condition: Callable[[], bool], otherwise: str = "it did not happen") -> "Typist":
        end = time.monotonic() + PATIENCE
        with self._more:
            while not condition():
                if time.monotonic() > end or not (self._thread.is_alive() or condition()):
                    raise AssertionError(f"{otherwise}; on the terminal:\n{self.raw}")
                self._more.wait(0.05)
        return self

    def resizes(self, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def types(self, text: str) -> "Typist":
        os.write(self._master, text.encode())
        return self

    def kills(self, number: signal.Signals) -> "Typist":
        self.process.send_signal(number)
        return self

    def ends(self) -> int:
        """Wait for the end; returns the exit code."""
        code = self.process.wait(PATIENCE)
        self._thread.join(PATIENCE)
        return code

    def leaves(self) -> None:
        """Whatever still goes on there ends."""
        self.process.kill()
        self.process.wait(PATIENCE)
        self._thread.join(PATIENCE)
        os.close(self._master)

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # the last one who had the terminal open is gone
                data = b""
            with self._more:
                self._bytes += data
                self._more.notify_all()
            if not data:
                return
