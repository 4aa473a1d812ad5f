"""A connection to a journal's file, and what differs in SQLite's SQL; its contract is in ``outrider.journal.store``."""

import sqlite3
from collections.abc import Sequence

from outrider.journal.store import Added, Head, Taken


class SQLiteConnection(sqlite3.Connection):
    """What ``sqlite3.connect`` gives with this as its factory."""

    now = "CAST(strftime('%s', 'now') AS INTEGER)"
    for_update = ""
    far = False
    splits = True
    redone = False
    """A file does not go away amid a commit: either it was done, or it was not."""

    def extend(
        self, owner: str, heads: Sequence[Head], added: Sequence[Added], taken: Sequence[Taken], /
    ) -> dict[int, int]:
        """Nothing: a file is no journey away."""
        return {}

    def passing(self, error: Exception) -> bool:
        """Whoever has to wait has waited in ``sqlite3`` itself."""
        return False

    def whole_body(self) -> str:
        """What stands in a SELECT from ``event`` for the whole body; begins a transaction."""
        if not self.apart():
            return "event.body"
        return "coalesce((SELECT body.body FROM body WHERE body.run = event.run AND body.seq = event.seq), event.body)"

    def apart(self) -> bool:
        """Whether the bodies of large events lie apart; begins a transaction, in which that stays so.

        Another process may bring tables of version 1 forward at any time.
        """
        self.execute("BEGIN")
        return self.has("body")

    def has(self, table: str) -> bool:
        """Whether there is this table: those of an older version lack some."""
        return bool(self.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (table,)).fetchone())

    def member(self, column: str, path: str) -> str:
        """What stands in a SELECT for a member of a column with JSON."""
        return f"json_extract(CAST({column} AS TEXT), '$.{path}')"

    def lock(self, name: str) -> None:
        """Who writes is alone in the file."""

    def wake(self) -> None:
        """The file itself tells that it was written to."""
