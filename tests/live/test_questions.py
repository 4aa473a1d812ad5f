"""What is believed of OpenRouter and written down nowhere: six questions, each answered in the list at the end.

They are sent past the frame, as plain requests. Nothing here is relied on: Outrider copes with either answer.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from live.wire import PURSE, Live, at, chunks
from outrider.openrouter.settings import DEFAULT_MODEL

HANDLED = (200, 400, 404, 422, 429, 502, 503)


def ask(**more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "Say hello."}], "reasoning": {"enabled": False}, **more}


@pytest.fixture(scope="module")
def endpoints(live: Live) -> list[dict[str, Any]]:
    """The providers of the default model, as the catalogue lists them."""
    status, answer = live.get(f"/models/{DEFAULT_MODEL}/endpoints")
    assert status == 200, answer
    return at(answer, "data", "endpoints") or []


def test_1_whether_thinking_is_silent_when_switched_off(live: Live, endpoints: list[dict[str, Any]]) -> None:
    assert endpoints, "a model without providers"
    for tag in [at(endpoint, "tag") for endpoint in endpoints]:
        for stream in (True, False):
            wanted = ask(stream=stream, provider={"only": [tag]}, max_tokens=200)
            status, body = live.post(**wanted)
            assert status in HANDLED, body
            said = thoughts(body) if status == 200 else body.decode(errors="replace")[:200]
            live.saw(f"1. thinking off at {tag}, {'streamed' if stream else 'whole'}", status, said)


def thoughts(body: bytes) -> str:
    """Thinking in a reply, as it is counted, and as it is there to read."""
    told, text = "", ""
    for part in parts(body):
        for choice in at(part, "choices") or ():
            message = at(choice, "delta") or at(choice, "message")
            told += at(message, "reasoning") or at(message, "reasoning_content") or ""
            text += at(message, "content") or ""
    found = [f"{thought(body)} tokens of thinking"]
    found += [f"{len(told)} characters of it in reasoning"] if told else []
    found += ["<think> in the content"] if "<think>" in text else []
    return ", ".join(found)


def thought(body: bytes) -> int:
    """Tokens of thinking in a reply, streamed or whole."""
    return max(at(part, "usage", "completion_tokens_details", "reasoning_tokens") or 0 for part in parts(body))


def parts(body: bytes) -> list[Any]:
    try:
        return [json.loads(body)]
    except ValueError:
        return chunks(body)


def test_2_what_each_provider_takes(live: Live, endpoints: list[dict[str, Any]]) -> None:
    wanted = ("tools", "tool_choice", "structured_outputs", "response_format", "reasoning", "top_k", "min_p")
    for endpoint in endpoints:
        has = at(endpoint, "supported_parameters") or ()
        takes = ", ".join(name for name in wanted if name in has)
        sizes = [at(endpoint, name) for name in ("context_length", "max_completion_tokens", "quantization")]
        live.saw(f"2. {at(endpoint, 'tag')}", *sizes, at(endpoint, "pricing"), takes)
    assert all(at(endpoint, "tag") for endpoint in endpoints), "providers are chosen by their tag"


def test_2_whether_a_call_can_be_insisted_on(live: Live, endpoints: list[dict[str, Any]]) -> None:
    tool = {"name": "greet", "parameters": {"type": "object", "properties": {"name": {"type": "string"}}}}
    told = {"tools": [{"type": "function", "function": tool}], "max_tokens": 100}
    forced = {"type": "function", "function": {"name": "greet"}}
    for endpoint in endpoints:
        tag, said = at(endpoint, "tag"), at(endpoint, "supports_tool_choice")
        status, body = live.post(**ask(**told, tool_choice=forced, provider={"only": [tag]}))
        assert status in HANDLED, body
        made = [at(choice, "message", "tool_calls") for part in parts(body) for choice in at(part, "choices") or ()]
        found = f"called: {any(made)}" if status == 200 else body.decode(errors="replace")[:200]
        live.saw(f"2. insisted on a call at {tag}", status, found, "· listed:", said)


def test_3_whether_thinking_works_without_a_stream(live: Live, endpoints: list[dict[str, Any]]) -> None:
    asked: dict[str, dict[str, Any]] = {"anywhere": {}}
    tags = [str(at(endpoint, "tag")) for endpoint in endpoints]
    asked |= {f"at {tag}": {"provider": {"only": [tag]}} for tag in tags if tag.startswith("alibaba")}
    for name, provider in asked.items():
        status, body = live.post(**ask(reasoning={"enabled": True}, max_tokens=300, **provider))
        assert status in HANDLED, body
        live.saw(f"3. thinking in a whole reply, {name}:", status, *gist(status, body))
    if len(asked) == 1:
        live.saw("3. thinking in a whole reply", "Alibaba is not among", *tags)


def test_4_whether_a_whole_reply_names_its_provider(live: Live) -> None:
    status, body = live.post(**ask())
    assert status == 200, body
    live.saw("4. provider of a whole reply:", at(json.loads(body), "provider"), *gist(status, body))


def test_5_where_the_bill_stands_in_a_stream(live: Live, endpoints: list[dict[str, Any]]) -> None:
    for tag in [at(endpoint, "tag") for endpoint in endpoints]:
        status, body = live.post(**ask(stream=True, provider={"only": [tag]}, max_tokens=100))
        assert status in HANDLED, body
        if status == 200:
            bill_seen(live, tag, body)
        else:
            live.saw(f"5. a stream of {tag}", status, body.decode(errors="replace")[:200])


def bill_seen(live: Live, tag: str, body: bytes) -> None:
    """Note where the bill stands in a stream, and what else there is to it."""
    found = chunks(body)
    with_usage = [chunk for chunk in found if chunk.get("usage")]
    if len(with_usage) != 1:
        live.saw(f"5. the usage's chunk at {tag}", "comes", len(with_usage), "times")
        return
    live.saw(f"5. the usage's chunk at {tag}", "has a choice" if with_usage[0]["choices"] else "stands alone")
    roles = sum(bool(at(choice, "delta", "role")) for chunk in found for choice in chunk.get("choices") or ())
    named = sum(bool(chunk.get("provider")) for chunk in found)
    live.saw("   chunks", len(found), "of which with a role", roles, "and with provider", named)
    live.saw("   comments", body.count(b"\n:") + body.startswith(b":"), "the end marked", b"[DONE]" in body)
    live.saw("   fields of usage", *sorted(with_usage[0]["usage"]))


@pytest.mark.parametrize(
    "more", [{"top_k": 20}, {"min_p": 0.1}, {"repetition_penalty": 1.05}], ids=lambda more: next(iter(more))
)
def test_6_which_sampling_is_honoured(live: Live, more: dict[str, Any]) -> None:
    status, body = live.post(**ask(provider={"require_parameters": True}, **more))
    assert status in HANDLED, body
    live.saw(f"6. insisted on {more}:", status, *gist(status, body))


def gist(status: int, body: bytes) -> Iterator[object]:
    """What matters of a whole reply, or the beginning of a refusal."""
    if status != 200:
        yield body.decode(errors="replace")[:300]
        return
    reply = json.loads(body)
    yield from ("by", at(reply, "provider"), "·", reply["choices"][0]["finish_reason"], "·")
    yield from (thought(body), "tokens of thinking ·", len(body) - len(body.lstrip()), "blanks first")


@pytest.mark.parametrize("most", [16, 1])
def test_how_short_an_answer_may_be(live: Live, most: int) -> None:
    status, body = live.post(**ask(max_tokens=most))
    assert status in HANDLED, body
    live.saw(f"{most} tokens at most:", status, *gist(status, body))


def test_what_is_known_of_the_key(live: Live) -> None:
    for path in ("/key", "/credits"):
        status, answer = live.get(path)
        assert status in (200, 401, 403, 404)
        live.saw(path, status, *(at(answer, "data") or ()))


def test_all_of_it_stayed_in_the_purse(live: Live) -> None:
    assert live.spent < PURSE
