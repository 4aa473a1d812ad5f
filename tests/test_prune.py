"""Old runs are removed: which ones, what stays, and what becomes of the file."""

import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import jsonschema
import pytest
from msgspec import Raw

from journal_kit import note, numbers, sql, written
from outrider import events as e
from outrider.commands import Cancel
from outrider.errors import RunNotFound
from outrider.journal import Totals, database, removal
from outrider.journal.sqlite import SQLiteJournal
from outrider.purse import Price, Purse
from places import SQLitePlace, end, say, start
from published import SCHEMAS
from shell import Shell
from test_journal_processes import HOLD
from typist import Typist

pytestmark = pytest.mark.anyio
LARGE = 100_000


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


async def rested(journal: SQLiteJournal, *runs: str, outcome: str = "finished", size: int = 0) -> None:
    """Runs that have ended long ago, the first the longest, with an event of so many bytes."""
    for run in runs:
        log = await journal.create(run)
        note(log, 1)
        event = e.MessageAdded(Raw(json.dumps({"role": "user", "content": "x" * size})), "test")
        log.append(e.Entry(2, 1002.0, event), e.encode(event), Totals(outcome=outcome, task=f"task of {run}"))
        await log.close()


async def left(journal: SQLiteJournal) -> list[str]:
    return [summary.run for summary in reversed(await journal.runs())]


# ------------------------------------------------------------------------------------------------ the journal


async def test_a_run_is_removed_whole_and_purses_stay(home: Path) -> None:
    journal = SQLiteJournal(home)
    await rested(journal, "old", "kept", size=LARGE)
    await journal.tell("old", Cancel("me"))
    purse = Purse("jobs", Decimal(1))
    price = Price(Decimal("0.5"), Decimal("0.1"))
    await journal.draw(purse, "old", 1, price, waits=False)
    await journal.settle(purse, "old", 1, Decimal("0.25"))
    old, _ = reversed(await journal.runs())
    removed = await journal.remove([old])
    assert removed.runs == ("old",)
    assert removed.given_back >= LARGE
    assert await left(journal) == ["kept"]
    assert [len(await journal.read("kept"))] == [2]
    for table, rows in (("event", 2), ("body", 1), ("inbox", 0)):
        assert sql(home, f"SELECT count(*) FROM {table}") == [(rows,)], table
    assert [purse.billed for purse in await journal.spent()] == [Decimal("0.25")]
    with pytest.raises(RunNotFound):
        await journal.read("old")
    await rested(journal, "old")
    assert await numbers(journal, "old") == [1, 2], "the name is free again"
    await journal.close()


async def test_a_run_that_has_gone_on_since_it_was_seen_stays(home: Path) -> None:
    journal, other = SQLiteJournal(home), SQLiteJournal(home)
    await rested(journal, "one", "two", "three")
    seen = await journal.runs()
    held = await other.claim("two")
    again = await other.claim("three")
    note(again, 3)
    await again.close()
    assert (await journal.remove(seen)).runs == ("one",)
    note(held, 3)
    await held.close()
    assert await numbers(journal, "two") == await numbers(journal, "three") == [1, 2, 3]
    await other.close()
    await journal.close()


async def test_a_run_of_another_process_stays_and_goes_on(home: Path) -> None:
    process = start(SQLitePlace(home), HOLD)
    assert say(process).startswith("holding")
    journal = SQLiteJournal(home)
    await rested(journal, *(f"old{number}" for number in range(50)), size=LARGE)
    removed = await journal.remove(await journal.runs())
    assert (len(removed.runs), await left(journal)) == (50, ["held"])
    assert removed.given_back > 50 * LARGE, "room is given back beside others at work"
    assert end(process) == ""
    assert await numbers(journal, "held") == [1, 2, 3]
    await journal.close()


async def test_a_file_of_version_1_is_made_smaller_when_nobody_is_at_work(home: Path) -> None:
    written(home, 1)
    journal = SQLiteJournal(home)
    await rested(journal, "one", "two", size=10 * LARGE)
    two, one, _ = await journal.runs()
    working = await journal.claim("h4kqmmaap5")
    assert (await journal.remove([one])).runs == ("one",)
    assert sql(home, "PRAGMA freelist_count") != [(0,)], "it would have held up the run that is open"
    await working.close()
    assert (await journal.remove([two])).given_back > 20 * LARGE
    assert sql(home, "PRAGMA freelist_count") == [(0,)]
    assert await left(journal) == ["h4kqmmaap5"]
    assert len(await journal.read("h4kqmmaap5")) == 11
    await journal.close()


async def test_room_that_is_not_given_back_at_once_is_no_failure(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process keeps the file locked when the runs are gone already."""
    shrink = removal.shrink

    def shrink_beside_another(file: database.Database) -> None:
        with closing(sqlite3.connect(home / "journal.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            shrink(file)

    monkeypatch.setattr(database, "PATIENCE", 0.1)
    monkeypatch.setattr(removal, "shrink", shrink_beside_another)
    journal = SQLiteJournal(home)
    await rested(journal, "one", size=10 * LARGE)
    assert (await journal.remove(await journal.runs())).runs == ("one",)
    assert await left(journal) == []
    assert sql(home, "PRAGMA freelist_count") != [(0,)]
    await journal.close()


async def test_others_get_their_turn_between_two_steps(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = SQLiteJournal(home)
    await rested(journal, *(f"old{number:02}" for number in range(50)))
    seen = await journal.runs()
    turns: list[object] = []

    def turn(seconds: float) -> None:
        assert seconds > 0.1, "who waits for the file tries ten times a second"
        sql(home, "UPDATE run SET updated = updated + 1 WHERE id = 'old00'")  # can be written
        turns.append(sql(home, "SELECT count(*) FROM run"))

    monkeypatch.setattr(removal, "_STRETCH", -1.0)
    monkeypatch.setattr(removal.time, "sleep", turn)
    assert "old00" not in (await journal.remove(seen)).runs
    assert turns[:3] == [[(50,)], [(30,)], [(10,)]]
    await journal.close()


async def test_sizes_are_shared_out_by_what_runs_hold(home: Path) -> None:
    journal = SQLiteJournal(home)
    assert await journal.sizes() == {}
    await rested(journal, "small")
    await rested(journal, "large", size=10 * LARGE)
    await journal.close()
    sizes = await journal.sizes()
    assert sizes["large"] > 10 * LARGE > 100 * sizes["small"]
    assert abs(sum(sizes.values()) - (home / "journal.db").stat().st_size) < LARGE


# ------------------------------------------------------------------------------------------- the command line


async def test_what_rests_for_long_goes_and_what_waits_stays(outrider: Shell) -> None:
    journal = SQLiteJournal(outrider.home)
    await rested(journal, "done")
    await rested(journal, "failed", outcome="error")
    await rested(journal, "asks", outcome="paused")
    await rested(journal, "broken", outcome="")
    live = await journal.create("live")
    note(live, 1)
    await live.flush()
    asked = outrider("runs", "--prune", "--older", "1d")
    assert asked.code == 2
    assert "nobody can be asked here whether 2 runs" in asked.err
    assert "--yes" in asked.err
    assert len(await left(journal)) == 5
    pruned = outrider("runs", "--prune", "--older", "1d", "--yes", "--json")
    (line,) = pruned.lines
    jsonschema.validate(line, json.loads(SCHEMAS["pruned"]()))
    assert (pruned.code, line["removed"], line["kept"]) == (0, ["done", "failed"], [])
    assert outrider("runs", "task of asks", "--prune", "--older", "0s", "--yes", "--outcome", "unfinished").code == 0
    assert await left(journal) == ["asks", "broken", "live"]
    named = outrider("runs", "--prune", "--older", "1d", "--yes", "--outcome", "unfinished")
    assert "removed 1 run" in named.err
    assert outrider("runs", "--prune", "--older", "1d", "--yes", "--outcome", "paused").code == 0
    assert await left(journal) == ["live"]
    assert "nothing to remove" in outrider("runs", "--prune", "--older", "0s").err
    await journal.close()


async def test_the_oldest_go_until_the_others_fit(outrider: Shell) -> None:
    journal = SQLiteJournal(outrider.home)
    await rested(journal, "first", "second", "third", "fourth", size=10 * LARGE)
    assert outrider("runs", "--prune", "--keep-size", "2.5MB", "--yes").code == 0
    assert await left(journal) == ["third", "fourth"]
    await rested(journal, "waits", outcome="paused", size=10 * LARGE)
    over = outrider("runs", "--prune", "--keep-size", "500 kB", "--yes")
    assert "stay, more than 500 kB" in over.err
    assert await left(journal) == ["waits"]
    await journal.close()


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--prune"], "--older 30d"),
        (["--prune", "--older", "long"], "no time"),
        (["--prune", "--keep-size", "5 apples"], "no size"),
        (["--prune", "--older", "1d", "--cost"], "neither --cost"),
        (["--yes"], "with --prune"),
        (["--older", "1d"], "with --prune"),
    ],
)
def test_what_is_not_meant_is_said(outrider: Shell, flags: list[str], word: str) -> None:
    said = outrider("runs", *flags)
    assert (said.code, word in said.err) == (2, True), said.err


async def test_at_a_terminal_it_asks(outrider: Shell) -> None:
    journal = SQLiteJournal(outrider.home)
    await rested(journal, *(f"run{number:02}" for number in range(12)))
    for answer, runs, said in (("\n", 12, "nothing is removed"), ("y\n", 0, "removed 12 runs")):
        person = Typist(outrider, "runs", "--prune", "--older", "1d", columns=100)
        try:
            person.sees("and 2 more: 2 finished").sees("for good? [y]es, Enter: no > ").types(answer)
            assert person.ends() == 0
            assert said in person.raw
        finally:
            person.leaves()
        assert len(await left(journal)) == runs
    await journal.close()
