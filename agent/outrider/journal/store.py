"""What a database must give for runs to be kept in it: connections that take our SQL, and transactions.

One set of statements serves every database. Where two of them differ in a word, the connection has the word.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from msgspec import Struct

from outrider.errors import JournalError

T = TypeVar("T")
C = TypeVar("C", bound="Connection")


class Head(Struct):
    """What is to become of a run's own row when its entries are written; ``tables`` has its columns."""

    place: int
    """Among those that are written together."""
    id: str
    number: int
    """0 for a run whose row is not there yet."""
    epoch: int
    """Whose entries they are: with another one in its row, the run is left alone."""
    created: float
    updated: float | None
    """The time of its last entry, or None where there are no new ones."""
    leaves: bool
    """Whether it is nobody's from now on."""
    before: int
    """The number of the entry before the first new one, which has to be there; 0 where there is none."""
    agent: str | None = None
    """This and the following are figures, kept so that lists need not read the entries; None leaves them all alone."""
    model: str | None = None
    task: str | None = None
    outcome: str | None = None
    turns: int | None = None
    tool_calls: int | None = None
    seconds: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    cost: str | None = None
    """Dollars; None also where they are not known."""


TOTALS = Head.__struct_fields__[Head.__struct_fields__.index("agent") :]
"""The columns of a run that are figures about it."""


class Added(Struct):
    """An entry that is added to a run, by the place of its head."""

    place: int
    seq: int
    at: float
    epoch: int
    body: str


class Taken(Struct):
    """A command that an entry of a run takes, by the place of its head."""

    place: int
    seq: int
    command: int


class Rows(Protocol):
    """What comes back from a statement."""

    @property
    def rowcount(self) -> int:
        """How many rows it has changed."""
        ...

    def fetchone(self) -> Any:
        """The next row, or None."""
        ...

    def fetchall(self) -> list[Any]:
        """The rows that are left."""
        ...

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A connection, used by one thread at a time. Values stand in statements as ``?``."""

    now: str
    """The database's clock, in SQL: whole Unix seconds."""
    far: bool
    """Whether every statement is a journey, so that it pays to write all at once."""
    splits: bool
    """Whether the bodies of large events lie in a table of their own; some databases see to that themselves."""
    for_update: str
    """What ends a SELECT whose rows nobody else may change until the transaction ends."""

    def execute(self, sql: str, values: Sequence[object] = (), /) -> Rows:
        """Run a statement."""
        ...

    def executemany(self, sql: str, values: Iterable[Sequence[object]], /) -> object:
        """Run a statement once for each row of values."""
        ...

    def extend(
        self, owner: str, heads: Sequence[Head], added: Sequence[Added], taken: Sequence[Taken], /
    ) -> dict[int, int]:
        """Write to several runs in one journey, to each if its row is as the head says; returns their numbers by place.

        Not called where the database is not ``far``.
        """
        ...

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, a failed one among them."""
        ...

    @property
    def redone(self) -> bool:
        """Whether this transaction has been tried before, and nobody knows whether that was committed."""
        ...

    def passing(self, error: Exception) -> bool:
        """Whether the transaction may succeed when it is done again."""
        ...

    def has(self, table: str) -> bool:
        """Whether there is this table: those of an older version lack some."""
        ...

    def whole_body(self) -> str:
        """What stands in a SELECT from ``event`` for the whole body."""
        ...

    def member(self, column: str, path: str) -> str:
        """What stands in a SELECT for a member of a column with JSON: its path's names are parted by dots."""
        ...

    def lock(self, name: str) -> None:
        """Keep others out who lock the same name, until the transaction ends."""
        ...

    def wake(self) -> None:
        """Tell the owners of runs, once this is committed, that a command has come in."""
        ...


class Away(NamedTuple):
    """When a database was last found to be back, having been away (by ``time.monotonic``), and why it was."""

    until: float
    why: str


class Store(Protocol):
    """A database with the tables of a journal. Every method may be called in any thread, and may wait.

    Whatever goes wrong with the database comes out as JournalError.
    """

    poll: float
    """Seconds between two looks into the inbox."""
    away: Away
    """The last time that somebody had to wait for it, and try again."""

    def ask(self, query: Callable[[Connection], T]) -> T:
        """Do what only reads. Raises RunNotFound when nothing has been kept there yet."""
        ...

    def make(self) -> None:
        """Make the tables that are missing."""
        ...

    def change(self, work: Callable[[Connection], T]) -> T:
        """Do this in one transaction; where the database went away amid it, perhaps more than once."""
        ...

    def explain(self, error: Exception) -> JournalError:
        """What went wrong, in words for people, and what to do."""
        ...

    def moved(self) -> object:
        """A value that is another one once commands may have come in."""
        ...

    def listen(self, woken: Callable[[], None]) -> Callable[[], None]:
        """Call this, in a thread of the store's own, as soon as commands come in, where that is possible.

        What is returned ends that, with its thread.
        """
        ...

    def close(self) -> None:
        """Give connections back; a later use opens others."""
        ...


def transaction(work: Callable[[C], T], begin: str = "BEGIN") -> Callable[[C], T]:
    """This work, committed at its end; should it fail, whoever gave the connection undoes it."""

    def whole(connection: C) -> T:
        connection.execute(begin)
        result = work(connection)
        connection.execute("COMMIT")
        return result

    return whole
