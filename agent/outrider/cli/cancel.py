"""outrider cancel: stop a run that another process works on."""

import asyncio

import click

from outrider.cli.record import BY, is_live, read_run, with_journal
from outrider.cli.text import note
from outrider.commands import Cancel
from outrider.errors import SetupError
from outrider.journal import Journal
from outrider.journal.follow import follow
from outrider.state import State
from outrider.telling import typed

_PATIENCE = 20.0
"""Seconds to wait for the run to rest; a tool that does not let go of its thread may hold it up."""


@click.command("cancel")
@click.argument("run")
def command(run: str) -> int:
    """Stop RUN (an id, the beginning of one, or last), which some process works on; wait until it rests.

    Its connection is closed, its tools are cancelled, what has finished is on record, and it can be resumed.
    """
    run, entries = read_run(run)
    state, go_on = State.fold(entries), typed("resume", run)
    if state.over:
        raise SetupError(f"run {run} rests already: {state.outcome}", f"To go on, with its flags: {go_on}")
    if not is_live(run):
        raise SetupError(f"no process works on run {run}: it was cut off", f"To go on, with its flags: {go_on}")
    with_journal(lambda journal: _cancelled(journal, run, state))
    if not state.over:
        note(f"run {run} has been told, and still goes on; a tool may be holding it up")
        return 1
    note(f"run {run} rests: {state.outcome}; to go on, with its flags: {go_on}")
    return 0


async def _cancelled(journal: Journal, run: str, state: State) -> None:
    await journal.tell(run, Cancel(BY))
    try:
        async with asyncio.timeout(_PATIENCE):
            async for entry in follow(journal, run, state.seq):
                state.add(entry)
    except TimeoutError:
        return
