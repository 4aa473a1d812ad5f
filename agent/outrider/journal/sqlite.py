"""The journal of one machine: a SQLite file, read on short-lived connections, written by one thread."""

import asyncio
import os
import weakref
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from outrider.errors import JournalError, RunNotFound
from outrider.journal import Removed, Summary, removal
from outrider.journal.database import FILE, Database, default_home, explain, no_journal, still
from outrider.journal.sql import SQLJournal, SQLLog

__all__ = ["SQLiteJournal", "SQLiteLog", "default_home"]

SQLiteLog = SQLLog


class SQLiteJournal(SQLJournal):
    """Runs kept in ``journal.db`` in the folder ``path``, by default ``$OUTRIDER_HOME`` or ``.outrider``.

    The folder is made by the first run, readable by its owner only. One journal serves any number of runs,
    event loops and threads, and any number of processes of one machine may use the same folder. ``commits``
    counts the commits made for runs.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.home = Path(os.path.abspath(Path(path or default_home()).expanduser()))
        self._database = Database(self.home, create=True)
        super().__init__(self._database)
        weakref.finalize(self, self._database.close)

    def __str__(self) -> str:
        return str(self.home)

    async def sizes(self) -> dict[str, int]:
        """About how many bytes each run takes in the file."""
        try:
            return await asyncio.to_thread(self._sizes)
        except RunNotFound:  # no journal yet
            return {}

    async def remove(self, runs: Sequence[Summary]) -> Removed:
        """Remove these runs whole; those that have gone on since they were seen so, or are live, stay.

        What they drew from purses stays spent. The room is given back to the disk, in short steps; a file of version 1
        has to be written anew for that, once, which waits until no process has a run open. Later runs use it meanwhile.
        """
        return await asyncio.to_thread(self._remove, runs) if runs else Removed()

    def _sizes(self) -> dict[str, int]:
        with self._existing() as database:
            return database.ask(removal.sizes)

    def _remove(self, runs: Sequence[Summary]) -> Removed:
        with self._existing() as database:
            before = still(database.file)
            removed = removal.remove(database, runs)
            if removed:
                removal.shrink(database)
            after = still(database.file)
        return Removed(tuple(removed), max(0, before.size + before.waiting - after.size - after.waiting))

    @contextmanager
    def _existing(self) -> Generator[Database]:
        """The file that is there, on a connection of its own. Raises RunNotFound when there is none."""
        database = Database(self.home, create=False)
        try:
            if not database.file.exists():
                raise _absent(self.home)
            yield database
        except OSError as error:
            raise explain(error, database.file) from error
        finally:
            database.close()


def _absent(home: Path) -> JournalError:
    if home.exists() and not home.is_dir():
        return explain(NotADirectoryError(), home / FILE)
    return no_journal(home)
