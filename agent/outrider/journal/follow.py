"""Reading along: a run's entries as they come to be on disk, whoever works on it."""

import asyncio
from collections.abc import AsyncGenerator

from outrider.events import Entry
from outrider.journal import Journal
from outrider.state import State

PAUSE = 0.25
"""Seconds between two looks."""

_LOOKS = 8
"""So many looks without anything new, and it is found out whether anybody still works on the run."""


async def follow(journal: Journal, run: str, after: int = 0) -> AsyncGenerator[Entry, None]:
    """The entries of a run with a number above ``after``, in order, without a gap and each once, as they are flushed.

    Ends when the run rests, or nobody works on it any more. Of one that is resumed later the rest is had by following
    again after the last number. Raises RunNotFound.
    """
    state, idle = State(), 0
    while True:
        entries = await journal.read(run, state.seq)
        for entry in entries:
            state.add(entry)
            if entry.seq > after:
                yield entry
        if state.over:
            return
        idle = 0 if entries else idle + 1
        if idle >= _LOOKS:
            if not await _is_live(journal, run) and not await journal.read(run, state.seq):
                return
            idle = 0
        await asyncio.sleep(PAUSE)


async def _is_live(journal: Journal, run: str) -> bool:
    return any(summary.live for summary in await journal.runs(1_000_000) if summary.run == run)
