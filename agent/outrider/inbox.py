"""Commands from outside become events here, or are refused with a reason; at the loop's fixed points only."""

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from outrider import commands as c
from outrider import events as e
from outrider.errors import SetupError, did_you_mean
from outrider.messages import ToolMessage, UserMessage, printable, to_wire
from outrider.state import Call, CallStatus, State
from outrider.times import when
from outrider_prompts import say

if TYPE_CHECKING:
    from outrider.journal import Journal

Word = c.Answer | c.Settle
"""What a person says of a call that waits."""


def heard(
    state: State, number: int, command: c.AnyCommand, now: float, later: Sequence[c.AnyCommand] = ()
) -> e.Durable:
    """The event that takes command ``number`` into the run. ``now`` is in Unix seconds.

    ``later`` are the commands that wait behind it: of several answers to one question a refusal counts before any
    consent, and of several consents the last one.
    """
    match command:
        case c.Answer():
            if why := _misfit(state, command, now) or _replaced(state, command, now, later):
                return e.CommandRefused(number, why)
            said = command
            return e.ApprovalGiven(said.call, said.question, said.allowed, said.by, said.edited, said.reason, number)
        case c.Settle():
            return _settle(state, number, command)
        case c.Say():
            return e.MessageAdded(to_wire(UserMessage(command.text)), command.by, command=number)
        case c.Cancel():
            return e.StopAsked(command.by, number)
        case c.Unreadable():
            return e.CommandRefused(number, command.why)


def answer_to(
    state: State, call_id: str, allowed: bool, edited: dict[str, Any] | None, reason: str, by: str
) -> c.Answer:
    """The answer to a question of this run, bound to it. Raises SetupError when the call does not wait for one."""
    call = _that_waits(state, call_id, "asked", "Waiting", "waits for an approval")
    arguments = call.arguments or e.NOTHING
    new = Raw(msgspec.json.encode(edited)) if edited is not None else e.NOTHING
    return c.Answer(by, call.call.id, call.call.name, arguments, call.question, allowed, new, reason)


def word_on(state: State, call_id: str, result: str | None, by: str) -> c.Settle:
    """The word on what became of a call of this run. Raises SetupError when it is not in doubt."""
    call = _that_waits(state, call_id, "doubt", "In doubt", "is in doubt")
    return c.Settle(by, call.call.id, call.question, result)


async def leave(journal: "Journal", state: State, word: Word) -> Word | None:
    """Leave a person's word for the owner of this run; returns the one that waited and is replaced, or None.

    A refusal replaces a consent, and a consent one with other arguments; one that repeats is not left twice.
    Raises SetupError for a word that contradicts: it would come to nothing.
    """
    pending = [command for _, command in await journal.pending(state.run)]
    word = replace(word, at=time.time())
    before = _before(state, word, pending, time.time())
    if before and _repeats(word, before):
        return None
    if before and not (isinstance(before, c.Answer) and before.allowed):
        hint = f"That counts when run {state.run} goes on, and cannot be taken back."
        since = f" ({when(before.at)})" if before.at else ""
        raise SetupError(f"{before.by} has said already: {in_words(before)}{since}", hint)
    await journal.tell(state.run, word)
    return before


def in_words(word: Word) -> str:
    """What a person says of a call, in few words."""
    match word:
        case c.Settle(result=None):
            return "run it again"
        case c.Settle():
            return "it had a result"
        case c.Answer(allowed=False):
            return f"deny: {word.reason}" if word.reason else "deny"
        case c.Answer():
            return "allow, with other arguments" if word.edited else "allow"


def _before(state: State, word: Word, pending: Iterable[c.AnyCommand], now: float) -> Word | None:
    """Of the words that wait on the same question the one that counts: as ``heard`` has it."""
    words = [
        each
        for each in pending
        if isinstance(each, c.Answer | c.Settle) and (each.call, each.question) == (word.call, word.question)
        if not (isinstance(each, c.Answer) and _misfit(state, each, now))
    ]
    consents = [each for each in words if isinstance(each, c.Answer) and each.allowed]
    others = [each for each in words if each not in consents]
    return others[0] if others else consents[-1] if consents else None


def _repeats(word: Word, before: Word) -> bool:
    if isinstance(word, c.Answer) and isinstance(before, c.Answer) and not word.allowed:
        return not before.allowed and word.reason in ("", before.reason)  # the reason that counts is the first one's
    return replace(word, by=before.by, at=before.at) == before


def _that_waits(state: State, call_id: str, status: CallStatus, heading: str, how: str) -> Call:
    call = state.calls.get(call_id) or state.calls.get(f"{state.run}:{call_id}")
    if call is None or call.status != status:
        such = [each.call.id for each in state.calls.values() if each.status == status]
        hint = did_you_mean(call_id, such) or f"{heading}: {', '.join(such) or 'none'}."
        raise SetupError(f"run {state.run} has no call {call_id} that {how}", hint)
    return call


def _misfit(state: State, answer: c.Answer, now: float) -> str:
    """Why the answer is to no question that is open; an empty text when it is."""
    call = state.calls.get(answer.call)
    if call is None or call.status != "asked":
        return f"call {answer.call} does not wait for an approval"
    if call.question != answer.question:
        return f"the answer is to question {answer.question}, not to {call.question}"
    if call.call.name != answer.tool or call.arguments != answer.arguments:
        return "the answer names another tool or other arguments than the question"
    if answer.expires is not None and now > answer.expires:
        return "the answer has expired"
    return ""


def _replaced(state: State, answer: c.Answer, now: float, later: Sequence[c.AnyCommand]) -> str:
    for other in later if answer.allowed else ():
        if isinstance(other, c.Answer) and other.call == answer.call and not _misfit(state, other, now):
            return f"a later answer {'allows' if other.allowed else 'denies'} call {answer.call}"
    return ""


def _settle(state: State, number: int, command: c.Settle) -> e.Durable:
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
