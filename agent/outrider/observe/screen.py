"""A run on a terminal: permanent lines that scroll, and below them one status line that is always of now.

All drawing is done by a thread of its own: a slow terminal does not hold up the run, nor a waiting run the clock.
The cursor is never hidden and nothing but the status line is ever written over: however the process ends, even by
``kill -9``, the terminal is as it was.
"""

import os
import threading
import time
from queue import Empty, SimpleQueue
from typing import TextIO

from msgspec import UNSET
from msgspec.structs import replace

from outrider import events as e
from outrider.messages import AssistantMessage, from_wire, thoughts
from outrider.observe.line import Line, toned
from outrider.observe.status import Now, now_of, status
from outrider.observe.terminal import Lines, is_question, short, told
from outrider.state import State
from outrider.telling import clean

TICK = 0.1
"""Seconds between two looks at the clock."""
SAID = 160
"""Characters shown of what the model thinks, and of what it says beside its calls."""


class Screen:
    """Shows the entries of a run as they come, between ``open`` and ``close``.

    ``stream`` must be a terminal. ``answers`` says that the person there is asked on the spot when the run pauses for
    one: nothing is then said of the pause.
    """

    def __init__(self, stream: TextIO, answers: bool = False) -> None:
        self._stream, self._answers = stream, answers
        self._new: SimpleQueue[tuple[Line, ...] | None] = SimpleQueue()
        self._now = Now()
        self._request = 0
        """The number of the request whose reply is coming in."""
        self._thread: threading.Thread | None = None
        self._pen = threading.Lock()
        """Held by the thread while it draws, and by whoever wants it to draw no more."""

    def open(self) -> None:
        """Begin to draw."""
        self._thread = threading.Thread(target=self._draw, name="outrider-screen", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Show what waits, take the status line away and give the terminal back. Closing again does nothing."""
        if self._thread:
            self._new.put(None)
            self._thread.join()
            self._thread = None

    def show(self, entry: e.Entry, before: State) -> None:
        """Show an entry; ``before`` is the state without it."""
        if isinstance(entry.event, e.Replied):
            self.say(*toned(_said(entry.event), "wrap"))
        if self._answers and is_question(entry.event):
            return  # the question comes next
        self.say(*told(entry, before, most=1000))  # cut to the width when they are drawn

    def follow(self, state: State) -> None:
        """Let the status line be of this state from now on."""
        self._request = state.open_request
        self._now = now_of(state)

    def hear(self, event: e.Live) -> None:
        """Take a piece of a reply into the status line. One that comes late, after its reply, is dropped."""
        if event.number != self._request:
            return
        thought = ""
        match event:
            case e.ReasoningDelta(text=text):
                doing, thought = "thinking", (self._tail("thinking") + text)[-SAID:]
            case e.TextDelta(text=text):
                doing, thought = "answering", (self._tail("answering") + text)[-SAID:]
            case e.ArgumentsDelta():
                doing = "writing a call"
        self._now = replace(self._now, doing=doing, thought=thought)

    def _tail(self, doing: str) -> str:
        """What stands behind the status line while it says that the model is ``doing`` this."""
        return self._now.thought if self._now.doing == doing else ""

    def say(self, *lines: Line) -> None:
        """Show lines. Never waits, and may be called from a signal's function."""
        if lines:
            self._new.put(lines)

    def abandon(self) -> None:
        """Clear the status line at once and draw no more: the process is about to end, in a signal's function."""
        self._pen.acquire(timeout=0.5)  # never given back; no longer, for a terminal may have stopped taking anything
        os.write(self._stream.fileno(), b"\r\x1b[J")

    # ---------------------------------------------------------------------------------------- the thread

    def _draw(self) -> None:
        from outrider.observe.glass import Glass
        from outrider.observe.paint import rows, width_of

        with Glass(self._stream) as glass:
            going = terminal = True
            while going:
                lines, going = self._waiting()
                width = width_of(self._stream)
                fitted = [row for line in lines for row in rows(line, width)]
                with self._pen:
                    terminal = terminal and glass.draw(fitted, _bottom(self._now, width) if going else "")

    def _waiting(self) -> tuple[list[Line], bool]:
        """The lines that have come, after a tick at most, and whether there may be more."""
        lines: list[Line] = []
        try:
            batch = self._new.get(timeout=TICK)
            while batch is not None:
                lines += batch
                batch = self._new.get_nowait()
        except Empty:
            return lines, True
        return lines, False


def _said(event: e.Replied) -> Lines:
    """What the model thought, and what it said beside its calls."""
    message = from_wire(event.wire)
    if not isinstance(message, AssistantMessage):
        return
    if thought := thoughts(message):
        yield Line(f"  {short(thought, SAID)}", "dim", "wrap")
    if message.content and message.tool_calls is not UNSET:
        yield f"  {short(message.content, SAID)}"


def _bottom(now: Now, width: int) -> str:
    """The status line in less than ``width`` cells, with what the model thinks where there is room for it."""
    from outrider.observe.paint import cells, cut, end, paint

    full, few = (clean(text) for text in status(now, time.time()))
    line = full if cells(full) < width else cut(few, width - 1)
    room = width - 1 - cells(f"{line}: …")
    thought = end(clean(" ".join(now.thought.split())), room) if room >= 12 else ""
    return line + paint(f": …{thought}", "dim") if thought else line
