"""A run as JSON Lines: one file, which is trace, checkpoint, cassette and eval case at once."""

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Raw, Struct

from outrider import events as e
from outrider.errors import JournalError
from outrider.journal import Journal, Totals
from outrider.messages import decoded
from outrider.state import State


class EventLine(Struct, frozen=True):
    """A durable entry as a line: ``at`` in Unix seconds, ``seq`` from 1."""

    run: str
    seq: int
    at: float
    event: Raw


_decoder: msgspec.json.Decoder[EventLine] = msgspec.json.Decoder(EventLine)


def lines(run: str, entries: Iterable[e.Entry]) -> Iterable[bytes]:
    """The entries as lines, without their ends."""
    for entry in entries:
        yield msgspec.json.encode(EventLine(run, entry.seq, entry.at, Raw(e.encode(entry.event))))


def read_lines(text: bytes, name: str) -> list[e.Entry]:
    """The entries of the one run in ``text``, which came from ``name``. Raises JournalError, naming the line."""
    entries: list[e.Entry] = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            given = decoded(_decoder, line)
            entries.append(e.Entry(given.seq, given.at, e.decode(bytes(given.event)), given.run))
        except (msgspec.DecodeError, TypeError) as error:
            hint = "Give a file that `outrider export` wrote; a newer Outrider may write what this one cannot read."
            raise JournalError(f"{name}:{number}: this is no line of a run's record: {error}", hint) from None
        _check_place(entries, f"{name}:{number}")
    if not entries:
        raise JournalError(f"{name} is empty", "Give a file that `outrider export` wrote.")
    return entries


def _check_place(entries: Sequence[e.Entry], where: str) -> None:
    entry, first = entries[-1], entries[0]
    start = first.event
    if not isinstance(start, e.RunStarted) or start.run != first.run:
        raise JournalError(f"{where}: a record begins with the run_started of its run", "The file's beginning is lost.")
    if entry.run != first.run:
        raise JournalError(
            f"{where}: this is of run {entry.run}, and the file of run {first.run}", "One run, one file."
        )
    if entry.seq != len(entries):
        raise JournalError(f"{where}: entry {len(entries)} is missing: here is {entry.seq}", "Export the run again.")
    if start.schema > e.SCHEMA:
        raise JournalError(f"{where}: this run was recorded by a newer Outrider", "Upgrade Outrider to read it.")


async def bring_in(journal: Journal, entries: Sequence[e.Entry]) -> str:
    """Put a run that was exported into this journal, under its own name, which is returned.

    It can then be shown, resumed, forked and replayed here. Raises RunTaken when it is there already.
    """
    run = entries[0].run
    log = await journal.create(run)
    try:
        totals = totals_of(State.fold(entries))
        for entry in entries:
            log.append(entry, e.encode(entry.event), totals if entry is entries[-1] else None)
        await log.flush()
    finally:
        await log.close()
    return run


def totals_of(state: State) -> Totals:
    """What a list of runs shows of a run in this state."""
    return Totals(
        state.agent,
        state.model,
        state.task,
        state.outcome or "",
        state.turns,
        state.tool_calls,
        state.usage,
        round(state.seconds, 3),
    )
