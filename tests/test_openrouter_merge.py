"""Bytes in, one reply out: in memory, cut at every byte."""

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.events import ArgumentsDelta, ReasoningDelta, TextDelta
from outrider.messages import UNSET, AssistantMessage
from outrider.openrouter.cost import usage_from
from outrider.openrouter.failures import judge
from outrider.openrouter.merge import BadReply, Merger


def sse(*chunks: dict[str, Any], end: str = "\n", done: bool = True) -> bytes:
    lines = [f"data: {json.dumps(chunk, ensure_ascii=False)}{end}{end}" for chunk in chunks]
    return "".join((f": OPENROUTER PROCESSING{end}{end}", *lines, f"data: [DONE]{end}{end}" * done)).encode()


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"id": "gen-1", "model": "m", "choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def part(index: int | None = None, id: str | None = None, name: str | None = None, args: Any = None) -> dict[str, Any]:
    function = {key: value for key, value in (("name", name), ("arguments", args)) if value is not None}
    fields = (("index", index), ("id", id))
    return {key: value for key, value in fields if value is not None} | {"function": function}


def merged(*pieces: bytes) -> Merger:
    merger = Merger(1, live=True)
    for piece in pieces:
        merger.feed(piece)
    merger.end()
    return merger


def calls(merger: Merger) -> list[tuple[str, str, str]]:
    found = merger.message().tool_calls
    return [] if found is UNSET else [(call.id, call.function.name, call.function.arguments) for call in found]


def called(*parts: dict[str, Any]) -> list[tuple[str, str, str]]:
    return calls(merged(sse(*(delta(tool_calls=[each]) for each in parts), delta("tool_calls"))))


RICH: tuple[dict[str, Any], ...] = (
    {"id": "gen-1", "choices": [], "debug": {}},
    delta(role="assistant", content="", reasoning="Ich überlege"),
    delta(role="assistant", content="Grüße 🌍"),
    delta(content=" und mehr", unknown={"a": [1, None]}),
    delta(tool_calls=[part(0, "c1", "f", "")]),
    delta(tool_calls=[part(0, args='{"ort":"Köln')]),
    delta(tool_calls=[part(0, args='"}')]),
    delta("tool_calls", content=""),
    {"choices": [], "provider": "P", "usage": {"prompt_tokens": 3, "completion_tokens": 4, "cost": 0.1}},
)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_cuts_anywhere_change_nothing(end: str) -> None:
    body = sse(*RICH, end=end)
    whole = merged(body)
    assert whole.message() == AssistantMessage("Grüße 🌍 und mehr", whole.message().tool_calls, "Ich überlege")
    assert calls(whole) == [("c1", "f", '{"ort":"Köln"}')]
    assert (whole.finish, whole.provider, whole.generation, whole.done) == ("tool_calls", "P", "gen-1", True)
    for cut in range(1, len(body)):
        again = merged(body[:cut], body[cut:])
        assert again.message() == whole.message()
        assert again.usage == whole.usage
    bytewise = merged(*(body[place : place + 1] for place in range(len(body))))
    assert bytewise.message() == whole.message()


@settings(deadline=None)
@given(st.lists(st.integers(1, 60)))
def test_a_whole_json_reply_is_one_chunk_cut_anywhere(cuts: list[int]) -> None:
    message = {
        "content": "Grüße",
        "tool_calls": [part(id="a", name="f", args="{}"), part(id="b", name="g", args="{}")],
    }
    choice = {"finish_reason": "tool_calls", "message": message}
    body = b"  \n\n " + json.dumps({"id": "gen-9", "choices": [choice], "usage": {"cost": 1}}, indent=1).encode()
    pieces: list[bytes] = []
    for cut in cuts:
        pieces.append(body[:cut])
        body = body[cut:]
    merger = merged(*pieces, body)
    assert merger.message().content == "Grüße"
    assert calls(merger) == [("a", "f", "{}"), ("b", "g", "{}")]
    assert merger.finish == "tool_calls"


def test_deltas_of_one_read_melt_together() -> None:
    merger = Merger(7, live=True)
    merger.feed(
        sse(
            delta(reasoning="a"),
            delta(reasoning="b"),
            delta(content="c"),
            delta(content="d"),
            delta(tool_calls=[part(0, "x", "f", "1")]),
            delta(tool_calls=[part(1, "y", "g", "2")]),
            delta(tool_calls=[part(1, args="3")]),
        )
    )
    assert merger.deltas() == [
        ReasoningDelta(7, "ab"),
        TextDelta(7, "cd"),
        ArgumentsDelta(7, "1", 0),
        ArgumentsDelta(7, "23", 1),
    ]
    assert merger.deltas() == []


def test_without_watchers_no_deltas_are_made() -> None:
    merger = Merger(1)
    merger.feed(sse(delta(content="text")))
    assert (merger.deltas(), merger.text) == ([], "text")


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([part(0, "a", "f", '{"x"'), part(args=":1}")], [("a", "f", '{"x":1}')]),  # no index: the last one
        ([part(0, "a", "f", "{"), part(0, "a", "f", "}")], [("a", "f", "{}")]),  # id and name said again
        ([part(0, "", "f", "{}")], [("call_1_0", "f", "{}")]),
        ([part(0, None, "f")], [("call_1_0", "f", "{}")]),  # no arguments mean none
        ([part(0, "a", "f", "{}"), part(1, "a", "g", "{}")], [("a", "f", "{}"), ("call_1_1", "g", "{}")]),
        ([part(0, "a", "f", {"x": [1]})], [("a", "f", '{"x":[1]}')]),  # an object for text
        ([part(None, "a", "f", "{}"), part(None, "b", "g", "{}")], [("a", "f", "{}"), ("b", "g", "{}")]),
        ([part(0, "a", "f", "{}"), part(0, "b", "f", "{}")], [("a", "f", "{}"), ("b", "f", "{}")]),
        ([part(0, "a", "f", "{"), part(0, "b", None, "}")], [("a", "f", "{}")]),  # a new id in every chunk
        ([part(1, "b", "g", "{}"), part(0, "a", "f", "{}")], [("b", "g", "{}"), ("a", "f", "{}")]),
        (
            [part(0, "call_1_1", "f", "{}"), part(1, "", "g", "{}")],
            [("call_1_1", "f", "{}"), ("call_1_1_", "g", "{}")],
        ),
        ([part(0, "a", "f", "{}"), part(0, args="  ")], [("a", "f", "{}  ")]),
    ],
)
def test_calls_are_put_together(parts: list[dict[str, Any]], expected: list[tuple[str, str, str]]) -> None:
    assert called(*parts) == expected


def detail(text: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"type": "reasoning.text"} | ({} if text is None else {"text": text}) | fields


DETAILS: list[tuple[list[list[Any]], list[Any]]] = [
    ([[]], []),
    ([[detail("a", index=0)], [detail("b", index=0)]], [detail("ab", index=0)]),
    ([[detail("a", index=0)], [detail("b", index=1)]], [detail("a", index=0), detail("b", index=1)]),
    ([[detail("a")], [detail("b")]], [detail("ab")]),
    (
        [
            [detail("a", format="unknown", id=None)],
            [detail("b", format="unknown", signature="s")],
            [detail()],
        ],
        [detail("ab", format="unknown", id=None, signature="s")],
    ),
    (
        [[{"type": "reasoning.encrypted", "data": "x"}], [{"type": "reasoning.encrypted", "data": "y"}]],
        [{"type": "reasoning.encrypted", "data": "x"}, {"type": "reasoning.encrypted", "data": "y"}],
    ),
    (
        [[detail("a")], [{"type": "new", "v": 1.5}], [detail("b")]],
        [detail("a"), {"type": "new", "v": 1.5}, detail("b")],
    ),
    (
        [[{"type": "reasoning.summary", "summary": "a"}, {"type": "reasoning.summary", "summary": "b"}]],
        [{"type": "reasoning.summary", "summary": "ab"}],
    ),
    (  # a signature that comes late, with its index and without
        [[detail("a", index=0)], [{"type": "reasoning.encrypted", "data": "x"}], [detail(signature="s", index=0)]],
        [detail("a", index=0, signature="s"), {"type": "reasoning.encrypted", "data": "x"}],
    ),
    (
        [[detail("a")], [{"type": "reasoning.encrypted", "data": "x"}], [detail("", signature="s")]],
        [detail("a", signature="s"), {"type": "reasoning.encrypted", "data": "x"}],
    ),
    (
        [[detail("a", index=0, signature="s", format="f", id="1")], [detail("b", index=0, signature=None, id=None)]],
        [detail("ab", index=0, signature="s", format="f", id="1")],
    ),
    (
        [[{"type": "reasoning.summary", "summary": "a", "index": 0}], [detail("b", index=0)]],
        [{"type": "reasoning.summary", "summary": "a", "index": 0}, detail("b", index=0)],
    ),
    ([[detail(None, index=0)], [detail("a", index=0)]], [detail("a", index=0)]),
    ([["odd", None, 3, {}, {"type": [[]]}]], ["odd", None, 3, {}, {"type": [[]]}]),
]


@pytest.mark.parametrize(("pieces", "expected"), DETAILS)
def test_reasoning_details_merge(pieces: list[list[Any]], expected: list[Any]) -> None:
    chunks = [delta(reasoning="shown", reasoning_details=piece) for piece in pieces]
    message = merged(sse(*chunks, delta("stop", content="x"))).message()
    assert message.reasoning is UNSET
    assert not isinstance(message.reasoning_details, msgspec.UnsetType)
    assert json.loads(bytes(message.reasoning_details)) == expected


def test_details_of_a_whole_message_stay_as_they_are() -> None:
    details = [detail("a"), detail("b")]
    choice = {"finish_reason": "stop", "message": {"content": "x", "reasoning_details": details}}
    found = merged(json.dumps({"choices": [choice]}).encode()).message().reasoning_details
    assert not isinstance(found, msgspec.UnsetType)
    assert json.loads(bytes(found)) == details


def shown(*chunks: dict[str, Any], tags: bool = True) -> list[Any]:
    """The deltas of a stream that comes chunk by chunk, neighbours of one kind joined."""
    merger, kinds = Merger(1, live=True, tags=tags), list[Any]()
    for chunk in chunks:
        merger.feed(f"data: {json.dumps(chunk)}\n\n".encode())
        kinds += merger.deltas()
    merger.end()
    kinds += merger.deltas()
    joined: list[Any] = []
    for each in kinds:
        again = bool(joined) and type(joined[-1]) is type(each)
        joined.append(msgspec.structs.replace(each, text=joined.pop().text + each.text) if again else each)
    return joined


def test_thinking_is_shown_once_though_it_comes_twice() -> None:
    both = delta(reasoning="Hm", reasoning_details=[detail("Hm", index=0)])
    only = delta(reasoning_details=[detail("Hm", index=0), {"type": "reasoning.encrypted", "data": "x"}, 3])
    other = delta(reasoning_content="Hm")
    for chunk in (both, only, other):
        assert shown(chunk, delta("stop", content="Hi")) == [ReasoningDelta(1, "Hm"), TextDelta(1, "Hi")]


TAGGED = [
    ("<think>\nHm.\n</think>\n\nHello!", "\nHm.\n", "Hello!"),
    ("\n <think>a</think>\n<think>b</think>\nHi", "ab", "Hi"),
    ("<think>never closed </thin", "never closed </thin", ""),
    ("<think>a < b and <b> </th> </think>yes", "a < b and <b> </th> ", "yes"),
    ("<thin", "", "<thin"),
    ("<thinking> is a word", "", "<thinking> is a word"),
    ("Use <think> and </think>.", "", "Use <think> and </think>."),
    ("  plain", "", "  plain"),
    ("<think></think>", "", ""),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize(("text", "thought", "answer"), TAGGED)
def test_thinking_between_tags_is_shown_as_thinking(text: str, thought: str, answer: str, size: int) -> None:
    chunks = [delta(content=text[place : place + size]) for place in range(0, len(text), size)]
    expected = [ReasoningDelta(1, thought)] * bool(thought) + [TextDelta(1, answer)] * bool(answer)
    assert shown(*chunks, delta("stop")) == expected
    assert merged(sse(*chunks, delta("stop"))).text == text
    assert shown(*chunks, delta("stop"), tags=False) == [TextDelta(1, text)]


def test_what_is_held_back_is_shorter_than_a_tag() -> None:
    merger = Merger(1, live=True)
    heard = ""
    for place, letter in enumerate(text := "<think>" + "a < b </thin " * 9):
        merger.feed(f"data: {json.dumps(delta(content=letter))}\n\n".encode())
        heard += "".join(each.text for each in merger.deltas() if isinstance(each, ReasoningDelta))
        assert place + 1 - len("<think>") - len(heard) < len("</think>")
    assert text == f"<think>{heard}"


def test_a_call_in_the_form_of_old() -> None:
    pieces = [{"name": "f", "arguments": '{"x"'}, {"arguments": ":1}"}]
    chunks = [delta(function_call=piece) for piece in pieces]
    assert calls(merged(sse(*chunks, delta("function_call")))) == [("call_1_0", "f", '{"x":1}')]
    choice = {"finish_reason": "function_call", "message": {"content": None, "function_call": pieces[0]}}
    assert calls(merged(json.dumps({"choices": [choice]}).encode())) == [("call_1_0", "f", '{"x"')]


def test_what_does_not_go_back_is_dropped() -> None:
    extra: dict[str, Any] = {"annotations": [{"type": "url_citation"}], "images": [{"image_url": {}}], "audio": {}}
    message = merged(sse(delta(content="x", **extra), delta("stop", refusal=None))).message()
    assert msgspec.json.decode(msgspec.json.encode(message)) == {"role": "assistant", "content": "x"}


@pytest.mark.parametrize("finish", [True, False, 0, 5, {}, ["stop"]])
def test_an_end_of_another_type_is_none(finish: Any) -> None:
    failure = judge(merged(sse(delta(finish, content="half"))))
    assert failure is not None
    assert failure.reason == "truncated_stream"


def test_usage_may_come_with_the_last_words() -> None:
    merger = merged(
        sse({"choices": [], "debug": {"echo_upstream_body": {}}}, delta("stop", content="x") | {"usage": {}})
    )
    assert (merger.text, merger.usage) == ("x", b"{}")


def test_wrong_types_are_read_for_what_they_mean() -> None:
    parts = [{"type": "text", "text": "Hello"}, {"type": "text", "text": " there"}]
    merger = merged(
        sse({"id": 5, "model": None, "choices": None}, delta(content=parts), delta("stop", tool_calls=None))
    )
    assert (merger.text, merger.generation, merger.finish) == ("Hello there", "5", "stop")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b": only a comment\n\n",
        b"<html><body>Bad gateway</body></html>",
        b"upstream connect error",
        b'{"choices": [',
        b"data: {oops}\n\n",
        b'data: {"choices": 3}\n\n',
        b"\xff\xfe\x00",
        b"[]",
        b"data: " + b"[" * 100_000 + b"\n\n",
    ],
)
def test_what_is_no_reply_is_told_as_such(body: bytes) -> None:
    with pytest.raises(BadReply) as caught:
        merged(body)
    assert caught.value.reason == "malformed_reply"


@pytest.mark.parametrize(
    ("chunks", "reason"),
    [
        ([delta("stop", content="  ")], "empty_reply"),
        ([delta("stop", reasoning="hm")], "answer_in_reasoning"),
        ([delta("tool_calls", reasoning="hm")], "empty_reply"),
        ([delta("stop", reasoning_details=[{"type": "reasoning.encrypted", "data": "x"}])], "empty_reply"),
        ([delta(content="")], "empty_reply"),
        ([delta(content="half an ans")], "truncated_stream"),
        ([delta("error", content="x")], "provider_error"),
        ([delta("length", content="half")], None),
        ([delta("length", reasoning="long")], None),
        ([delta("content_filter")], None),
        ([delta("stop", refusal="I will not.")], None),
        ([delta("never_heard_of", content="x")], None),
    ],
)
def test_a_200_is_no_promise(chunks: list[dict[str, Any]], reason: str | None) -> None:
    failure = judge(merged(sse(*chunks)))
    assert (failure.reason if failure else None) == reason
    assert failure is None or failure.retry


def test_an_empty_reply_says_when_the_model_thought() -> None:
    failure = judge(merged(sse(delta("end", reasoning="hm"))))
    assert failure is not None
    assert "though the model thought" in failure.message


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        ({"cost": 0.0000408}, "0.0000408"),
        ({"cost": 0}, "0"),
        ({"cost": None}, None),
        ({"prompt_tokens": 1}, None),
        ({"cost": 0.05, "is_byok": True, "cost_details": {"upstream_inference_cost": 1.0}}, "1.05"),
        ({"cost": 0.05, "is_byok": False, "cost_details": {"upstream_inference_cost": 1.0}}, "0.05"),
        ({"cost": 0.05, "is_byok": True, "cost_details": {"upstream_inference_cost": None}}, "0.05"),
        ({"cost": -1}, None),
        ({"cost": "0.25"}, "0.25"),
        ({"cost": ["?"]}, None),
    ],
)
def test_the_bill(usage: dict[str, Any], cost: str | None) -> None:
    found = usage_from(json.dumps(usage).encode())
    assert found is not None
    assert found.cost == (None if cost is None else Decimal(cost))


def test_usage_counts_and_survives_nonsense() -> None:
    usage = {
        "prompt_tokens": 180,
        "completion_tokens": 95,
        "prompt_tokens_details": {"cached_tokens": 7},
        "completion_tokens_details": {"reasoning_tokens": 70},
    }
    found = usage_from(json.dumps(usage).encode())
    assert found is not None
    assert (found.prompt_tokens, found.completion_tokens, found.cached_tokens, found.reasoning_tokens) == (
        180,
        95,
        7,
        70,
    )
    odd = usage_from(b'{"prompt_tokens": "many", "completion_tokens": 1e999999999, "prompt_tokens_details": 3}')
    assert odd is not None
    assert odd.tokens == 0
    assert usage_from(b"null") is usage_from(b"{") is usage_from(b"[]") is None
