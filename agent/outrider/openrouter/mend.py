"""What small models and their providers get wrong in replies, put right where only one reading is possible.

Nothing is made up: thinking goes where thinking belongs, a call written as text becomes a call, arguments are
unpacked, a name is read as the one tool it can mean. What is doubtful stays as it came.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, cast

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace

from outrider.messages import AssistantMessage, WireCall, WireFunction, thoughts
from outrider.openrouter.leaked import MOST, Leaked, Offered, leaked, name_on_offer

OPEN, CLOSE = "<think>", "</think>"
_CUT = ("length", "content_filter", "error", "")
"""Ends of replies that may lack something: no call is read out of them."""

_CLOSED_ALONE = re.compile(r"(?:^[ \t]*|(?<=[.!?…)\]。]))</think>[ \t]*(?:\n|\Z)", re.MULTILINE)
"""A closing tag as a thought has it, at its end; in "the tag </think> closes" it is spoken of."""


class Mended(Struct, frozen=True):
    """A reply as it is taken: its message, why it ended, and what was put right, a sentence each."""

    message: AssistantMessage
    finish: str
    repairs: tuple[str, ...] = ()


def mend(
    message: AssistantMessage, finish: str, offered: Offered | None = None, number: int = 1, plain: bool = False
) -> Mended:
    """The reply with what can be put right put right.

    ``offered`` are the tools that were on offer, ``number`` that of the request, for the ids of calls found in a
    text. ``plain``: the model was asked not to think, so that where only thinking came it is the answer.
    """
    told: list[str] = []
    message = _without_tags(message, finish, told)
    if offered:
        if message.tool_calls is UNSET and finish not in _CUT:
            found = _with_leaked(message, offered, number, told)
            if found is not message:
                message, finish = _without_tags(found, finish, told), "tool_calls"
        message = _with_names(message, offered, told)
    if finish not in _CUT:
        message = _with_arguments(message, told)
    if plain and (thought := only_thoughts(message, finish)):
        told.append("no text came although thinking was off: what came as thinking was taken as the answer")
        message = AssistantMessage(thought)
    return Mended(message, finish, tuple(dict.fromkeys(told)))


def only_thoughts(message: AssistantMessage, finish: str) -> str:
    """The thinking of a reply that came to its end with nothing else, else ""."""
    if finish != "stop" or message.tool_calls is not UNSET or (message.content or "").strip():
        return ""
    return thoughts(message).strip()


# ------------------------------------------------------------------------------------------------ thinking


def _without_tags(message: AssistantMessage, finish: str, told: list[str]) -> AssistantMessage:
    """The message with its thinking out of the text."""
    text = message.content or ""
    if OPEN not in text and CLOSE not in text:
        return message
    found, thought = list[str](), bool(thoughts(message).strip())
    for _ in range(MOST):
        if (split := _split(text, finish, thought or bool(found))) is None:
            break
        inner, text = split
        found += [inner.strip("\n")] if inner.strip() else []
        told.append("thinking stood in the text between tags: it was taken out")
    if text == (message.content or ""):
        return message
    message = replace(message, content=text or (None if message.tool_calls is not UNSET else ""))
    if found:
        known = [message.reasoning] if message.reasoning is not UNSET and message.reasoning else []
        message = replace(message, reasoning="\n".join(known + found))
    return message


def _split(text: str, finish: str, thought: bool) -> tuple[str, str] | None:
    """The thought at the beginning of a text, and the rest; None when there is none, or it is doubtful.

    ``thought``: some thinking is known already, so that a closing tag without an opening one ends nothing.
    """
    start = text.lstrip()
    if start.startswith(OPEN):
        inner, closed, rest = start[len(OPEN) :].partition(CLOSE)
        if closed:
            return inner, rest.lstrip()
        return (inner, "") if finish == "length" or inner.startswith("\n") else None
    end = _CLOSED_ALONE.search(text) if CLOSE in text and not start.startswith(("{", "[")) else None
    if end is None:
        return None
    inner = text[: text.index(CLOSE)]
    sure = end.start() <= len(inner) < end.end() and OPEN not in text and text.count(CLOSE) == 1
    if inner.strip() and (thought or not sure or _in_code(inner)):
        return None
    return inner, text[len(inner) + len(CLOSE) :].lstrip()


def _in_code(before: str) -> bool:
    """Whether what follows this text may stand in a code block or in backticks."""
    return before.count("`") % 2 == 1 or before.count("~~~") % 2 == 1


# --------------------------------------------------------------------------------------------------- calls


@lru_cache(maxsize=64)
def offered_in(tools: bytes) -> Offered:
    """The function tools in a request's JSON array of tools: their names, with the schemas of their parameters."""
    offer = dict[str, dict[str, Any]]()
    for tool in msgspec.json.decode(tools):
        function: dict[str, Any] = tool.get("function") or {}
        parameters: dict[str, Any] = function.get("parameters") or {}
        properties = parameters.get("properties")
        if name := function.get("name"):
            offer[name] = cast("dict[str, Any]", properties) if isinstance(properties, dict) else {}
    return offer


def _with_leaked(message: AssistantMessage, offered: Offered, number: int, told: list[str]) -> AssistantMessage:
    """The message with the calls that stand in its text; in its thinking only where it has no text and ends so."""
    text = message.content or ""
    calls = leaked(text, offered)
    if calls:
        text = "".join(_outside(text, calls)).strip()
    elif not text.strip():
        thought = thoughts(message).rstrip()
        calls = leaked(thought, offered)
        calls = calls if calls and calls[-1].end == len(thought) else []
    if not calls:
        return message
    told += (f"a call of {call.name} was written as text: it was taken for a call" for call in calls)
    wire = tuple(
        WireCall(f"call_{number}_{place}", WireFunction(call.name, call.arguments)) for place, call in enumerate(calls)
    )
    return replace(message, content=text or None, tool_calls=wire)


def _outside(text: str, calls: list[Leaked]) -> Iterator[str]:
    place = 0
    for call in calls:
        yield text[place : call.begin]
        place = call.end
    yield text[place:]


def _with_names(message: AssistantMessage, offered: Offered, told: list[str]) -> AssistantMessage:
    if message.tool_calls is UNSET or all(call.function.name in offered for call in message.tool_calls):
        return message
    calls = list[WireCall]()
    for call in message.tool_calls:
        asked = call.function.name
        name = name_on_offer(asked, offered) or asked
        if name != asked:
            told.append(f"a call of {asked!r} was taken for one of {name}")
        calls.append(replace(call, function=replace(call.function, name=name)))
    return replace(message, tool_calls=tuple(calls))


def _with_arguments(message: AssistantMessage, told: list[str]) -> AssistantMessage:
    if message.tool_calls is UNSET or all(call.function.arguments.startswith("{") for call in message.tool_calls):
        return message
    calls = list[WireCall]()
    for call in message.tool_calls:
        given = call.function.arguments
        arguments = _unpacked(given)
        if arguments != given:
            told.append(f"the arguments of {call.function.name} were {_packed(given)}")
        calls.append(replace(call, function=replace(call.function, arguments=arguments)))
    return replace(message, tool_calls=tuple(calls))


def _packed(given: str) -> str:
    return "null: that was taken for none" if given.strip() == "null" else "JSON in a text: they were unpacked"


def _unpacked(arguments: str) -> str:
    """The object inside a text inside a text; "{}" for nothing; else what was given."""
    inner: Any = arguments.strip()
    try:
        while isinstance(inner, str):
            if inner.strip() in ("", "null"):
                return "{}"
            if inner.lstrip().startswith("{"):
                msgspec.json.decode(inner)
                return arguments if inner == arguments.strip() else inner
            inner = msgspec.json.decode(inner)
    except (msgspec.DecodeError, RecursionError):
        pass
    return arguments
