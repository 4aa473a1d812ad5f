"""What the streams and bodies of the faults are made of."""

from collections.abc import Sequence
from typing import Any

import msgspec

from outrider.testing.reply import FakeReply, chunk, usage_chunk

DONE = b"data: [DONE]\n\n"


def event(payload: dict[str, Any]) -> bytes:
    """A chunk as an event on the wire."""
    base = {"id": "gen-1", "model": "qwen/qwen3-14b-04-28", "provider": "Fake"}
    return b"data: " + msgspec.json.encode(base | payload) + b"\n\n"


def whole(body: dict[str, Any], cut: int = 0, padding: Sequence[bytes] = ()) -> FakeReply:
    """One JSON object, less the last ``cut`` bytes, after some padding."""
    text = msgspec.json.encode(body | {"usage": usage()["usage"]})
    return FakeReply(body=[*padding, text[: len(text) - cut]], headers={"Content-Type": "application/json"})


def usage() -> dict[str, Any]:
    """The chunk with the usage."""
    return usage_chunk(FakeReply())


def saying(text: str) -> list[dict[str, Any]]:
    """The chunks of a good reply."""
    return [chunk(content=text), chunk("stop", content=""), usage()]
