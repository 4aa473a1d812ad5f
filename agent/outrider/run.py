"""A live run and its result. One task, owned here, drives the loop to its end; nobody else cancels it.

Whoever watches gets events through a queue of their own: a slow reader, a failing one or one that leaves neither holds
up nor ends the run.
"""

import asyncio
import logging
import time
import traceback
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

import msgspec

from outrider import events as e
from outrider.commands import Cancel
from outrider.errors import JournalError
from outrider.inbox import heard
from outrider.journal import Journal, Log
from outrider.journal.lines import totals_of
from outrider.journal.nothing import NoLog
from outrider.masking import LiveMask, Masking
from outrider.model import Composer, Model
from outrider.partial import Coming
from outrider.result import Result, part_of
from outrider.rungs import ANSWER_TOOL
from outrider.state import State
from outrider.stop import Stop
from outrider.telling import ending, figures, typed

if TYPE_CHECKING:  # the first run imports the loop; many programs import outrider and never run it
    from outrider.loop import Output
    from outrider.toolbox import Toolbox

Out = TypeVar("Out")

_logger = logging.getLogger("outrider.run")

Observer = Callable[[e.Entry], None]
"""Told of every durable event, in order, after it was appended. Must be quick; if it raises, it is told no more."""

_LISTED = (e.RunStarted, e.RunResumed, e.RequestSent, e.RunPaused, e.RunFinished)
"""With these the totals shown in a list of runs are brought up to date; all of them are flushed anyway."""


class Reader:
    """One watcher's queue. Durable events wait their turn; deltas that wait are handed out as one."""

    def __init__(self) -> None:
        self._events: deque[e.Durable | list[e.Live]] = deque()
        self._ready = asyncio.Event()
        self._ended = False

    def put(self, event: e.Durable | e.Live) -> None:
        """Add an event. Never waits."""
        last = self._events[-1] if self._events else None
        if not isinstance(event, e.TextDelta | e.ReasoningDelta | e.ArgumentsDelta):
            self._events.append(event)
        elif isinstance(last, list) and _same_stream(last[0], event):
            last.append(event)
        else:
            self._events.append([event])
        self._ready.set()

    def end(self) -> None:
        """No more events will come."""
        self._ended = True
        self._ready.set()

    async def __aiter__(self) -> AsyncIterator[e.Durable | e.Live]:
        while True:
            while self._events:
                event = self._events.popleft()
                if isinstance(event, list):
                    event = msgspec.structs.replace(event[0], text="".join(delta.text for delta in event))
                yield event
            if self._ended:
                return
            self._ready.clear()
            await self._ready.wait()


def _same_stream(one: e.Live, other: e.Live) -> bool:
    same = type(one) is type(other) and one.number == other.number
    return same and getattr(one, "index", 0) == getattr(other, "index", 0)


class Run(Generic[Out]):
    """A run under way: iterate over its events, await its result, stop it.

    Use it as a context manager (``async with agent.stream(task) as run``): leaving the block stops a run that is
    still going; what has finished is on record and the run can be resumed.
    """

    def __init__(
        self,
        state: State,
        log: Log,
        journal: Journal,
        model: Model,
        toolbox: "Toolbox",
        output: "Output",
        masking: Masking,
        observers: Sequence[Observer],
        read: Callable[[State], Out],
        live: bool,
    ) -> None:
        from outrider.funds import Funds
        from outrider.loop import Parts

        self.state = state
        self._log = log
        self._masking = masking
        self._live_mask = LiveMask(masking) if live else None
        self._observers = list(observers)
        self._failed_readers: list[e.ReaderFailed] = []
        self._reader = Reader()
        self._read, self._part = read, output.part
        self._coming = Coming()
        self._stop = Stop()
        self._closed = self._resting = False
        self._taken: set[int] = set()
        self._hearing: asyncio.Task[None] | None = None
        self._task: asyncio.Task[Result[Out]] | None = None
        composer = Composer(model, masking.raw)
        funds = Funds(composer, journal, self._stop)
        self._parts = Parts(composer, toolbox, output, funds, self._stop, self.record, self._heard, time.time, live)

    @property
    def id(self) -> str:
        """The run's name in the journal."""
        return self.state.run

    def start(self) -> None:
        """Set the run going. It goes on whether anybody watches or not."""
        self._log.on_mail(self._mail_came)
        self._task = asyncio.get_running_loop().create_task(self._drive(), name=f"outrider run {self.id}")

    def stop(self, reason: str = "stopped") -> None:
        """Ask the run to stop: close the connection, cancel the tools, record what has finished, rest."""
        self._stop.set(reason)

    def rest(self, seconds: float) -> None:
        """Ask the run to rest at its next step: what is under way, a reply or calls, may come to its end first.

        After so many ``seconds`` it is stopped where it is. For processes that end while others go on with their runs.
        """
        self._resting = True
        if not self._amid_something():
            self.stop()
        asyncio.get_running_loop().call_later(seconds, self.stop)

    async def result(self) -> Result[Out]:
        """How the run ended. Waiting for it may be cancelled; the run itself goes on."""
        assert self._task is not None, "the run was not started"
        return await asyncio.shield(self._task)

    @property
    def partial(self) -> Any:
        """What there is of an answer now: what of the reply under way is valid so far, as JSON, or None.

        Computed when asked for. No value in it is one that the type refuses at its place; what is required may be
        missing, and a string may go on. Between replies, and when the run has ended, it is that of the last reply.
        Only of runs that are watched (``stream``) are the pieces of a reply known before its end.
        """
        if self.state.open_request:
            text = self._coming.text(self.state.form.startswith(ANSWER_TOOL))
            return self._part(text, self.state, False) if text else None
        return part_of(self.state, self._part)

    async def __aiter__(self) -> AsyncIterator[e.Durable | e.Live]:
        """The run's events, each handed out once: iterate in one place, and forward from there."""
        async for event in self._reader:
            yield event

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task and not self._task.done():
            self.stop("left")
            await asyncio.wait([self._task])

    def __repr__(self) -> str:
        return f"<run {self.id}: {ending(self.state, 'under way')} · {figures(self.state, live=True)}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: what there is so far."""
        from outrider.card import card

        return card(self.state, self.state.outcome or "under way", self.state.detail)

    # ---------------------------------------------------------------------------------------- inside

    async def record(self, event: e.Durable | e.Live) -> None:
        """Take an event into the state, hand it to the journal, tell the watchers; wait for disk where it is owed."""
        if self._closed:
            return
        if isinstance(event, e.Delta):
            if self._live_mask and (shown := self._live_mask.delta(event)):
                self._coming.add(shown)
                self._reader.put(shown)
            return
        event, body = self._masking.event(event)
        entry = e.Entry(self.state.seq + 1, time.time(), event, self.id)
        self.state.add(entry)
        if isinstance(event, e.RequestSent | e.RequestFailed | e.Replied):
            self._coming.clear()
        self._log.append(entry, body, totals_of(self.state) if isinstance(event, _LISTED) else None)
        waited = None
        if isinstance(event, e.RunStarted):  # nobody hears of a run that a crash could still undo
            waited = await self._log.flush()
        self._tell_durable(entry)
        if isinstance(event, e.StopAsked) or (self._resting and not self._amid_something()):
            self.stop()
        if event.flush and not waited:
            waited = await self._log.flush()
        if waited and not self.state.over:
            await self.record(waited)

    def _tell_durable(self, entry: e.Entry) -> None:
        if self._live_mask:
            if isinstance(entry.event, e.Replied | e.RequestFailed):  # in the middle of a reply more may come
                for rest in self._live_mask.rest():
                    self._reader.put(rest)
            self._reader.put(entry.event)
        for observer in tuple(self._observers):
            try:
                if callable(cast(object, observer(entry))):  # the maker of an observer, given in its place
                    raise TypeError(f"it gave a function; did you mean {_name(observer)}()?")
            except Exception as error:  # noqa: BLE001 - a reader's failure is not the run's
                self._observers.remove(observer)
                told = f"{type(error).__name__}: {error}"
                _logger.warning("observer %s of run %s failed and is told no more: %s", _name(observer), self.id, told)
                self._failed_readers.append(e.ReaderFailed(_name(observer), told))

    async def _heard(self) -> AsyncIterator[e.Durable]:
        while self._failed_readers:
            yield self._failed_readers.pop()
        if self._log.mail:
            commands = await self._log.commands()
            for place, (number, command) in enumerate(commands):
                if self._takes(number):
                    later = [other for _, other in commands[place + 1 :]]
                    yield heard(self.state, number, command, time.time(), later)

    def _amid_something(self) -> bool:
        return bool(self.state.open_request) or any(call.status == "started" for call in self.state.owed_calls())

    def _takes(self, number: int) -> bool:
        """Whether this command is still to be heard; it is so once."""
        new = number not in self._taken
        self._taken.add(number)
        return new

    def _mail_came(self) -> None:
        if not self._hearing or self._hearing.done():
            self._hearing = asyncio.ensure_future(self._hear_stop())

    async def _hear_stop(self) -> None:
        """Of what others ask for, a stop alone is heard amid work: it decides nothing, and cannot wait."""
        try:
            for number, command in await self._log.commands():
                if isinstance(command, Cancel) and self._takes(number):
                    await self.record(heard(self.state, number, command, time.time()))
        except JournalError:  # the run's own next flush says so
            return

    async def _drive(self) -> Result[Out]:
        from outrider.loop import loop

        timer = self._deadline()
        problem: Exception | None = None
        try:
            await loop(self.state, self._parts)
        except JournalError as error:  # nothing more can be recorded: say so, keep what is on disk
            problem = error
        except Exception as error:  # noqa: BLE001 - a run always ends in a result
            problem = error
            await self._record_error(error)
        finally:
            if timer:
                timer.cancel()
            await self._close()
        return Result(self.state, self._read, problem, type(self._log) is not NoLog, self._part)

    def _deadline(self) -> asyncio.TimerHandle | None:
        if self.state.limits.seconds is None:
            return None
        left = max(0.0, self.state.limits.seconds - self.state.seconds)
        return asyncio.get_running_loop().call_later(left, self._stop.set, "seconds")

    async def _record_error(self, error: Exception) -> None:
        notes = [note for note in getattr(error, "__notes__", ()) if "\n" not in note]  # others are in the traceback
        text = "; ".join((f"{type(error).__name__}: {error}", *notes))
        try:
            await self.record(e.RunFinished("error", detail=text, error="".join(traceback.format_exception(error))))
        except JournalError as worse:
            error.add_note(str(worse))

    async def _close(self) -> None:
        self._closed = True
        if self._hearing:
            await asyncio.wait([self._hearing])
        try:
            await self._log.close()
        except JournalError:
            pass  # the flush before it has already said so
        finally:
            self._reader.end()


def wait_for(begin: Callable[[], Awaitable[Run[Out]]]) -> Result[Out]:
    """Begin a run on the background event loop and wait for its end.

    Ctrl-C stops it cleanly, and then raises KeyboardInterrupt: whoever began the run must not begin the next one.
    """
    from outrider.threads import portal, warn_if_held_up

    warn_if_held_up()
    going: list[Run[Out]] = []
    asked: list[bool] = []

    async def work() -> Result[Out]:
        async with await begin() as run:
            going.append(run)
            if asked:
                run.stop("interrupted")
            return await run.result()

    def interrupted() -> None:
        asked.append(True)
        for run in going:
            run.stop("interrupted")

    try:
        return portal().run(work(), interrupted)
    except KeyboardInterrupt as error:
        for run in going:
            if run.state.outcome != "finished":
                error.add_note(f"run {run.id} was stopped and can be resumed: {typed('resume', run.id)}")
        raise


def _name(observer: Observer) -> str:
    return getattr(observer, "__qualname__", type(observer).__qualname__)
