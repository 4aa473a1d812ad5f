"""A journal in a database: what it keeps is read in threads, and written by one thread for all its runs."""

import asyncio
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import TypeVar

import msgspec

from outrider.commands import AnyCommand, Command, Unreadable, decode
from outrider.errors import Fenced, RunNotFound
from outrider.events import Entry, JournalWaited
from outrider.journal import Cost, Removed, Spent, Summary, Totals, costs, purses, tables
from outrider.journal.store import Connection, Store
from outrider.journal.tables import Record, Row
from outrider.journal.writer import Writer
from outrider.purse import Price, Purse, Share

T = TypeVar("T")


class SQLLog:
    """One open run of a ``SQLJournal``; ``outrider.journal.Log`` is its contract."""

    def __init__(self, writer: Writer, record: Record, entries: tuple[Entry, ...] = ()) -> None:
        self._writer = writer
        self._record = record
        self._entries = entries

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What was on record when the run was claimed."""
        return self._entries

    @property
    def mail(self) -> bool:
        """Whether commands wait in the inbox; at most a second behind."""
        return not self._record.inbox <= self._record.taken

    def on_mail(self, woken: Callable[[], None]) -> None:
        """Call this, on the running event loop, when commands have come in; at most a second behind."""
        loop = asyncio.get_running_loop()
        self._record.woken = lambda: loop.call_soon_threadsafe(woken)

    def append(self, entry: Entry, body: bytes, totals: Totals | None = None) -> None:
        """Hand over the next entry. Never waits; it is on disk after the next ``flush``."""
        if self._record.released:
            raise tables.closed(self._record.run)
        command: int = getattr(entry.event, "command", 0)
        if command:
            self._record.taken.add(command)
        self._record.rows.append(Row(entry.seq, entry.at, body, command, totals))

    async def flush(self) -> JournalWaited | None:
        """Return once everything appended is on disk; what to put on record of that, where it took long.

        Raises Fenced when another process owns the run. Raises JournalError when the store fails; what was
        appended is then kept, and the next flush tries again.
        """
        if lost := self._record.lost:
            raise Fenced(lost.message, lost.hint)
        return await self._writer.flush(self._record) if self._record.rows else None

    async def commands(self) -> list[tuple[int, AnyCommand]]:
        """The commands that no appended event has taken, oldest first, with their ids."""
        rows = await self._writer.commands(self._record)
        return [(id, _command(id, body)) for id, body in rows if id not in self._record.taken]

    async def close(self) -> None:
        """Flush, and give the run up. Raises what ``flush`` raises; closing again does nothing."""
        if not self._record.released:
            self._record.released = True
            await self._writer.release(self._record)


class SQLJournal(ABC):
    """Runs kept in the tables of a store; ``outrider.journal.Journal`` is its contract.

    ``commits`` counts the commits made for runs.
    """

    def __init__(self, store: Store) -> None:
        self.commits = 0
        self._store = store
        self._writer: Writer | None = None
        self._lock = threading.Lock()

    async def create(self, run: str) -> SQLLog:
        """Begin a new run and own it; others see it from its first flush on."""
        writer, record = self._open(run)
        await writer.create(record)
        return SQLLog(writer, record)

    async def claim(self, run: str, take: bool = False) -> SQLLog:
        """Own an existing run, raising its epoch. Raises RunNotFound, or RunBusy while its owner lives.

        With ``take`` a living owner in another process is not asked, and its next append is refused.
        """
        writer, record = self._open(run)
        await writer.claim(record, take)
        try:
            return SQLLog(writer, record, tuple(await self.read(run)))
        except BaseException:
            record.released = True
            await writer.release(record)
            raise

    async def read(self, run: str, after: int = 0) -> list[Entry]:
        """The flushed entries with a number above ``after``. Raises RunNotFound."""
        return await self._ask(lambda connection: tables.entries(connection, run, after))

    async def runs(self, limit: int = 50) -> list[Summary]:
        """The newest runs first."""
        return await self._found(lambda connection: tables.summaries(connection, limit), [])

    async def find(self, prefix: str) -> str:
        """The one run whose id begins so. Raises RunNotFound, naming candidates when there are several."""
        return await self._ask(lambda connection: tables.find(connection, prefix))

    async def tell(self, run: str, command: Command) -> int:
        """Put a command into the inbox of a run; returns its id. Raises RunNotFound."""
        body, at = msgspec.json.encode(command), time.time()
        return await self._alter(lambda connection: tables.put(connection, run, at, body))

    async def pending(self, run: str) -> list[tuple[int, AnyCommand]]:
        """The commands in the inbox of a run that wait for its owner, oldest first, with their ids; takes none."""
        rows = await self._ask(lambda connection: tables.pending(connection, run))
        return [(id, _command(id, body)) for id, body in rows]

    async def draw(self, purse: Purse, run: str, number: int, price: Price, waits: bool) -> Share:
        """Put money from a purse aside for a request of a run, on disk before this returns."""
        return await self._change(lambda c: purses.draw(c, purse, run, number, price, waits, tables.living))

    async def settle(self, purse: Purse, run: str, number: int, cost: Decimal) -> None:
        """That request has cost so many dollars; the rest of what was put aside is given back."""
        await self._change(lambda connection: purses.settle(connection, purse, run, number, cost))

    async def undecided(self, purse: Purse, run: str) -> list[int]:
        """The requests of a run for which money of that purse is put aside."""
        return await self._ask(lambda connection: purses.undecided(connection, purse, run))

    async def costs(self, since: float = 0.0) -> list[Cost]:
        """Every request since then (Unix seconds) that has cost or may have cost something."""
        return await self._found(lambda connection: costs.costs(connection, since), [])

    async def spent(self) -> list[Spent]:
        """What has gone from each purse, by day."""
        return await self._found(purses.spent, [])

    @abstractmethod
    async def sizes(self) -> dict[str, int]:
        """About how many bytes each run takes in the store."""

    @abstractmethod
    async def remove(self, runs: Sequence[Summary]) -> Removed:
        """Remove these runs whole; those that have gone on since they were seen so, or are live, stay."""

    async def close(self) -> None:
        """Flush and give up the runs still open, which ends the thread. The journal may be used again."""
        writer = self._writer
        logs = [SQLLog(writer, record) for record in writer.records()] if writer and writer.ours else []
        results = await asyncio.gather(*(log.close() for log in logs), return_exceptions=True)
        await asyncio.to_thread(self._store.close)
        for result in results:
            if result:
                raise result

    def _open(self, run: str) -> tuple[Writer, Record]:
        with self._lock:
            writer = self._writer
            record = writer.open(run) if writer and writer.ours else None
            while writer is None or record is None:
                writer = self._writer = Writer(self._store, self._count)
                record = writer.open(run)
            return writer, record

    def _count(self) -> None:
        self.commits += 1

    @contextmanager
    def _existing(self) -> Generator[Store]:
        """The store for those who must find something there: what makes it, begins a run."""
        yield self._store

    async def _ask(self, query: Callable[[Connection], T]) -> T:
        """Run a query, in a thread."""

        def ask() -> T:
            with self._existing() as store:
                return store.ask(query)

        return await asyncio.to_thread(ask)

    async def _found(self, query: Callable[[Connection], T], nothing: T) -> T:
        """Run a query, in a thread; where there is no journal yet it has found ``nothing``."""
        try:
            return await self._ask(query)
        except RunNotFound:
            return nothing

    async def _alter(self, work: Callable[[Connection], T]) -> T:
        """Change what is there in one transaction, in a thread."""

        def alter() -> T:
            with self._existing() as store:
                return store.change(work)

        return await asyncio.to_thread(alter)

    async def _change(self, work: Callable[[Connection], T]) -> T:
        """Do it in one transaction, in a thread."""
        return await asyncio.to_thread(self._store.change, work)


def _command(id: int, body: bytes) -> AnyCommand:
    try:
        return decode(body)
    except (msgspec.DecodeError, TypeError) as error:
        return Unreadable("", f"command {id} cannot be read, damaged or of a newer Outrider: {error}")
