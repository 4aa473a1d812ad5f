"""outrider runs: what is on record."""

import time
from collections.abc import Sequence
from typing import Any

import click
from msgspec.structs import asdict

from outrider.cli.record import with_journal
from outrider.cli.text import note, out, out_json
from outrider.journal import Summary
from outrider.observe.terminal import clean, short
from outrider.result import dollars

_HEAD = ("run", "begun", "outcome", "turns", "cost", "task")


@click.command("runs")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many, newest first.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines, one run a line.")
def command(limit: int, as_json: bool) -> int:
    """List the newest runs in the journal of this folder (or of OUTRIDER_HOME)."""
    found = with_journal(lambda journal: journal.runs(limit))
    if as_json:
        for summary in found:
            out_json(_line(summary))
    elif not found:
        note("there is no run on record here")
    else:
        for line in _table([_HEAD, *map(_row, found)]):
            out(line)
    return 0


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
    rests = totals.outcome and not summary.live  # the figures are kept up to date only then
    return (
        summary.run,
        time.strftime("%Y-%m-%d %H:%M", time.localtime(summary.created)),
        "running" if summary.live else totals.outcome or "unfinished",
        str(totals.turns) if rests else "?",
        dollars(totals.usage.cost) if rests else "?",
        clean(short(totals.task, 60)),
    )


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
