"""A run as lines, for a terminal or a log file: one permanent line for each thing worth knowing."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, cast

import msgspec

from outrider import events as e
from outrider.messages import ToolMessage, Usage, from_wire
from outrider.observe.line import Line, toned
from outrider.state import Call, State
from outrider.telling import counted, dollars, typed, why_paused

MOST = 100
"""Characters that a plain line shows of arguments, results and texts."""


def lines(entry: e.Entry, before: State) -> list[str]:
    """What to print for an entry, in plain text; often nothing. ``before`` is the state without it."""
    return [line.text for line in told(entry, before)]


def told(entry: e.Entry, before: State, most: int = MOST) -> list[Line]:
    """The same with colour and fit. ``most`` characters are shown of arguments and results."""
    say = _LINES.get(type(entry.event))
    return list(toned(say(entry.event, before, most), "cut")) if say else []


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
    """What the model called, by the call's id; "look #2" of a reply that calls it more than once."""
    known = state.calls.get(call)
    if known is None:
        return call
    alike = [each.call.id for each in state.calls.values() if each.call.name == known.call.name]
    return known.call.name if len(alike) == 1 else f"{known.call.name} #{alike.index(call) + 1}"


def is_question(event: e.Durable) -> bool:
    """Whether it says that a person has to answer, which is not said twice to one who is asked on the spot."""
    paused = isinstance(event, e.RunPaused) and event.reason in ("approval", "doubt")
    return paused or isinstance(event, e.ApprovalAsked)


def how_to_answer(state: State) -> list[str]:
    """The commands to choose from for each call that waits for a person."""
    return [command for call in state.owed_calls() if call.waiting for command in answers_to(call, state.run)]


def answers_to(call: Call, run: str) -> list[str]:
    """The commands to choose from for a call of this run that waits for a person."""
    doubt = call.status == "doubt"
    words = (("--again",), ("--result", "TEXT")) if doubt else ((), ("--deny", "REASON"))
    return [typed("approve", run, call.call.id, *word) for word in words]


def price(billed: str, usage: Usage) -> str:
    """What a request that came to nothing cost."""
    return {"no": "not billed", "unknown": "may have been billed"}.get(billed, dollars(usage.cost))


Lines = Iterable[Line | str]
_wrapped = partial(Line, fit="wrap")
_kept = partial(Line, fit="keep")


def _run_started(event: e.RunStarted, before: State, most: int) -> Lines:
    yield Line(f"run {event.run} · {event.model}", "dim")


def _run_resumed(event: e.RunResumed, before: State, most: int) -> Lines:
    yield Line(f"run {before.run} goes on · {before.model}", "dim")
    yield from (_wrapped(f"  changed: {change}", "warn") for change in event.changed)


def _run_paused(event: e.RunPaused, before: State, most: int) -> Lines:
    outcome = "interrupted" if event.reason == "interrupted" else "paused"
    yield _wrapped(f"{outcome}: {why_paused(before, event.reason)}", "warn")
    yield from (_kept(f"  {command}") for command in how_to_answer(before))


def _run_finished(event: e.RunFinished, before: State, most: int) -> Lines:
    if event.outcome != "finished" and event.detail != before.detail:  # otherwise the line before has said it
        yield _wrapped(f"{event.outcome}: {short(event.detail, 400)}", "bad")


def _message_added(event: e.MessageAdded, before: State, most: int) -> Lines:
    yield f"a message from {event.by}"


def _request_sent(event: e.RequestSent, before: State, most: int) -> Lines:
    beside = ", with the form of the answer" if event.rung else ""
    form = ", for the answer in its form" if event.phase == "answer" else beside
    form = ", for a last answer" if before.landing else form
    yield Line(f"request {event.number}: {counted(event.messages, 'message')}{form}", "dim")
    if event.held:
        yield _wrapped(f"  its answer is held to {event.held} tokens: the money left pays no longer one", "warn")


def _request_failed(event: e.RequestFailed, before: State, most: int) -> Lines:
    told = f"{event.reason} {event.status}" if event.status else event.reason
    retry = event.then == "retry"
    if not (retry and before.failures and event.message == before.trouble):  # a retry that fails alike is told in short
        told = f"{told}: {short(event.message, 400)}"
    how = ", ".join([*_detour(event.detour), *([f"in {event.delay:.1f} s"] if event.delay else [])])
    if retry and how:
        told = f"{told.removesuffix('.')}; again {how}"
    cost = price(event.billed, event.usage)
    yield _wrapped(f"request {event.number} failed: {told} · {cost}", "warn" if retry else "bad")
    if event.then == "stop" and event.hint:
        yield _kept(f"  {event.hint}")


def _detour(detour: e.Detour) -> Iterator[str]:
    """What the next attempt does differently."""
    if detour.model:
        yield f"with {detour.model}"
    if detour.avoid:
        yield f"without {', '.join(detour.avoid)}"
    if detour.plain:
        yield "without thinking"
    if detour.think:
        yield "with thinking"
    if detour.loose:
        yield "of any provider"
    if detour.lower:
        yield "for the answer in another form"


def _replied(event: e.Replied, before: State, most: int) -> Lines:
    odd = "" if event.finish in ("stop", "tool_calls") else f" · ended by {event.finish}"
    used = counted(event.usage.tokens, "token")
    if event.provider == "local" and not event.usage.tokens:  # one possibility was left
        used = "by rule, without asking the model"
    yield Line(f"  {used} · {dollars(event.usage.cost)}{odd}", "warn" if odd else "dim")
    yield from (_wrapped(f"  put right: {repair}", "warn") for repair in event.repairs)


def _tool_started(event: e.ToolStarted, before: State, most: int) -> Lines:
    for intent in event.calls:
        again = f", attempt {intent.attempt}" if intent.attempt > 1 else ""
        yield f"  {call_text(intent.tool, bytes(intent.arguments), most)}{again}"


def _tool_finished(event: e.ToolFinished, before: State, most: int) -> Lines:
    how = ("" if event.ok else " failed") + (" late" if event.late else "")
    cut = f" ({event.cut} characters cut)" if event.cut else ""
    text = f"  {call_name(event.call, before)}{how} -> {short(result_text(event.wire), most)}{cut}"
    yield Line(text, "plain" if event.ok else "bad")
    error, said = event.error.strip().rpartition("\n")[2], result_text(event.wire)
    if not event.ok and error and said not in error and error not in said:
        yield Line(f"    {short(error, most)}", "bad")


def _tool_in_doubt(event: e.ToolInDoubt, before: State, most: int) -> Lines:
    then = "it runs again" if event.then == "again" else "a person must say what became of it"
    yield _wrapped(f"  {call_name(event.call, before)} in doubt ({event.why}): {then}", "warn")


def _tool_settled(event: e.ToolSettled, before: State, most: int) -> Lines:
    said = "run it again" if event.how == "again" else f"its result is {short(result_text(event.wire), most)}"
    yield f"  {call_name(event.call, before)} settled by {event.by}: {said}"


def _approval_asked(event: e.ApprovalAsked, before: State, most: int) -> Lines:
    call = call_text(event.tool, bytes(event.arguments), most)
    yield _wrapped(f"  {call} waits for consent: {event.why}", "warn")


def _approval_given(event: e.ApprovalGiven, before: State, most: int) -> Lines:
    said = "allowed" if event.allowed else "denied"
    edited = ", with other arguments" if event.arguments else ""
    reason = f": {short(event.reason, most)}" if event.reason else ""
    yield f"  {call_name(event.call, before)} {said} by {event.by}{edited}{reason}"


def _output_rejected(event: e.OutputRejected, before: State, most: int) -> Lines:
    if before.phase == "work" and not (event.outcome or event.check):
        return  # no mistake: the next request asks for the answer in its form
    cost = f" · that reply: {dollars(before.last_reply.usage.cost)}" if before.last_reply else ""
    by = f" by the check {event.check}" if event.check else ""
    yield _wrapped(f"  answer rejected{by}: {short('; '.join(event.problems), 400)}{cost}", "warn")


def _output_accepted(event: e.OutputAccepted, before: State, most: int) -> Lines:
    if event.repairs:
        yield _wrapped(f"  put right in the answer: {'; '.join(event.repairs)} · no further request", "warn")


def _answer_form(event: e.AnswerForm, before: State, most: int) -> Lines:
    if event.model:
        yield _wrapped(f"  {event.model} is asked for the answer now: {event.why}", "warn")
    elif event.apart or event.heal:
        yield _wrapped(f"  {event.why}", "warn")
    elif not before.tries:  # nothing has failed
        yield _wrapped(f"  the answer is asked for by {event.rung}: {event.why}", "dim")
    else:
        yield _wrapped(f"  the answer is asked for in another way now, {event.rung}: {event.why}", "warn")


def _loop_steered(event: e.LoopSteered, before: State, most: int) -> Lines:
    yield _wrapped(f"  {event.rounds} rounds of calls brought nothing new: the model is told", "warn")


def _limit_reached(event: e.LimitReached, before: State, most: int) -> Lines:
    more = f", and the next request may cost {event.needed}" if event.needed else ""
    last = "; the model is asked for its answer as it stands" if event.wire else ""
    if not before.landing:  # else that has been said
        yield _wrapped(f"limit {event.limit} reached: {event.used} of {event.allowed}{more}{last}", "warn")


def _cost_settled(event: e.CostSettled, before: State, most: int) -> Lines:
    yield f"request {event.number} cost {dollars(event.cost)}, as its bill says"


def _bill_above(event: e.BillAbove, before: State, most: int) -> Lines:
    reckoned = f"{dollars(event.billed)}, reckoned at most {dollars(event.reserved)}"
    yield _wrapped(f"  request {event.number} cost {reckoned}: for those to come more is put aside", "warn")


def _stop_asked(event: e.StopAsked, before: State, most: int) -> Lines:
    yield Line(f"{event.by} asked the run to stop", "warn")


def _command_refused(event: e.CommandRefused, before: State, most: int) -> Lines:
    yield _wrapped(f"command refused: {event.why}", "warn")


def _reader_failed(event: e.ReaderFailed, before: State, most: int) -> Lines:
    yield _wrapped(f"reader {event.reader} failed: {short(event.error, 400)}", "warn")


def _journal_waited(event: e.JournalWaited, before: State, most: int) -> Lines:
    why = short(event.why, 200) or "another process kept it locked, or the disk is slow"
    yield _wrapped(f"the record could not be written for {event.seconds:.1f} s: {why}", "warn")


_LINES: dict[type, Callable[[Any, State, int], Lines]] = {
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
    e.StopAsked: _stop_asked,
    e.CommandRefused: _command_refused,
    e.OutputAccepted: _output_accepted,
    e.OutputRejected: _output_rejected,
    e.AnswerForm: _answer_form,
    e.LoopSteered: _loop_steered,
    e.LimitReached: _limit_reached,
    e.CostSettled: _cost_settled,
    e.BillAbove: _bill_above,
    e.ReaderFailed: _reader_failed,
    e.JournalWaited: _journal_waited,
}
