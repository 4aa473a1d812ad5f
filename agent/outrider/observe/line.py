"""A line for people: its text, how it is coloured, and what becomes of it where it is wider than the terminal."""

from collections.abc import Iterable, Iterator
from typing import Literal

from msgspec import Struct

from outrider.telling import clean

Tone = Literal["plain", "dim", "bold", "good", "warn", "bad"]
"""dim: ids and thoughts. good: an end with an answer. warn: retries, repairs, questions. bad: failures."""

Fit = Literal["cut", "wrap", "keep"]
"""cut: it ends with an ellipsis. wrap: it goes on below, indented. keep: it stays one line, to be copied whole."""


class Line(Struct, frozen=True):
    """One line to show; a text of several lines is shown as several, each indented as it is.

    ``hang``: where it is wrapped, it goes on below under its character number ``hang``.
    """

    text: str
    tone: Tone = "plain"
    fit: Fit = "cut"
    hang: int = 0


def toned(lines: Iterable[Line | str], fit: Fit) -> Iterator[Line]:
    """Lines, where a mere text is a plain one that fits in the way given; and none of them can steer a terminal."""
    for line in lines:
        known = line if isinstance(line, Line) else Line(line, fit=fit)
        yield Line(clean(known.text), known.tone, known.fit, known.hang)


def tone_of(outcome: str) -> Tone:
    """The colour of an ending: good with an answer, warn where the run can simply go on, else bad; "" is no ending."""
    if not outcome:
        return "plain"
    return "good" if outcome == "finished" else "warn" if outcome in ("paused", "interrupted", "limit") else "bad"
