# ruff: noqa: ASYNC240 -- tests may wait for files and processes
"""When the journal cannot be used, it says what happened and what to do."""

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from journal_kit import note, numbers, run_with, sql, writers
from outrider import Agent
from outrider import events as e
from outrider.commands import Cancel
from outrider.errors import JournalError, RunBusy, RunNotFound
from outrider.journal import database as database_module
from outrider.journal.sqlite import SQLiteJournal
from outrider.observe.story import story
from outrider.testing import ScriptedModel

pytestmark = pytest.mark.anyio


# ---------------------------------------------------------------------------------------------- trouble


async def check_trouble(journal: SQLiteJournal, *words: str) -> None:
    """Every way in says what happened and what to do."""
    for ask in (
        lambda: journal.create("new"),
        lambda: journal.claim("one"),
        lambda: journal.read("one"),
        journal.runs,
        lambda: journal.find("one"),
        lambda: journal.tell("one", Cancel("me")),
    ):
        with pytest.raises(JournalError) as caught:
            await ask()
        assert not isinstance(caught.value, RunNotFound)
        assert caught.value.hint
        for word in words:
            assert word in str(caught.value)
    assert writers() == []


async def test_written_by_a_newer_outrider(journal: SQLiteJournal, home: Path) -> None:
    await (await run_with(journal, "one")).close()
    await journal.close()
    sql(home, "PRAGMA user_version = 99")
    await check_trouble(journal, "newer Outrider", "99", "Upgrade")


async def test_a_run_tells_how_long_it_could_not_be_written(
    journal: SQLiteJournal, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process keeps the file locked, from the moment that a request is to go on record."""
    monkeypatch.setattr("outrider.journal.writer.SLOW", 0.2)
    locks: list[sqlite3.Connection] = []

    def lock(entry: e.Entry) -> None:
        if not locks and isinstance(entry.event, e.RequestSent):
            locks.append(sqlite3.connect(home / "journal.db", isolation_level=None))
            locks[0].execute("BEGIN IMMEDIATE")
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.call_later, 0.3, locks[0].close)

    agent = Agent(ScriptedModel(["done"]), journal=journal, observers=[lock])
    result = await agent.run("Go.")
    entries = await journal.read(result.run)
    (waited,) = [entry.event for entry in entries if isinstance(entry.event, e.JournalWaited)]
    assert waited.seconds >= 0.3
    assert "the record could not be written for " in "\n".join(line.text for line in story(entries))
    assert (result.output, (await agent.replay(entries)).difference) == ("done", "")


async def test_observers_hear_of_a_wait_after_what_waited(
    journal: SQLiteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outrider.journal.writer.SLOW", 0.0)  # every flush tells of itself
    told: list[e.Entry] = []
    async with Agent(ScriptedModel(["done"]), journal=journal, observers=[told.append]).stream("Go.") as run:
        watched = [event async for event in run if not isinstance(event, e.Delta)]
    assert [type(entry.event) for entry in told[:2]] == [e.RunStarted, e.JournalWaited]
    assert told == await journal.read(run.id)
    assert watched == [entry.event for entry in told]


async def test_a_file_that_is_no_database(journal: SQLiteJournal, home: Path) -> None:
    home.mkdir()
    (home / "journal.db").write_bytes(b"these are my memoirs, not a database" * 100)
    await check_trouble(journal, "not a database", "Move it away")


async def test_a_database_of_somebody_else(journal: SQLiteJournal, home: Path) -> None:
    home.mkdir()
    sql(home, "CREATE TABLE cookies(x)")
    await check_trouble(journal, "another program")
    assert sql(home, "SELECT name FROM sqlite_schema") == [("cookies",)]


async def test_a_home_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for home in (tmp_path / "file", tmp_path / "file" / "home"):
        with pytest.raises(JournalError, match="OUTRIDER_HOME"):
            await SQLiteJournal(home).create("one")
    assert writers() == []


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
async def test_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(JournalError, match="OUTRIDER_HOME"):
        await SQLiteJournal(tmp_path).create("one")


async def test_a_damaged_entry_is_named_and_holds_nothing(journal: SQLiteJournal, home: Path) -> None:
    await (await run_with(journal, "one", 3)).close()
    sql(home, "UPDATE event SET body = ? WHERE seq = 2", b'{"kind":"run_started","run":7}')
    for _ in range(2):
        with pytest.raises(JournalError, match="entry 2 of run one") as caught:
            await journal.claim("one")
        assert not isinstance(caught.value, RunBusy)
        assert caught.value.hint
    assert await numbers(journal, "one", after=2) == [3]


async def test_a_locked_database_keeps_what_was_appended(
    journal: SQLiteJournal, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "PATIENCE", 0.05)
    log = await run_with(journal, "one")
    note(log, 2)
    with closing(sqlite3.connect(home / "journal.db", isolation_level=None)) as lock:
        lock.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="locked") as caught:
            await log.flush()
        assert "Another process" in caught.value.hint
        note(log, 3)
        lock.execute("COMMIT")
    await log.flush()
    assert await numbers(journal, "one") == [1, 2, 3]
    await log.close()


async def test_a_close_that_failed_does_not_hold_the_run_for_ever(
    journal: SQLiteJournal, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "PATIENCE", 0.05)
    log = await run_with(journal, "one")
    note(log, 2)
    with closing(sqlite3.connect(home / "journal.db", isolation_level=None)) as lock:
        lock.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="locked"):
            await log.close()
    assert [line.live for line in await journal.runs()] == [False]
    log = await journal.claim("one")
    assert len(log.entries) == 1
    await log.close()
    assert sql(home, "SELECT id FROM owner") == []


async def test_a_deleted_folder_is_noticed(journal: SQLiteJournal, home: Path) -> None:
    log = await run_with(journal, "one")
    for file in home.iterdir():
        file.unlink()
    note(log, 2)
    with pytest.raises(JournalError, match="vanished"):
        await log.flush()
    with pytest.raises(JournalError, match="vanished"):
        await log.close()
    await (await run_with(journal, "two")).close()
    assert await numbers(SQLiteJournal(home), "two") == [1]
