"""Runs removed from a journal's file, and the room they took given back to the disk.

Each step is a short transaction of its own, with pauses between them, so that others at work in the same file get
their turn.
"""

import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress

from outrider.journal import Summary, tables
from outrider.journal.connection import SQLiteConnection
from outrider.journal.database import Database
from outrider.journal.store import Connection, Store

_RUNS = 20
"""Runs removed in one transaction."""
_PAGES = 1000
"""Pages given back in one transaction."""
_STEPWISE = 2
"""INCREMENTAL: free pages are given back when that is asked for, some at a time."""
_STRETCH = 0.25
_PAUSE = 0.11
"""Seconds of work at most, about, and of the pause after them."""
_ROW = 100
"""Bytes of an event beside its body, about: its columns and its places in the indexes."""


def sizes(connection: SQLiteConnection) -> dict[str, int]:
    """The bytes in use in the file by run, about: what all take together is shared out by the length of events."""
    parts = [f"SELECT run, {_ROW} + length(body) AS bytes FROM event"]
    if connection.apart():
        parts.append("SELECT run, length(body) FROM body")
    rows = connection.execute(
        "SELECT id, coalesce(sum(bytes), 1) FROM run LEFT JOIN"
        f" ({' UNION ALL '.join(parts)}) AS part ON part.run = run.number GROUP BY run.number"
    )
    lengths: dict[str, int] = dict(rows.fetchall())
    share = _used(connection) / max(1, sum(lengths.values()))
    return {run: round(length * share) for run, length in lengths.items()}


def remove(store: Store, runs: Sequence[Summary]) -> list[str]:
    """Remove these runs whole and return their ids; those that have gone on since, or have a living owner, stay."""
    removed: list[str] = []
    pace = _Pace()
    for first in range(0, len(runs), _RUNS):
        pace.step()
        some = runs[first : first + _RUNS]
        removed += store.change(lambda connection, some=some: _remove(connection, some))
    return removed


def _remove(connection: Connection, runs: Sequence[Summary]) -> list[str]:
    living = tables.living(connection)
    delete = "DELETE FROM run WHERE id = ? AND updated = ?"
    at_rest = [run for run in runs if run.run not in living]
    return [run.run for run in at_rest if connection.execute(delete, (run.run, run.updated)).rowcount]


def shrink(database: Database) -> None:
    """Give the room that is free in the file back to the disk, as far as that holds up nobody.

    A file of version 1 has to be written anew for that, once, which is done while no process has a run open.
    """
    stepwise, alone = database.ask(lambda c: (_value(c, "auto_vacuum") == _STEPWISE, not tables.living(c)))
    database.ask(lambda connection: _shrink(connection, stepwise, alone))


def _shrink(connection: sqlite3.Connection, stepwise: bool, alone: bool) -> None:
    pace = _Pace()
    with suppress(sqlite3.OperationalError):  # the runs are gone all the same
        if stepwise:
            for _ in range(0, _value(connection, "freelist_count"), _PAGES):
                pace.step()
                connection.executescript(f"PRAGMA incremental_vacuum({_PAGES})")
        elif alone:
            connection.execute(f"PRAGMA auto_vacuum = {_STEPWISE}")
            connection.execute("VACUUM")
        connection.execute("PRAGMA busy_timeout = 100")  # it keeps writers out while it waits for readers
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


class _Pace:
    """Lets others in between two steps: who waits for the file tries ten times a second, and must find it free."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    def step(self) -> None:
        """Pause, when the last pause was a while ago."""
        if time.monotonic() - self._since > _STRETCH:
            time.sleep(_PAUSE)
            self._since = time.monotonic()


def _used(connection: sqlite3.Connection) -> int:
    pages = _value(connection, "page_count") - _value(connection, "freelist_count")
    return pages * _value(connection, "page_size")


def _value(connection: sqlite3.Connection, pragma: str) -> int:
    return connection.execute(f"PRAGMA {pragma}").fetchone()[0]
