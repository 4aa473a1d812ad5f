"""Dollars: what is put aside before a request leaves, what a limit then stops, and what is owed without a bill."""

import asyncio
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from agent_kit import recorded
from catalogue_kit import endpoint, put
from outrider import Agent, Limits, Purse, SetupError, tool
from outrider import events as e
from outrider.journal.sqlite import SQLiteJournal
from outrider.limits import charged
from outrider.openrouter.routing import Routing
from outrider.testing.fake import FakeOpenRouter, FakeReply
from outrider.testing.scripted import Calls, ScriptedModel

pytestmark = pytest.mark.anyio
NAME = "qwen/qwen3-14b"
HALF = FakeReply(calls=[("look", {})], cost=0.5)


@tool(effect="read", polls=True)
def look() -> str:
    """Look."""
    return "seen"


def agent(server: FakeOpenRouter, journal: SQLiteJournal | None = None, **more: Any) -> Agent[None, Any]:
    wire: dict[str, Any] = more.pop("wire", {})
    given: dict[str, Any] = {"tools": [look], "limits": Limits(dollars=1)} | more
    return Agent(NAME, settings=server.settings(**wire), journal=journal, **given)


def sold(server: FakeOpenRouter, **pricing: str) -> None:
    """The server lists one provider, at these prices."""
    prices = {"prompt": "0", "completion": "0", **pricing}
    put(server, NAME, [endpoint("a", pricing=prices, max_completion_tokens=16384, context_length=131072)])


# ------------------------------------------------------------------------------------------- a cap of a dollar


@pytest.mark.parametrize(
    "pricing",
    [
        pytest.param({"request": "0.5"}, id="as listed"),
        pytest.param({"completion": "0.00003"}, id="by the answer's length"),
        pytest.param({"completion": "0.0000003"}, id="billed far above what is listed"),
        pytest.param({}, id="listed as free"),
    ],
)
@pytest.mark.parametrize("output", [None, int])
async def test_half_a_dollar_a_call_and_a_cap_of_one_are_two_calls(
    server: FakeOpenRouter, pricing: dict[str, str], output: Any
) -> None:
    sold(server, **pricing)
    server.add(*[HALF] * 5)
    result = await agent(server, output=output).run("go")
    assert (result.outcome, result.cost) == ("limit", Decimal(1))
    assert len([request for request in server.requests if request.method == "POST"]) == 2
    told = r"limit dollars reached: \$(0\.5|1) of \$1, and the next request may cost \$[\d.]{1,9} with a last answer"
    assert re.match(told, result.detail)


async def test_what_is_put_aside_is_on_record_with_where_it_comes_from(
    server: FakeOpenRouter, journal: SQLiteJournal
) -> None:
    sold(server, prompt="0.000001", completion="0.000002", request="0.01")
    server.add(FakeReply(calls=[("look", {})], usage={"prompt_tokens": 50}), "Done.")
    result = await agent(server, journal).run("go")
    first, second = await recorded(journal, result.run, e.RequestSent)
    body, more = (request.body for request in server.requests if request.method == "POST")
    answer = 16384 * Decimal("0.000002") + Decimal("0.01")
    assert first.reserved == len(body) * Decimal("0.000001") + answer
    added = len(more) - len(body)  # the reply and its result; what was sent before is known to be 50 tokens
    assert second.reserved == (50 + added) * Decimal("0.000001") + answer
    assert (first.basis, second.basis) == ("qwen/qwen3-14b at a, prices of just now", "")
    assert (first.held, second.held) == (0, 0)


async def test_an_answer_is_held_to_what_the_money_pays(server: FakeOpenRouter, journal: SQLiteJournal) -> None:
    sold(server, completion="0.0001")
    server.add("Done.")
    result = await agent(server, journal, tools=[]).run("go")
    [sent] = await recorded(journal, result.run, e.RequestSent)
    assert (sent.held, sent.reserved) == (10_000, Decimal(1))
    assert server.requests[-1].json["max_tokens"] == 10_000


@pytest.mark.parametrize(("dollars", "sent"), [("0.0256", 1), ("0.0255", 0)])
async def test_an_answer_that_would_be_too_short_is_not_asked_for(
    server: FakeOpenRouter, dollars: str, sent: int
) -> None:
    sold(server, completion="0.0001")
    server.add("Done.")
    result = await agent(server, tools=[], limits=Limits(dollars=dollars)).run("go")
    assert result.outcome == ("finished" if sent else "limit")
    assert result.state.requests == sent
    assert sent or "$0 of $0.0255, and the next request may cost $0.0256" in result.detail


@pytest.mark.parametrize("wire", [{"max_tokens": 100}, {"extra": {"max_completion_tokens": 100}}])
async def test_a_length_of_ones_own_is_kept(server: FakeOpenRouter, wire: dict[str, Any]) -> None:
    sold(server, completion="0.0001")
    server.add("Done.")
    result = await agent(server, tools=[], wire=wire, limits=Limits(dollars="0.01")).run("go")
    body = server.requests[-1].json
    assert (result.outcome, body.get("max_tokens") or body.get("max_completion_tokens")) == ("finished", 100)
    assert len({"max_tokens", "max_completion_tokens"} & body.keys()) == 1
    short = await agent(server, tools=[], wire=wire, limits=Limits(dollars="0.0099")).run("go")
    assert (short.outcome, short.state.requests) == ("limit", 0)


async def test_without_a_limit_of_dollars_nothing_is_put_aside(server: FakeOpenRouter, journal: SQLiteJournal) -> None:
    server.add("Done.")
    result = await agent(server, journal, limits=Limits(dollars=None)).run("go")
    [sent] = await recorded(journal, result.run, e.RequestSent)
    assert (sent.reserved, sent.basis) == (None, "")
    assert "max_tokens" not in server.requests[0].json


# --------------------------------------------------------------------------------------- bills above and below


async def test_a_bill_above_what_was_put_aside_raises_those_after_it_and_is_named(
    server: FakeOpenRouter, journal: SQLiteJournal
) -> None:
    sold(server, request="0.01")
    server.add(*[FakeReply(calls=[("look", {})], cost=cost) for cost in (0.01, 0.03, 0.03, 0.12)], "Done.")
    result = await agent(server, journal).run("go")
    assert result.outcome == "finished"
    reserved = [sent.reserved for sent in await recorded(journal, result.run, e.RequestSent)]
    assert reserved == [Decimal(amount) for amount in ("0.01", "0.01", "0.03", "0.03", "0.12")]
    above = await recorded(journal, result.run, e.BillAbove)
    assert above == [
        e.BillAbove(2, Decimal("0.01"), Decimal("0.03"), Decimal(3)),
        e.BillAbove(4, Decimal("0.03"), Decimal("0.12"), Decimal(12)),
    ]


async def test_what_is_billed_beside_the_prices_is_expected_again_of_a_short_request_too(
    server: FakeOpenRouter, journal: SQLiteJournal
) -> None:
    """Bills a hair above the price at full length: the last of the money must not go for a shortened answer."""
    sold(server, completion="0.0000183")
    server.add(*[FakeReply(calls=[("look", {})], cost=0.3)] * 6)
    result = await agent(server, journal).run("go")
    assert (result.outcome, result.cost) == ("limit", Decimal("0.9"))


async def test_retries_and_rubbish_draw_on_the_same_money(
    server: FakeOpenRouter, journal: SQLiteJournal, no_waiting: None
) -> None:
    sold(server, request="0.25")
    rubbish = FakeReply(chunks=[{"id": "gen-1", "choices": [], "usage": {"cost": 0.25}}])
    lost = FakeReply(text="Not all of it", drop_at=2)
    server.add(FakeReply(status=429), FakeReply(status=500), lost, rubbish)
    server.add(FakeReply(calls=[("look", {})], cost=0.25), FakeReply(text="All.", cost=0.25), "Never asked for.")
    result = await agent(server, journal).run("go")
    assert (result.outcome, result.cost, result.partial) == ("limit", Decimal("0.75"), "All.")
    assert result.receipt.requests_in_doubt == 1, "who breaks off may have billed"
    assert charged(result.state) == Decimal(1)


async def test_a_reply_without_a_bill_is_estimated_and_the_estimate_is_shown_as_such(
    server: FakeOpenRouter, journal: SQLiteJournal
) -> None:
    sold(server, prompt="0.001", completion="0.002")
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    server.add(FakeReply(calls=[("look", {})], cost=None, usage=usage), FakeReply(text="Done.", cost=0.01))
    result = await agent(server, journal, limits=Limits(dollars=100)).run("go")
    [first, _] = await recorded(journal, result.run, e.Replied)
    assert (first.usage.cost, first.estimate) == (None, Decimal("0.02"))
    assert (result.cost, charged(result.state)) == (Decimal("0.01"), Decimal("0.03"))
    assert "$0.010 + 1 reply without a price (about $0.020)" in str(result)


async def test_a_bill_that_comes_later_settles_what_was_reckoned(journal: SQLiteJournal, no_waiting: None) -> None:
    with FakeOpenRouter(bills=True, bill_after=4) as server:
        sold(server, request="0.1")
        cut = FakeReply(text="Half of it", drop_at=3, cost=0.07)
        server.add(cut, FakeReply(calls=[("look", {})], cost=0.05), FakeReply(text="Done.", cost=0.05))
        result = await agent(server, journal, wire={"bill_seconds": 60.0}).run("go")
    [settled] = await recorded(journal, result.run, e.CostSettled)
    assert settled == e.CostSettled(1, Decimal("0.07"))
    assert (result.outcome, result.cost) == ("finished", Decimal("0.17"))
    assert result.receipt.requests_in_doubt == 0


async def test_a_request_that_a_crash_left_open_is_settled_by_its_bill(journal: SQLiteJournal, tmp_path: Path) -> None:
    with FakeOpenRouter(bills=True) as server:
        sold(server, request="0.1")
        server.add(FakeReply(text="Never read.", cost=0.07), FakeReply(text="Done.", cost=0.05))
        made = agent(server, journal, tools=[], wire={"bill_seconds": 60.0})
        first = await made.run("go")
        events = [entry for entry in await journal.read(first.run) if not isinstance(entry.event, e.Replied)]
        broken = SQLiteJournal(tmp_path / "broken")
        log = await broken.create(first.run)
        for entry in events[:3]:  # begun, sent, accepted; and then the power fails
            log.append(entry, e.encode(entry.event))
        await log.close()
        result = await agent(server, broken, tools=[], wire={"bill_seconds": 60.0}).resume(first.run)
    assert (result.outcome, result.cost) == ("finished", Decimal("0.12"))
    assert await recorded(broken, result.run, e.CostSettled) == [e.CostSettled(1, Decimal("0.07"))]
    await broken.close()


# --------------------------------------------------------------------------------------- prices not known


async def test_a_limit_that_is_given_needs_a_price(server: FakeOpenRouter, journal: SQLiteJournal) -> None:
    server.pages["/endpoints"] = FakeReply(status=404, error="there is no such model")
    with pytest.raises(SetupError, match=r"the limit of \$1 cannot be kept: the price of qwen/qwen3-14b") as caught:
        await agent(server, journal).run("go")
    assert "no such model" in caught.value.message
    assert "max_price" in caught.value.hint
    assert await journal.runs() == []
    assert not [request for request in server.requests if request.method == "POST"]


async def test_the_highest_price_allowed_is_a_price(server: FakeOpenRouter, journal: SQLiteJournal) -> None:
    server.pages["/endpoints"] = FakeReply(status=404, error="there is no such model")
    server.add("Done.")
    provider = Routing(max_price={"prompt": 1, "completion": 2})
    result = await agent(server, journal, tools=[], wire={"provider": provider}).run("go")
    [sent] = await recorded(journal, result.run, e.RequestSent)
    body = server.requests[-1]
    assert sent.reserved == (len(body.body) + 2 * body.json["max_tokens"]) * Decimal("0.000001")
    assert sent.basis == "the highest price allowed"


async def test_the_default_limit_counts_bills_where_prices_are_not_known_and_says_so(
    server: FakeOpenRouter, journal: SQLiteJournal
) -> None:
    server.add(*[HALF] * 5)
    result = await agent(server, journal, limits=Limits()).run("go")
    assert (result.outcome, result.cost) == ("limit", Decimal(1))
    sent = await recorded(journal, result.run, e.RequestSent)
    assert [each.reserved for each in sent] == [None, None]
    assert "the price of qwen/qwen3-14b is not known here" in sent[0].basis
    assert "max_tokens" not in server.requests[0].json


async def test_a_resumed_run_keeps_the_limits_it_has_though_prices_are_not_known_any_more(
    server: FakeOpenRouter, journal: SQLiteJournal
) -> None:
    server.add(FakeReply(calls=[("look", {})]), "Here.", "Done.")
    limits = Limits(turns=1, dollars=1)
    first = await agent(server, journal, limits=limits).run("go")
    server.pages["/endpoints"] = FakeReply(status=404, error="gone")
    again = await agent(server, journal, limits=limits).resume(first.run)
    assert (first.outcome, again.outcome) == ("limit", "limit")
    other = Agent("some/other", tools=[look], settings=server.settings(), journal=journal)
    with pytest.raises(SetupError, match="cannot be kept"):
        await other.resume(first.run, limits=Limits(dollars=2))


# ------------------------------------------------------------------------------------------------- landing


class Report(BaseModel):
    found: int
    whole: bool


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        (Limits(turns=2), "of turns for this task is reached"),
        (Limits(tool_calls=1), "of tool calls for this task is reached"),
        (Limits(dollars="0.003"), "of money for this task is reached"),
    ],
)
async def test_at_a_limit_the_model_is_asked_for_its_answer_once_more(
    journal: SQLiteJournal, limits: Limits, why: str
) -> None:
    look_ = Calls(("look", {}))
    model = ScriptedModel([look_, look_, {"found": 2, "whole": False}, look_, {"found": 3, "whole": True}])
    made = Agent(model, tools=[look], output=Report, limits=limits, journal=journal)
    result = await made.run("go")
    assert (result.outcome, result.exit_code) == ("limit", 4)
    assert result.partial == {"found": 2, "whole": False}
    last = model.bodies[-1]
    assert "tools" not in last
    assert why in last["messages"][-1]["content"]
    assert '"whole"' in last["messages"][-1]["content"]
    assert "response_format" in last
    assert (result.cost or 0) <= (limits.dollars or 1)
    more = await made.resume(result.run, limits=Limits())
    assert (more.outcome, more.output) == ("finished", Report(found=3, whole=True))
    assert "There is room to work on now." in str(more.messages)


async def test_a_text_answer_at_a_limit_is_what_there_is(journal: SQLiteJournal) -> None:
    model = ScriptedModel([Calls(("look", {})), "Half of it."])
    result = await Agent(model, tools=[look], limits=Limits(turns=1), journal=journal).run("go")
    assert (result.outcome, result.partial, result.turns) == ("limit", "Half of it.", 2)
    assert "JSON" not in str(result.messages)


async def test_where_no_money_was_kept_for_it_there_is_no_last_answer() -> None:
    @tool(effect="read")
    def much() -> str:
        """Much."""
        return "x" * 30_000

    with FakeOpenRouter([FakeReply(calls=[("much", {})], cost=0.02), "Never asked for."]) as server:
        sold(server, prompt="0.000001", completion="0.0000001")
        result = await agent(server, tools=[much], limits=Limits(dollars="0.03")).run("go")
    assert (result.outcome, result.state.requests) == ("limit", 1)


async def test_a_last_answer_that_fails_or_does_not_fit_leaves_the_limit_as_the_reason() -> None:
    look_ = Calls(("look", {}))
    for last in ({"found": "many"}, look_, e.RequestFailed(0, "server", "down", "stop")):
        model = ScriptedModel([look_, last, look_])
        result = await Agent(model, tools=[look], output=Report, limits=Limits(turns=1), journal=None).run("go")
        assert (result.outcome, len(model.requests)) == ("limit", 2)
        assert result.detail == "limit turns reached: 1 of 1"


async def test_a_run_killed_while_it_lands_goes_on_landing(journal: SQLiteJournal, tmp_path: Path) -> None:
    model = ScriptedModel([Calls(("look", {})), "Half of it."])
    made = Agent(model, tools=[look], limits=Limits(turns=1), journal=journal)
    whole = await journal.read((await made.run("go")).run)
    for cut in range(1, len(whole)):
        home = SQLiteJournal(tmp_path / str(cut))
        log = await home.create(whole[0].run)
        for entry in whole[:cut]:
            log.append(entry, e.encode(entry.event))
        await log.close()
        again = Agent(model, tools=[look], limits=Limits(turns=1), journal=home)
        result = await again.resume(whole[0].run)
        assert (result.outcome, result.partial) == ("limit", "Half of it.")
        await home.close()


@pytest.mark.parametrize("bill", ["1e999999", "1e-999999", "-1", '"nan"', "true"])
async def test_an_absurd_bill_counts_as_none(server: FakeOpenRouter, journal: SQLiteJournal, bill: str) -> None:
    body = '{"id":"gen-1","choices":[{"message":{"content":"Hi."},"finish_reason":"stop"}],"usage":{"cost":BILL}}'
    server.add(FakeReply(body=body.replace("BILL", bill).encode(), stream=False))
    limits = Limits(dollars=1, purse=Purse("absurd", 1))
    result = await agent(server, journal, tools=[], limits=limits).run("go")
    assert (result.outcome, result.cost, result.receipt.unpriced) == ("finished", None, 1)


def test_money_is_decimal_throughout() -> None:
    result = asyncio.run(Agent(ScriptedModel(["Hi."], cost="0.1"), limits=Limits(dollars=0.1), journal=None).run("go"))
    assert (result.outcome, result.cost) == ("finished", Decimal("0.1"))
