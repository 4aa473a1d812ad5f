"""Where the contract of journals is tried: a SQLite file, and a PostgreSQL server, which keep it alike."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from journal_kit import WATCHDOG, sql
from outrider.journal.sql import SQLJournal
from outrider.journal.sqlite import SQLiteJournal

if TYPE_CHECKING:
    import psycopg

PREAMBLE = """
import asyncio, os, signal, sys, threading
from outrider.commands import *
from outrider.errors import *
from outrider.events import *
from msgspec import Raw
def note(log, seq, command=0):
    event = MessageAdded(Raw(b'{"role":"user","content":"%d"}' % seq), "test", command=command)
    log.append(Entry(seq, 1000.0 + seq, event), encode(event))
"""
_OPENED = """
from outrider.journal.{room} import {kind}
def open_journal():
    return {kind}({where})
"""


class Place(Protocol):
    """Where runs are kept, for one test."""

    now: str
    code: str
    """What defines, in another process, ``open_journal``, which makes a journal of this place."""

    def journal(self) -> SQLJournal:
        """Another journal of this place."""
        ...

    def sql(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        """One statement, past the journal."""
        ...

    def locked(self) -> AbstractContextManager[None]:
        """Nobody can write while the block lasts."""
        ...


class SQLitePlace:
    """A folder."""

    now = "CAST(strftime('%s', 'now') AS INTEGER)"

    def __init__(self, home: Path) -> None:
        self._home = home
        self.code = _OPENED.format(room="sqlite", kind="SQLiteJournal", where=repr(str(home)))

    def journal(self) -> SQLJournal:
        return SQLiteJournal(self._home)

    def sql(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        return sql(self._home, statement, *values)

    @contextmanager
    def locked(self) -> Generator[None]:
        with closing(sqlite3.connect(self._home / "journal.db", isolation_level=None)) as lock:
            lock.execute("BEGIN IMMEDIATE")
            yield
            lock.execute("COMMIT")


class PostgresPlace:
    """The tables of one schema."""

    now = "floor(extract(epoch FROM clock_timestamp()))::bigint"

    def __init__(self, address: str, schema: str) -> None:
        self._address, self.schema = address, schema
        self.code = _OPENED.format(room="postgres", kind="PostgresJournal", where=f"{address!r}, {schema!r}")

    def journal(self) -> SQLJournal:
        from outrider.journal.postgres import PostgresJournal

        return PostgresJournal(self._address, self.schema)

    def sql(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        with self._connection() as connection:
            cursor = connection.execute(statement.replace("?", "%s").encode(), values)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def locked(self) -> Generator[None]:
        with self._connection() as connection, connection.transaction():
            connection.execute("LOCK TABLE run, event, owner IN EXCLUSIVE MODE")
            yield

    @contextmanager
    def _connection(self) -> Generator["psycopg.Connection[tuple[object, ...]]"]:
        import psycopg

        with psycopg.connect(self._address, autocommit=True) as connection:
            connection.execute("SELECT set_config('search_path', %s, false)", (self.schema,))
            yield connection


def start(place: Place, code: str, *options: str) -> "subprocess.Popen[str]":
    """Another process, with the journal's names at hand; it says things on stdout."""
    return subprocess.Popen(
        [sys.executable, *options, "-c", PREAMBLE + place.code + code],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip


def say(process: subprocess.Popen[str]) -> str:
    """Its next line."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end(process: subprocess.Popen[str], kill: bool = False) -> str:
    """Wait for its end, by kill -9 or its own; returns what it said on stderr."""
    if kill:
        process.send_signal(signal.SIGKILL)
    _, errors = process.communicate(timeout=WATCHDOG)
    return errors
