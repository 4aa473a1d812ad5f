"""Tool calls that are there, in an unusual form."""

import json
from collections.abc import Sequence
from typing import Any

from outrider.testing.faults.parts import usage
from outrider.testing.reply import FakeReply, chunk


def call_in_one_chunk(name: str, arguments: dict[str, Any]) -> FakeReply:
    """All of a call in one chunk."""
    return _calling([_piece(name, json.dumps(arguments))])


def call_without_index(name: str, arguments: dict[str, Any]) -> FakeReply:
    """The pieces of a call do not say which call they belong to."""
    head, *rest = _pieces(name, arguments)
    return _calling([head | {"index": None}], *([{"function": piece["function"]}] for piece in rest))


def call_without_id(name: str, arguments: dict[str, Any], id: str | None = None) -> FakeReply:
    """A call whose id is null, or empty."""
    return _calling(*([piece | {"id": id}] for piece in _pieces(name, arguments)))


def call_repeats_itself(name: str, arguments: dict[str, Any]) -> FakeReply:
    """Every piece of a call repeats its id, type and name."""
    again = {"id": "call_1", "type": "function"}
    named = [piece | again | {"function": piece["function"] | {"name": name}} for piece in _pieces(name, arguments)]
    return _calling(*([piece] for piece in named))


def call_then_blanks(name: str, arguments: dict[str, Any]) -> FakeReply:
    """Blank pieces of arguments after a call is complete."""
    return _calling([_piece(name, json.dumps(arguments))], *[[{"index": 0, "function": {"arguments": " "}}]] * 3)


def call_with_object(name: str, arguments: dict[str, Any]) -> FakeReply:
    """The arguments are a JSON object and not a text."""
    return _calling([_piece(name, arguments)])


def call_encoded_twice(name: str, arguments: dict[str, Any]) -> FakeReply:
    """The arguments are a JSON text that holds a JSON text."""
    return FakeReply(calls=[(name, json.dumps(json.dumps(arguments)))])


def call_finished_as_stop(name: str, arguments: dict[str, Any]) -> FakeReply:
    """A call whose finish reason is "stop"."""
    return FakeReply(calls=[(name, arguments)], finish="stop")


def call_hermes(name: str, arguments: dict[str, Any], where: str = "content") -> FakeReply:
    """A call as text, in Qwen's own format; ``where`` is "content" or "reasoning"."""
    text = f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"
    return FakeReply(text=text) if where == "content" else FakeReply(reasoning=text)


def call_xml(name: str, arguments: dict[str, Any], opened: bool = True) -> FakeReply:
    """A call as text, in the XML of Qwen3-Coder; the tag around it may not have been opened."""
    values = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in arguments.items())
    inner = f"<function={name}>\n{values}</function>\n</tool_call>"
    return FakeReply(text=f"<tool_call>\n{inner}" if opened else inner)


def call_almost_named(name: str, arguments: dict[str, Any]) -> FakeReply:
    """A call whose name is written a little differently."""
    return FakeReply(calls=[(f"functions.{name.upper().replace('_', '-')}", arguments)])


def calls_with_one_id(*calls: tuple[str, dict[str, Any]], id: str | None = "call_1") -> FakeReply:
    """Several calls at once that all have the same id, or none."""
    pieces = [_piece(name, json.dumps(arguments), index) | {"id": id} for index, (name, arguments) in enumerate(calls)]
    return _calling(pieces)


def _piece(name: str, arguments: Any, index: int = 0) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"index": index, "id": f"call_{index + 1}", "type": "function", "function": function}


def _pieces(name: str, arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """A call in three pieces: its name, then its arguments in two."""
    text = json.dumps(arguments)
    rest = [{"index": 0, "function": {"arguments": part}} for part in (text[: len(text) // 2], text[len(text) // 2 :])]
    return [_piece(name, ""), *rest]


def _calling(*deltas: Sequence[dict[str, Any]]) -> FakeReply:
    chunks = [chunk(tool_calls=list(calls)) for calls in deltas]
    return FakeReply(chunks=[*chunks, chunk("tool_calls", content=""), usage()])
