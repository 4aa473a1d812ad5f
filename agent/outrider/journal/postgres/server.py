"""The store of a journal in PostgreSQL: pooled connections, and patience with a server that goes away and comes back.

A transaction whose server went away is done again, as nobody knows whether it was committed. That is safe because each
finds out what of it is there: entries by their number and epoch, a new run by its moment, commands by theirs.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
import psycopg_pool
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from outrider.errors import JournalError, RunNotFound, SetupError
from outrider.journal.postgres import migrations
from outrider.journal.postgres.connection import PostgresConnection, passing
from outrider.journal.postgres.listening import Listening
from outrider.journal.store import Away, transaction

LONGEST = 8
"""Connections at most. Reading needs them; all runs of a process are written on one."""
IDLE = 60.0
"""Seconds after which a connection that nobody uses is closed."""
STALLED = 5
"""Seconds after which the server undoes the transaction of a process that stands still in the middle of one."""
LOCKED = 15
"""Seconds to wait for what another transaction has locked, before it is tried again."""

_DEFAULTS = {
    "application_name": "outrider",
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # milliseconds until a server that does not confirm is given up
    "target_session_attrs": "read-write",  # of several hosts, the one that is the primary
}
_BEGIN = "Is the server running, can it be reached from here, and is there that database?"
_AGAIN = "When it is back, the run can be resumed; what was flushed before is safe."
_HINTS = {
    "28": "Check the role and its password (PGPASSWORD, or ~/.pgpass).",
    "42": "The role must be allowed to read and write these tables, and for the first run to make them.",
    "53": "The server has no room left: free some and resume the run; what was flushed before is safe.",
}

Raw = psycopg.Connection[tuple[Any, ...]]
T = TypeVar("T")

_log = logging.getLogger("outrider.journal")
logging.getLogger("psycopg.pool").addHandler(logging.NullHandler())  # the reasons come out as errors of ours


class Server:
    """A database, and the connections to it. ``outrider.journal.store.Store`` is its contract."""

    poll = 1.0

    def __init__(self, address: str, schema: str, patience: float) -> None:
        try:
            given = conninfo_to_dict(address)
        except psycopg.ProgrammingError as error:
            raise SetupError(f"the journal's address cannot be read: {_line(error)}", _FORM) from None
        self._address = make_conninfo("", **{**_DEFAULTS, **given})
        self._name = "/".join(str(given[part]) for part in ("host", "dbname") if given.get(part)) or "PostgreSQL"
        self._schema, self._patience = schema, patience
        self._pool: psycopg_pool.ConnectionPool[Raw] | None = None
        self._process = 0
        self.away = Away(0.0, "")
        self._lock = threading.Lock()

    def __str__(self) -> str:
        """Where it is, without the password."""
        return f"PostgreSQL at {self._name}" if self._name != "PostgreSQL" else self._name

    def ask(self, query: Callable[[PostgresConnection], T]) -> T:
        """Do what only reads, again where the server went away."""
        return self._done(query)

    def change(self, work: Callable[[PostgresConnection], T]) -> T:
        """Do this in one transaction, again where the server went away."""
        return self._done(transaction(work))

    def make(self) -> None:
        """Make the tables that are missing."""
        self._done(lambda connection: connection.make(self._schema, str(self)))

    def explain(self, error: Exception) -> JournalError:
        """What went wrong, in words for people, and what to do."""
        state = getattr(error, "sqlstate", None) or ""
        return JournalError(f"the journal ({self}) cannot be used: {_line(error)}", _HINTS.get(state[:2], _AGAIN))

    def moved(self) -> object:
        """Nothing but the inbox itself tells."""
        return object()

    def listen(self, woken: Callable[[], None]) -> Callable[[], None]:
        """Call this, in a thread, as soon as commands come in; what is returned ends that."""
        return Listening(self._connect, self._schema, woken).stop

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            pool, self._pool = self._pool, None
            ours = self._process == os.getpid()
        if pool and ours:
            pool.close()

    # ----------------------------------------------------------------------------------------- connections

    def _done(self, do: Callable[[PostgresConnection], T]) -> T:
        deadline, pause, why = 0.0, 0.05, ""
        while True:
            try:
                with self._connections().connection(timeout=self._patience) as connection:
                    result = do(PostgresConnection(connection, redone=bool(why)))
                if why:
                    self.away = Away(time.monotonic(), why)
                return result
            except psycopg.errors.UndefinedTable:
                raise RunNotFound(f"there is no journal in {self}", "The first recorded run makes it.") from None
            except psycopg.Error as error:
                deadline = deadline or time.monotonic() + self._patience
                if not passing(error) or time.monotonic() + pause > deadline:
                    raise self._explained(error) from error
                why = _line(error)
                _log.warning("the journal (%s) is away for now: %s", self, why)
            time.sleep(pause)
            pause = min(2 * pause, 1.0)

    def _explained(self, error: psycopg.Error) -> JournalError:
        if isinstance(error, psycopg_pool.PoolTimeout):  # it does not say why
            try:
                self._connect().close()
            except psycopg.Error as reason:
                return self.explain(reason)
        return self.explain(error)

    def _connections(self) -> "psycopg_pool.ConnectionPool[Raw]":
        """The pool of this process: a forked child must not use its parent's connections."""
        with self._lock:
            if self._pool is None or self._process != os.getpid():
                self._check()
                self._process = os.getpid()
                self._pool = psycopg_pool.ConnectionPool(
                    self._address, kwargs={"autocommit": True}, configure=self._prepare, name="outrider-journal",
                    min_size=0, max_size=LONGEST, max_idle=IDLE, num_workers=1, open=True,
                )  # fmt: skip
            return self._pool

    def _check(self) -> None:
        """See whether it can be used at all. Who cannot begin is told at once: nothing is at stake yet."""
        try:
            with self._connect() as connection:
                migrations.version(connection, str(self))
        except psycopg.Error as error:
            told = self.explain(error)
            raise JournalError(told.message, _BEGIN if told.hint == _AGAIN else told.hint) from error

    def _connect(self) -> Raw:
        connection = psycopg.connect(self._address, autocommit=True)
        self._prepare(connection)
        return connection

    def _prepare(self, connection: Raw) -> None:
        connection.execute(_SESSION, (self._schema, f"{STALLED}s", f"{LOCKED}s"))


_SESSION = """
SELECT set_config('search_path', %s, false), set_config('idle_in_transaction_session_timeout', %s, false),
    set_config('lock_timeout', %s, false),
    CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', false) END
"""
_FORM = "It is a URI such as postgresql://user@host/database, or words such as 'host=db1 dbname=runs'."


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
