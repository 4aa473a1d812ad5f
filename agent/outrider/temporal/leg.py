"""One leg of a run: it is claimed, and driven until it is over, waits for somebody, or its worker is told to stop.

Runs share one event loop, which is not Temporal's: a tool that holds it up holds up neither heartbeats nor polling.
Each leg has a thread, which does nothing but wait for the run and beat.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct
from temporalio import activity
from temporalio.exceptions import ApplicationError

from outrider.agent import Agent
from outrider.errors import Fenced, RunBusy
from outrider.events import Entry, StopAsked
from outrider.run import Run
from outrider.state import State
from outrider.temporal.figures import Figures
from outrider.temporal.order import LEG, Order, Rest

WAITS = ("approval", "doubt")
SETTLE = 5.0
"""Seconds in which a reply or a call under way may come to its end when the worker is told to stop."""


class Served(Struct, frozen=True):
    """An agent that a worker may run. ``deps`` makes its dependencies, anew for each leg; ``most`` legs at once."""

    agent: Agent[Any, Any]
    deps: Callable[[], Any] | None = None
    most: int = 100


class Legs:
    """The legs of one worker. ``most`` is how many runs it does at once, of all its agents together."""

    def __init__(self, served: Mapping[str, Served], figures: Figures, most: int) -> None:
        self._served, self._figures = served, figures
        self._room = threading.Semaphore(most)
        self._stopping = threading.Event()
        self._running: dict[str, Run[Any]] = {}
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="outrider-runs", daemon=True).start()

    def hand_over(self) -> None:
        """Have every run rest at its next step, in a few seconds, for others to go on with; later legs end at once."""
        self._stopping.set()
        self._loop.call_soon_threadsafe(self._stop_all)

    async def moves(self) -> None:
        """Return once the event loop of the runs has come round: a tool that blocks holds it up."""
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self._loop))

    def close(self) -> None:
        """End the loop of the runs, and give back what the agents hold."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)

    @activity.defn(name=LEG, no_thread_cancel_exception=True)
    def leg(self, order: Order) -> Rest:
        """Do one leg; returns why it ended. Raises ApplicationError, for Temporal to try again."""
        _check_fresh(order)
        pause = order.heartbeat / 5
        while not self._room.acquire(timeout=pause):
            activity.heartbeat()
            if self._stopping.is_set():
                return "handed over"
        try:
            return self._beside(self._drive(order, activity.info().attempt > 1), pause, order.run)
        finally:
            self._room.release()

    def _beside(self, work: Any, pause: float, name: str) -> Rest:
        """Wait for the work, beating; told to stop it, stop it."""
        future: Future[Rest] = asyncio.run_coroutine_threadsafe(work, self._loop)
        told = False
        while True:
            activity.heartbeat()
            if activity.is_cancelled() and not told:
                told = True
                self._loop.call_soon_threadsafe(self._stop, name)
            try:
                return future.result(timeout=pause)
            except NotYet:
                if future.done():  # it is the work's own
                    raise

    async def _drive(self, order: Order, take: bool) -> Rest:
        served = self._served[order.agent]
        agent = served.agent
        entries = await agent.journal.read(order.run)
        if rest := await _nothing_to_do(agent, entries):
            return rest
        if self._stopping.is_set():
            return "handed over"
        try:
            run = await agent.leg(order.run, deps=served.deps() if served.deps else None, take=take)
        except RunBusy:
            if take:  # an earlier leg of this very process has not come to its end yet
                raise ApplicationError(f"run {order.run} is still being left by this worker") from None
            return "busy"
        self._figures.began(order.agent, take)
        self._running[order.run] = run
        before = (run.state.turns, run.state.usage.tokens, run.state.usage.cost)
        try:
            if self._stopping.is_set():
                run.rest(SETTLE)
            async with run:
                result = await run.result()
        finally:
            del self._running[order.run]
            self._figures.ended(order.agent, run.state, before)
        return self._rest(result.state, result.problem)

    def _rest(self, state: State, problem: Exception | None) -> Rest:
        if isinstance(problem, Fenced):
            raise ApplicationError(f"run {state.run} was taken over by another worker")
        if problem and not state.over:
            raise ApplicationError(f"run {state.run} cannot be recorded: {problem}")
        if state.paused == "stopped" and self._stopping.is_set():
            return "handed over"
        return "waits" if state.paused in WAITS else "over"

    def _stop_all(self) -> None:
        for run in self._running.values():
            run.rest(SETTLE)

    def _stop(self, name: str) -> None:
        if run := self._running.get(name):
            run.stop("stopped")

    async def _close(self) -> None:
        for each in self._served.values():
            await each.agent.close()
            await each.agent.journal.close()


def _check_fresh(order: Order) -> None:
    """A worker that stood still may hold an attempt that was given up since: it must not take the run from the next."""
    age = (datetime.now(UTC) - activity.info().started_time).total_seconds()
    if age > order.heartbeat:
        raise ApplicationError(f"this attempt at run {order.run} was given out {age:.0f} s ago, by the worker's clock")


async def _nothing_to_do(agent: Agent[Any, Any], entries: Sequence[Entry]) -> Rest | None:
    """Why this leg ends before it has begun: what somebody else, or an earlier attempt, has done already."""
    state = State.fold(entries)
    if state.paused in WAITS:
        return None if await agent.journal.pending(state.run) else "waits"
    if state.paused == "stopped" and not isinstance(entries[-2].event, StopAsked):  # a worker that was told to stop
        return None
    return "over" if state.over else None
