"""outrider runs: what is on record."""

import re
import sys
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, get_args

import click
from msgspec import Struct
from msgspec.structs import asdict, replace

from outrider.cli.record import MANY, with_journal
from outrider.cli.text import coloured, note, out_json, out_row
from outrider.errors import JournalError
from outrider.events import Outcome
from outrider.journal import Cost, Journal, Spent, Summary
from outrider.observe.line import Tone, tone_of
from outrider.observe.terminal import short
from outrider.state import State
from outrider.telling import bill, clean, cost_of, dollars
from outrider.times import UNITS, age, when

WIDE = 96
"""Cells from which on all columns are shown."""
LONGEST_BILL = 16
"""Cells that a bill takes at most where they are fewer."""
LEAST_TASK = 16
"""Cells of the task that are worth more than how long ago it was."""
RESTING = ("running", "unfinished")
"""What stands for the outcome of a run without one: a living process owns it, or none does."""

SIZES = {"kb": 1000, "mb": 1_000_000, "gb": 1_000_000_000}
"""Bytes of each unit."""


class RunLine(Struct, frozen=True, kw_only=True):
    """A run on record. ``live``: a living process owns it. ``outcome`` is null while no end is on record.

    ``created`` and ``updated`` are Unix seconds. ``cost`` is what was billed, in dollars; what is not in it, and
    ``tool_failures``, is as in a report. These four are null where the run's record cannot be read.
    """

    schema: int = 1
    run: str
    created: float
    updated: float
    live: bool
    agent: str
    model: str
    task: str
    outcome: str | None
    turns: int
    tool_calls: int
    tool_failures: int | None
    usage: dict[str, Any]
    cost: Decimal | None
    requests_in_doubt: int | None
    unpriced: int | None
    seconds: float


class Listed(Struct, frozen=True):
    """A run and its state, where its record can be read."""

    summary: Summary
    state: State | None

    @property
    def outcome(self) -> str:
        """How it ended, or what stands for that."""
        return outcome_of(self.summary)

    @property
    def cost(self) -> str:
        """The bill, as everywhere."""
        if self.state is None:
            return dollars(self.summary.totals.usage.cost)
        return bill(self.state, self.summary.live)

    @property
    def failures(self) -> int:
        """Failed calls."""
        return self.state.tool_failures if self.state else 0


def _seconds(text: str) -> float:
    parts = re.fullmatch(r"(\d+(?:\.\d+)?) ?(s|min|h|d)", text)
    if not parts:
        raise click.BadParameter(f"{text!r} is no time such as 90s, 5min, 3h or 2d.")
    return float(parts[1]) * UNITS[parts[2]]


def _bytes(text: str) -> int:
    parts = re.fullmatch(r"(\d+(?:\.\d+)?) ?(kB|MB|GB)", text, re.IGNORECASE)
    if not parts:
        raise click.BadParameter(f"{text!r} is no size such as 500MB or 2GB.")
    return round(float(parts[1]) * SIZES[parts[2].lower()])


@click.command("runs")
@click.argument("word", required=False, default="")
@click.option(
    "-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many, newest first."
)
@click.option("--outcome", type=click.Choice([*get_args(Outcome), *RESTING]), help="Only runs that ended so.")
@click.option(
    "--since",
    type=_seconds,
    metavar="AGE",
    help="Only runs begun (with --cost: requests) in the last 90s, 5min, 3h or 2d.",
)
@click.option("--cost", "cost", is_flag=True, help="What all requests have cost, by day and more (no -n).")
@click.option("--prune", is_flag=True, help="Remove old runs for good, after asking (no -n).")
@click.option("--older", type=_seconds, metavar="AGE", help="With --prune: runs at rest for longer than 12h or 30d.")
@click.option(
    "--keep-size",
    type=_bytes,
    metavar="SIZE",
    help="With --prune: the oldest, until all others fit into 500MB or 2GB.",
)
@click.option("--yes", is_flag=True, help="With --prune: do not ask.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines, one run (or sum) a line.")
def command(
    word: str,
    limit: int,
    outcome: str | None,
    since: float | None,
    cost: bool,
    prune: bool,
    older: float | None,
    keep_size: int | None,
    yes: bool,
    as_json: bool,
) -> int:
    """List the newest runs in the journal of this folder (or of OUTRIDER_HOME).

    \b
      outrider runs                   the newest 20
      outrider runs nightly           only those with this in their agent's name, their task or their id
      outrider runs --outcome limit --since 2d
      outrider runs --cost            what they have cost
      outrider runs --prune --older 30d
    """
    if prune:
        from outrider.cli import prune as pruning

        pruning.check(older, keep_size, cost or since is not None)
        return pruning.prune(lambda each: _is_like(each, word, outcome), outcome, older, keep_size, yes, as_json)
    if yes or older is not None or keep_size is not None:
        raise click.UsageError("--older, --keep-size and --yes are said with --prune.")
    if cost:
        return _costs(word, outcome, since, as_json)
    return _list(word, limit, outcome, since, as_json)


def _list(word: str, limit: int, outcome: str | None, since: float | None, as_json: bool) -> int:
    """Print the newest of these runs."""

    def wanted(summary: Summary) -> bool:
        return _is_like(summary, word, outcome) and (since is None or time.time() - summary.created <= since)

    async def read(journal: Journal) -> list[Listed]:
        every = not (word or outcome or since)
        found = [summary for summary in await journal.runs(limit if every else MANY) if wanted(summary)]
        return [await _listed(journal, summary) for summary in found[:limit]]

    found = with_journal(read)
    if as_json:
        for each in found:
            out_json(_line(each))
    elif not found:
        note("no run on record here is like that" if word or outcome or since else "there is no run on record here")
    else:
        for row in _fitted(found) if coloured(sys.stdout) else _table(found):
            out_row(row)
    return 0


def _costs(word: str, outcome: str | None, since: float | None, as_json: bool) -> int:
    """Sum what the requests of these runs have cost."""
    from outrider.cli.costs import sums, tell

    async def read(journal: Journal) -> tuple[list[Cost], list[Spent]]:
        costs = await journal.costs(time.time() - since if since is not None else 0.0)
        if not (word or outcome):  # what went from a purse is known by its days only
            return costs, await journal.spent() if since is None else []
        runs = {each.run for each in await journal.runs(MANY) if _is_like(each, word, outcome)}
        return [each for each in costs if each.run in runs], []

    costs, spent = with_journal(read)
    if not (costs or spent) and not as_json:
        note("no request on record here is like that" if word or outcome or since else "no request is on record here")
    tell(sums(costs, spent), as_json)
    return 0


def _is_like(summary: Summary, word: str, outcome: str | None) -> bool:
    totals = summary.totals
    texts = (totals.agent, totals.task, summary.run)
    return any(word.casefold() in text.casefold() for text in texts) and outcome in (None, outcome_of(summary))


async def _listed(journal: Journal, summary: Summary) -> Listed:
    """The run with the figures of its record: those in the list are behind while no end is on record."""
    try:
        state = State.fold(await journal.read(summary.run))
    except JournalError:  # a record that cannot be read still has its line in the list
        return Listed(summary, None)
    figures = {name: getattr(state, name) for name in ("turns", "tool_calls", "usage", "seconds")}
    return Listed(replace(summary, totals=replace(summary.totals, **figures)), state)


def outcome_of(summary: Summary) -> str:
    """How a run ended, or what stands for that."""
    running, unfinished = RESTING
    return running if summary.live else summary.totals.outcome or unfinished


def _line(listed: Listed) -> RunLine:
    summary, totals, state = listed.summary, listed.summary.totals, listed.state
    return RunLine(
        run=summary.run,
        created=summary.created,
        updated=summary.updated,
        live=summary.live,
        agent=totals.agent,
        model=totals.model,
        task=totals.task,
        outcome=totals.outcome or None,
        turns=totals.turns,
        tool_calls=totals.tool_calls,
        tool_failures=state.tool_failures if state else None,
        usage=asdict(totals.usage),
        cost=cost_of(state) if state else None,
        requests_in_doubt=state.requests_in_doubt if state else None,
        unpriced=state.unpriced if state else None,
        seconds=round(totals.seconds, 3),
    )


def _cells(listed: Listed, room: int) -> dict[str, str]:
    """What stands in each column; ``room`` characters of the task."""
    summary, totals = listed.summary, listed.summary.totals
    failed = f", {listed.failures} failed" if listed.failures else ""
    return {
        "run": summary.run,
        "age": age(time.time() - summary.created),
        "begun": when(summary.created, "minutes"),
        "outcome": listed.outcome,
        "turns": str(totals.turns),
        "calls": f"{totals.tool_calls}{failed}",
        "cost": listed.cost,
        "agent": clean(short(totals.agent, 20)),
        "task": clean(short(totals.task, room)),
    }


def _columns(found: Sequence[Listed], wide: bool) -> list[str]:
    """Which columns are shown: agents where there are several, and on a narrow terminal calls where some failed."""
    agents = ["agent"] if len({each.summary.totals.agent for each in found}) > 1 else []
    if wide:
        return ["run", "begun", "outcome", "turns", "calls", "cost", *agents, "task"]
    calls = ["calls"] if any(each.failures for each in found) else []
    return ["run", "age", "outcome", *calls, "cost", "task"]


def _table(found: Sequence[Listed]) -> list[str]:
    names = _columns(found, wide=True)
    rows = [dict(zip(names, names, strict=True)), *(_cells(each, 60) for each in found)]
    widths = {name: max(len(row[name]) for row in rows) for name in names}
    return ["  ".join(row[name].ljust(width) for name, width in widths.items()).rstrip() for row in rows]


def _fitted(found: Sequence[Listed]) -> list[str]:
    """The table as wide as the terminal: the task takes what is left, and a narrow one has fewer columns."""
    from outrider.observe.paint import cells, padded, paint, width_of

    width = width_of(sys.stdout)
    *names, task = _columns(found, wide=width >= WIDE)
    rows = [_cells(each, width) for each in found]
    widths = {name: max(cells(text) for text in (name, *(row[name] for row in rows))) for name in names}
    if width < WIDE or width - sum(widths.values()) - 2 * len(widths) < LEAST_TASK:
        widths["cost"] = min(widths["cost"], LONGEST_BILL)
    if width - sum(widths.values()) - 2 * len(widths) < LEAST_TASK:
        widths.pop("age", 0)
    widths[task] = max(len(task), width - sum(widths.values()) - 2 * len(widths))
    tones: list[Tone] = [tone_of(each.summary.totals.outcome) for each in found]
    table = [paint("  ".join(padded(name, room) for name, room in widths.items()), "dim")]
    for row, tone in zip(rows, tones, strict=True):
        painted = ((name, padded(row[name], room)) for name, room in widths.items())
        table.append("  ".join(paint(text, tone) if name == "outcome" else text for name, text in painted))
    return table
