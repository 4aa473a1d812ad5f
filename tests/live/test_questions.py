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
            said = f"{thought(body)} tokens of thinking" if status == 200 else body.decode(errors="replace")[:200]
            live.saw(f"1. thinking off at {tag}, {'streamed' if stream else 'whole'}", status, said)


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
        choice = at(endpoint, "supports_tool_choice")
        live.saw(f"2. {at(endpoint, 'tag')}", at(endpoint, "context_length"), at(endpoint, "pricing"), takes, choice)
    assert all(at(endpoint, "tag") for endpoint in endpoints), "providers are chosen by their tag"


def test_3_whether_thinking_works_without_a_stream(live: Live) -> None:
    for name, provider in {"anywhere": {}, "at Alibaba": {"provider": {"only": ["alibaba"]}}}.items():
        status, body = live.post(**ask(reasoning={"enabled": True}, **provider))
        assert status in HANDLED, body
        live.saw(f"3. thinking in a whole reply, {name}:", status, *gist(status, body))


def test_4_whether_a_whole_reply_names_its_provider(live: Live) -> None:
    status, body = live.post(**ask())
    assert status == 200, body
    live.saw("4. provider of a whole reply:", at(json.loads(body), "provider"), *gist(status, body))


def test_5_where_the_bill_stands_in_a_stream(live: Live) -> None:
    status, body = live.post(**ask(stream=True))
    assert status == 200, body
    found = chunks(body)
    with_usage = [chunk for chunk in found if chunk.get("usage")]
    assert len(with_usage) == 1, "the bill comes once"
    live.saw("5. the usage's chunk", "has a choice" if with_usage[0]["choices"] else "stands alone")
    roles = sum(bool(at(choice, "delta", "role")) for chunk in found for choice in chunk["choices"])
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
