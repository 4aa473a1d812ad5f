"""Answers that are there, in an unusual form."""

from typing import Any

from outrider.testing.faults.parts import DONE, event, saying, usage, whole
from outrider.testing.reply import FakeReply, chunk


def json_instead_of_stream(text: str = "Hello.") -> FakeReply:
    """One JSON object although a stream was asked for."""
    return FakeReply(text=text, stream=False)


def stream_instead_of_json(text: str = "Hello.") -> FakeReply:
    """A stream although none was asked for."""
    return FakeReply(text=text, stream=True)


def padded_json(text: str = "Hello.") -> FakeReply:
    """One JSON object after much white space, sent to keep the connection open."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return whole({"id": "gen-1", "choices": [choice]}, padding=[b"   \n"] * 5)


def no_done(text: str = "Hello.") -> FakeReply:
    """A whole stream that ends without ``[DONE]``."""
    return FakeReply(text=text, done=False)


def usage_with_choice(text: str = "Hello.") -> FakeReply:
    """The usage comes with the last choice and not in a chunk of its own."""
    return FakeReply(chunks=[chunk(content=text), chunk("stop", content="") | {"usage": usage()["usage"]}])


def leading_empty_choices(text: str = "Hello.") -> FakeReply:
    """The first chunk has no choices, as with ``debug``."""
    debug: dict[str, Any] = {"choices": [], "debug": {"echo_upstream_body": {"model": "m"}}}
    return FakeReply(chunks=[debug, *saying(text)])


def choices_null(text: str = "Hello.") -> FakeReply:
    """A chunk has ``choices: null``."""
    return FakeReply(chunks=[{"choices": None}, *saying(text)])


def comments_between(text: str = "Hello.") -> FakeReply:
    """Comments between any two events."""
    events = [event(each) for each in saying(text)]
    return FakeReply(body=[*(piece for each in events for piece in (b": OPENROUTER PROCESSING\n\n", each)), DONE])


def unknown_fields(text: str = "Hello.") -> FakeReply:
    """Fields that nobody knows, at every level."""
    chunks = [chunk(content=text, novel={"a": [1]}) | {"novel": 1}, chunk("stop") | {"native_finish_reason": "eos"}]
    return FakeReply(chunks=[*chunks, usage()])


def reasoning_twice(text: str = "Hello.", reasoning: str = "Let me greet.") -> FakeReply:
    """The thinking comes both as ``reasoning`` and, piece by piece, as ``reasoning_details``."""
    half = len(reasoning) // 2
    return FakeReply(chunks=[*map(_thought, (reasoning[:half], reasoning[half:])), *saying(text)])


def think_in_content(text: str = "Hello.", thinking: str = "Let me greet.", opened: bool = True) -> FakeReply:
    """The thinking stands in the content, between think tags; the first of them may be missing."""
    return FakeReply(text=f"{'<think>' if opened else ''}\n{thinking}\n</think>\n\n{text}")


def think_empty(text: str = "Hello.") -> FakeReply:
    """Empty think tags before the answer, as with thinking switched off."""
    return FakeReply(text=f"<think>\n\n</think>\n\n{text}")


def _thought(text: str) -> dict[str, Any]:
    detail = {"type": "reasoning.text", "text": text, "format": "unknown", "index": 0}
    return chunk(content="", reasoning=text, reasoning_details=[detail])
