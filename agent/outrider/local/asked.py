"""What a request asks for, in a small model's terms: a task, what tools said to it, what may come next."""

from typing import Any, cast

import msgspec
from msgspec import Raw, Struct

from outrider.limits import LANDS
from outrider.messages import AssistantMessage, Message, ToolMessage, UserMessage, from_wire
from outrider.model import Request
from outrider_prompts import say

TASK_CHARACTERS = 4000
RESULT_CHARACTERS = 1200
"""What is shown of a task and of a result; the small model's window is 4096 tokens."""

Schema = dict[str, Any]


class Done(Struct, frozen=True):
    """A call the model made for this task, and its result."""

    tool: str
    arguments: str
    result: str


class Offered(Struct, frozen=True):
    """A tool the model may call."""

    name: str
    description: str = ""
    parameters: Schema = {}


class Asked(Struct, frozen=True):
    """What a request asks for. ``schema`` is that of the answer, None for plain text."""

    task: str
    done: tuple[Done, ...]
    calls: int
    """How many calls the whole conversation holds."""
    tools: tuple[Offered, ...]
    schema: Schema | None
    lines: str = ""
    """The task as it was given: where a line ends, a name does."""


class _Function(Struct):
    function: Offered


class _JsonSchema(Struct):
    schema: Schema


class _Format(Struct):
    type: str
    json_schema: _JsonSchema | None = None


_tools: msgspec.json.Decoder[tuple[_Function, ...]] = msgspec.json.Decoder(tuple[_Function, ...])
_format: msgspec.json.Decoder[_Format] = msgspec.json.Decoder(_Format)


def read(request: Request) -> Asked:
    """What this request asks for."""
    messages = [from_wire(wire) for wire in request.messages]
    start = _start(messages)
    made = [call for m in messages if isinstance(m, AssistantMessage) for call in m.tool_calls or ()]
    results = {m.tool_call_id: m.content for m in messages[start:] if isinstance(m, ToolMessage)}
    done = tuple(
        Done(call.function.name, call.function.arguments, one_line(results[call.id], RESULT_CHARACTERS))
        for m in messages[start:]
        if isinstance(m, AssistantMessage)
        for call in m.tool_calls or ()
        if call.id in results
    )
    lines = _text(messages, start)
    task, tools = one_line(lines, TASK_CHARACTERS), offered(request.ask.tools)
    return Asked(task, done, len(made), tools, _schema(request.ask.format), lines[:TASK_CHARACTERS])


def arguments(done: Done) -> dict[str, Any]:
    """The arguments of a call; none when they are not a JSON object."""
    try:
        return msgspec.json.decode(done.arguments, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}


def offered(tools: Raw | None) -> tuple[Offered, ...]:
    """The tools of a request."""
    return tuple(tool.function for tool in _tools.decode(tools)) if tools else ()


def one_line(text: str, limit: int) -> str:
    """The text with its white space melted, at most ``limit`` characters."""
    return " ".join(text.split())[:limit]


def _schema(form: Raw | None) -> Schema | None:
    if form is None:
        return None
    wanted = _format.decode(form).json_schema
    return wanted.schema if wanted else {"type": "object"}


def _start(messages: list[Message]) -> int:
    """Where the present task begins: the last user message that is not the framework's own reminder."""
    reminders = _reminders()
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if isinstance(message, UserMessage) and not _content(message).startswith(reminders):
            return index
    return 0


def _text(messages: list[Message], start: int) -> str:
    message = messages[start] if messages else None
    return _content(message) if isinstance(message, UserMessage) else ""


def _content(message: UserMessage) -> str:
    if isinstance(message.content, str):
        return message.content
    parts = cast("list[dict[str, Any]]", message.content)
    return "\n".join(str(part["text"]) for part in parts if part.get("type") == "text")


def _reminders() -> tuple[str, ...]:
    """How the messages begin that Outrider itself adds: when an answer does not fit, and after a limit."""
    said = (
        say("answer_now", schema=""),
        say("answer_rejected", problems=(), schema=""),
        say("answer_checked", check="", reason=""),
        say("answer_truncated"),
        say("answer_refused"),
        say("go_on"),
        *(say("answer_at_limit", why=why, schema="") for why in LANDS.values()),
    )
    return tuple(text.splitlines()[0] for text in said)
