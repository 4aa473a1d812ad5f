"""A connection to PostgreSQL, and what differs in its SQL; its contract is in ``outrider.journal.store``."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from outrider.journal.postgres.migrations import bring_forward
from outrider.journal.store import Rows

_AWAY = ("08", "40")
"""Classes of SQLSTATE after which the same may succeed: connections, and transactions in each other's way."""
_FOR_NOW = (
    "25006",  # a standby that is not the primary yet
    "25P03",  # this process stood still in the middle of a transaction
    "53300",  # too many connections
    "55P03",  # somebody has kept it locked for long
    "57P01", "57P02", "57P03",  # the server stops, has crashed, is starting
)  # fmt: skip
_DONE = (TransactionStatus.IDLE, TransactionStatus.UNKNOWN)


class PostgresConnection:
    """One psycopg connection, for one transaction or query."""

    now = "floor(extract(epoch FROM clock_timestamp()))::bigint"
    for_update = " FOR UPDATE"

    def __init__(self, connection: "psycopg.Connection[tuple[Any, ...]]", redone: bool) -> None:
        self._connection = connection
        self.redone = redone

    def execute(self, sql: str, values: Sequence[object] = (), /) -> Rows:
        """Run a statement."""
        return self._connection.execute(_sent(sql), values)

    def executemany(self, sql: str, values: Iterable[Sequence[object]], /) -> None:
        """Run a statement once for each row of values, all in one journey to the server."""
        if rows := list(values):
            self._connection.cursor().executemany(_sent(sql), rows)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, a failed one among them."""
        return self._connection.info.transaction_status not in _DONE

    def passing(self, error: Exception) -> bool:
        """Whether the transaction may succeed when it is done again."""
        return passing(error)

    def has(self, table: str) -> bool:
        """All tables are made at once."""
        return True

    def whole_body(self) -> str:
        """The server itself puts large ones apart."""
        return "event.body"

    def member(self, column: str, path: str) -> str:
        """What stands in a SELECT for a member of a column with JSON, as text."""
        return f"convert_from({column}, 'UTF8')::json #>> '{{{path.replace('.', ',')}}}'"

    def lock(self, name: str) -> None:
        """Keep others out who lock the same name in these tables, until the transaction ends."""
        self.execute("SELECT pg_advisory_xact_lock(hashtext(current_schema()), hashtext(?))", (name,))

    def make(self, schema: str, where: str) -> None:
        """Make the tables that are missing."""
        bring_forward(self._connection, schema, where)

    def wake(self) -> None:
        """Tell the owners of runs, once this is committed."""
        self.execute("SELECT pg_notify(current_schema(), '')")


def passing(error: Exception) -> bool:
    """Whether what failed so may succeed when it is done again: the server went away, or somebody was in the way."""
    if not isinstance(error, psycopg.Error):
        return False
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return error.sqlstate[:2] in _AWAY or error.sqlstate in _FOR_NOW


@lru_cache(maxsize=256)
def _sent(sql: str) -> bytes:
    return sql.replace("?", "%s").encode()
