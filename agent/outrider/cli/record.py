"""Reading the journal from the command line."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from outrider.errors import RunNotFound, SetupError
from outrider.events import Entry
from outrider.journal import Journal

if TYPE_CHECKING:
    from temporalio.client import Client

BY = "cli"
"""Who gives a person's word here, as the record has it."""
LAST = "last"
MANY = 1_000_000  # more runs than a journal holds

T = TypeVar("T")


def with_journal(work: Callable[[Journal], Awaitable[T]]) -> T:
    """What comes of some work with the journal of this folder. Raises JournalError."""
    from outrider.journal.default import default_journal

    async def opened() -> T:
        journal = default_journal()
        try:
            return await work(journal)
        finally:
            await journal.close()

    return asyncio.run(opened())


def read_run(name: str) -> tuple[str, list[Entry]]:
    """The id and the record of a run: its id, a unique beginning of one, or "last". Raises RunNotFound."""

    async def read(journal: Journal) -> tuple[str, list[Entry]]:
        run = await _last(journal) if name == LAST else await journal.find(name)
        return run, await journal.read(run)

    return with_journal(read)


async def _last(journal: Journal) -> str:
    newest = await journal.runs(1)
    if not newest:
        kept = "Runs are kept in $OUTRIDER_JOURNAL, in $OUTRIDER_HOME, or in .outrider here."
        raise RunNotFound("there is no run on record here", kept)
    return newest[0].run


def call_workers(run: str) -> bool:
    """Have a submitted run look into its inbox, if TEMPORAL_ADDRESS is set. False when no workflow does this run."""

    async def ask(client: "Client") -> bool:
        from outrider.temporal.client import wake

        return await wake(run, client)

    return _asked_temporal(ask)  # where nobody could be asked the run looks by itself, within the hour


def is_given_out(run: str) -> bool:
    """Whether workers have the run to do, as far as TEMPORAL_ADDRESS leads to somebody who knows."""

    async def ask(client: "Client") -> bool:
        from outrider.temporal.client import is_given_out

        return await is_given_out(run, client)

    return _asked_temporal(ask)


def _asked_temporal(ask: Callable[["Client"], Awaitable[bool]]) -> bool:
    if not os.environ.get("TEMPORAL_ADDRESS"):
        return False
    try:
        from temporalio.exceptions import TemporalError

        from outrider.temporal.client import connect
    except ImportError:
        return False

    async def answer() -> bool:
        return await ask(await connect())

    try:
        return asyncio.run(answer())
    except (SetupError, TemporalError):
        return False


def is_live(run: str) -> bool:
    """Whether a living process owns the run."""
    found = with_journal(lambda journal: journal.runs(MANY))
    return any(summary.live for summary in found if summary.run == run)
