"""Where runs are kept: the contract every store keeps, and nothing of any store.

A run is a list of entries, appended in order by its one owner. *Appended* means given to the store, in order,
before the run goes on; *flushed* means on disk. Other processes see what is flushed, and talk to the owner
only through the inbox. Whoever claims a run raises its epoch; an append under an older epoch is refused.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Protocol

from msgspec import Struct

from outrider.commands import AnyCommand, Command
from outrider.events import Entry, JournalWaited
from outrider.messages import Usage
from outrider.purse import Price, Purse, Share

SCHEMES = ("postgresql://", "postgres://")
"""How the address of a database begins that a journal may be kept in."""


class Totals(Struct, frozen=True, omit_defaults=True):
    """What a list of runs shows of a run; given along with the entry that starts, rests or ends it."""

    agent: str = ""
    model: str = ""
    task: str = ""
    outcome: str = ""
    turns: int = 0
    tool_calls: int = 0
    usage: Usage = Usage()
    seconds: float = 0.0


class Summary(Struct, frozen=True):
    """One line of a list of runs. ``live`` says whether a living process owns the run now."""

    run: str
    created: float
    updated: float
    live: bool
    totals: Totals


class Cost(Struct, frozen=True):
    """A request on record: who asked what, and what it came to. ``at`` is in Unix seconds.

    ``billed`` are dollars, None where no bill has come: it may then have cost ``owed`` dollars, where that is known.
    """

    run: str
    at: float
    model: str
    provider: str
    tokens: int
    billed: Decimal | None
    owed: Decimal | None = None


class Removed(Struct, frozen=True):
    """What came of removing runs: their ids, and by how many bytes the store is smaller on disk."""

    runs: tuple[str, ...] = ()
    given_back: int = 0


class Spent(Struct, frozen=True):
    """What has gone from a purse on one ``day`` (UTC, "" for one that is not filled again), in dollars.

    ``put_aside`` is for requests whose bill is not there.
    """

    name: str
    day: str
    billed: Decimal
    put_aside: Decimal


class Log(Protocol):
    """One run's record, held by its owner from ``create`` or ``claim`` until ``close``."""

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What was on record when the run was claimed."""
        ...

    @property
    def mail(self) -> bool:
        """Whether the inbox may hold commands; cheap, and at most a second behind."""
        ...

    def on_mail(self, woken: Callable[[], None]) -> None:
        """Call this, on the running event loop, when commands have come in; at most a second behind."""
        ...

    def append(self, entry: Entry, body: bytes, totals: Totals | None = None) -> None:
        """Hand over the next entry, ``body`` being its event as JSON. Never waits.

        An event with a ``command`` marks that inbox row as taken in the same transaction.
        """
        ...

    async def flush(self) -> JournalWaited | None:
        """Return once everything appended is on disk; what to put on record of that, where it took long.

        Raises Fenced when another process owns the run. Raises JournalError when the store fails; what was
        appended is then kept, and the next flush tries again.
        """
        ...

    async def commands(self) -> list[tuple[int, AnyCommand]]:
        """The commands that no appended event has taken, oldest first, with their ids (from 1)."""
        ...

    async def close(self) -> None:
        """Flush, and give the run up so that others may claim it. Closing again does nothing."""
        ...


class Journal(Protocol):
    """A store of runs. All methods raise JournalError with a hint when the store cannot be used."""

    async def create(self, run: str) -> Log:
        """Begin a new run and own it; others see it from its first flush on.

        Raises RunTaken when the id is taken; of two that take it at once, the later does at its flush.
        """
        ...

    async def claim(self, run: str, take: bool = False) -> Log:
        """Own an existing run, raising its epoch. Raises RunNotFound, or RunBusy while its owner lives.

        With ``take`` the owner is not asked: somebody who gives out the work, and hears no more of it, has decided that
        it is gone. Should it live, its next append is refused. A run that is open in this process stays RunBusy.
        """
        ...

    async def read(self, run: str, after: int = 0) -> list[Entry]:
        """The flushed entries with a number above ``after``. Raises RunNotFound."""
        ...

    async def runs(self, limit: int = 50) -> list[Summary]:
        """The newest runs first."""
        ...

    async def find(self, prefix: str) -> str:
        """The one run whose id begins so. Raises RunNotFound, naming candidates when there are several."""
        ...

    async def tell(self, run: str, command: Command) -> int:
        """Put a command into the inbox of a run; returns its id. Raises RunNotFound."""
        ...

    async def pending(self, run: str) -> list[tuple[int, AnyCommand]]:
        """The commands in the inbox of a run that wait for its owner, oldest first, with their ids; takes none.

        Raises RunNotFound.
        """
        ...

    async def draw(self, purse: Purse, run: str, number: int, price: Price, waits: bool) -> Share:
        """Put money from a purse aside for request ``number`` of a run, on disk before this returns.

        ``waits`` says that the caller would rather ask again than get less than the whole price.
        """
        ...

    async def settle(self, purse: Purse, run: str, number: int, cost: Decimal) -> None:
        """That request has cost so many dollars; the rest of what was put aside is given back. Twice is like once."""
        ...

    async def undecided(self, purse: Purse, run: str) -> list[int]:
        """The requests of a run for which money of that purse is put aside."""
        ...

    async def costs(self, since: float = 0.0) -> list[Cost]:
        """Every request since then (Unix seconds) that has cost or may have cost something."""
        ...

    async def spent(self) -> list[Spent]:
        """What has gone from each purse, by day."""
        ...

    async def sizes(self) -> dict[str, int]:
        """About how many bytes each run takes in the store."""
        ...

    async def remove(self, runs: Sequence[Summary]) -> Removed:
        """Remove these runs whole; those that have gone on since they were seen so, or are live, stay.

        What they drew from purses stays spent.
        """
        ...

    async def close(self) -> None:
        """Give back files and threads. Logs still open are flushed and given up."""
        ...
