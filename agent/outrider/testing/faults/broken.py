"""Replies with status 200 that are none: an error inside, an end in the middle, silence."""

import threading
from typing import Any

import msgspec

from outrider.testing.faults.parts import DONE, event, whole
from outrider.testing.faults.refused import PAGE, error_object
from outrider.testing.reply import FakeReply, chunk


def html_200() -> FakeReply:
    """A web page with status 200."""
    return FakeReply(body=PAGE, headers={"Content-Type": "text/html"})


def error_in_200(stream: bool = False, **error: Any) -> FakeReply:
    """An ``error`` object is all that comes, with status 200: as JSON, or as the only event of a stream."""
    told = {"error": error_object(502) | error, "user_id": "user_1"}
    kind = "text/event-stream" if stream else "application/json"
    return FakeReply(body=event(told) if stream else msgspec.json.encode(told), headers={"Content-Type": kind})


def error_in_choice(text: str = "Hel") -> FakeReply:
    """One JSON object whose choice holds an ``error`` besides part of an answer."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "error"}
    return whole({"id": "gen-1", "choices": [choice | {"error": error_object(502)}]})


def error_mid_stream(text: str = "Hel", code: int | str = 502) -> FakeReply:
    """An error after the first token: an event with ``error`` and the finish reason "error", then the end."""
    last = chunk("error", content="") | {"error": error_object(502) | {"code": code}}
    return FakeReply(chunks=[chunk(content=text), last], done=False)


def error_in_chunk(text: str = "Hel") -> FakeReply:
    """An error in the choice of a chunk, where a stream says it otherwise at the top."""
    last = chunk("error", content="")
    last["choices"][0]["error"] = error_object(502)
    return FakeReply(chunks=[chunk(content=text), last])


def finish_error(text: str = "Hel") -> FakeReply:
    """A stream whose finish reason is "error", without a word about it."""
    return FakeReply(text=text, finish="error")


def empty_completion(finish: str | None = None) -> FakeReply:
    """No text and no calls; the finish reason is null, as of a model that is being loaded."""
    return FakeReply(chunks=[chunk(finish, content="")])


def answer_in_reasoning(text: str = "Hello.") -> FakeReply:
    """The answer stands in the thinking, and there is no content."""
    return FakeReply(reasoning=text)


def cut_off(text: str = "Hello there.") -> FakeReply:
    """The stream ends in the middle, without an error and without a finish reason."""
    return FakeReply(chunks=[chunk(content=text[: len(text) // 2])], done=False)


def dropped(text: str = "Hello there.") -> FakeReply:
    """The connection breaks in the middle of the stream."""
    return FakeReply(text=text, drop_at=2)


def dropped_unanswered() -> FakeReply:
    """The connection breaks before the server has said anything."""
    return FakeReply(drop_at=-1)


def malformed_chunk(text: str = "Hel") -> FakeReply:
    """A piece of the stream is no JSON."""
    return FakeReply(body=[event(chunk(content=text)), b'data: {"choices": [{"del\n\n', DONE])


def truncated_json(text: str = "Hello.") -> FakeReply:
    """One JSON object, of which the end is missing."""
    return whole({"id": "gen-1", "choices": [{"message": {"content": text}, "finish_reason": "stop"}]}, cut=20)


def empty_body() -> FakeReply:
    """Status 200 and nothing else."""
    return FakeReply(body=b"")


def stalled(text: str = "Hel", until: threading.Event | None = None) -> FakeReply:
    """The stream stands still after its first pieces; it goes on once ``until`` is set, or never."""
    return FakeReply(text=text, piece=1, hold=until or threading.Event(), hold_at=2)


def silent(until: threading.Event | None = None) -> FakeReply:
    """The request is taken, and not even the head of an answer comes until ``until`` is set."""
    return FakeReply(text="Hello.", hold=until or threading.Event(), hold_at=-1)


def comments_only(until: threading.Event | None = None) -> FakeReply:
    """Comments that say "still working", a hundred a second, and never any data."""
    comments = [b": OPENROUTER PROCESSING\n\n"] * 100_000
    return FakeReply(body=comments, delay=0.01, hold=until or threading.Event(), hold_at=len(comments) - 1)
