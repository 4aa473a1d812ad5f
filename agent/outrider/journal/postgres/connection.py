"""A connection to PostgreSQL, and what differs in its SQL; its contract is in ``outrider.journal.store``."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import psycopg
from psycopg.pq import TransactionStatus

from outrider.journal.postgres.migrations import bring_forward
from outrider.journal.store import TOTALS, Added, Head, Rows, Taken

_AWAY = ("08", "40")
"""Classes of SQLSTATE after which the same may succeed: connections, and transactions in each other's way."""
_FOR_NOW = (
    "25006",  # a standby that is not the primary yet
    "25P03",  # this process stood still in the middle of a transaction
    "53300",  # too many connections
    "55P03",  # somebody has kept it locked for long
    "57P01", "57P02", "57P03",  # the server stops, has crashed, is starting
)  # fmt: skip
_HEAD = """
    place integer, id text, number bigint, epoch integer, created float8, updated float8, leaves boolean, before bigint,
    agent text, model text, task text, outcome text, turns bigint, tool_calls bigint, seconds float8,
    prompt_tokens bigint, completion_tokens bigint, reasoning_tokens bigint, cached_tokens bigint, cost text
"""
_EXTEND = f"""
WITH given AS (
    SELECT * FROM json_to_recordset(%s::json) AS given({_HEAD})
), made AS (
    INSERT INTO run(id, created, updated, epoch, owner, {", ".join(TOTALS)})
    SELECT id, created, updated, epoch, CASE WHEN NOT leaves THEN %s END,
        coalesce(agent, ''), coalesce(model, ''), coalesce(task, ''), coalesce(outcome, ''),
        {", ".join(f"coalesce({name}, 0)" for name in TOTALS[4:-1])}, cost
    FROM given WHERE number = 0
    ON CONFLICT(id) DO NOTHING RETURNING number, id
), head AS (
    UPDATE run SET updated = coalesce(given.updated, run.updated), owner = CASE WHEN NOT leaves THEN owner END,
        {", ".join(f"{name} = coalesce(given.{name}, run.{name})" for name in TOTALS[:-1])},
        cost = CASE WHEN given.agent IS NULL THEN run.cost ELSE given.cost END
    FROM given WHERE run.number = given.number AND run.epoch = given.epoch AND run.id = given.id
        AND (given.before = 0 OR EXISTS (SELECT FROM event WHERE run = given.number AND seq = given.before))
    RETURNING run.number, run.id
), found AS (
    SELECT given.place, written.number
    FROM given JOIN (SELECT * FROM made UNION ALL SELECT * FROM head) AS written ON written.id = given.id
), added AS (
    INSERT INTO event(run, seq, at, epoch, body)
    SELECT found.number, entry.seq, entry.at, entry.epoch, convert_to(entry.body, 'UTF8')
    FROM json_to_recordset(%s::json) AS entry(place integer, seq integer, at float8, epoch integer, body text)
        JOIN found ON found.place = entry.place
), taken AS (
    UPDATE inbox SET taken = word.seq
    FROM json_to_recordset(%s::json) AS word(place integer, seq integer, command bigint)
        JOIN found ON found.place = word.place
    WHERE inbox.id = word.command AND inbox.run = found.number
)
SELECT place, number FROM found
""".encode()
_DONE = (TransactionStatus.IDLE, TransactionStatus.UNKNOWN)


class PostgresConnection:
    """One psycopg connection, for one transaction or query."""

    now = "floor(extract(epoch FROM clock_timestamp()))::bigint"
    for_update = " FOR UPDATE"
    far = True
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

    def extend(
        self, owner: str, heads: Sequence[Head], added: Sequence[Added], taken: Sequence[Taken], /
    ) -> dict[int, int]:
        """Write to several runs in one journey, to each if its row is as the head says; returns their numbers by place.

        All goes as JSON: less work here than an array for each column.
        """
        return dict(self._connection.execute(_EXTEND, (_json(heads), owner, _json(added), _json(taken))))

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


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


@lru_cache(maxsize=256)
def _sent(sql: str) -> bytes:
    return sql.replace("?", "%s").encode()
