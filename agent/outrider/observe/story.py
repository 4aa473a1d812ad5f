"""A whole record as text to read: what was asked, answered, called and decided, in order."""

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from textwrap import indent
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from outrider import events as e
from outrider.messages import AssistantMessage, Limits, SystemMessage, UserMessage, from_wire, thoughts
from outrider.observe.line import Line, Tone, tone_of, toned
from outrider.observe.terminal import Lines, call_name, result_text, told
from outrider.parts import short
from outrider.purse import Purse
from outrider.state import State
from outrider.telling import ending, figures, how_answered, pretty, typed
from outrider.times import when

MOST = 4000
"""Characters shown of any one text."""


def story(entries: Iterable[e.Entry], live: bool = False) -> Iterator[Line]:
    """The run, line by line; a text of more than ``MOST`` characters is cut, and says so.

    ``live`` is whether a process is at work on it.
    """
    state = State()
    for entry in entries:
        tell = _STORY.get(type(entry.event), _as_it_happened)
        yield from toned(tell(entry.event, entry, state), "wrap")
        state.add(entry)
    yield from toned(_ending(state, live), "wrap")


def block(text: str, margin: str = "    ", most: int = MOST) -> str:
    """The text, indented and bounded; without the line ends behind it."""
    text = text.rstrip("\n")
    left = len(text) - most
    shown = text if left <= 0 else f"{text[:most]}\n… {left} more characters"
    return indent(shown, margin, lambda line: True)


def _as_it_happened(event: e.Durable, entry: e.Entry, before: State) -> Lines:
    """What was said of it at the time, in full."""
    return (replace(line, fit="wrap") if line.fit == "cut" else line for line in told(entry, before))


def _limits(limits: Limits) -> str:
    given = ((name, getattr(limits, name)) for name in limits.__struct_fields__)
    return ", ".join(_limit(name, value) for name, value in given if value is not None) or "none"


def _limit(name: str, value: float | Decimal | Purse) -> str:
    if isinstance(value, Purse):
        return f"purse {value}"
    if name == "dollars":
        return f"${value:f}"
    words = name.replace("_", " ")
    return f"{value:g} {words.removesuffix('s') if value == 1 else words}"


def _run_started(event: e.RunStarted, entry: e.Entry, before: State) -> Lines:
    yield Line(f"run {event.run} · {event.agent} · {event.model} · {when(entry.at)}", "bold", "wrap")
    yield Line(f"limits: {_limits(event.limits)}", "dim", "wrap")
    checks = f" · checks: {', '.join(event.checks)}" if event.checks else ""
    yield Line(f"tools: {', '.join(event.tools) or 'none'} · answer: {event.output}{checks}", "dim", "wrap")
    first = from_wire(event.messages[0]) if event.messages else None
    if isinstance(first, SystemMessage):
        yield _heading("instructions")
        yield block(first.content)
    yield _heading("task")
    yield block(event.task)


def _message_added(event: e.MessageAdded, entry: e.Entry, before: State) -> Lines:
    yield ""
    yield from told(entry, before)
    message = from_wire(event.wire)
    yield block(short(message.content) if isinstance(message, UserMessage) else pretty(event.wire))


def _request_sent(event: e.RequestSent, entry: e.Entry, before: State) -> Lines:
    yield ""
    yield from told(entry, before)


def _request_failed(event: e.RequestFailed, entry: e.Entry, before: State) -> Lines:
    yield from (replace(line, text=f"  {line.text}") for line in told(entry, before))
    if event.raw:
        yield block(event.raw, most=600)


def _replied(event: e.Replied, entry: e.Entry, before: State) -> Lines:
    by = [name for name in dict.fromkeys((event.provider, event.model)) if name]
    used, *repairs = told(entry, before)
    yield replace(used, text=" · ".join([used.text, *by]), fit="wrap")
    yield from repairs
    message = from_wire(event.wire)
    if not isinstance(message, AssistantMessage):
        return
    if thought := thoughts(message):
        yield Line("  thought", "dim")
        yield Line(block(thought), "dim", "wrap")
    if message.content:
        yield "  said"
        yield block(message.content)
    if event.refusal:
        yield Line(f"  refused: {event.refusal}", "bad", "wrap")
    if message.tool_calls is not UNSET:
        for call in message.tool_calls:
            yield f"  calls {call.function.name}"
            if call.function.arguments.strip("{} \n"):
                yield block(call.function.arguments)


def _tool_started(event: e.ToolStarted, entry: e.Entry, before: State) -> Lines:
    for intent in event.calls:
        again = f", attempt {intent.attempt}" if intent.attempt > 1 else ""
        yield f"  {intent.tool} starts · {intent.effect} · {intent.call}{again}"


def _tool_finished(event: e.ToolFinished, entry: e.Entry, before: State) -> Lines:
    how = ("gave" if event.ok else "failed") + (", late" if event.late else "")
    cut = f" · {event.cut} characters cut" if event.cut else ""
    tone: Tone = "plain" if event.ok else "bad"
    yield Line(f"  {call_name(event.call, before)} {how}{cut}", tone, "wrap")
    yield Line(block(result_text(event.wire)), tone, "wrap")
    if event.error and event.error != result_text(event.wire):
        yield "    the whole error"
        yield block(event.error, "      ")


def _approval_asked(event: e.ApprovalAsked, entry: e.Entry, before: State) -> Lines:
    yield Line(f"  {event.tool} needs consent: {event.why} · {event.call}", "warn", "wrap")
    yield block(pretty(event.arguments))


def _at_a_time(event: e.Durable, entry: e.Entry, before: State) -> Lines:
    """What a person said, and when the run took it in."""
    return (replace(line, text=f"{line.text} · {when(entry.at)}", fit="wrap") for line in told(entry, before))


def _approval_given(event: e.ApprovalGiven, entry: e.Entry, before: State) -> Lines:
    yield from _at_a_time(event, entry, before)
    if event.arguments:
        yield block(pretty(event.arguments))


def _output_rejected(event: e.OutputRejected, entry: e.Entry, before: State) -> Lines:
    work = before.phase == "work" and not (event.outcome or event.check)
    if work:  # the model made no mistake: it worked freely, and is now asked for the form
        yield "  the answer is asked for in its form"
        return
    yield Line(f"  answer rejected by the check {event.check}" if event.check else "  answer rejected", "warn", "wrap")
    yield from (Line(f"    {problem}", "warn", "wrap") for problem in event.problems)


def _output_accepted(event: e.OutputAccepted, entry: e.Entry, before: State) -> Lines:
    yield ""
    yield _heading("answer")
    yield from told(entry, before)
    yield block(pretty(event.value))


def _run_resumed(event: e.RunResumed, entry: e.Entry, before: State) -> Lines:
    yield ""
    yield f"resumed · {when(entry.at)} · limits: {_limits(event.limits)}"
    yield from (f"  changed: {change}" for change in event.changed)


def _run_finished(event: e.RunFinished, entry: e.Entry, before: State) -> Lines:
    if news := told(entry, before):
        yield ""
        yield from news
    if event.error:
        yield block(event.error)


def _ending(state: State, live: bool) -> Lines:
    yield ""
    if live:
        yield Line(f"a process is at work on it; to read along: {typed('show', state.run, '--follow')}", fit="keep")
    elif not state.over:
        yield Line(f"the record ends here; to go on, with its flags: {typed('resume', state.run)}", fit="keep")
    elif state.outcome != "finished":
        yield Line(f"to go on, with its flags: {typed('resume', state.run)}", fit="keep")
    if how := how_answered(state):
        yield Line(how, "dim", "wrap")
    yield Line(
        f"{ending(state, 'under way' if live else 'unfinished')} · {figures(state)}",
        tone_of(state.outcome or ""),
        "wrap",
    )


def _heading(text: str) -> Line:
    return Line(text, "bold")


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
    e.ToolSettled: _at_a_time,
    e.CommandRefused: _at_a_time,
    e.OutputRejected: _output_rejected,
    e.OutputAccepted: _output_accepted,
    e.RunFinished: _run_finished,
}
