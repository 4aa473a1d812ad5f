"""outrider runs: what is on record."""

import time
from collections.abc import Sequence
from typing import Any

import click
from msgspec.structs import asdict, replace

from outrider.cli.record import with_journal
from outrider.cli.text import note, out, out_json
from outrider.errors import JournalError
from outrider.journal import Journal, Summary
from outrider.observe.line import clean
from outrider.observe.terminal import short
from outrider.state import State
from outrider.telling import dollars

_HEAD = ("run", "begun", "outcome", "turns", "cost", "task")


@click.command("runs")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many, newest first.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines, one run a line.")
def command(limit: int, as_json: bool) -> int:
    """List the newest runs in the journal of this folder (or of OUTRIDER_HOME)."""
    found = with_journal(lambda journal: _runs(journal, limit))
    if as_json:
        for summary in found:
            out_json(_line(summary))
    elif not found:
        note("there is no run on record here")
    else:
        for line in _table([_HEAD, *map(_row, found)]):
            out(line)
    return 0


async def _runs(journal: Journal, limit: int) -> list[Summary]:
    return [await _up_to_date(journal, summary) for summary in await journal.runs(limit)]


async def _up_to_date(journal: Journal, summary: Summary) -> Summary:
    """The summary with the figures of the record, where those in the list may be behind: no end is on record yet."""
    if summary.totals.outcome:
        return summary
    try:
        state = State.fold(await journal.read(summary.run))
    except JournalError:  # a record that cannot be read still has its line in the list
        return summary
    figures = {name: getattr(state, name) for name in ("turns", "tool_calls", "usage", "seconds")}
    return replace(summary, totals=replace(summary.totals, **figures))


def _line(summary: Summary) -> dict[str, Any]:
    totals = asdict(summary.totals)
    rest = {"outcome": totals["outcome"] or None, "usage": asdict(summary.totals.usage)}
    return {
        "run": summary.run,
        "created": summary.created,
        "updated": summary.updated,
        "live": summary.live,
        **totals,
        **rest,
    }


def _row(summary: Summary) -> tuple[str, ...]:
    totals = summary.totals
    return (
        summary.run,
        time.strftime("%Y-%m-%d %H:%M", time.localtime(summary.created)),
        "running" if summary.live else totals.outcome or "unfinished",
        str(totals.turns),
        "?" if totals.usage.cost is None else dollars(totals.usage.cost),
        clean(short(totals.task, 60)),
    )


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
