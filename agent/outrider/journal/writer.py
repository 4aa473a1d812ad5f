"""The one thread of a journal that writes.

It lives while runs are open. Whoever wants a run flushed wakes it; it takes everything appended to the runs
asked for, commits it in one transaction, and wakes those who wait, on their own event loops. In between it
beats for the process and looks into the inbox.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, NamedTuple, TypeVar

from outrider.errors import Fenced, JournalError
from outrider.events import JournalWaited
from outrider.journal import tables
from outrider.journal.owner import BEAT, at_work, beat, forget_dead, sign_off, this_process
from outrider.journal.store import Connection, Store
from outrider.journal.tables import Record

T = TypeVar("T")
Work = list[tuple[Record, bool]]
"""Records to write, those marked True to be given up."""
Outcome = tuple[int, int] | JournalError
"""What came of writing a record: its number and the count of rows that were written, or why none were."""


SLOW = 5.0
"""Seconds from which on it goes on record that a flush took long. One that had to be tried again always does."""


class Job(NamedTuple):
    """What somebody waits for since ``at``: ``do``, or, when there is none, the flush of the record."""

    record: Record
    do: Callable[[], Any] | None
    release: bool
    future: asyncio.Future[Any]
    at: float


class Answer(NamedTuple):
    """What came of a job."""

    future: asyncio.Future[Any]
    result: Any
    error: JournalError | None


class Writer:
    """The thread, and what it shares with the loops. ``committed`` is called after each shared commit."""

    def __init__(self, store: Store, committed: Callable[[], None]) -> None:
        self.ended = False
        self._committed = committed
        self._owner = this_process()
        at_work.add(self._owner.id)
        self._signed_in = False
        self._records: dict[str, Record] = {}
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._late: list[Job] = []
        self._lock = threading.Lock()
        self._store = store
        self._next_beat, self._next_poll = monotonic() + BEAT, monotonic() + store.poll
        self._seen: object = None
        self._thread = threading.Thread(target=self._work, name="outrider-journal", daemon=True)

    # ------------------------------------------------------------------------------ called by the loops

    @property
    def ours(self) -> bool:
        """Whether this process has the thread: a forked child has only the object."""
        return self._owner.pid == os.getpid()

    def open(self, run: str) -> Record | None:
        """A record for the run, or None when this writer has ended. Raises RunBusy when it is open here."""
        with self._lock:
            if self.ended:
                return None
            if run in self._records:
                raise tables.busy(run, self._owner)
            record = self._records[run] = Record(run)
            if self._thread.ident is None:
                self._thread.start()
            return record

    def records(self) -> list[Record]:
        """The open runs."""
        with self._lock:
            return list(self._records.values())

    async def create(self, record: Record) -> None:
        """Make sure that the journal is usable and that no run has this id."""
        await self._begin(record, self._check_new)

    async def claim(self, record: Record, take: bool) -> None:
        """Take the run over, raising its epoch; with ``take`` even from a living owner."""
        await self._begin(record, lambda record: self._take_over(record, take))

    async def flush(self, record: Record) -> JournalWaited | None:
        """Return once all rows of the record are on disk; what is to be said of that, where it took long."""
        return await self._ask(record)

    async def commands(self, record: Record) -> list[tuple[int, bytes]]:
        """The commands that wait for the run, with their ids."""
        return await self._ask(record, lambda: self._commands(record))

    async def release(self, record: Record) -> None:
        """Flush, and give the run up. After the last one the thread is gone."""
        await self._ask(record, release=True)

    async def _begin(self, record: Record, do: Callable[[Record], None]) -> None:
        try:
            await self._ask(record, lambda: do(record))
        except asyncio.CancelledError:  # it may yet succeed, with nobody there to give the run up
            with suppress(JournalError):
                self._submit(record, release=True).add_done_callback(_drop)
            raise

    async def _ask(self, record: Record, do: Callable[[], T] | None = None, release: bool = False) -> T:
        try:
            return await self._submit(record, do, release)
        finally:
            if self.ended:
                self._thread.join()  # it had nothing left to do but wake us

    def _submit(
        self, record: Record, do: Callable[[], Any] | None = None, release: bool = False
    ) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        with self._lock:
            if self.ended:
                raise tables.closed(record.run)
            self._jobs.put(Job(record, do, release, future, monotonic()))
        return future

    # --------------------------------------------------------------------------------------- the thread

    def _work(self) -> None:
        deafen = self._store.listen(lambda: self._jobs.put(None))
        while True:
            jobs = self._take()
            answers = self._answer(jobs)
            with self._lock:
                self.ended = not self._records and not self._more()
            if self.ended:
                deafen()
                at_work.discard(self._owner.id)
            _wake(answers)
            if self.ended:
                return
            self._look_around()

    def _take(self) -> list[Job]:
        """All that has been asked for; nothing when it is time to look around."""
        if not self._late:
            pause = max(0.0, min(self._next_beat, self._next_poll) - monotonic())
            try:
                self._note(self._jobs.get(timeout=pause))
            except Empty:
                return []
        self._more()
        jobs, self._late = self._late, []
        return jobs

    def _more(self) -> bool:
        """Whether anything waits to be done, all of it now in ``_late``."""
        while not self._jobs.empty():  # nobody else takes
            self._note(self._jobs.get())
        return bool(self._late)

    def _note(self, job: Job | None) -> None:
        if job:
            self._late.append(job)
        else:
            self._next_poll, self._seen = 0.0, None  # somebody has called

    def _answer(self, jobs: list[Job]) -> list[Answer]:
        # A claim and, its caller having been cancelled, the release of it may come together: first the one.
        answers = [self._do(job.future, job.do) for job in jobs if job.do]
        flushes: dict[Record, bool] = {}
        for job in jobs:
            if not job.do:
                flushes[job.record] = job.release or flushes.get(job.record, False)
        errors = self._flush(flushes)
        now = monotonic()
        answers += [Answer(job.future, self._waited(job, now), errors.get(job.record)) for job in jobs if not job.do]
        return answers

    def _waited(self, job: Job, now: float) -> JournalWaited | None:
        away = self._store.away
        why = away.why if away.until >= job.at else ""
        return JournalWaited(round(now - job.at, 3), why) if why or now - job.at >= SLOW else None

    def _do(self, future: asyncio.Future[Any], do: Callable[[], Any]) -> Answer:
        try:
            return Answer(future, do(), None)
        except JournalError as error:
            return Answer(future, None, error)
        except Exception as error:  # noqa: BLE001 -- the thread serves other runs too
            return Answer(future, None, self._store.explain(error))

    def _flush(self, flushes: dict[Record, bool]) -> dict[Record, JournalError]:
        """Commit these records together, giving up those marked True; returns the refusals."""
        released = {record for record, release in flushes.items() if release}
        leaving = released.issuperset(self.records())
        work = [(record, release) for record, release in flushes.items() if record.rows or (release and record.number)]
        work.sort(key=lambda item: item[0].run)  # always in one order: two processes must not wait for each other
        outcomes: dict[Record, Outcome] = {}
        try:
            if work or (leaving and self._signed_in):
                outcomes = self._commit(work, len(flushes) == 1, leaving)
        except Exception as error:  # noqa: BLE001 -- as above
            failure = error if isinstance(error, JournalError) else self._store.explain(error)
            outcomes = dict.fromkeys(flushes, failure)
        errors: dict[Record, JournalError] = {}
        for record, outcome in outcomes.items():
            if isinstance(outcome, JournalError):
                errors[record] = outcome
                record.lost = outcome if isinstance(outcome, Fenced) else record.lost
            else:
                record.number, count = outcome
                del record.rows[:count]
        for record in released:
            self._forget(record)
        return errors

    def _commit(self, work: Work, alone: bool, leaving: bool) -> dict[Record, Outcome]:
        def write(connection: Connection) -> dict[Record, Outcome]:
            outcomes = (self._write_one if alone and work else self._write_many)(connection, work)
            if leaving:
                sign_off(connection, self._owner)
            return outcomes

        outcomes = self._change(write)
        self._signed_in = not leaving
        self._committed()
        return outcomes

    def _write_one(self, connection: Connection, work: Work) -> dict[Record, Outcome]:
        """Write the only record: its failure is that of the transaction."""
        [(record, release)] = work
        written: dict[Record, Outcome] = {**tables.extend(connection, work, self._owner.id)}
        return written or {record: tables.write(connection, record, self._owner.id, release)}

    def _write_many(self, connection: Connection, work: Work) -> dict[Record, Outcome]:
        """Write all in one journey where that pays; when that fails for one, none of it, and each is written apart."""
        written: dict[Record, Outcome] = {}
        if connection.far:
            with suppress(JournalError), self._apart(connection):
                written.update(tables.extend(connection, work, self._owner.id))
        for record, release in work:
            if record not in written:
                written[record] = self._write_apart(connection, record, release)
        return written

    def _write_apart(self, connection: Connection, record: Record, release: bool) -> Outcome:
        """Write one record so that its failure leaves the others in the transaction alone."""
        try:
            with self._apart(connection):
                return tables.write(connection, record, self._owner.id, release)
        except JournalError as error:
            return error

    @contextmanager
    def _apart(self, connection: Connection) -> Generator[None]:
        """What fails in this block is undone, and comes out as JournalError, while the transaction stands."""
        connection.execute("SAVEPOINT one")
        try:
            yield
        except Exception as error:
            if not connection.in_transaction or connection.passing(error):
                raise
            connection.execute("ROLLBACK TO one")
            connection.execute("RELEASE one")
            if isinstance(error, JournalError):
                raise
            raise self._store.explain(error) from error
        connection.execute("RELEASE one")

    def _change(self, work: Callable[[Connection], T]) -> T:
        """Do it in a transaction in which this process is on record as an owner."""

        def change(connection: Connection) -> T:
            if not self._signed_in:
                beat(connection, self._owner)
                forget_dead(connection, self._owner)
            return work(connection)

        result = self._store.change(change)
        self._signed_in = True
        return result

    def _check_new(self, record: Record) -> None:
        with self._opening(record):
            self._store.make()
            self._store.ask(lambda connection: tables.check_new(connection, record.run))

    def _take_over(self, record: Record, take: bool) -> None:
        with self._opening(record):
            record.number, record.epoch = self._change(
                lambda connection: tables.take_over(connection, record.run, self._owner, take)
            )
            self._look_into_inbox()

    @contextmanager
    def _opening(self, record: Record) -> Generator[None]:
        try:
            yield
        except BaseException:
            self._forget(record)
            raise

    def _forget(self, record: Record) -> None:
        with self._lock:
            if self._records.get(record.run) is record:
                del self._records[record.run]

    # ------------------------------------------------------------------------------ heartbeat and inbox

    def _look_around(self) -> None:
        now = monotonic()
        # Nobody waits for what is done here; should it fail for good, the next flush says so.
        with suppress(JournalError):
            if now >= self._next_beat:
                self._next_beat = now + BEAT
                self._beat()
            if now >= self._next_poll:
                self._next_poll = now + self._store.poll
                self._poll()

    def _beat(self) -> None:
        if self._signed_in:
            self._store.change(lambda connection: beat(connection, self._owner))

    def _poll(self) -> None:
        seen = self._store.moved()
        if seen != self._seen:
            self._look_into_inbox()
            self._seen = seen

    def _look_into_inbox(self) -> None:
        waiting = self._store.ask(lambda connection: tables.untaken(connection, self._owner.id))
        for record in self.records():
            before, record.inbox = record.inbox, frozenset(waiting.get(record.number, ()))
            if record.woken and not record.inbox <= before:
                with suppress(RuntimeError):  # its loop has been closed: nobody listens any more
                    record.woken()

    def _commands(self, record: Record) -> list[tuple[int, bytes]]:
        return self._store.ask(lambda connection: tables.commands(connection, record.number))


def _wake(answers: list[Answer]) -> None:
    loops: dict[asyncio.AbstractEventLoop, list[Answer]] = {}
    for answer in answers:
        loops.setdefault(answer.future.get_loop(), []).append(answer)
    for loop, its in loops.items():
        with suppress(RuntimeError):  # the loop has been closed: nobody waits any more
            loop.call_soon_threadsafe(_deliver, its)


def _deliver(answers: list[Answer]) -> None:
    for future, result, error in answers:
        if future.done():  # cancelled
            continue
        if error:
            copy = type(error)(error.message, error.hint)  # several may wait for the same; each raises its own
            copy.__cause__ = error.__cause__
            future.set_exception(copy)
        else:
            future.set_result(result)


def _drop(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()  # looked at, so that asyncio does not complain that nobody did
