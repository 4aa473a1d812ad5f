"""Commands from outside become events here, or are refused with a reason; at the loop's fixed points only."""

from outrider import events as e
from outrider.messages import ToolMessage, UserMessage, to_wire
from outrider.state import State


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
    if command.result is None:
        return e.ToolSettled(command.call, "again", command.by, command=number)
    wire = to_wire(ToolMessage(call.call.wire_id, command.result))
    return e.ToolSettled(command.call, "result", command.by, wire, number)
