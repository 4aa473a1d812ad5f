"""The journal of many machines: tables in PostgreSQL, which any number of workers share."""

import asyncio
import weakref
from collections.abc import Sequence

from outrider.journal import Removed, Summary, removal
from outrider.journal.postgres.server import Server
from outrider.journal.sql import SQLJournal
from outrider.journal.store import Connection


class PostgresJournal(SQLJournal):
    """Runs kept in a PostgreSQL database (15 or later) at ``address``, in the tables of one ``schema``.

    ``address`` is a libpq connection URI or string; what is missing in it comes from libpq's own environment variables
    and files (PGPASSWORD, ~/.pgpass, PGSSLROOTCERT). The first run makes the tables, for which its role must be allowed
    to; afterwards reading and writing them is enough. When the server goes away amid the work, the same is done again
    for ``patience`` seconds, and never twice over. Raises JournalError at once when it cannot be reached at first.
    """

    def __init__(self, address: str, schema: str = "outrider", patience: float = 60.0) -> None:
        self._server = Server(address, schema, patience)
        super().__init__(self._server)
        weakref.finalize(self, self._server.close)

    def __str__(self) -> str:
        return str(self._server)

    async def sizes(self) -> dict[str, int]:
        """About how many bytes each run takes in the tables."""
        return await self._found(_sizes, {})

    async def remove(self, runs: Sequence[Summary]) -> Removed:
        """Remove these runs whole; those that have gone on since they were seen so, or are live, stay.

        What they drew from purses stays spent. The server's vacuum makes the room free for later runs.
        """
        return Removed(tuple(await asyncio.to_thread(removal.remove, self._server, runs)))


def _sizes(connection: Connection) -> dict[str, int]:
    rows = connection.execute(
        "SELECT id, coalesce(sum(100 + pg_column_size(body)), 1)::bigint"
        " FROM run LEFT JOIN event ON event.run = run.number GROUP BY run.number"
    )
    return dict(rows.fetchall())
