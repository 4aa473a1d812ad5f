"""Commands from outside become events here, or are refused with a reason; at the loop's fixed points only."""

from typing import Any

import msgspec
from msgspec import Raw

from outrider import events as e
from outrider.errors import SetupError, did_you_mean
from outrider.messages import ToolMessage, UserMessage, printable, to_wire
from outrider.state import State
from outrider_prompts import say


def heard(state: State, number: int, command: e.AnyCommand, now: float) -> e.Durable:
    """The event that takes command ``number`` into the run. ``now`` is in Unix seconds."""
    match command:
        case e.Answer():
            return _answer(state, number, command, now)
        case e.Settle():
            return _settle(state, number, command)
        case e.Say():
            return e.MessageAdded(to_wire(UserMessage(command.text)), command.by, command=number)
        case e.Cancel():
            return e.StopAsked(command.by, number)


def answer_to(
    state: State, call_id: str, allowed: bool, edited: dict[str, Any] | None, reason: str, by: str
) -> e.Answer:
    """The answer to a question of this run, bound to it. Raises SetupError when the call does not wait for one."""
    call = state.calls.get(call_id)
    if call is None or call.status != "asked" or call.arguments is None:
        waiting = [c.call.id for c in state.calls.values() if c.status == "asked"]
        hint = did_you_mean(call_id, waiting) or f"Waiting: {', '.join(waiting) or 'none'}."
        raise SetupError(f"run {state.run} has no call {call_id} that waits for an approval", hint)
    new = Raw(msgspec.json.encode(edited)) if edited is not None else e.NOTHING
    return e.Answer(by, call_id, call.call.name, call.arguments, call.question, allowed, new, reason)


def _answer(state: State, number: int, answer: e.Answer, now: float) -> e.Durable:
    call = state.calls.get(answer.call)
    if call is None or call.status != "asked":
        return e.CommandRefused(number, f"call {answer.call} does not wait for an approval")
    if call.question != answer.question:
        return e.CommandRefused(number, f"the answer is to question {answer.question}, not to {call.question}")
    if call.call.name != answer.tool or call.arguments != answer.arguments:
        return e.CommandRefused(number, "the answer names another tool or other arguments than the question")
    if answer.expires is not None and now > answer.expires:
        return e.CommandRefused(number, "the answer has expired")
    return e.ApprovalGiven(
        answer.call, answer.question, answer.allowed, answer.by, answer.edited, answer.reason, number
    )


def _settle(state: State, number: int, command: e.Settle) -> e.Durable:
    call = state.calls.get(command.call)
    if call is None or call.status != "doubt":
        return e.CommandRefused(number, f"call {command.call} is not in doubt")
    if call.question != command.question:  # it was run again and is in doubt again: an old word says nothing of that
        return e.CommandRefused(number, f"the word is on doubt {command.question}, not on {call.question}")
    if command.result is None:
        return e.ToolSettled(command.call, "again", command.by, command=number)
    text = printable(command.result)
    if call.edited and call.intent:
        text = say("call_edited", arguments=bytes(call.intent.arguments).decode(), result=text)
    wire = to_wire(ToolMessage(call.call.wire_id, text))
    return e.ToolSettled(command.call, "result", command.by, wire, number)
