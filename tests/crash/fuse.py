"""Where a process dies: it counts the steps it takes and kills itself at the one it was given."""

import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from types import FrameType
from typing import Any

import outrider
from crash.facts import ANY, LINE, Point
from outrider.commands import AnyCommand, Command
from outrider.events import Entry
from outrider.journal import Cost, Journal, Log, Removed, Spent, Summary, Totals
from outrider.purse import Price, Purse, Share

Reach = Callable[[str], None]


class Fuse:
    """Counts steps by name, from any thread. At ``point`` the process gets a SIGKILL: nothing is tidied up."""

    def __init__(self, point: Point | None) -> None:
        self.passed: list[Point] = []
        self._point = point
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        if point and point.step == LINE:
            self._watch_lines()

    def reach(self, step: str) -> None:
        """Take one more step of this name; does not return from the last one."""
        with self._lock:
            self._counts.update((step, ANY))
            here = Point(step, self._counts[step])
            self.passed.append(here)
            if self._point in (here, Point(ANY, self._counts[ANY])):
                os.kill(os.getpid(), signal.SIGKILL)

    def _watch_lines(self) -> None:
        library = str(Path(outrider.__file__).parent)

        def trace(frame: FrameType, event: str, argument: Any) -> Any:
            if not frame.f_code.co_filename.startswith(library):
                return None
            if event == "line":
                self.reach(LINE)
            return trace

        threading.settrace(trace)
        sys.settrace(trace)


class FusedLog:
    """A log with a step before and after everything that changes it."""

    def __init__(self, log: Log, reach: Reach) -> None:
        self._log = log
        self._reach = reach

    @property
    def entries(self) -> tuple[Entry, ...]:
        return self._log.entries

    @property
    def mail(self) -> bool:
        return self._log.mail

    def on_mail(self, woken: Callable[[], None]) -> None:
        self._log.on_mail(woken)

    def append(self, entry: Entry, body: bytes, totals: Totals | None = None) -> None:
        self._reach("before append")
        self._log.append(entry, body, totals)
        self._reach("after append")

    async def flush(self) -> None:
        self._reach("before flush")
        await self._log.flush()
        self._reach("after flush")

    async def commands(self) -> list[tuple[int, AnyCommand]]:
        return await self._log.commands()

    async def close(self) -> None:
        self._reach("before close")
        await self._log.close()
        self._reach("after close")


class FusedJournal:
    """A journal whose logs have steps, as has the claiming of a run."""

    def __init__(self, journal: Journal, reach: Reach) -> None:
        self._journal = journal
        self._reach = reach

    async def create(self, run: str) -> Log:
        log = await self._journal.create(run)
        self._reach("after create")
        return FusedLog(log, self._reach)

    async def claim(self, run: str, take: bool = False) -> Log:
        log = await self._journal.claim(run, take)
        self._reach("after claim")
        return FusedLog(log, self._reach)

    async def read(self, run: str, after: int = 0) -> list[Entry]:
        return await self._journal.read(run, after)

    async def runs(self, limit: int = 50) -> list[Summary]:
        return await self._journal.runs(limit)

    async def find(self, prefix: str) -> str:
        return await self._journal.find(prefix)

    async def tell(self, run: str, command: Command) -> int:
        number = await self._journal.tell(run, command)
        self._reach("after tell")
        return number

    async def draw(self, purse: Purse, run: str, number: int, price: Price, waits: bool) -> Share:
        self._reach("before draw")
        share = await self._journal.draw(purse, run, number, price, waits)
        self._reach("after draw")
        return share

    async def settle(self, purse: Purse, run: str, number: int, cost: Decimal) -> None:
        self._reach("before settle")
        await self._journal.settle(purse, run, number, cost)
        self._reach("after settle")

    async def costs(self, since: float = 0.0) -> list[Cost]:
        return await self._journal.costs(since)

    async def spent(self) -> list[Spent]:
        return await self._journal.spent()

    async def sizes(self) -> dict[str, int]:
        return await self._journal.sizes()

    async def remove(self, runs: Sequence[Summary]) -> Removed:
        return await self._journal.remove(runs)

    async def undecided(self, purse: Purse, run: str) -> list[int]:
        return await self._journal.undecided(purse, run)

    async def pending(self, run: str) -> list[tuple[int, AnyCommand]]:
        return await self._journal.pending(run)

    async def close(self) -> None:
        await self._journal.close()
