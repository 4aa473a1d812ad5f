"""A run as plain lines, for a terminal or a log file: one permanent line for each thing worth knowing."""

from collections.abc import Callable, Iterable
from typing import Any, cast

import msgspec

from outrider import events as e
from outrider.messages import ToolMessage, from_wire
from outrider.result import dollars, why_paused
from outrider.state import State

MOST = 100
"""Characters that a line shows of arguments, results and texts."""


def lines(entry: e.Entry, before: State) -> list[str]:
    """What to print for an entry; often nothing. ``before`` is the state without it."""
    say = _LINES.get(type(entry.event))
    return [clean(line) for line in say(entry.event, before)] if say else []


def clean(text: str) -> str:
    """The text without anything that could steer a terminal: only what prints, line ends and tabs."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def short(text: str, most: int = MOST) -> str:
    """The text on one line, cut to ``most`` characters."""
    line = " ".join(text[: 4 * most].split())
    return f"{line[:most]}…" if len(line) > most or len(text) > 4 * most else line


def call_text(name: str, arguments: str | bytes, most: int = MOST) -> str:
    """A call as one writes it: ``weather(city="Paris")``."""
    text = arguments if isinstance(arguments, str) else arguments.decode("utf-8", "replace")
    try:
        given = msgspec.json.decode(text)
    except msgspec.DecodeError:
        given = text
    if isinstance(given, dict):
        fields = cast("dict[str, Any]", given)
        text = ", ".join(f"{key}={msgspec.json.encode(value).decode()}" for key, value in fields.items())
    return f"{name}({short(text, most)})"


def result_text(wire: msgspec.Raw) -> str:
    """The text of a call's result."""
    try:
        message = from_wire(wire)
    except msgspec.DecodeError:
        return bytes(wire).decode("utf-8", "replace")
    return message.content if isinstance(message, ToolMessage) else ""


def call_name(call: str, state: State) -> str:
    """What the model called, by the call's id."""
    known = state.calls.get(call)
    return known.call.name if known else call


def how_to_answer(state: State) -> list[str]:
    """The command to type for each call that waits for a person."""
    return [f"outrider approve {state.run} {call.call.id}" for call in state.owed_calls() if call.waiting]


Lines = Iterable[str]


def _run_started(event: e.RunStarted, before: State) -> Lines:
    yield f"run {event.run} · {event.model}"


def _run_resumed(event: e.RunResumed, before: State) -> Lines:
    yield f"run {before.run} goes on · {before.model}"
    yield from (f"  changed: {change}" for change in event.changed)


def _run_paused(event: e.RunPaused, before: State) -> Lines:
    outcome = "interrupted" if event.reason == "interrupted" else "paused"
    yield f"{outcome}: {why_paused(before, event.reason)}"
    yield from (f"  {command}" for command in how_to_answer(before))


def _run_finished(event: e.RunFinished, before: State) -> Lines:
    if event.outcome != "finished" and event.detail != before.detail:  # otherwise the line before has said it
        yield f"{event.outcome}: {short(event.detail, 400)}"


def _message_added(event: e.MessageAdded, before: State) -> Lines:
    yield f"a message from {event.by}"


def _request_sent(event: e.RequestSent, before: State) -> Lines:
    form = ", for the answer in its form" if event.phase == "answer" else ""
    yield f"request {event.number}: {event.messages} message{'' if event.messages == 1 else 's'}{form}"


def _request_failed(event: e.RequestFailed, before: State) -> Lines:
    status = f" {event.status}" if event.status else ""
    message = short(event.message, 400)
    if event.then == "retry" and event.delay:
        message = f"{message.removesuffix('.')}; again in {event.delay:.1f} s"
    yield f"request {event.number} failed: {event.reason}{status}: {message}"


def _replied(event: e.Replied, before: State) -> Lines:
    odd = "" if event.finish in ("stop", "tool_calls") else f" · ended by {event.finish}"
    yield f"  {event.usage.tokens} tokens · {dollars(event.usage.cost)}{odd}"


def _tool_started(event: e.ToolStarted, before: State) -> Lines:
    for intent in event.calls:
        again = f", attempt {intent.attempt}" if intent.attempt > 1 else ""
        yield f"  {call_text(intent.tool, bytes(intent.arguments))}{again}"


def _tool_finished(event: e.ToolFinished, before: State) -> Lines:
    how = ("" if event.ok else " failed") + (" late" if event.late else "")
    cut = f" ({event.cut} characters cut)" if event.cut else ""
    yield f"  {call_name(event.call, before)}{how} -> {short(result_text(event.wire))}{cut}"


def _tool_in_doubt(event: e.ToolInDoubt, before: State) -> Lines:
    then = "it runs again" if event.then == "again" else "a person must say what became of it"
    yield f"  {call_name(event.call, before)} in doubt ({event.why}): {then}"


def _tool_settled(event: e.ToolSettled, before: State) -> Lines:
    said = "run it again" if event.how == "again" else f"its result is {short(result_text(event.wire))}"
    yield f"  {call_name(event.call, before)} settled by {event.by}: {said}"


def _approval_asked(event: e.ApprovalAsked, before: State) -> Lines:
    yield f"  {call_text(event.tool, bytes(event.arguments))} waits for consent: {event.why}"


def _approval_given(event: e.ApprovalGiven, before: State) -> Lines:
    said = "allowed" if event.allowed else "denied"
    edited = ", with other arguments" if event.arguments else ""
    reason = f": {short(event.reason)}" if event.reason else ""
    yield f"  {call_name(event.call, before)} {said} by {event.by}{edited}{reason}"


def _output_rejected(event: e.OutputRejected, before: State) -> Lines:
    if before.phase == "work" and not event.outcome:
        return  # no mistake: the next request asks for the answer in its form
    yield f"  answer rejected: {short('; '.join(event.problems), 400)}"


def _limit_reached(event: e.LimitReached, before: State) -> Lines:
    yield f"limit {event.limit} reached: {event.used} of {event.allowed}"


def _cost_settled(event: e.CostSettled, before: State) -> Lines:
    yield f"request {event.number} cost {dollars(event.cost)}"


_LINES: dict[type, Callable[[Any, State], Lines]] = {
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
    e.StopAsked: lambda event, before: [f"{event.by} asked the run to stop"],
    e.CommandRefused: lambda event, before: [f"command refused: {event.why}"],
    e.OutputRejected: _output_rejected,
    e.LimitReached: _limit_reached,
    e.CostSettled: _cost_settled,
    e.ReaderFailed: lambda event, before: [f"reader {event.reader} failed: {short(event.error, 400)}"],
}
