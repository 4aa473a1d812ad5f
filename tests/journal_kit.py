"""What the tests of the journal share: a journal in a folder of its own, small entries, waiting, and raw SQL."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from msgspec import Raw

from outrider.events import Entry, MessageAdded, encode
from outrider.journal import Journal, Log, Totals

WATCHDOG = 60.0


def note(log: Log, seq: int, command: int = 0, totals: Totals | None = None) -> None:
    """Append a small entry."""
    event = MessageAdded(Raw(b'{"role":"user","content":"%d"}' % seq), "test", command=command)
    log.append(Entry(seq, 1000.0 + seq, event), encode(event), totals)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; a machine may be slow, but not for ever."""
    deadline = time.monotonic() + WATCHDOG
    while not condition():
        assert time.monotonic() < deadline, "the watchdog ended the wait"
        await asyncio.sleep(0.01)


async def run_with(journal: Journal, run: str, count: int = 1) -> Log:
    """A new open run with so many flushed entries."""
    log = await journal.create(run)
    for seq in range(1, count + 1):
        note(log, seq)
    await log.flush()
    return log


async def numbers(journal: Journal, run: str, after: int = 0) -> list[int]:
    return [entry.seq for entry in await journal.read(run, after)]


def sql(home: Path, statement: str, *values: object) -> list[tuple[object, ...]]:
    """One statement on the file, past the journal."""
    with closing(sqlite3.connect(home / "journal.db", timeout=WATCHDOG, isolation_level=None)) as connection:
        return connection.execute(statement, values).fetchall()


def written(home: Path, version: int) -> None:
    """Make the journal that a release with this version of the tables has left: a run that waits for consent."""
    home.mkdir()
    dump = Path(__file__).with_name("record") / f"journal-{version}.sql"
    with closing(sqlite3.connect(home / "journal.db")) as connection:
        connection.executescript(dump.read_text(encoding="utf-8"))


def writers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "outrider-journal"]
