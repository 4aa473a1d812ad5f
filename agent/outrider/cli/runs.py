"""outrider runs: what is on record."""

import sys
import time
from collections.abc import Sequence
from typing import Any

import click
from msgspec.structs import asdict, replace

from outrider.cli.record import with_journal
from outrider.cli.text import coloured, note, out, out_json
from outrider.errors import JournalError
from outrider.journal import Journal, Summary
from outrider.observe.line import Tone, tone_of
from outrider.observe.terminal import short
from outrider.state import State
from outrider.telling import clean, dollars

WIDE = 90
"""Cells from which on all columns are shown."""

_HEAD = ("run", "begun", "outcome", "turns", "cost", "task")
_NARROW_HEAD = ("run", "age", "outcome", "cost", "task")


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
        for row in _fitted(found) if coloured(sys.stdout) else _table(found):
            out(row)
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


def _cells(summary: Summary) -> dict[str, str]:
    totals = summary.totals
    return {
        "run": summary.run,
        "age": _age(time.time() - summary.created),
        "begun": time.strftime("%Y-%m-%d %H:%M", time.localtime(summary.created)),
        "outcome": "running" if summary.live else totals.outcome or "unfinished",
        "turns": str(totals.turns),
        "cost": "?" if totals.usage.cost is None else dollars(totals.usage.cost),
        "task": clean(short(totals.task, 60)),
    }


def _age(seconds: float) -> str:
    """How long ago something was, in one unit."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"


def _table(found: Sequence[Summary]) -> list[str]:
    rows = [dict(zip(_HEAD, _HEAD, strict=True)), *map(_cells, found)]
    widths = [max(len(row[name]) for row in rows) for name in _HEAD]
    return [
        "  ".join(row[name].ljust(width) for name, width in zip(_HEAD, widths, strict=True)).rstrip() for row in rows
    ]


def _fitted(found: Sequence[Summary]) -> list[str]:
    """The table as wide as the terminal: the task takes what is left, and a narrow one has fewer columns."""
    from outrider.observe.paint import cells, padded, paint, width_of

    width = width_of(sys.stdout)
    *names, task = _HEAD if width >= WIDE else _NARROW_HEAD
    rows = [_cells(summary) | {task: clean(short(summary.totals.task, width))} for summary in found]
    widths = {name: max(cells(text) for text in (name, *(row[name] for row in rows))) for name in names}
    widths[task] = max(len(task), width - sum(widths.values()) - 2 * len(widths))
    tones: list[Tone] = [tone_of(summary.totals.outcome) for summary in found]
    table = [paint("  ".join(padded(name, room) for name, room in widths.items()), "dim")]
    for row, tone in zip(rows, tones, strict=True):
        painted = ((name, padded(row[name], room)) for name, room in widths.items())
        table.append("  ".join(paint(text, tone) if name == "outcome" else text for name, text in painted))
    return table
