"""What a fake OpenRouter answers, and the bytes that this makes on the wire."""

import json
import threading
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct


class FakeReply(Struct, frozen=True, kw_only=True):
    """What the server answers to one request.

    A reply of the model: ``text``, ``reasoning``, ``calls`` as (name, arguments) with arguments as a dict
    or as text, ``cost`` in dollars or None, ``usage`` fields besides, ``finish`` (else what fits),
    ``piece`` characters a chunk. It is streamed with a comment line if the request asks for a stream, else
    one JSON object; ``stream`` overrules that.

    ``chunks`` replaces the streamed JSON chunks by your own, ``body`` all of the reply by bytes (a list is
    sent piece by piece); ``done`` says whether a stream ends with ``[DONE]``. ``status`` and ``error`` (its
    ``error`` object, or a message) make an HTTP error.

    ``delay`` seconds pass before each piece; ``hold`` is awaited before the piece number ``hold_at`` (from
    0; -1 is the head). With ``drop`` the connection is cut instead of ended; ``drop_at`` cuts it after so
    many pieces (-1: before the head).
    """

    text: str = ""
    reasoning: str = ""
    calls: Sequence[tuple[str, dict[str, Any] | str]] = ()
    finish: str | None = None
    cost: float | None = 0.0001
    usage: dict[str, Any] = {}
    piece: int = 8
    stream: bool | None = None
    chunks: Sequence[dict[str, Any]] | None = None
    body: bytes | Sequence[bytes] | None = None
    done: bool = True
    status: int = 200
    error: dict[str, Any] | str | None = None
    headers: dict[str, str] = {}
    delay: float = 0.0
    hold: threading.Event | None = None
    hold_at: int = 0
    drop: bool = False
    drop_at: int | None = None


def pieces_of(reply: FakeReply, request: dict[str, Any], model: str, number: int) -> tuple[str, Sequence[bytes]]:
    """The content type, and the body in the pieces in which it is sent."""
    streams = bool(request.get("stream")) if reply.stream is None else reply.stream
    if reply.body is not None:
        kind = "text/event-stream" if streams and reply.status == 200 else "application/json"
        return kind, [reply.body] if isinstance(reply.body, bytes) else reply.body
    if reply.error is not None:
        error = {"code": reply.status, "message": reply.error} if isinstance(reply.error, str) else reply.error
        return "application/json", [msgspec.json.encode({"error": error, "user_id": "user_1"})]
    base = {"id": f"gen-{number}", "created": 1, "model": model, "provider": "Fake"}
    if not streams:
        return "application/json", [msgspec.json.encode(base | _whole(reply))]
    chunks = list(_chunks(reply)) if reply.chunks is None else reply.chunks
    lines = [b"data: " + msgspec.json.encode(base | chunk) + b"\n\n" for chunk in chunks]
    return "text/event-stream", [b": OPENROUTER PROCESSING\n\n", *lines, *[b"data: [DONE]\n\n"] * reply.done]


def usage_of(reply: FakeReply) -> dict[str, Any]:
    """What the reply says that it cost, as a chat completion has it."""
    written = len(reply.text) + len(reply.reasoning) + 20 * len(reply.calls)
    usage = {"prompt_tokens": 10, "completion_tokens": written // 4 + 1, "total_tokens": written // 4 + 11}
    return usage | ({} if reply.cost is None else {"cost": reply.cost}) | reply.usage


def _calls(reply: FakeReply) -> list[dict[str, Any]]:
    return [
        {
            "index": index,
            "id": f"call_{index}",
            "type": "function",
            "function": {
                "name": name,
                "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments),
            },
        }
        for index, (name, arguments) in enumerate(reply.calls)
    ]


def _finish(reply: FakeReply) -> str:
    return reply.finish if reply.finish is not None else "tool_calls" if reply.calls else "stop"


def _whole(reply: FakeReply) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None}
    if reply.reasoning:
        message["reasoning"] = reply.reasoning
    if reply.calls:
        message["tool_calls"] = _calls(reply)
    choice = {"index": 0, "finish_reason": _finish(reply), "message": message}
    return {"object": "chat.completion", "choices": [choice], "usage": usage_of(reply)}


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    """A chunk of a stream as OpenRouter sends them, for ``FakeReply.chunks``: ``chunk("stop", content="Hello.")``."""
    choice = {"index": 0, "delta": {"role": "assistant", **delta}, "finish_reason": finish}
    return {"object": "chat.completion.chunk", "choices": [choice]}


def usage_chunk(reply: FakeReply) -> dict[str, Any]:
    """The chunk that ends a stream: no choices, and what the reply cost."""
    return {"object": "chat.completion.chunk", "choices": [], "usage": usage_of(reply)}


def _chunks(reply: FakeReply) -> Iterable[dict[str, Any]]:
    for start in range(0, len(reply.reasoning), reply.piece):
        yield chunk(content="", reasoning=reply.reasoning[start : start + reply.piece])
    for start in range(0, len(reply.text), reply.piece):
        yield chunk(content=reply.text[start : start + reply.piece])
    for call in _calls(reply):
        arguments = call["function"]["arguments"]
        yield chunk(tool_calls=[call | {"function": call["function"] | {"arguments": ""}}])
        for start in range(0, len(arguments), reply.piece):
            piece = {"arguments": arguments[start : start + reply.piece]}
            yield chunk(tool_calls=[{"index": call["index"], "function": piece}])
    yield chunk(_finish(reply), content="")
    yield usage_chunk(reply)


def bill_of(reply: FakeReply, generation: str, model: str) -> dict[str, Any]:
    """What ``GET /generation`` says of a reply."""
    usage = usage_of(reply)
    return {
        "id": generation,
        "model": model,
        "provider_name": "Fake",
        "total_cost": reply.cost or 0,
        "usage": reply.cost or 0,
        "is_byok": False,
        "upstream_inference_cost": None,
        "tokens_prompt": usage["prompt_tokens"],
        "tokens_completion": usage["completion_tokens"],
        "native_tokens_prompt": usage["prompt_tokens"],
        "native_tokens_completion": usage["completion_tokens"],
        "native_tokens_reasoning": 0,
        "native_tokens_cached": 0,
        "finish_reason": None,
        "streamed": True,
        "cancelled": False,
        "provider_responses": [{"provider_name": "Fake", "status": 200, "latency": 1}],
    }
