"""Twenty bodies in the shapes in which replies come, for tests that cut and damage them."""

import json
from collections.abc import Sequence
from typing import Any

from replies_gone_wrong import HERMES, PARIS

COMMENT = ": OPENROUTER PROCESSING"


def chunk(finish: str | None = None, usage: dict[str, Any] | None = None, **delta: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "gen-1", "choices": [choice]} | ({} if usage is None else {"usage": usage})


def usage(**fields: Any) -> dict[str, Any]:
    told = {"prompt_tokens": 9, "completion_tokens": 4, "cost": 0.0001} | fields
    return {"id": "gen-1", "provider": "DeepInfra", "model": "qwen/qwen3-14b-04-28", "choices": [], "usage": told}


def sse(*events: dict[str, Any] | str, end: str = "\n", done: bool = True) -> bytes:
    lines = [each if isinstance(each, str) else f"data: {json.dumps(each, ensure_ascii=False)}" for each in events]
    return "".join(f"{line}{end}{end}" for line in (*lines, *["data: [DONE]"] * done)).encode()


def whole(finish: str = "stop", **message: Any) -> bytes:
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", **message}}
    return json.dumps({"id": "gen-1", "choices": [choice], "usage": {"cost": 0.1}}, ensure_ascii=False).encode()


def call(index: int | None = 0, id: str | None = None, name: str | None = None, text: Any = None) -> dict[str, Any]:
    fields = {"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": text}}
    return {key: value for key, value in fields.items() if value is not None}


def pieces(text: str, size: int = 5) -> list[str]:
    return [text[place : place + size] for place in range(0, len(text), size)]


def said(text: str, size: int = 9) -> list[dict[str, Any]]:
    return [chunk(content=piece) for piece in pieces(text, size)]


def thought(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "reasoning.text", "text": text, "format": "unknown", "index": 0} | more


def calls(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [chunk(tool_calls=[part]) for part in parts]


STREAMS: Sequence[tuple[str, bytes]] = (
    ("words", sse(COMMENT, *said("Hello, you there!"), chunk("stop", content=""), usage())),
    ("words in many tongues", sse(*said("Grüße, 世界 🌍!", 3), chunk("stop"), usage(), end="\r\n")),
    (
        "role and empty text on each chunk",
        sse(
            *(chunk(role="assistant", content=piece) for piece in pieces("Fine. Yes.")),
            chunk("stop", role="assistant", content=""),
            usage(),
        ),
    ),
    (
        "thinking, twice told",
        sse(
            *(
                chunk(content="", reasoning=piece, reasoning_details=[thought(piece)])
                for piece in pieces("Let me see", 6)
            ),
            *said("42 it is."),
            chunk("stop"),
            usage(),
        ),
    ),
    (
        "thinking with a late signature",
        sse(
            chunk(reasoning_details=[thought("Hm", format="anthropic-claude-v1")]),
            *said("Yes."),
            chunk(reasoning_details=[{"type": "reasoning.text", "signature": "c2ln", "index": 0}]),
            chunk("stop"),
            usage(),
        ),
    ),
    (
        "encrypted thinking",
        sse(
            chunk(reasoning_details=[{"type": "reasoning.encrypted", "data": "eA==", "id": "r1", "index": 0}]),
            *said("Yes."),
            chunk("stop"),
            usage(),
        ),
    ),
    (
        "a call in pieces",
        sse(
            *calls(call(0, "c1", "get_weather", ""), *(call(0, text=piece) for piece in pieces(PARIS))),
            chunk("tool_calls", content=""),
            usage(),
        ),
    ),
    (
        "two calls, whole",
        sse(*calls(call(0, "c1", "get_weather", PARIS), call(1, "c2", "now", "")), chunk("tool_calls"), usage()),
    ),
    (
        "calls without index",
        sse(
            *calls(call(None, "c1", "get_weather", PARIS), call(None, "c2", "now", "{}")), chunk("tool_calls"), usage()
        ),
    ),
    (
        "a call with its arguments as an object",
        sse(*calls(call(0, "", "get_weather", {"city": "Paris"})), chunk("tool_calls"), usage()),
    ),
    (
        "words and a call",
        sse(
            COMMENT,
            *said("I look."),
            COMMENT,
            *calls(call(0, "c1", "now", "{}"), call(0, text=" ")),
            chunk("tool_calls"),
            usage(),
        ),
    ),
    ("thinking between tags", sse(*said("<think>\nHm, well.\n</think>\n\nIt is 42."), chunk("stop"), usage())),
    ("a call in the text", sse(*said(f"I look.\n{HERMES}", 14), chunk("stop"), usage())),
    (
        "a bill with the last words",
        sse(
            {"id": "gen-1", "choices": [], "debug": {"echo_upstream_body": {"model": "x"}}},
            *said("Good day."),
            chunk("stop", usage={"cost": 0.1}),
        ),
    ),
    ("without an end", sse(*said("Good day."), chunk("stop"), usage(), done=False)),
    ("cut at the length", sse(*said("Once upon a"), chunk("length"), usage())),
    ("declined", sse(chunk(content="", refusal="I will not."), chunk("stop"), usage())),
    (
        "broken off with an error",
        sse(*said("Good d"), chunk("error", content="") | {"error": {"code": 502, "message": "provider lost"}}),
    ),
    ("one JSON object", b"\n   \n" + whole(content="Grüße", reasoning="Hm")),
    ("one JSON object with calls", whole("tool_calls", content=None, tool_calls=[call(0, "c1", "get_weather", PARIS)])),
)
