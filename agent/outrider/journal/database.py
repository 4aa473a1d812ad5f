"""The journal's file: where it is, and one connection to it.

A connection must not cross a fork, or SQLite's locks are wrong in the child: all are closed before one, and
opened again at their next use.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

from outrider.errors import JournalError, RunNotFound
from outrider.journal import migrations
from outrider.journal.connection import SQLiteConnection
from outrider.journal.migrations import SCHEMA
from outrider.journal.mounts import network_of
from outrider.journal.store import Away, transaction

FILE = "journal.db"
APPLICATION = 0x4F757452  # "OutR": tells our file from another program's database
PATIENCE = 10.0
"""Seconds to wait for another process that is writing."""

_UNWRITABLE = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM)

T = TypeVar("T")

_opening = threading.Lock()
_open: "set[Database]" = set()
_locked: "list[Database]" = []
_watching = False


def default_home() -> Path:
    """The folder of the journal: ``$OUTRIDER_HOME``, or ``.outrider`` in the current folder."""
    return Path(os.environ.get("OUTRIDER_HOME") or ".outrider")


class Database:
    """One connection to the journal in ``home``, opened at first use; ``create`` makes what is missing.

    ``outrider.journal.store.Store`` is its contract. Usable from any thread, by one at a time. Without ``create``, a
    journal that cannot be written can still be read.
    """

    poll = 0.5
    away = Away(0.0, "")
    """A file does not go away; whoever keeps it locked is waited for in ``sqlite3`` itself."""

    def __init__(self, home: Path, create: bool) -> None:
        self.file = home / FILE
        self.openings = 0
        self._create = create
        self._connection: SQLiteConnection | None = None
        self._identity = (0, 0)
        self._still: Still | None = None
        self._lock = threading.Lock()

    def ask(self, query: Callable[[SQLiteConnection], T]) -> T:
        """Do this with the connection; whatever goes wrong with it comes out as a JournalError."""
        with self._lock:
            try:
                result = query(self._current() or self._connect())
                if self._still and self._still != still(self.file):
                    raise JournalError(f"the journal {self.file} was written to while it was read", "Try again.")
                return result
            except (sqlite3.Error, OSError) as error:
                raise explain(error, self.file) from error
            finally:
                if self._connection and self._connection.in_transaction:
                    with suppress(sqlite3.Error):
                        self._connection.execute("ROLLBACK")

    def make(self) -> None:
        """Whoever may make the file does so when it is opened."""

    def change(self, work: Callable[[SQLiteConnection], T]) -> T:
        """Do this in one writing transaction, committed at the end and undone by any error."""
        return self.ask(transaction(work, "BEGIN IMMEDIATE"))

    def explain(self, error: Exception) -> JournalError:
        """What went wrong with the file, in words for people."""
        return explain(error, self.file)

    def moved(self) -> object:
        """Another value once anybody else has written to the file."""
        version: int = self.ask(lambda connection: connection.execute("PRAGMA data_version").fetchone()[0])
        return self.openings, version

    def listen(self, woken: Callable[[], None]) -> Callable[[], None]:
        """Nobody calls from a file: the writer looks at it."""
        return lambda: None

    def close(self) -> None:
        """Close the connection, if open."""
        with self._lock:
            self._disconnect()

    def _current(self) -> SQLiteConnection | None:
        """The open connection, unless its file has been deleted: SQLite would go on writing to nowhere."""
        if self._connection and _identity(self.file) != self._identity:
            self._disconnect()
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        _open.discard(self)
        if connection:
            with suppress(sqlite3.Error):  # closing tidies the file up; what was committed is safe without
                connection.close()

    def _connect(self) -> SQLiteConnection:
        with _opening:
            _watch_forks()
            if self._create:
                _check_local(self.file)
                _make_file(self.file)
            connection = self._opened() if self._create else self._opened_to_read()
            self._connection, self._identity = connection, _identity(self.file)
            self.openings += 1
            _open.add(self)
        return connection

    def _opened(self, how: str = "") -> SQLiteConnection:
        connection = sqlite3.connect(
            f"{self.file.as_uri()}?{how or ('mode=rwc' if self._create else 'mode=rw')}",
            uri=True, timeout=PATIENCE, isolation_level=None, check_same_thread=False, factory=SQLiteConnection,
        )  # fmt: skip
        try:
            _prepare(connection, self.file, self._create)
        except BaseException:
            connection.close()
            raise
        return connection

    def _opened_to_read(self) -> SQLiteConnection:
        """The connection; where nothing can be written, one that only reads.

        SQLite needs to write even for reading, unless it is told that the file does not change. That is so while no
        ``-wal`` file holds anything, and ``ask`` looks again afterwards.
        """
        for how in ("", "mode=ro"):
            try:
                return self._opened(how)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in _UNWRITABLE:
                    raise
        self._still = still(self.file)
        if self._still.waiting:
            raise JournalError(
                f"the journal {self.file} was left in the middle of work, in a folder that cannot be written to",
                f"Copy the folder and read the copy: cp -r {self.file.parent} /tmp/copy; OUTRIDER_HOME=/tmp/copy",
            )
        return self._opened("mode=ro&immutable=1")

    def before_fork(self) -> None:
        """Close the connection and keep everybody out."""
        self._lock.acquire()
        self._disconnect()

    def after_fork(self) -> None:
        """Let them in again."""
        self._lock.release()


class Still(NamedTuple):
    """What shows that nobody writes: the file as it lies there, and the bytes waiting beside it to be put into it."""

    size: int
    changed: int
    waiting: int


def still(file: Path) -> Still:
    """The file as it is now. Raises OSError."""
    status = file.stat()
    try:
        waiting = file.with_name(f"{FILE}-wal").stat().st_size
    except FileNotFoundError:
        waiting = 0
    return Still(status.st_size, status.st_mtime_ns, waiting)


def _identity(file: Path) -> tuple[int, int]:
    try:
        status = os.stat(file)
    except FileNotFoundError:
        return 0, 0
    return status.st_dev, status.st_ino


def _check_local(file: Path) -> None:
    if kind := network_of(file.parent):
        raise JournalError(
            f"the journal's folder {file.parent} is on a network file system ({kind}), where it would be damaged",
            "Set OUTRIDER_HOME to a folder on a disk of this machine; `outrider export` makes files to keep elsewhere.",
        )


def _make_file(file: Path) -> None:
    home = file.parent
    if not home.is_dir():
        home.parent.mkdir(parents=True, exist_ok=True)
        home.mkdir(mode=0o700, exist_ok=True)
        (home / ".gitignore").write_text("*\n")
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))


def _prepare(connection: sqlite3.Connection, file: Path, create: bool) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    version = _version(connection, file)
    if version == 0 and not create:
        raise no_journal(file.parent)
    if version == 0:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # must come before anything is written
        _switch_to_wal(connection)
    if version < SCHEMA and create:
        connection.execute("BEGIN IMMEDIATE")
        version = _version(connection, file)  # somebody may have been faster
        if version < SCHEMA:
            migrations.bring_forward(connection, version)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute("COMMIT")


def _version(connection: sqlite3.Connection, file: Path) -> int:
    """The version of the tables, 0 when there are none yet."""
    application, version, filled = _looked_at(connection)
    if application == APPLICATION and version > SCHEMA:
        raise JournalError(
            f"the journal {file} was written by a newer Outrider (its version is {version}, ours {SCHEMA})",
            "Upgrade Outrider, or set OUTRIDER_HOME to another folder.",
        )
    if application != APPLICATION and filled:
        raise JournalError(
            f"{file} is the database of another program",
            "Move it away, or set OUTRIDER_HOME to another folder.",
        )
    return version


def _looked_at(connection: sqlite3.Connection) -> tuple[int, int, bool]:
    """Whose file it is, the version of its tables, and whether there are any, as of one moment.

    Otherwise a process that makes the tables between two looks would seem to have made another program's file.
    """
    alone = not connection.in_transaction
    if alone:
        connection.execute("BEGIN")
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    version = migrations.version(connection)
    filled = connection.execute("SELECT 1 FROM sqlite_schema").fetchone() is not None
    if alone:
        connection.execute("ROLLBACK")
    return application, version, filled


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """SQLite does not wait its turn for this one: when several processes begin together, try again."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def no_journal(home: Path) -> RunNotFound:
    """The error for a folder without a journal."""
    return RunNotFound(
        f"there is no journal in {home}",
        "The first recorded run makes it; OUTRIDER_HOME names another folder.",
    )


_ELSEWHERE = (
    "Set OUTRIDER_HOME to a folder you can write to, or make this one writable (in Python also: Agent(journal=None))."
)
_AWAY = "Move it away to start a new journal; `sqlite3 FILE .recover` may save what is in it."
_HINTS = {
    sqlite3.SQLITE_FULL: "Free some space and resume the run; what was flushed before is safe.",
    sqlite3.SQLITE_IOERR: "Check the disk and its free space; what was flushed before is safe.",
    sqlite3.SQLITE_BUSY: f"Another process has kept it locked for {PATIENCE:g} s: stop that one, try again.",
    sqlite3.SQLITE_LOCKED: "Try again.",
    sqlite3.SQLITE_READONLY: _ELSEWHERE,
    sqlite3.SQLITE_CANTOPEN: _ELSEWHERE,
    sqlite3.SQLITE_PERM: _ELSEWHERE,
    sqlite3.SQLITE_NOTADB: _AWAY,
    sqlite3.SQLITE_CORRUPT: _AWAY,
    sqlite3.SQLITE_CONSTRAINT: "Two entries of a run had the same number, which is a mistake in the program.",
}


def explain(error: Exception, file: Path) -> JournalError:
    """What went wrong with the file, in words for people, and what to do."""
    if file.parent.exists() and not file.parent.is_dir():
        return JournalError(f"{file.parent} is a file, and the journal needs a folder", _ELSEWHERE)
    if isinstance(error, OSError):
        return JournalError(f"the journal {file} cannot be used: {error.strerror or error}", _ELSEWHERE)
    code: int = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return JournalError(f"the journal {file} cannot be used: {error}", _HINTS.get(code, ""))


def _watch_forks() -> None:
    global _watching  # noqa: PLW0603 -- once per process, and not at import
    if not _watching and hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
        _watching = True


def _before_fork() -> None:
    _opening.acquire()
    _locked.extend(_open)
    for database in _locked:
        database.before_fork()


def _after_fork() -> None:
    for database in _locked:
        database.after_fork()
    _locked.clear()
    _opening.release()
