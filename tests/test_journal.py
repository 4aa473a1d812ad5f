"""The contract of a journal, in SQLite and in PostgreSQL: what is flushed is there, and one thread writes it."""

import asyncio
import threading
from collections.abc import Iterator
from decimal import Decimal

import pytest
from msgspec import Raw

from journal_kit import note, numbers, run_with, until, writers
from outrider.commands import Cancel
from outrider.errors import JournalError, RunNotFound
from outrider.events import Entry, MessageAdded, encode
from outrider.journal import Journal, Log, Totals
from outrider.journal.sql import SQLJournal
from outrider.messages import Usage
from places import Place

pytestmark = pytest.mark.anyio
WATCHDOG = 60.0


@pytest.fixture
def journal(place: Place) -> Iterator[SQLJournal]:
    journal = place.journal()
    yield journal
    asyncio.run(journal.close())


# ------------------------------------------------------------------------------------------- the contract


async def test_it_keeps_the_contract(journal: SQLJournal) -> None:
    contract: Journal = journal
    log: Log = await contract.create("one")
    note(log, 1)
    note(log, 2)
    await log.flush()
    note(log, 3)
    await log.close()
    assert await numbers(contract, "one") == [1, 2, 3]
    assert await numbers(contract, "one", after=2) == [3]
    claimed = await contract.claim("one")
    assert [entry.seq for entry in claimed.entries] == [1, 2, 3]
    assert list(claimed.entries) == await contract.read("one")
    note(claimed, 4)
    await claimed.close()
    assert (await contract.read("one", 3))[0].at == 1004.0


async def test_others_see_what_is_flushed_and_nothing_else(journal: SQLJournal, place: Place) -> None:
    log = await journal.create("one")
    note(log, 1)
    with pytest.raises(RunNotFound):
        await place.journal().read("one")
    await log.flush()
    note(log, 2)
    assert await numbers(place.journal(), "one") == [1]
    await log.flush()
    assert await numbers(place.journal(), "one") == [1, 2]
    await log.close()


async def test_a_flush_returns_after_its_commit(journal: SQLJournal, place: Place) -> None:
    log = await journal.create("one")
    for seq in range(1, 30):
        note(log, seq)
        await log.flush()
        assert place.sql("SELECT max(seq) FROM event") == [(seq,)]
    await log.close()


async def test_an_id_is_given_once(journal: SQLJournal) -> None:
    log = await run_with(journal, "one")
    with pytest.raises(JournalError, match="one"):
        await journal.create("one")
    await log.close()
    with pytest.raises(JournalError, match="already"):
        await journal.create("one")


async def test_two_processes_giving_one_id_at_once(journal: SQLJournal, place: Place) -> None:
    other = place.journal()
    first, second = await journal.create("one"), await other.create("one")
    note(first, 1)
    note(second, 1)
    await first.flush()
    with pytest.raises(JournalError, match="already"):
        await second.flush()
    await first.close()
    with pytest.raises(JournalError, match="already"):
        await second.close()
    await other.close()


async def test_a_closed_log_takes_nothing(journal: SQLJournal) -> None:
    log = await run_with(journal, "one")
    await log.close()
    await log.close()
    await log.flush()
    with pytest.raises(JournalError, match="closed"):
        note(log, 2)
    with pytest.raises(JournalError, match="closed"):
        await log.commands()


async def test_closing_the_journal_flushes_open_runs(journal: SQLJournal) -> None:
    logs = [await run_with(journal, f"run{index}") for index in range(3)]
    for log in logs:
        note(log, 2)
    await journal.close()
    assert [await numbers(journal, f"run{index}") for index in range(3)] == [[1, 2]] * 3
    await (await journal.claim("run0")).close()


async def test_entries_of_any_size_come_back_whole(journal: SQLJournal) -> None:
    logs = [await run_with(journal, f"run{index}") for index in range(5)]
    sizes = (10, 40_000, 2_000_000)
    for log in logs:
        for seq, size in enumerate(sizes, 2):
            event = MessageAdded(Raw(b'{"role":"user","content":"%s"}' % (b"x" * size)), "test")
            log.append(Entry(seq, 1000.0 + seq, event), encode(event))
    await asyncio.gather(*(log.flush() for log in logs))
    await asyncio.gather(*(log.close() for log in logs))
    for index in range(5):
        entries = await journal.read(f"run{index}")
        assert [entry.seq for entry in entries] == [1, 2, 3, 4]
        assert [len(bytes(entry.event.wire)) - 28 for entry in entries[1:]] == list(sizes)  # pyright: ignore
    assert all(size > sum(sizes) for size in (await journal.sizes()).values())


# ---------------------------------------------------------------------------------------- lists and names


@pytest.mark.parametrize("lost", [1, 2, 3])
async def test_an_entry_that_is_missing_is_said_and_not_read_over(journal: SQLJournal, place: Place, lost: int) -> None:
    await (await run_with(journal, "one", 4)).close()
    await (await run_with(journal, "two", 4)).close()
    place.sql(f"DELETE FROM event WHERE run = (SELECT number FROM run WHERE id = 'one') AND seq = {lost}")
    for reads in (journal.read, journal.claim):
        with pytest.raises(JournalError, match=f"entry {lost} of run one is missing") as caught:
            await reads("one")
        assert "backup" in caught.value.hint
    assert await numbers(journal, "two") == [1, 2, 3, 4]


async def test_list_of_runs(journal: SQLJournal) -> None:
    usage = Usage(10, 20, 5, 3, Decimal("0.00001230"))
    totals = Totals("clerk", "qwen/qwen3-14b", "x" * 600, "finished", 2, 3, usage, 1.5)
    for run in ("old", "new"):
        log = await run_with(journal, run)
        note(log, 2, totals=Totals(agent="not the last word"))
        note(log, 3, totals=totals if run == "new" else None)
        await log.close()
    log = await journal.claim("old")
    assert [(line.run, line.live) for line in await journal.runs()] == [("new", False), ("old", True)]
    await log.close()
    new, old = await journal.runs()
    assert new.totals == Totals("clerk", "qwen/qwen3-14b", "x" * 500, "finished", 2, 3, usage, 1.5)
    assert (new.created, new.updated, new.live) == (1001.0, 1003.0, False)
    assert old.totals == Totals(agent="not the last word")
    assert [line.run for line in await journal.runs(limit=1)] == ["new"]


async def test_find(journal: SQLJournal) -> None:
    for run in ("7f3k", "7f3kx", "9abc", "7f9%"):
        await (await run_with(journal, run)).close()
    assert await journal.find("9") == "9abc"
    assert await journal.find("7f3k") == "7f3k"
    assert await journal.find("7f3kx") == "7f3kx"
    assert await journal.find("7f9") == "7f9%"
    with pytest.raises(RunNotFound, match="7f3k, 7f3kx"):
        await journal.find("7f3")
    with pytest.raises(RunNotFound, match="Did you mean 9abc"):
        await journal.find("9abd")
    with pytest.raises(RunNotFound):
        await journal.find("%")


@pytest.mark.parametrize("method", ["read", "claim", "find", "tell"])
@pytest.mark.parametrize("there", [True, False])
async def test_no_such_run(journal: SQLJournal, method: str, there: bool) -> None:
    if there:
        await (await run_with(journal, "weather")).close()
    ask = {
        "read": lambda: journal.read("weathre"),
        "claim": lambda: journal.claim("weathre"),
        "find": lambda: journal.find("weathre"),
        "tell": lambda: journal.tell("weathre", Cancel("me")),
    }[method]
    with pytest.raises(RunNotFound) as caught:
        await ask()
    assert caught.value.hint
    assert ("weather" in caught.value.hint) == there


# ---------------------------------------------------------------------------------------- the one thread


async def test_runs_share_commits(journal: SQLJournal, place: Place) -> None:
    logs = [await run_with(journal, f"run{index}") for index in range(100)]
    assert len(writers()) == 1
    before = journal.commits
    with place.locked():  # until all have asked
        for log in logs:
            note(log, 2)
        flushes = [asyncio.create_task(log.flush()) for log in logs]
        await asyncio.sleep(0)
    await asyncio.gather(*flushes)
    assert journal.commits - before <= 2
    await asyncio.gather(*(log.close() for log in logs))
    assert writers() == []
    assert [await numbers(journal, f"run{index}") for index in range(100)] == [[1, 2]] * 100


async def test_a_mistake_in_one_run_fails_that_run_only(journal: SQLJournal) -> None:
    logs = [await run_with(journal, f"run{index}") for index in range(5)]
    for index, log in enumerate(logs):
        note(log, 1 if index == 2 else 2)
    results = await asyncio.gather(*(log.flush() for log in logs), return_exceptions=True)
    assert [type(result) for result in results] == [
        type(None),
        type(None),
        JournalError,
        type(None),
        type(None),
    ]
    assert [await numbers(journal, f"run{index}") for index in range(5)] == [
        [1, 2],
        [1, 2],
        [1],
        [1, 2],
        [1, 2],
    ]
    results = await asyncio.gather(*(log.close() for log in logs), return_exceptions=True)
    assert isinstance(results[2], JournalError)
    assert writers() == []


def test_one_journal_through_many_loops(place: Place) -> None:
    journal = place.journal()

    async def once(run: str) -> None:
        await (await run_with(journal, run, 3)).close()

    for index in range(10):
        asyncio.run(once(f"run{index}"))
        assert writers() == []
    threads = [threading.Thread(target=asyncio.run, args=(once(f"side{index}"),)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WATCHDOG)
    assert len(asyncio.run(journal.runs())) == 18
    assert writers() == []
    asyncio.run(journal.close())


def test_a_loop_that_closes_while_waiting_harms_nobody(place: Place) -> None:
    journal = place.journal()
    loop = asyncio.new_event_loop()
    abandoned = loop.run_until_complete(run_with(journal, "abandoned"))
    note(abandoned, 2)
    with place.locked():  # so that the flush is still waiting when its loop closes
        flush = loop.create_task(abandoned.flush())
        loop.run_until_complete(asyncio.sleep(0))
        flush.cancel()
        loop.run_until_complete(asyncio.wait([flush]))
        loop.close()

    async def afterwards() -> None:
        await (await run_with(journal, "next")).close()
        await journal.close()
        assert await numbers(journal, "abandoned") == [1, 2]

    asyncio.run(afterwards())
    assert writers() == []


async def test_a_cancelled_claim_gives_the_run_up(journal: SQLJournal, place: Place) -> None:
    await (await run_with(journal, "one")).close()
    claim = asyncio.create_task(journal.claim("one"))
    await asyncio.sleep(0)
    claim.cancel()
    await asyncio.wait([claim])
    assert claim.cancelled()
    await until(lambda: not writers())
    other = place.journal()
    await (await other.claim("one")).close()
    await other.close()
