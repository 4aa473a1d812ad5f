"""A whole record as text to read: what was asked, answered, called and decided, in order."""

import time
from collections.abc import Callable, Iterable, Iterator
from textwrap import indent
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from outrider import events as e
from outrider.messages import AssistantMessage, Limits, SystemMessage, UserMessage, from_wire
from outrider.observe.terminal import Lines, call_name, clean, lines, result_text
from outrider.result import dollars, figures
from outrider.state import State

MOST = 4000
"""Characters shown of any one text."""


def story(entries: Iterable[e.Entry]) -> Iterator[str]:
    """The run in plain text, line by line; a text of more than ``MOST`` characters is cut, and says so."""
    state = State()
    for entry in entries:
        tell = _STORY.get(type(entry.event))
        yield from map(clean, tell(entry.event, entry, state)) if tell else lines(entry, state)
        state.add(entry)
    yield from map(clean, _ending(state))


def block(text: str, margin: str = "    ", most: int = MOST) -> str:
    """The text, indented and bounded."""
    left = len(text) - most
    shown = text if left <= 0 else f"{text[:most]}\n… {left} more characters"
    return indent(shown, margin, lambda line: True)


def pretty(raw: Raw | bytes) -> str:
    """JSON on several lines; anything else as it is."""
    try:
        return msgspec.json.format(bytes(raw), indent=2).decode()
    except msgspec.DecodeError:
        return bytes(raw).decode("utf-8", "replace")


def when(at: float) -> str:
    """A time in Unix seconds, as a clock here shows it."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def _limits(limits: Limits) -> str:
    given = ((name, getattr(limits, name)) for name in limits.__struct_fields__)
    return ", ".join(f"{value:g} {name}" for name, value in given if value is not None) or "none"


def _run_started(event: e.RunStarted, entry: e.Entry, before: State) -> Lines:
    yield f"run {event.run} · {event.agent} · {event.model} · {when(entry.at)}"
    yield f"limits: {_limits(event.limits)}"
    yield f"tools: {', '.join(event.tools) or 'none'} · answer: {event.output}"
    first = from_wire(event.messages[0]) if event.messages else None
    if isinstance(first, SystemMessage):
        yield "instructions"
        yield block(first.content)
    yield "task"
    yield block(event.task)


def _message_added(event: e.MessageAdded, entry: e.Entry, before: State) -> Lines:
    yield ""
    yield from lines(entry, before)
    message = from_wire(event.wire)
    content = message.content if isinstance(message, UserMessage) else None
    yield block(content if isinstance(content, str) else pretty(event.wire))


def _request_sent(event: e.RequestSent, entry: e.Entry, before: State) -> Lines:
    yield ""
    yield from lines(entry, before)


def _request_failed(event: e.RequestFailed, entry: e.Entry, before: State) -> Lines:
    yield from (f"  {line}" for line in lines(entry, before))
    if event.billed != "no":
        yield f"    billed: {event.billed if event.billed == 'unknown' else dollars(event.usage.cost)}"
    if event.raw:
        yield block(event.raw, most=600)


def _replied(event: e.Replied, entry: e.Entry, before: State) -> Lines:
    by = [name for name in dict.fromkeys((event.provider, event.model)) if name]
    yield from (" · ".join([line, *by]) for line in lines(entry, before))
    message = from_wire(event.wire)
    if not isinstance(message, AssistantMessage):
        return
    if message.reasoning is not UNSET and message.reasoning:
        yield "  thought"
        yield block(message.reasoning)
    if message.content:
        yield "  said"
        yield block(message.content)
    if event.refusal:
        yield f"  refused: {event.refusal}"
    if message.tool_calls is not UNSET:
        for call in message.tool_calls:
            yield f"  calls {call.function.name}"
            yield block(call.function.arguments)


def _tool_started(event: e.ToolStarted, entry: e.Entry, before: State) -> Lines:
    for intent in event.calls:
        again = f", attempt {intent.attempt}" if intent.attempt > 1 else ""
        yield f"  {intent.tool} starts · {intent.effect} · {intent.call}{again}"


def _tool_finished(event: e.ToolFinished, entry: e.Entry, before: State) -> Lines:
    how = ("gave" if event.ok else "failed") + (", late" if event.late else "")
    cut = f" · {event.cut} characters cut" if event.cut else ""
    yield f"  {call_name(event.call, before)} {how}{cut}"
    yield block(result_text(event.wire))
    if event.error and event.error != result_text(event.wire):
        yield "    the whole error"
        yield block(event.error, "      ")


def _approval_asked(event: e.ApprovalAsked, entry: e.Entry, before: State) -> Lines:
    yield f"  {event.tool} needs consent: {event.why} · {event.call}"
    yield block(pretty(event.arguments))


def _approval_given(event: e.ApprovalGiven, entry: e.Entry, before: State) -> Lines:
    yield from lines(entry, before)
    if event.arguments:
        yield block(pretty(event.arguments))


def _output_rejected(event: e.OutputRejected, entry: e.Entry, before: State) -> Lines:
    work = before.phase == "work" and not event.outcome
    if work:  # the model made no mistake: it worked freely, and is now asked for the form
        yield "  the answer is asked for in its form"
        return
    yield "  answer rejected"
    yield from (f"    {problem}" for problem in event.problems)


def _output_accepted(event: e.OutputAccepted, entry: e.Entry, before: State) -> Lines:
    yield ""
    yield "answer"
    value: Any = msgspec.json.decode(event.value)
    yield block(value if isinstance(value, str) else pretty(event.value))


def _run_resumed(event: e.RunResumed, entry: e.Entry, before: State) -> Lines:
    yield ""
    yield f"resumed · {when(entry.at)} · limits: {_limits(event.limits)}"
    yield from (f"  changed: {change}" for change in event.changed)


def _run_finished(event: e.RunFinished, entry: e.Entry, before: State) -> Lines:
    if news := lines(entry, before):
        yield ""
        yield from news
    if event.error:
        yield block(event.error)


def _ending(state: State) -> Lines:
    yield ""
    if not state.over:
        yield f"the record ends here: outrider resume {state.run}, unless a process is at it"
    yield f"{state.outcome or 'unfinished'} · {figures(state)}"


_STORY: dict[type, Callable[[Any, e.Entry, State], Lines]] = {
    e.RunStarted: _run_started,
    e.RunResumed: _run_resumed,
    e.MessageAdded: _message_added,
    e.RequestSent: _request_sent,
    e.RequestFailed: _request_failed,
    e.Replied: _replied,
    e.ToolStarted: _tool_started,
    e.ToolFinished: _tool_finished,
    e.ApprovalAsked: _approval_asked,
    e.ApprovalGiven: _approval_given,
    e.OutputRejected: _output_rejected,
    e.OutputAccepted: _output_accepted,
    e.RunFinished: _run_finished,
}
