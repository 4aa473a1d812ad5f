"""A recorded run, done again from its record: free, offline, and the first difference is pointed out.

The loop is the real one, with the agent as it is now. Replies, failures, results of tools, bills, and what people said
in between come from the record, at the places where they stand in it; what the loop makes of them is compared with
what it made then. The first thing that differs ends the replay: of what would have come after it nobody knows.
"""

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from outrider import events as e
from outrider.differ import first_difference
from outrider.errors import JournalError
from outrider.funds import Funds
from outrider.journal import Journal
from outrider.loop import Output, Parts, loop
from outrider.messages import SystemMessage, from_wire, printable, to_wire
from outrider.model import Ask, Composer, Grant, Model, ModelEvent, Request, join_body
from outrider.result import Result
from outrider.state import State
from outrider.stop import Stop
from outrider.toolbox import Ready, Record, Toolbox

Out = TypeVar("Out")

Observer = Callable[[e.Entry], None]

_SAID = (
    e.RunResumed,
    e.MessageAdded,
    e.ApprovalGiven,
    e.ToolSettled,
    e.StopAsked,
    e.CommandRefused,
)
"""What comes into a run from outside: it is taken from the record, where it stands there."""

_BESIDE = (e.ReaderFailed, e.JournalWaited)
"""What went on beside the run: it is taken with the entry before it."""


class Replay(Struct, Generic[Out], frozen=True):
    """What came of a replay: ``result`` is how far it got, ``difference`` where it left the record, "" if nowhere.

    ``seq`` is the number of the recorded entry that it would have had to make, 0 without a difference. ``complete``
    says whether it came to the record's end with nothing owed: a run that died has no such end.
    """

    result: Result[Out]
    difference: str = ""
    seq: int = 0
    complete: bool = True


class _Left(Exception):
    """The replay has left the record, or come to its end."""


class _Cut(Exception):
    """The run was cut off here, and went on in another leg."""


class Tape:
    """The record as it is read, and the state that it has led to so far."""

    def __init__(self, entries: Sequence[e.Entry], observers: Sequence[Observer]) -> None:
        self._left = deque(entries)
        self._observers = observers
        self.recorded = State()
        """The state by the record alone."""
        self.state = State()
        """The state by what the replay made, which is the same until they differ."""
        self.difference = ""
        self.seq = 0

    @property
    def next(self) -> e.Durable | None:
        """What comes next on record."""
        return self._left[0].event if self._left else None

    @property
    def at(self) -> float:
        """The time at which it came, in Unix seconds."""
        return self._left[0].at if self._left else self.state.last_at

    def take(self, event: e.Durable | None = None) -> None:
        """Go on by one entry, which the state takes as ``event`` where that is given."""
        entry = self._left.popleft()
        self.recorded.add(entry)
        made = replace(entry, event=event) if event else entry
        self.state.add(made)
        for observer in self._observers:
            observer(made)
        if isinstance(self.next, _BESIDE):
            self.take()

    def of(self, calls: Collection[str]) -> e.ToolFinished | e.ToolInDoubt | None:
        """What is next on record of calls that have just begun, brought to the front; None where it does not say."""
        for place, entry in enumerate(self._left):
            if isinstance(entry.event, e.RunResumed | e.RequestSent):
                return None
            if isinstance(entry.event, e.ToolFinished | e.ToolInDoubt) and entry.event.call in calls:
                del self._left[place]
                self._left.appendleft(entry)
                return entry.event
        return None

    def take_what_was_said(self) -> bool:
        """Take what came from outside and is next; whether there was any."""
        before = len(self._left)
        while isinstance(self.next, _SAID) or _broke_off(self.next):
            self.take()
        return len(self._left) < before

    async def said(self) -> AsyncIterator[e.Durable]:
        """As the loop asks for it: what was said goes into the state here, and nothing is handed out."""
        self.take_what_was_said()
        for nothing in ():
            yield nothing

    async def record(self, event: e.Durable | e.Live) -> None:
        """Hold what the loop has made against what it made then, and take that."""
        if not isinstance(event, e.Durable):
            return
        while isinstance(self.next, _SAID) and not isinstance(self.next, e.RunResumed):
            self.take()
        was = self.next
        if was is None:
            raise _Left
        if isinstance(was, e.RunResumed) or _broke_off(was):
            raise _Cut
        if why := self._differs(was, event):
            self.difference, self.seq = why, self._left[0].seq
            raise _Left
        self.take(replace(was, delay=0.0) if isinstance(was, e.RequestFailed) else None)

    def _differs(self, was: e.Durable, now: e.Durable) -> str:
        if type(was) is not type(now):
            return f"then came {_kind(was)}, and now comes {_kind(now)}"
        match was, now:
            case e.RequestSent(), e.RequestSent():
                return "" if was.sha256 == now.sha256 else self._between(was, now)
            case (e.LimitReached(), e.LimitReached()) if was.limit == now.limit:
                return ""
            case (e.RunFinished(), e.RunFinished()) if was.outcome == now.outcome and was.output == now.output:
                return ""
            case e.ToolStarted(), e.ToolStarted():
                one, other = ([(c.call, c.tool, c.arguments, c.key) for c in each.calls] for each in (was, now))
                return "" if one == other else f"the calls were {_calls(was)} and are {_calls(now)}"
            case e.ToolFinished(), e.ToolFinished():
                where = first_difference(msgspec.json.decode(was.wire), msgspec.json.decode(now.wire))
                return f"the result of call {was.call} differs at {where}" if where else ""
            case _:
                where = first_difference(msgspec.to_builtins(_plain(was)), msgspec.to_builtins(_plain(now)))
                return f"{_kind(was)} differs at {where}" if where else ""

    def _between(self, was: e.RequestSent, now: e.RequestSent) -> str:
        where = first_difference(_body(self.recorded, was), _body(self.state, now))
        return f"request {was.number} differs at {where or '$: its JSON means the same and is written otherwise'}"


def _body(state: State, sent: e.RequestSent) -> Any:
    settings = sent.settings or state.settings or Raw(b"{}")
    return msgspec.json.decode(join_body(state.messages[: sent.messages], settings))


def _broke_off(event: e.Durable | None) -> bool:
    """Whether the run was stopped there from outside the loop: by a person, by the clock, by an error, or too late."""
    match event:
        case e.RunPaused(reason="stopped" | "left" | "interrupted") | e.LimitReached(limit="seconds"):
            return True
        case e.RunFinished(error=error) if error:
            return True
        case e.ToolFinished(late=True):
            return True
        case _:
            return False


def _kind(event: e.Durable) -> str:
    return str(type(event).__struct_config__.tag)


def _calls(event: e.ToolStarted) -> str:
    return ", ".join(f"{call.tool}({bytes(call.arguments).decode()})" for call in event.calls)


def _plain(event: e.Durable) -> Any:
    return msgspec.json.decode(e.encode(event))


class _Replies:
    """The agent's model, whose replies come from the record. A request to another model is taken as it was."""

    def __init__(self, model: Model, tape: Tape) -> None:
        self._model, self._tape = model, tape

    @property
    def name(self) -> str:
        return self._model.name

    def settings(self, ask: Ask) -> Raw:
        state, was = self._tape.state, self._tape.next
        if state.model != self._model.name and isinstance(was, e.RequestSent):
            return was.settings or state.settings or Raw(b"{}")
        return self._model.settings(ask)

    async def ask(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        while isinstance(event := self._tape.next, e.RequestAccepted | e.RequestFailed | e.Replied):
            yield event
            if not isinstance(event, e.RequestAccepted):
                return
        raise _Cut if event else _Left

    async def ready(self) -> None:
        """Nothing to load."""

    async def close(self) -> None:
        """Nothing to give back."""


class Results(Toolbox):
    """The agent's tools, whose results come from the record."""

    tape: Tape
    live = False
    """Whether reads that may safely be done again are done again."""

    async def run(self, ready: Sequence[Ready], record: Record) -> None:
        """Put the recorded results on record, or those that reads bring now."""
        anew = [call for call in ready if self.live and (call.intent.effect, call.intent.repeat) == ("read", "safe")]
        if anew:
            await super().run(anew, self._compared)
        waiting = {call.intent.call for call in ready if call not in anew}
        while waiting:
            if not (became := self.tape.of(waiting)):
                raise _Cut if self.tape.next else _Left
            await record(became)
            waiting.discard(became.call)

    async def _compared(self, event: e.Durable) -> None:
        if isinstance(event, e.ToolFinished | e.ToolInDoubt) and self.tape.of({event.call}):
            await self.tape.record(event)


class _Bills(Funds):
    """Money as the record has it: nothing is put aside, and prices of today do not matter."""

    tape: Tape

    async def grant(self, state: State, ask: Ask) -> Grant | e.LimitReached:
        was = self.tape.next
        if isinstance(was, e.LimitReached):
            return was
        if not isinstance(was, e.RequestSent):
            return Grant(ask)
        settings: dict[str, Any] = msgspec.json.decode(was.settings or state.settings or b"{}")
        most = settings.get("max_tokens")
        return Grant(replace(ask, most=most if isinstance(most, int) else 0), was.reserved, was.basis, was.held)

    def pays_last(self, state: State, ask: Ask) -> bool:
        was = self.tape.next
        return isinstance(was, e.LimitReached) and bool(was.wire)

    async def heard(self, state: State, sent: e.RequestSent | None = None) -> e.BillAbove | None:
        return self.tape.next if isinstance(self.tape.next, e.BillAbove) else None

    async def ask_for_bills(self, state: State, record: Callable[[e.CostSettled], Awaitable[None]], times: int) -> None:
        while isinstance(was := self.tape.next, e.CostSettled):
            await record(was)


class Pieces(Struct, Generic[Out]):
    """What of an agent a replay needs. ``clean`` takes secrets out of JSON."""

    model: Model
    toolbox: Results
    output: Output
    read: Callable[[State], Out]
    clean: Callable[[Raw], Raw]
    journal: Journal


async def replay(
    entries: Sequence[e.Entry], pieces: Pieces[Out], system: str, live_tools: bool, observers: Sequence[Observer] = ()
) -> Replay[Out]:
    """Do the recorded run again, with these instructions. Raises JournalError for what is no record of a run."""
    tape = Tape(entries, observers)
    start = entries[0].event if entries else None
    if not isinstance(start, e.RunStarted):
        raise JournalError("this is no record of a run: it does not begin with run_started", "Give all of its entries.")
    composer = Composer(_Replies(pieces.model, tape), pieces.clean)
    funds = _Bills(composer, pieces.journal, stop := Stop())
    pieces.toolbox.tape = funds.tape = tape
    pieces.toolbox.live = live_tools
    works = Parts(composer, pieces.toolbox, pieces.output, funds, stop, tape.record, tape.said, lambda: tape.at, False)
    tape.take(replace(start, messages=_instructed(start.messages, system, pieces.clean)))
    goes_on = True
    while goes_on:
        try:
            await loop(tape.state, works)
            goes_on = tape.take_what_was_said()
        except _Cut:
            goes_on = tape.take_what_was_said()
        except _Left:
            goes_on = False
    result = Result(tape.state, pieces.read, None, True, pieces.output.part)
    return Replay(result, tape.difference, tape.seq, tape.next is None and tape.state.over)


def _instructed(messages: tuple[Raw, ...], system: str, clean: Callable[[Raw], Raw]) -> tuple[Raw, ...]:
    """The first messages of a run, with the instructions that the agent has now."""
    own = (clean(to_wire(SystemMessage(printable(system)))),) if system else ()
    recorded = messages and isinstance(from_wire(messages[0]), SystemMessage)
    return (*own, *(messages[1:] if recorded else messages))
