"""outrider runs --prune: old runs are removed for good."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import click
from msgspec import Struct

from outrider.cli.record import MANY, with_journal
from outrider.cli.runs import RESTING, outcome_of
from outrider.cli.text import note, out_json
from outrider.errors import SetupError
from outrider.journal import Journal, Removed, Summary
from outrider.observe.terminal import short
from outrider.telling import clean, counted
from outrider.times import age

STAYING = ("paused", *RESTING)
"""Outcomes of runs that somebody may still need: removed only where they are asked for by name, and never live."""
SHOWN = 10
"""Runs that are shown one by one before the question."""


class Pruned(Struct, frozen=True, kw_only=True):
    """What was removed: the names of the runs, and by how many bytes the journal is smaller on disk.

    ``kept`` are runs that were chosen, and stayed because somebody went on with them at that moment.
    """

    schema: int = 1
    removed: tuple[str, ...]
    kept: tuple[str, ...]
    given_back: int


def check(older: float | None, keep: int | None, others: bool) -> None:
    """Raise SetupError unless the flags say what to remove."""
    if others:
        raise SetupError(
            "--prune goes with neither --cost nor --since", "What is old is said by --older: --prune --older 30d"
        )
    if older is None and keep is None:
        raise SetupError(
            "--prune does not know what to remove",
            "Say --older 30d, --keep-size 500MB, or both: what either names goes.",
        )


def prune(
    wanted: Callable[[Summary], bool],
    outcome: str | None,
    older: float | None,
    keep: int | None,
    yes: bool,
    as_json: bool,
) -> int:
    """Remove the wanted runs at rest for longer than ``older`` seconds, and the oldest until ``keep`` bytes hold all.

    Raises SetupError where nobody can be asked whether that is meant.
    """

    async def look(journal: Journal) -> tuple[list[Summary], dict[str, int]]:
        return await journal.runs(MANY), await journal.sizes()

    found, sizes = with_journal(look)
    may_go = [run for run in found if wanted(run) and not run.live and (outcome or outcome_of(run) not in STAYING)]
    chosen = _chosen(may_go, sizes, older, keep)
    _tell(chosen, sizes, keep)
    if chosen and not yes and not _is_meant(chosen, sizes):
        note("nothing is removed")
        chosen = []
    removed = with_journal(lambda journal: journal.remove(chosen))
    kept = tuple(run.run for run in chosen if run.run not in removed.runs)
    if as_json:
        out_json(Pruned(removed=removed.runs, kept=kept, given_back=removed.given_back))
    elif chosen:
        _done(removed, kept)
    return 0


def _chosen(
    may_go: Sequence[Summary], sizes: Mapping[str, int], older: float | None, keep: int | None
) -> list[Summary]:
    """Those that go, the oldest first."""
    left, now = sum(sizes.values()), time.time()
    chosen: list[Summary] = []
    oldest_first = sorted(enumerate(may_go), key=lambda place: (place[1].updated, -place[0]))
    for _, run in oldest_first:
        if (older is not None and now - run.updated > older) or (keep is not None and left > keep):
            chosen.append(run)
            left -= sizes.get(run.run, 0)
    return chosen


def _tell(chosen: Sequence[Summary], sizes: Mapping[str, int], keep: int | None) -> None:
    """Say what will go, and where that is not enough."""
    for run in chosen[:SHOWN]:
        rested = age(time.time() - run.updated)
        size = _size(sizes.get(run.run, 0))
        note(f"{run.run}  {rested:>6}  {outcome_of(run):<9}  {size:>8}  {clean(short(run.totals.task, 40))}".rstrip())
    if len(chosen) > SHOWN:
        rest = Counter(outcome_of(run) for run in chosen[SHOWN:])
        note(f"and {len(chosen) - SHOWN} more: {', '.join(f'{number} {outcome}' for outcome, number in rest.items())}")
    left = sum(sizes.values()) - sum(sizes.get(run.run, 0) for run in chosen)
    if keep is not None and left > keep:
        note(f"{_size(left)} stay, more than {_size(keep)}: of runs running, paused, unfinished or not asked for")
    if not chosen:
        note("there is nothing to remove")


def _is_meant(chosen: Sequence[Summary], sizes: Mapping[str, int]) -> bool:
    what = f"{counted(len(chosen), 'run')}, {_size(sum(sizes.get(run.run, 0) for run in chosen))}"
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr and sys.stderr.isatty()):
        raise SetupError(f"nothing is removed: nobody can be asked here whether {what} may go", "Say so with --yes.")
    click.echo(f"remove {what}, for good? [y]es, Enter: no > ", err=True, nl=False)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _done(removed: Removed, kept: Sequence[str]) -> None:
    back = f", {_size(removed.given_back)} given back" if removed.given_back else "; later runs use the room they took"
    note(f"removed {counted(len(removed.runs), 'run')}{back}")
    if kept:
        note(f"kept, since somebody went on with them: {', '.join(kept)}")


def _size(number: int) -> str:
    """Bytes for people."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= size:
            return f"{number / size:.{0 if number >= 10 * size else 1}f} {unit}"
    return f"{number} B"
