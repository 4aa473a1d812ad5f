"""No journal: a run that leaves no trace, cannot be resumed, and costs no disk."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING

from outrider.commands import AnyCommand, Command
from outrider.errors import JournalError, RunNotFound
from outrider.events import Entry
from outrider.journal import Cost, Removed, Spent, Summary, Totals
from outrider.purse import Price, Purse, Share

if TYPE_CHECKING:
    from outrider.journal.purses import InMemory


@cache
def _purses() -> "InMemory":
    from outrider.journal.purses import InMemory

    return InMemory()


class NoLog:
    """Takes everything and keeps nothing."""

    entries: tuple[Entry, ...] = ()
    mail = False

    def on_mail(self, woken: Callable[[], None]) -> None:
        """Nobody can write to it."""

    def append(self, entry: Entry, body: bytes, totals: Totals | None = None) -> None:
        """Forget it."""

    async def flush(self) -> None:
        """Nothing to wait for."""

    async def commands(self) -> list[tuple[int, AnyCommand]]:
        """Nobody can write to a run that is nowhere."""
        return []

    async def close(self) -> None:
        """Nothing to give up."""


class NoJournal:
    """What ``Agent(journal=None)`` uses."""

    async def create(self, run: str) -> NoLog:
        """A log that keeps nothing."""
        return NoLog()

    async def claim(self, run: str, take: bool = False) -> NoLog:
        """Raises RunNotFound."""
        raise self._none(run)

    async def read(self, run: str, after: int = 0) -> list[Entry]:
        """Raises RunNotFound."""
        raise self._none(run)

    async def runs(self, limit: int = 50) -> list[Summary]:
        """There are none."""
        return []

    async def find(self, prefix: str) -> str:
        """Raises RunNotFound."""
        raise self._none(prefix)

    async def tell(self, run: str, command: Command) -> int:
        """Raises RunNotFound."""
        raise self._none(run)

    async def pending(self, run: str) -> list[tuple[int, AnyCommand]]:
        """Raises RunNotFound."""
        raise self._none(run)

    async def draw(self, purse: Purse, run: str, number: int, price: Price, waits: bool) -> Share:
        """Put money aside, for runs of this process only."""
        return _purses().draw(purse, run, number, price, waits)

    async def settle(self, purse: Purse, run: str, number: int, cost: Decimal) -> None:
        """Give back what was not spent."""
        _purses().settle(purse, run, number, cost)

    async def undecided(self, purse: Purse, run: str) -> list[int]:
        """Runs that leave no trace are never taken up again."""
        return []

    async def costs(self, since: float = 0.0) -> list[Cost]:
        """Nothing is on record."""
        return []

    async def spent(self) -> list[Spent]:
        """What has gone from each purse in this process."""
        return _purses().spent()

    async def sizes(self) -> dict[str, int]:
        """Nothing is on record."""
        return {}

    async def remove(self, runs: Sequence[Summary]) -> Removed:
        """There are none."""
        return Removed()

    async def close(self) -> None:
        """Nothing to close."""

    @staticmethod
    def _none(run: str) -> JournalError:
        return RunNotFound(f"run {run} is not on record", "This agent has journal=None: nothing is kept.")
