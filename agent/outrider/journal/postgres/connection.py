"""A connection to PostgreSQL, and what differs in its SQL; its contract is in ``outrider.journal.store``."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from outrider.journal.postgres.migrations import bring_forward
from outrider.journal.store import Head, Rows

_AWAY = ("08", "40")
"""Classes of SQLSTATE after which the same may succeed: connections, and transactions in each other's way."""
_FOR_NOW = (
    "25006",  # a standby that is not the primary yet
    "25P03",  # this process stood still in the middle of a transaction
    "53300",  # too many connections
    "55P03",  # somebody has kept it locked for long
    "57P01", "57P02", "57P03",  # the server stops, has crashed, is starting
)  # fmt: skip
_EXTEND = """
WITH head AS (
    UPDATE run SET updated = given.at
    FROM unnest(%s::bigint[], %s::integer[], %s::text[], %s::double precision[]) AS given(number, epoch, id, at)
    WHERE run.number = given.number AND run.epoch = given.epoch AND run.id = given.id
    RETURNING run.number
)
INSERT INTO event(run, seq, at, epoch, body)
SELECT added.* FROM unnest(%s::bigint[], %s::integer[], %s::double precision[], %s::integer[], %s::bytea[])
    AS added(number, seq, at, epoch, body) JOIN head ON head.number = added.number
RETURNING run
"""
_DONE = (TransactionStatus.IDLE, TransactionStatus.UNKNOWN)


class PostgresConnection:
    """One psycopg connection, for one transaction or query."""

    now = "floor(extract(epoch FROM clock_timestamp()))::bigint"
    for_update = " FOR UPDATE"
    splits = False

    def __init__(self, connection: "psycopg.Connection[tuple[Any, ...]]", redone: bool) -> None:
        self._connection = connection
        self.redone = redone

    def execute(self, sql: str, values: Sequence[object] = (), /) -> Rows:
        """Run a statement."""
        return self._connection.execute(_sent(sql), values)

    def executemany(self, sql: str, values: Iterable[Sequence[object]], /) -> None:
        """Run a statement once for each row of values.

        One by one: after psycopg's own, which sends a Flush behind its Sync, the server no longer notices that a
        process stands still in the middle of a transaction (idle_in_transaction_session_timeout, PostgreSQL 15).
        """
        for row in values:
            self.execute(sql, row)

    def extend(self, heads: Sequence[Head], rows: Sequence[Sequence[object]], /) -> frozenset[int]:
        """Add to several runs in one journey, each if its head is as given; returns the numbers of those extended."""
        columns = [list(column) for column in (*zip(*heads, strict=True), *zip(*rows, strict=True))]
        return frozenset(number for (number,) in self._connection.execute(_EXTEND, columns))

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
