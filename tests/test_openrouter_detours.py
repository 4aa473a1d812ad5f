"""What happens after a request has failed: another provider, another model, the bill; and where thinking goes."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent_kit import recorded, weather
from catalogue_kit import ALL, endpoint, put
from outrider import Agent, Limits, Result
from outrider.events import Detour, Replied, RequestFailed
from outrider.journal.sqlite import SQLiteJournal
from outrider.model import Ask
from outrider.openrouter import OpenRouter, Settings
from outrider.openrouter.detour import slug
from outrider.testing import FakeOpenRouter, FakeReply

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_waiting")]

GARBAGE = FakeReply(chunks=[{"provider": "Bad Host", "choices": [{"index": 0, "delta": {"content": "Hal"}}]}])
"""A reply that breaks off, by a provider that says its name."""

BUSY = FakeReply(status=503, error="busy", headers={"Retry-After": "0"})


FREE = Limits(dollars=None)
"""Replies that break off without a bill count as dear."""


async def run(server: FakeOpenRouter, journal: SQLiteJournal, **more: Any) -> Result[str]:
    return await Agent(settings=server.settings(**more), journal=journal, limits=FREE).run("Hello?")


def ignored(server: FakeOpenRouter) -> list[list[str]]:
    return [request.json.get("provider", {}).get("ignore", []) for request in server.requests]


def asked(server: FakeOpenRouter) -> list[str]:
    return [request.json["model"] for request in server.requests]


@pytest.fixture
def journal(tmp_path: Path) -> SQLiteJournal:
    return SQLiteJournal(tmp_path)


async def test_who_sent_garbage_is_left_out_of_the_next_attempt_only(journal: SQLiteJournal) -> None:
    calls = FakeReply(calls=[("weather", {"city": "Paris"})])
    async with FakeOpenRouter([GARBAGE, calls, "Fine."]) as server:
        agent = Agent(tools=[weather], settings=server.settings(provider={"ignore": ["other"]}), journal=journal)
        result = await agent.run("Weather?")
    assert result.output == "Fine."
    assert ignored(server) == [["other"], ["other", "bad-host"], ["other"]]
    [failed] = await recorded(journal, result.run, RequestFailed)
    assert (failed.reason, failed.provider, failed.detour) == (
        "truncated_stream",
        "Bad Host",
        Detour(avoid=("bad-host",)),
    )


async def test_then_the_fallback_model_and_the_run_stays_with_it(journal: SQLiteJournal) -> None:
    calls = FakeReply(calls=[("weather", {"city": "Paris"})])
    async with FakeOpenRouter([GARBAGE, GARBAGE, calls, "Fine."]) as server:
        agent = Agent(tools=[weather], settings=server.settings(models=("other/big",)), journal=journal, limits=FREE)
        result = await agent.run("Weather?")
    assert result.output == "Fine."
    assert asked(server) == ["qwen/qwen3-14b", "qwen/qwen3-14b", "other/big", "other/big"]
    assert [request.json.get("models") for request in server.requests] == [["other/big"], ["other/big"], None, None]
    failed = await recorded(journal, result.run, RequestFailed)
    assert [each.detour for each in failed] == [Detour(avoid=("bad-host",)), Detour("other/big")]


async def test_a_server_that_stays_busy_hands_over_to_the_fallback(journal: SQLiteJournal) -> None:
    async with FakeOpenRouter([BUSY, BUSY, "Hello."]) as server:
        result = await run(server, journal, models=("other/big",))
    assert result.output == "Hello."
    assert asked(server) == ["qwen/qwen3-14b", "qwen/qwen3-14b", "other/big"]


async def test_a_long_wait_is_for_those_without_a_fallback(journal: SQLiteJournal) -> None:
    wait = FakeReply(status=429, error="slow down", headers={"Retry-After": "3600"})
    async with FakeOpenRouter([wait, "Hello.", wait]) as server:
        assert (await run(server, journal, models=("other/big",))).output == "Hello."
        lone = await run(server, journal)
    assert lone.outcome == "provider"
    assert "3600 s" in lone.detail


async def test_the_only_provider_is_asked_again_when_nobody_else_is_left(journal: SQLiteJournal) -> None:
    nobody = FakeReply(status=404, error="No endpoints found")
    async with FakeOpenRouter([GARBAGE, nobody, "Hello."]) as server:
        assert (await run(server, journal)).output == "Hello."
    assert ignored(server) == [[], ["bad-host"], []]


async def test_all_attempts_draw_on_one_budget(journal: SQLiteJournal) -> None:
    async with FakeOpenRouter([BUSY, GARBAGE, GARBAGE, BUSY, "Hello."]) as server:
        result = await run(server, journal, retries=3, models=("other/big", "third/one"))
    assert (result.outcome, len(server.requests)) == ("provider", 4)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
async def test_what_no_retry_can_mend_fails_at_once(journal: SQLiteJournal, status: int) -> None:
    async with FakeOpenRouter([FakeReply(status=status, error="no"), "Hello."]) as server:
        result = await run(server, journal, models=("other/big",))
    assert (result.outcome, len(server.requests)) == ("provider", 1)


async def test_a_provider_that_thinks_only_in_streams_is_asked_without(journal: SQLiteJournal) -> None:
    message = "parameter.enable_thinking must be set to false for non-streaming calls"
    async with FakeOpenRouter([FakeReply(status=400, error=message), "Hello."]) as server:
        assert (await run(server, journal)).output == "Hello."
    assert [request.json["reasoning"]["enabled"] for request in server.requests] == [True, False]


def test_a_detour_changes_only_what_it_names() -> None:
    plain = bytes(OpenRouter("a/b", Settings(thinking=True)).settings(Ask("work", "run", detour=Detour(plain=True))))
    assert b'"reasoning":{"enabled":false}' in plain
    assert b'"model":"a/b"' in plain


@pytest.mark.parametrize(
    ("name", "expected"), [("DeepInfra", "deepinfra"), ("Amazon Bedrock", "amazon-bedrock"), ("Z.AI", "z-ai")]
)
def test_slugs(name: str, expected: str) -> None:
    assert slug(name) == expected


# ----------------------------------------------------------------------------------------------- the bill


def billed(cost: Any = 0.25, **more: Any) -> FakeReply:
    told = {"total_cost": cost, "native_tokens_prompt": 7, "native_tokens_completion": 3} | more
    return FakeReply(body=msgspec.json.encode({"data": told}))


async def test_a_reply_that_broke_off_is_asked_for_its_bill(journal: SQLiteJournal) -> None:
    async with FakeOpenRouter([GARBAGE, "Hello."]) as server:
        server.pages["/generation?id=gen-1"] = billed()
        result = await run(server, journal, bill_seconds=30.0)
    [failed] = await recorded(journal, result.run, RequestFailed)
    assert (failed.billed, failed.usage.cost, failed.usage.prompt_tokens) == ("usage", Decimal("0.25"), 7)
    assert result.cost == Decimal("0.2501")
    assert result.state.requests_in_doubt == 0


async def test_a_key_of_ones_own_pays_fee_and_provider(journal: SQLiteJournal) -> None:
    async with FakeOpenRouter([GARBAGE, "Hello."]) as server:
        server.pages["/generation?id=gen-1"] = billed(0.01, is_byok=True, upstream_inference_cost=0.2)
        result = await run(server, journal, bill_seconds=30.0)
    assert result.cost == Decimal("0.2101")


async def test_a_whole_reply_without_usage_is_asked_for_its_bill(journal: SQLiteJournal) -> None:
    chunk = {"choices": [{"index": 0, "delta": {"content": "Hello."}, "finish_reason": "stop"}]}
    async with FakeOpenRouter([FakeReply(chunks=[chunk])]) as server:
        server.pages["/generation?id=gen-1"] = billed()
        result = await run(server, journal, bill_seconds=30.0)
    [reply] = await recorded(journal, result.run, Replied)
    assert reply.usage.cost == Decimal("0.25")


BILLS: list[Callable[[], FakeReply]] = [
    lambda: FakeReply(status=401, error="no"),
    lambda: FakeReply(body=b"<html>"),
    lambda: FakeReply(body=b"[]"),
    lambda: FakeReply(body=b'{"data":[]}'),
    lambda: billed("dear"),
    lambda: FakeReply(drop=True, body=b""),
]


@pytest.mark.parametrize("page", BILLS)
async def test_a_bill_that_does_not_come_leaves_the_request_in_doubt(
    journal: SQLiteJournal, page: Callable[[], FakeReply]
) -> None:
    async with FakeOpenRouter([GARBAGE, "Hello."]) as server:
        server.pages["/generation?id=gen-1"] = page()
        result = await run(server, journal, bill_seconds=30.0)
    assert result.output == "Hello."
    assert result.state.requests_in_doubt == 1


# -------------------------------------------------------------------------------------- whose thinking it is


def thinking(server: FakeOpenRouter) -> list[int]:
    """How many messages with thinking each request carried."""
    return [request.body.count(b'"reasoning":"') for request in server.requests]


def thought(text: str = "", model: str = "qwen/qwen3-14b-04-28", **more: Any) -> FakeReply:
    chunk = {"model": model, "provider": "Fake"}
    delta: dict[str, Any] = {"reasoning": "Hm.", "content": text} | more
    finish = "tool_calls" if more else "stop"
    return FakeReply(chunks=[chunk | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}])


def call(model: str = "qwen/qwen3-14b-04-28") -> FakeReply:
    wanted = {
        "index": 0,
        "id": "c",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city":"Rome"}'},
    }
    return thought(model=model, tool_calls=[wanted])


async def test_thinking_goes_back_within_the_loop_and_is_dropped_after_it(journal: SQLiteJournal) -> None:
    async with FakeOpenRouter([call(), call(), thought("Fine."), thought("Bye.")]) as server:
        agent = Agent(tools=[weather], settings=server.settings(), journal=journal)
        first = await agent.run("Weather?")
        last = await agent.resume(first.run, say="Thanks.")
    assert last.output == "Bye."
    assert thinking(server) == [0, 1, 2, 0]


async def test_another_family_of_models_gets_no_thinking(journal: SQLiteJournal) -> None:
    async with FakeOpenRouter([call(), GARBAGE, GARBAGE, thought("Fine.")]) as server:
        agent = Agent(tools=[weather], settings=server.settings(models=("other/big",)), journal=journal, limits=FREE)
        result = await agent.run("Weather?")
    assert result.output == "Fine."
    assert thinking(server) == [0, 1, 1, 0]


async def test_thinking_of_a_fallback_is_not_sent_to_the_agents_own_model(journal: SQLiteJournal) -> None:
    async with FakeOpenRouter([call("other/big-2"), thought("Fine.")]) as server:
        agent = Agent(tools=[weather], settings=server.settings(models=("other/big",)), journal=journal, limits=FREE)
        result = await agent.run("Weather?")
    assert thinking(server) == [0, 0]
    [first, _] = await recorded(journal, result.run, Replied)
    assert b'"reasoning":"Hm."' in bytes(first.wire)  # the record has all of it


async def test_a_router_keeps_the_thinking_of_whom_it_chose_until_it_chooses_another(journal: SQLiteJournal) -> None:
    replies = [call("a/one"), call("a/two"), call("b/one"), thought("Fine.", "b/one")]
    async with FakeOpenRouter(replies) as server:
        agent = Agent("openrouter/auto", tools=[weather], settings=server.settings(), journal=journal)
        assert (await agent.run("Weather?")).output == "Fine."
    assert thinking(server) == [0, 1, 2, 1]


async def test_a_run_resumed_with_another_model_starts_without_the_thinking_of_the_first(
    journal: SQLiteJournal,
) -> None:
    async with FakeOpenRouter([call(), FakeReply(status=400, error="no"), thought("Fine.")]) as server:
        first = await Agent(tools=[weather], settings=server.settings(), journal=journal).run("Weather?")
        other = Agent("other/big", tools=[weather], settings=server.settings(), journal=journal)
        result = await other.resume(first.run)
    assert result.output == "Fine."
    assert (result.state.model, thinking(server)) == ("other/big", [0, 1, 0])


MANDATORY = FakeReply(status=400, error="Reasoning is mandatory for this endpoint and cannot be disabled")


async def test_a_model_that_must_think_is_asked_again_thinking_and_from_then_on(journal: SQLiteJournal) -> None:
    replies: list[FakeReply | str] = [MANDATORY, "no number", "42"]
    async with FakeOpenRouter(replies) as server:
        agent = Agent(output=int, settings=server.settings(), journal=journal)
        result = await agent.run("How many?")
    assert result.output == 42
    assert [request.json["reasoning"]["enabled"] for request in server.requests] == [False, True, True]
    [failed] = await recorded(journal, result.run, RequestFailed)
    assert (failed.detour, failed.delay) == (Detour(think=True), 0.0)


async def test_a_list_of_providers_that_was_wrong_is_not_insisted_on(journal: SQLiteJournal) -> None:
    nobody = FakeReply(status=404, error="No endpoints found that support the requested parameters")
    async with FakeOpenRouter([nobody, "Hello.", "Bye."]) as server:
        put(server, endpoints=[endpoint("somebody", supported_parameters=[*ALL, "top_p", "top_k", "min_p"])])
        result = await run(server, journal, catalogue=True, temperature=0.5)
    assert result.output == "Hello."
    chats = [request.json for request in server.requests if request.path.endswith("/completions")]
    sent = [body.get("provider", {}).get("require_parameters") for body in chats]
    assert sent == [True, None]
    [failed] = await recorded(journal, result.run, RequestFailed)
    assert failed.detour == Detour(loose=True)
