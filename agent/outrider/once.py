"""One run of a name: whoever begins it first does it, in whatever process, and all the others get its result."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

from outrider.errors import RunBusy, RunNotFound, RunTaken, SetupError
from outrider.events import RunStarted
from outrider.journal import Journal
from outrider.journal.nothing import NoJournal, NoLog
from outrider.state import State

T = TypeVar("T")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PATIENCE = 1.0
"""Seconds between two looks at a run that somebody else does, at most; its owner's death is noticed as late."""


class Elsewhere(NoLog):
    """The log of a run that somebody else has done: it is on record, and nothing is added."""


def check_name(name: object, journal: Journal) -> None:
    """Raises SetupError when no run can be named so."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name == "last":
        raise SetupError(
            f"id is {name!r:.80}",
            "Name a run in 1 to 64 letters, digits, dots, dashes and underscores, as in nightly-2026-11-23.",
        )
    if isinstance(journal, NoJournal):
        raise SetupError(f"a run is named {name}, and nothing is kept", "Names need a journal: leave journal=None out.")


async def once(
    journal: Journal,
    start: RunStarted,
    begin: Callable[[], Awaitable[T]],
    go_on: Callable[[bool], Awaitable[T]],
    rested: Callable[[State], T],
) -> T:
    """Begin the run, go on with it where it was cut short, or wait until whoever does it is done.

    ``go_on(waited)`` resumes it: after somebody has been waited for, only if that one died. ``rested`` makes of a
    state that rests what is returned. Raises SetupError when the run of that name is on another task.
    """
    state, waited, pause = State(run=start.run), False, 0.05
    while True:
        try:
            for entry in await journal.read(start.run, state.seq):
                state.add(entry)
        except RunNotFound:  # nobody's, or of somebody who has not put anything on disk yet
            pass
        check_same(state, start)
        if state.outcome == "finished" or (waited and state.over):
            return rested(state)
        if not waited or pause >= _PATIENCE:
            try:
                return await (go_on(waited) if state.seq else begin())
            except (RunTaken, RunBusy, RunNotFound):
                waited = True
        await asyncio.sleep(pause)
        pause = min(_PATIENCE, 1.5 * pause)


def check_same(state: State, start: RunStarted) -> None:
    """Raises SetupError when the run on record is on another task."""
    if state.seq and state.task != start.task:
        raise SetupError(
            f"run {start.run} is there already, on another task: {state.task:.60}",
            "Name the new run otherwise, or give the same task to get the result of that one.",
        )
