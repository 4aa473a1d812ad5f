"""The state of a run: the fold of its events, and the answers to "what is owed now?".

Folding is deterministic, total (any prefix of any list of events folds) and O(1) per event. The live run and the
resumed one are the same code, because both ask only this.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Literal, Self

import msgspec
from msgspec import UNSET, Raw, Struct
from msgspec.structs import replace

from outrider import events as e
from outrider.messages import (
    AssistantMessage,
    Limits,
    Phase,
    ToolCall,
    Usage,
    family,
    from_wire,
    without_reasoning,
)

CallStatus = Literal["new", "asked", "allowed", "denied", "started", "doubt", "again", "done"]
"""asked: waits for consent. doubt: waits for word on its effect. again: to be run once more. done: has a result."""


MOST_CUT_OFFS = 3
"""After so many replies in a row that break off in a call, asking again would only cost more."""


class Call(Struct, frozen=True):
    """A tool call of the last reply and how far it has come."""

    call: ToolCall
    status: CallStatus = "new"
    intent: e.Intent | None = None
    question: int = 0
    """Number of the entry that asked, while the status is "asked" or "doubt"."""
    arguments: Raw | None = None
    """The arguments asked about, or those a person put in their place."""
    edited: bool = False
    reason: str = ""
    result: Raw | None = None

    @property
    def waiting(self) -> bool:
        """Whether only a person can move this call."""
        return self.status in ("asked", "doubt")


class State(Struct):
    """What a run has come to. Read it freely; only ``add`` changes it."""

    run: str = ""
    agent: str = ""
    task: str = ""
    model: str = ""
    limits: Limits = Limits()
    tools: dict[str, str] = {}
    output_type: str = "text"
    policy: str = ""
    schema: int = e.SCHEMA
    """Version of the events on record."""

    seq: int = 0
    started_at: float = 0.0
    last_at: float = 0.0
    seconds: float = 0.0
    """Active time: gaps before a RunResumed do not count."""

    messages: list[Raw] = []
    """The conversation, each message in wire form. Thinking is of its round and its family of models: see
    ``_forget_reasoning``."""
    rewrites: int = 0
    """How often messages that had been sent were changed."""
    thinker: str = ""
    """The family of models whose thinking ``messages`` holds."""
    calls: dict[str, Call] = {}
    """The calls of the last reply, by id, in call order; empty once every one has its result."""
    held: list[Raw] = []
    """Messages that came while calls were owed; they follow the results."""
    unjudged: AssistantMessage | None = None
    """A reply without calls that nobody has accepted or rejected yet."""
    last_reply: e.Replied | None = None

    turns: int = 0
    requests: int = 0
    tool_calls: int = 0
    tool_failures: int = 0
    """Calls whose result is an error: the tool failed or could not be called, or the call was not allowed."""
    usage: Usage = Usage()
    dearest: Decimal | None = None
    """The highest bill of one request so far, in dollars."""
    unpriced: int = 0
    """Replies that came without a price."""
    open_request: int = 0
    """Number of a request on record that has neither reply nor failure."""
    doubts: int = 0
    """Requests that may have been billed without our hearing it."""
    stake: Decimal = Decimal(0)
    """Half of the dollar limit when the last request left: its charge in doubt, while no bill tells more."""
    guessed: Decimal = Decimal(0)
    """The stakes of the requests in ``doubts``."""
    settings: Raw | None = None
    phase: Phase = "work"
    """The phase of the last request."""

    cut_offs: int = 0
    """Replies in a row that were cut off at the model's length limit in the middle of their calls."""
    failures: int = 0
    """Failed requests in a row."""
    trouble: str = ""
    """What the last of them came to, as a sentence."""
    delay: float = 0.0
    detour: e.Detour = e.NO_DETOUR
    """What the next request does differently from the run's own."""
    answering: bool = False
    """The answer phase: the model has been told to give its answer in the declared form."""
    rejections: int = 0
    accepted: Raw | None = None
    ending: e.Outcome | None = None
    """How the run is about to end."""
    detail: str = ""
    hint: str = ""
    """What a person can do about the failure that ends the run, where that is known."""
    outcome: e.Outcome | None = None
    """How the run has ended or why it rests; None while it is under way."""
    paused: str = ""

    @property
    def over(self) -> bool:
        """Whether the run rests: finished, paused or landed."""
        return self.outcome is not None

    @property
    def free(self) -> bool:
        """Whether it asks a model on this machine, which bills nothing."""
        return self.model == "local" or self.model.startswith("local:")

    @property
    def requests_in_doubt(self) -> int:
        """Requests that may have been billed without our hearing it, an unanswered one included."""
        return 0 if self.free else self.doubts + bool(self.open_request)

    def owed_calls(self) -> tuple[Call, ...]:
        """The calls that have no result yet, in call order."""
        return tuple(call for call in self.calls.values() if call.status != "done")

    @classmethod
    def fold(cls, entries: Iterable[e.Entry]) -> Self:
        """The state these entries lead to."""
        state = cls()
        for entry in entries:
            state.add(entry)
        return state

    def add(self, entry: e.Entry) -> None:
        """Take one more entry into account."""
        event = entry.event
        self.seq = entry.seq
        if self.last_at and type(event) is not e.RunResumed:
            self.seconds += max(0.0, entry.at - self.last_at)
        self.last_at = entry.at
        if step := _FOLD.get(type(event)):
            step(self, event, entry)


def _change(state: State, call_id: str, **changes: Any) -> None:
    if (call := state.calls.get(call_id)) and call.status != "done":
        state.calls[call_id] = replace(call, **changes)


def _settle(state: State, call_id: str, result: Raw) -> None:
    _change(state, call_id, status="done", result=result)
    if state.calls and all(call.result is not None for call in state.calls.values()):
        state.messages.extend(call.result for call in state.calls.values() if call.result is not None)
        state.messages.extend(state.held)
        state.calls, state.held = {}, []


def _run_started(state: State, event: e.RunStarted, entry: e.Entry) -> None:
    state.run, state.agent, state.task, state.model = event.run, event.agent, event.task, event.model
    state.limits, state.tools, state.output_type = event.limits, event.tools, event.output
    state.policy = event.policy
    state.messages, state.schema = list(event.messages), event.schema
    state.started_at = entry.at


def _forget_reasoning(state: State) -> None:
    """Take the thinking out of the conversation: it helps only the model that thought, and only until the next word.

    Formats and signatures differ between families of models, and thinking of earlier rounds costs tokens for nothing.
    """
    kept = [without_reasoning(message) for message in state.messages]
    if kept != state.messages:
        state.messages, state.rewrites = kept, state.rewrites + 1


def _ask_another(state: State, detour: e.Detour) -> None:
    """From now on another model may be asked: of another family, it gets none of the thinking so far."""
    state.detour = detour
    asked = family(detour.model or state.model)
    if asked and state.thinker and asked != state.thinker:
        _forget_reasoning(state)
        state.thinker = ""


def _heard_from(state: State, event: e.Replied) -> Raw:
    """The reply as it joins the conversation: with its thinking if that goes back to the family it came from."""
    asked, heard = family(state.detour.model or state.model), family(event.model)
    if asked and heard and asked != heard:  # a fallback of OpenRouter's; the next request asks our model first
        return without_reasoning(event.wire)
    if not asked and heard and state.thinker and heard != state.thinker:
        _forget_reasoning(state)
    state.thinker = asked or heard or state.thinker
    return event.wire


def _run_resumed(state: State, event: e.RunResumed, entry: e.Entry) -> None:
    state.limits = event.limits
    state.model = event.model or state.model
    state.outcome, state.paused, state.detail, state.hint = None, "", "", ""
    state.failures, state.delay, state.rejections, state.cut_offs = 0, 0.0, 0, 0
    _ask_another(state, e.NO_DETOUR)
    if state.ending != "finished":
        state.ending = None


def _run_paused(state: State, event: e.RunPaused, entry: e.Entry) -> None:
    state.paused = event.reason
    state.outcome = "interrupted" if event.reason == "interrupted" else "paused"


def _run_finished(state: State, event: e.RunFinished, entry: e.Entry) -> None:
    state.outcome, state.detail = event.outcome, event.detail


def _message_added(state: State, event: e.MessageAdded, entry: e.Entry) -> None:
    if state.calls:  # the tool loop goes on, and its thinking with it
        state.held.append(event.wire)
    else:
        _forget_reasoning(state)
        state.messages.append(event.wire)
    state.answering, state.rejections = False, 0
    state.accepted = state.ending = state.unjudged = None


def _request_sent(state: State, event: e.RequestSent, entry: e.Entry) -> None:
    if state.open_request:
        _doubt_request(state)
    state.open_request = event.number
    state.stake = Decimal(0) if state.free else (state.limits.dollars or Decimal(0)) / 2
    state.requests = max(state.requests, event.number)
    state.settings = event.settings or state.settings
    state.phase = event.phase


def _doubt_request(state: State) -> None:
    state.doubts += 1
    state.guessed += state.stake


def _charge(state: State, usage: Usage) -> None:
    state.usage = state.usage + usage
    if usage.cost is not None:
        state.dearest = max(usage.cost, state.dearest or usage.cost)


def _request_failed(state: State, event: e.RequestFailed, entry: e.Entry) -> None:
    state.open_request = 0
    _charge(state, event.usage)
    if event.billed == "unknown":
        _doubt_request(state)
    state.failures, state.trouble = state.failures + 1, event.message
    state.delay = event.delay
    _ask_another(state, event.detour)
    if event.then == "stop":
        state.ending, state.detail, state.hint = "provider", event.message, event.hint


def _replied(state: State, event: e.Replied, entry: e.Entry) -> None:
    state.open_request = 0
    state.failures, state.delay = 0, 0.0
    state.detour = e.Detour(model=state.detour.model)  # providers and thinking have another chance each turn
    state.turns += 1
    _charge(state, event.usage)
    state.unpriced += event.usage.cost is None
    state.last_reply = event
    reply = _heard_from(state, event)  # may replace the list of messages
    state.messages.append(reply)
    try:
        message = from_wire(event.wire)
    except (msgspec.DecodeError, UnicodeError, RecursionError):  # folding is total, even over a damaged record
        return
    if not isinstance(message, AssistantMessage):
        return
    if message.tool_calls is UNSET or not message.tool_calls:
        state.unjudged, state.cut_offs = message, 0
        return
    state.cut_offs = state.cut_offs + 1 if event.finish == "length" else 0
    if state.cut_offs >= MOST_CUT_OFFS:
        state.ending = "truncated"
        state.detail = f"{state.cut_offs} replies in a row were cut off at the length limit in the middle of a call"
    state.tool_calls += len(message.tool_calls)
    calls = (
        ToolCall(f"{state.run}:{state.turns}:{index}", call.id, call.function.name, call.function.arguments)
        for index, call in enumerate(message.tool_calls)
    )
    state.calls = {call.id: Call(call) for call in calls}


def _tool_started(state: State, event: e.ToolStarted, entry: e.Entry) -> None:
    for intent in event.calls:
        _change(state, intent.call, status="started", intent=intent)


def _tool_finished(state: State, event: e.ToolFinished, entry: e.Entry) -> None:
    owed = event.call in state.calls and state.calls[event.call].status != "done"
    state.tool_failures += owed and not event.ok
    _settle(state, event.call, event.wire)


def _tool_in_doubt(state: State, event: e.ToolInDoubt, entry: e.Entry) -> None:
    status = "again" if event.then == "again" else "doubt"
    _change(state, event.call, status=status, question=entry.seq)


def _tool_settled(state: State, event: e.ToolSettled, entry: e.Entry) -> None:
    if event.wire:
        _settle(state, event.call, event.wire)
    else:
        _change(state, event.call, status="again")


def _approval_asked(state: State, event: e.ApprovalAsked, entry: e.Entry) -> None:
    changes = {"status": "asked", "question": entry.seq, "arguments": event.arguments}
    _change(state, event.call, **changes)


def _approval_given(state: State, event: e.ApprovalGiven, entry: e.Entry) -> None:
    changes: dict[str, Any] = {"status": "allowed" if event.allowed else "denied", "reason": event.reason}
    if event.arguments:
        changes |= {"arguments": event.arguments, "edited": True}
    _change(state, event.call, **changes)


def _output_accepted(state: State, event: e.OutputAccepted, entry: e.Entry) -> None:
    state.unjudged = None
    state.accepted, state.ending = event.value, "finished"


def _output_rejected(state: State, event: e.OutputRejected, entry: e.Entry) -> None:
    state.unjudged = None
    state.messages.append(event.wire)
    state.rejections += state.phase == "answer"
    state.answering = True
    if event.outcome:
        state.ending, state.detail = event.outcome, "; ".join(event.problems)


def _limit_reached(state: State, event: e.LimitReached, entry: e.Entry) -> None:
    state.ending = "limit"
    state.detail = f"limit {event.limit} reached: {event.used} of {event.allowed}"
    if event.limit == "dollars" and state.doubts and state.dearest is None:
        state.hint = f"Requests count in it that broke off and may have been billed; see why: outrider show {state.run}"


def _cost_settled(state: State, event: e.CostSettled, entry: e.Entry) -> None:
    state.doubts = max(0, state.doubts - 1)
    _charge(state, Usage(cost=event.cost))


_FOLD: dict[type, Callable[[State, Any, e.Entry], None]] = {
    e.RunStarted: _run_started,
    e.RunResumed: _run_resumed,
    e.RunPaused: _run_paused,
    e.RunFinished: _run_finished,
    e.MessageAdded: _message_added,
    e.RequestSent: _request_sent,
    e.RequestFailed: _request_failed,
    e.Replied: _replied,
    e.ToolStarted: _tool_started,
    e.ToolFinished: _tool_finished,
    e.ToolInDoubt: _tool_in_doubt,
    e.ToolSettled: _tool_settled,
    e.ApprovalAsked: _approval_asked,
    e.ApprovalGiven: _approval_given,
    e.OutputAccepted: _output_accepted,
    e.OutputRejected: _output_rejected,
    e.LimitReached: _limit_reached,
    e.CostSettled: _cost_settled,
}
