"""The time a request may take: one timer for all of it, however many pieces arrive."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from outrider.openrouter.settings import Settings

Value = TypeVar("Value")


class TimedOut(Exception):
    """A request took too long; says in words what was waited for."""


class Deadline:
    """Watches one request. Between waits it does nothing, so a slow reader of events is never cut off by it.

    The timer is not moved when data arrives; when it rings too early it sets itself again. It works as
    ``asyncio.timeout`` does, by cancelling the waiting task and taking the cancellation back, but may be held
    across the yields of a generator, because it only ever cancels inside ``wait``.
    """

    def __init__(self, settings: Settings) -> None:
        self._loop = asyncio.get_running_loop()
        self._idle = settings.idle_seconds
        now = self._loop.time()
        self._end = now + settings.request_seconds
        self._due = min(self._end, now + settings.first_byte_seconds)
        self._late = f"no answer began within {settings.first_byte_seconds:g} s"
        self._too_long = f"the answer took more than {settings.request_seconds:g} s"
        self._task: asyncio.Task[object] | None = None
        self._rung = False
        self._timer = self._loop.call_at(self._due, self._ring)

    def data(self) -> None:
        """Something real has arrived: the idle time begins anew."""
        self._late = f"no data came for {self._idle:g} s"
        self._set(self._loop.time() + self._idle)

    def hurry(self, seconds: float) -> None:
        """All has arrived but the end of the stream: wait for that no longer than this."""
        self._set(self._loop.time() + seconds)

    def close(self) -> None:
        """Stop the timer."""
        self._timer.cancel()

    async def wait(self, awaitable: Awaitable[Value]) -> Value:
        """The awaitable's result. Raises TimedOut when the time is over first."""
        self._task = task = asyncio.current_task()
        assert task is not None
        before = task.cancelling()
        if self._loop.time() >= self._due:
            self.data()  # the reader of our events took its time; that is not the server's fault
        try:
            return await awaitable
        except asyncio.CancelledError:
            if self._rung and task.uncancel() <= before:
                raise TimedOut(self._too_long if self._due >= self._end else self._late) from None
            raise
        finally:
            self._task = None

    def _set(self, due: float) -> None:
        self._due = min(self._end, due)
        if not self._loop.time() <= self._timer.when() <= self._due:  # rung already, or it would ring too late
            self._timer.cancel()
            self._timer = self._loop.call_at(self._due, self._ring)

    def _ring(self) -> None:
        if self._loop.time() < self._due:
            self._timer = self._loop.call_at(self._due, self._ring)
        elif self._task and not self._rung:
            self._rung = True
            self._task.cancel()
