"""The one way a run is stopped from outside: a flag that the loop waits on beside whatever it is doing."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Stop:
    """Set once, with a reason. Work begun ``beside`` it is cancelled, and only that work."""

    def __init__(self) -> None:
        self.reason = ""
        self._work: set[asyncio.Task[None]] = set()

    def set(self, reason: str) -> None:
        """Ask for the end. The first reason stays; asking again changes nothing."""
        if not self.reason:
            self.reason = reason
            for task in self._work:
                task.cancel()

    async def beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work to its end, or until the flag is set: then it is cancelled and has cleaned up."""
        if self.reason:
            work.close()
            return
        task = asyncio.ensure_future(work)
        self._work.add(task)
        try:
            await task
        except asyncio.CancelledError:
            if not self.reason:
                raise
        finally:
            self._work.discard(task)
