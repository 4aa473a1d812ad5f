"""Daemon threads for tools that are plain functions, and the one background event loop of ``run_sync``.

A thread cannot be stopped from outside. These are daemons, so that one that is stuck delays neither the others nor
the end of the process; and each call sees the context variables of its caller. A forked child has none of its parent's
threads and starts its own.
"""

import asyncio
import atexit
import contextvars
import os
import sys
import threading
import warnings
from collections.abc import Callable, Coroutine
from functools import cache
from queue import Empty, SimpleQueue
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from outrider.errors import SetupError

T = TypeVar("T")

AT_ONCE = 64
"""How many sync tools run at once in one event loop; more wait for their turn."""

IDLE_SECONDS = 5.0

LOOP = "outrider-loop"
"""The name of the thread that has the background event loop."""

_Job = tuple[Callable[[], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]
_lock = threading.Lock()
_idle: list["_Worker"] = []
_slots: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


class _Worker(threading.Thread):
    def __init__(self) -> None:
        super().__init__(name="outrider-tool", daemon=True)
        self.jobs: SimpleQueue[_Job] = SimpleQueue()
        self.start()

    def run(self) -> None:
        while True:
            try:
                work, loop, future = self.jobs.get(timeout=IDLE_SECONDS)
            except Empty:
                with _lock:
                    if self in _idle:
                        _idle.remove(self)
                        return
                continue  # a job is on its way: whoever took this worker off the list is about to put it
            result, error = _attempt(work)
            del work
            with _lock:
                _idle.append(self)
            try:
                loop.call_soon_threadsafe(_deliver, future, result, error)
            except RuntimeError:
                continue  # the loop is closed: nobody waits for the result any more


def _forget_parent() -> None:
    global _lock  # noqa: PLW0603 - another thread of the parent may have held it
    _lock = threading.Lock()
    _idle.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)


def _attempt(work: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    try:
        return work(), None
    except BaseException as error:  # noqa: BLE001 - whatever a tool raises belongs to its caller
        return None, error


def _deliver(future: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
    if future.cancelled():
        return
    if isinstance(error, StopIteration):  # a future cannot hold one
        error = RuntimeError("StopIteration")
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


def start_in_thread(work: Callable[[], T]) -> "asyncio.Future[T]":
    """Run ``work`` in a daemon thread. Cancelling the future does not stop the thread."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()
    with _lock:
        worker = _idle.pop() if _idle else None
    (worker or _Worker()).jobs.put((lambda: context.run(work), loop, future))
    return future


def slots() -> asyncio.Semaphore:
    """The places for sync tools of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _slots:
        _slots[loop] = asyncio.Semaphore(AT_ONCE)
    return _slots[loop]


class Portal:
    """An event loop in a background thread, for callers that have none or may not block theirs."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=LOOP, daemon=True)
        self._thread.start()
        atexit.register(self._close)

    def run(self, work: Coroutine[Any, Any, T], interrupted: Callable[[], None]) -> T:
        """Do the work on the background loop and wait for it.

        Ctrl-C calls ``interrupted`` there and waits for the work to end by itself before KeyboardInterrupt goes on; the
        second one does not wait. Raises SetupError on that very loop's thread, where waiting would never end.
        """
        if threading.current_thread() is self._thread:
            work.close()
            raise SetupError(
                "run_sync was called from inside a run",
                "On Outrider's own loop it would wait for itself. Make the tool async and await agent.run(...).",
            )
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            self._loop.call_soon_threadsafe(interrupted)
            future.exception()
            raise

    def _close(self) -> None:
        if os.getpid() != self._process:
            return

        async def shut() -> None:
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._loop.shutdown_asyncgens()

        done = asyncio.run_coroutine_threadsafe(shut(), self._loop)
        done.add_done_callback(lambda _: self._loop.call_soon_threadsafe(self._loop.stop))
        self._thread.join(2.0)
        if not self._thread.is_alive():
            self._loop.close()


def warn_if_held_up() -> None:
    """Warn whoever waits on an event loop: a server's other requests stand still. A notebook's cell may do so, and on
    Outrider's own loop an error says more.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    if "ipykernel" not in sys.modules and threading.current_thread().name != LOOP:
        told = "this call holds up the event loop it is made on; await the async one instead: agent.run, not run_sync"
        warnings.warn(told, RuntimeWarning, stacklevel=4)


def portal() -> Portal:
    """The background loop of this process, started at first use."""
    return _portal(os.getpid())


@cache
def _portal(process: int) -> Portal:
    return Portal()
