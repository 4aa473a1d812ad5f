"""The steps of the fold: what each event changes in the state. Events that ``FOLD`` does not name change nothing."""

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw
from msgspec.structs import replace

from outrider import events as e
from outrider.bills import Counted, Owed
from outrider.calls import Call
from outrider.messages import AssistantMessage, ToolCall, Usage, family, from_wire, without_reasoning

if TYPE_CHECKING:
    from outrider.state import State

MOST_CUT_OFFS = 3
"""After so many replies in a row that break off in a call, asking again would only cost more."""


def _change(state: "State", call_id: str, **changes: Any) -> None:
    if (call := state.calls.get(call_id)) and call.status != "done":
        state.calls[call_id] = replace(call, **changes)


def _settle(state: "State", call_id: str, result: Raw) -> None:
    _change(state, call_id, status="done", result=result)
    if state.calls and all(call.result is not None for call in state.calls.values()):
        state.messages.extend(call.result for call in state.calls.values() if call.result is not None)
        state.messages.extend(state.held)
        _look_for_news(state)
        state.calls, state.held = {}, []


def _look_for_news(state: "State") -> None:
    """Count the round of calls that has just ended as stale, unless one of them brought what no call before it did."""
    seen = {_digest(call) for call in state.calls.values() if not (call.intent and call.intent.polls)}
    if seen:
        state.stale = state.stale + 1 if seen <= state.seen else 0
        state.steered = state.steered and state.stale > 0
        state.seen |= seen


def _digest(call: Call) -> bytes:
    from hashlib import blake2b

    arguments = bytes(call.intent.arguments) if call.intent else call.call.arguments.encode()
    _, _, content = bytes(call.result or b"").partition(b'"content":')  # before it stands the provider's id
    return blake2b(b"\0".join((call.call.name.encode(), arguments, content)), digest_size=8).digest()


def _run_started(state: "State", event: e.RunStarted, entry: e.Entry) -> None:
    state.run, state.agent, state.task, state.model = event.run, event.agent, event.task, event.model
    state.limits, state.tools, state.output_type = event.limits, event.tools, event.output
    state.policy, state.checks, state.places = event.policy, event.checks, event.places
    state.messages, state.schema = list(event.messages), event.schema
    state.started_at = entry.at


def _forget_reasoning(state: "State") -> None:
    """Take the thinking out of the conversation: it helps only the model that thought, and only until the next word.

    Formats and signatures differ between families of models, and thinking of earlier rounds costs tokens for nothing.
    """
    kept = [without_reasoning(message) for message in state.messages]
    if kept != state.messages:
        state.messages, state.rewrites = kept, state.rewrites + 1


def _ask_another(state: "State", detour: e.Detour) -> None:
    """From now on another model may be asked: of another family, it gets none of the thinking so far."""
    state.detour = detour
    asked = family(detour.model or state.model)
    if asked and state.thinker and asked != state.thinker:
        _forget_reasoning(state)
        state.thinker = ""


def _heard_from(state: "State", event: e.Replied) -> Raw:
    """The reply as it joins the conversation: with its thinking if that goes back to the family it came from."""
    asked, heard = family(state.detour.model or state.model), family(event.model)
    if asked and heard and asked != heard:  # a fallback of OpenRouter's; the next request asks our model first
        return without_reasoning(event.wire)
    if not asked and heard and state.thinker and heard != state.thinker:
        _forget_reasoning(state)
    state.thinker = asked or heard or state.thinker
    return event.wire


def _run_resumed(state: "State", event: e.RunResumed, entry: e.Entry) -> None:
    if state.outcome == "limit":  # it goes on working, from where it was asked for its answer
        state.answering = state.answering and not state.landing
        state.landing, state.landed = 0, state.turns
    state.limits = event.limits
    if state.stronger or event.model not in ("", state.model):  # another model takes other ways of asking
        state.rung, state.stronger, state.apart, state.heal = "", "", False, False
    state.model = event.model or state.model
    if state.outcome:  # after a crash it is counted on, or a run killed often would never meet these limits
        state.rejections, state.cut_offs, state.misfits = 0, 0, 0
        state.stale, state.steered = 0, False
    state.outcome, state.paused, state.detail, state.hint = None, "", "", ""
    state.failures, state.delay = 0, 0.0
    _ask_another(state, e.NO_DETOUR)
    if state.ending != "finished":
        state.ending = state.accepted = None


def _run_paused(state: "State", event: e.RunPaused, entry: e.Entry) -> None:
    state.paused = event.reason
    state.outcome = "interrupted" if event.reason == "interrupted" else "paused"


def _run_finished(state: "State", event: e.RunFinished, entry: e.Entry) -> None:
    state.outcome, state.detail = event.outcome, event.detail


def _message_added(state: "State", event: e.MessageAdded, entry: e.Entry) -> None:
    if state.calls:  # the tool loop goes on, and its thinking with it
        state.held.append(event.wire)
    else:
        _forget_reasoning(state)
        state.messages.append(event.wire)
    state.answering, state.rejections, state.misfits, state.landing = False, 0, 0, 0
    state.tries, state.climb = 0, {}
    if state.stronger:  # it was asked for one answer
        _ask_another(state, e.NO_DETOUR)
        state.rung, state.stronger = "", ""
    state.stale, state.steered, state.seen = 0, False, set()
    state.accepted = state.ending = state.unjudged = None


def _request_sent(state: "State", event: e.RequestSent, entry: e.Entry) -> None:
    if state.open_request:
        _doubt_request(state)
    state.open_request = event.number
    stake = Decimal(0) if state.free else (state.limits.dollars or Decimal(0)) / 10
    state.open = Owed(event.reserved, stake)
    state.sent = event.messages
    state.requests = max(state.requests, event.number)
    state.settings = event.settings or state.settings
    state.basis = event.basis or state.basis
    state.phase, state.form = event.phase, event.rung
    state.tries += event.phase == "answer"


def _request_accepted(state: "State", event: e.RequestAccepted, entry: e.Entry) -> None:
    if state.open_request == event.number:
        state.open = replace(state.open, generation=event.generation)


def _doubt_request(state: "State") -> None:
    """The request under way may have been billed; after this nobody waits for it any more."""
    if not state.free:
        state.owed = {**state.owed, state.open_request: state.open}


def _charge(state: "State", usage: Usage, reserved: Decimal | None) -> None:
    """Take a bill into account, and learn from it when it is above what was put aside."""
    state.usage = state.usage + usage
    if usage.cost is None:
        return
    state.dearest = max(usage.cost, state.dearest or usage.cost)
    if reserved is not None and usage.cost > reserved:
        state.above += usage.cost - reserved
        if reserved:  # it holds the factor by which it was raised
            state.factor = max(state.factor, state.factor * usage.cost / reserved)


def _climb(state: "State", number: int, cost: Decimal | None) -> None:
    """The bill of a request that would not have been, had the first one for the answer brought it."""
    if state.phase == "answer" and state.tries > 1:
        state.climb = {**state.climb, number: cost}


def _request_failed(state: "State", event: e.RequestFailed, entry: e.Entry) -> None:
    _climb(state, event.number, Decimal(0) if event.billed == "no" else event.usage.cost)
    _charge(state, event.usage, state.open.amount)
    if event.billed == "unknown":
        _doubt_request(state)
    state.open_request = 0
    state.failures, state.trouble = state.failures + 1, event.message
    state.delay = event.delay
    _ask_another(state, event.detour)
    if event.then == "stop" and state.landing:  # the limit it was to land from is why the run ends
        state.ending = "limit"
    elif event.then == "stop":
        state.ending, state.detail, state.hint = "provider", event.message, event.hint


def _replied(state: "State", event: e.Replied, entry: e.Entry) -> None:
    state.failures, state.delay = 0, 0.0
    state.detour = replace(state.detour, avoid=(), plain=False, lower=False)  # these have another chance each turn
    state.turns += 1
    _charge(state, event.usage, state.open.amount)
    if event.usage.cost is None and not state.free:
        amount = state.open.amount if event.estimate is None else event.estimate
        owed = replace(state.open, amount=amount, replied=True, generation=event.generation or state.open.generation)
        state.owed = {**state.owed, event.number: owed}
    if event.usage.prompt_tokens:
        state.counted = Counted(event.usage.prompt_tokens, state.sent, state.settings)
    state.open_request = 0
    state.repairs += len(event.repairs)
    state.last_reply = event
    _climb(state, event.number, event.usage.cost)
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


def _tool_started(state: "State", event: e.ToolStarted, entry: e.Entry) -> None:
    for intent in event.calls:
        _change(state, intent.call, status="started", intent=intent)


def _tool_finished(state: "State", event: e.ToolFinished, entry: e.Entry) -> None:
    owed = event.call in state.calls and state.calls[event.call].status != "done"
    state.tool_failures += owed and not event.ok
    _settle(state, event.call, event.wire)


def _tool_in_doubt(state: "State", event: e.ToolInDoubt, entry: e.Entry) -> None:
    status = "again" if event.then == "again" else "doubt"
    _change(state, event.call, status=status, question=entry.seq)


def _tool_settled(state: "State", event: e.ToolSettled, entry: e.Entry) -> None:
    if event.wire:
        _settle(state, event.call, event.wire)
    else:
        _change(state, event.call, status="again")


def _approval_asked(state: "State", event: e.ApprovalAsked, entry: e.Entry) -> None:
    changes = {"status": "asked", "question": entry.seq, "arguments": event.arguments}
    _change(state, event.call, **changes)


def _approval_given(state: "State", event: e.ApprovalGiven, entry: e.Entry) -> None:
    changes: dict[str, Any] = {"status": "allowed" if event.allowed else "denied", "reason": event.reason}
    if event.arguments:
        changes |= {"arguments": event.arguments, "edited": True}
    _change(state, event.call, **changes)


def _output_accepted(state: "State", event: e.OutputAccepted, entry: e.Entry) -> None:
    state.unjudged = None
    state.accepted, state.ending = event.value, "limit" if state.landing else "finished"
    state.repairs += len(event.repairs)


def _output_rejected(state: "State", event: e.OutputRejected, entry: e.Entry) -> None:
    state.unjudged = None
    state.messages.append(event.wire)
    asked = state.phase == "answer"
    state.rejections += asked or bool(event.check)
    state.misfits = 0 if event.check else state.misfits + asked  # what a check is given has fitted
    state.answering = not event.check  # to do better it may need its tools
    if state.landing:
        state.ending = "limit"
    elif event.outcome:
        state.ending, state.detail = event.outcome, "; ".join(event.problems)


def _answer_form(state: "State", event: e.AnswerForm, entry: e.Entry) -> None:
    if event.rung != state.form:  # on the same one the misfits so far still count
        state.misfits = 0
    state.rung, state.heal = event.rung, event.heal
    state.apart = state.apart or event.apart
    state.detour = replace(state.detour, lower=False)
    if event.model:
        _ask_another(state, e.Detour(event.model))
        state.stronger, state.misfits = event.model, 0
    if event.wire:
        state.messages.append(event.wire)
        state.answering = True


def _loop_steered(state: "State", event: e.LoopSteered, entry: e.Entry) -> None:
    state.messages.append(event.wire)
    state.steered = True


def _limit_reached(state: "State", event: e.LimitReached, entry: e.Entry) -> None:
    more = f", and the next request may cost {event.needed}" if event.needed else ""
    if not state.landing:
        state.detail = f"limit {event.limit} reached: {event.used} of {event.allowed}{more}"
    if event.wire:
        state.messages.append(event.wire)
        state.landing, state.answering, state.misfits = state.turns + 1, True, 0
    else:
        state.ending = "limit"
    if event.limit == "dollars" and state.doubts and state.dearest is None:
        state.hint = f"Requests count in it that broke off and may have been billed; see why: outrider show {state.run}"


def _cost_settled(state: "State", event: e.CostSettled, entry: e.Entry) -> None:
    owed = state.open if event.number == state.open_request else state.owed.get(event.number)
    if event.number == state.open_request:
        state.open_request = 0
    state.owed = {number: each for number, each in state.owed.items() if number != event.number}
    _charge(state, Usage(cost=event.cost), owed.amount if owed and not owed.replied else None)
    if event.number in state.climb:
        state.climb = {**state.climb, event.number: event.cost}


FOLD: "dict[type, Callable[[State, Any, e.Entry], None]]" = {
    e.RunStarted: _run_started,
    e.RunResumed: _run_resumed,
    e.RunPaused: _run_paused,
    e.RunFinished: _run_finished,
    e.MessageAdded: _message_added,
    e.RequestSent: _request_sent,
    e.RequestAccepted: _request_accepted,
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
    e.AnswerForm: _answer_form,
    e.LoopSteered: _loop_steered,
    e.LimitReached: _limit_reached,
    e.CostSettled: _cost_settled,
}
