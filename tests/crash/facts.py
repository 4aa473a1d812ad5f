"""What is known of a run that was killed: plain values, on their way from the killing process to the tests."""

from decimal import Decimal
from typing import Any

from msgspec import Struct

ANY = "any step"
LINE = "line"
"""A line of the library's code, in any thread. Such steps are only counted for a death at one of them."""


class Point(Struct, frozen=True, order=True):
    """A place to die: the ``number``-th time (from 1) that a life reaches ``step``, or any step at all."""

    step: str
    number: int

    def __str__(self) -> str:
        return f"{self.step} #{self.number}"


class Attempt(Struct, frozen=True):
    """Something that happened in the outside world, which no crash undoes: a bill, or the use of a tool.

    ``life`` counts the processes of the run from 0. ``key`` is without the run's id.
    """

    life: int
    what: str
    key: str


class Life(Struct, frozen=True):
    """One process that worked on the run: killed on its way, or come to where the run rests.

    ``steps`` are those it passed. ``fresh``: it found no run on record and began one. ``ended``: nothing is left to do.
    ``conversation`` is a hash of all messages. ``runs`` counts those on record. ``faithful``: the record, folded, is
    the state the life ended with.
    ``charged`` are the dollars that count against the limit. ``difference`` is where a replay of it leaves the record.
    """

    killed: bool
    steps: tuple[Point, ...] = ()
    fresh: bool = False
    outcome: str = ""
    ended: bool = False
    output: Any = None
    conversation: str = ""
    runs: int = 0
    faithful: bool = False
    charged: Decimal = Decimal(0)
    difference: str = ""


class Plan(Struct, frozen=True):
    """A scene and where its first lives die, one point a life; the lives after them are left alone."""

    scene: str
    deaths: tuple[Point, ...] = ()

    def __str__(self) -> str:
        return f"{self.scene}: {' then '.join(map(str, self.deaths)) or 'unbroken'}"


class Trial(Struct, frozen=True):
    """What became of a plan."""

    plan: Plan
    lives: tuple[Life, ...]
    attempts: tuple[Attempt, ...]

    @property
    def last(self) -> Life:
        """The life that brought the run to its end."""
        return self.lives[-1]

    def bills(self, lives: int | None = None) -> int:
        """The replies that the model was paid for, in all lives or in the first of them."""
        return sum(a.what == "bill" for a in self.attempts if lives is None or a.life < lives)


class Matrix(Struct, frozen=True):
    """One scene, killed at each chosen point of one of its lives, beside the same lives without that death.

    ``points`` counts those there are; ``trials`` are of the chosen ones. ``exact``: each is sure to be reached.
    """

    name: str
    exact: bool
    unbroken: Trial
    points: int
    trials: tuple[Trial, ...]
