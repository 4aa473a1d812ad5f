"""Where a run ends at the latest, what it then has, and how it goes on."""

import asyncio
from collections.abc import AsyncGenerator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

from outrider import Agent, Limits, NoOutput, tool
from outrider import events as e
from outrider.bills import Owed
from outrider.errors import LimitOutcome
from outrider.events import Replied, RequestFailed
from outrider.journal.sqlite import SQLiteJournal
from outrider.limits import charged
from outrider.messages import Usage
from outrider.model import ModelEvent, Request
from outrider.state import State
from outrider.telling import bill
from outrider.testing.scripted import Calls, Script, ScriptedModel

pytestmark = pytest.mark.anyio
WATCHDOG = 60.0
REPLIED = Owed(replied=True)
LOOK = Calls(("look", {}))


@tool(effect="read")
def look() -> str:
    """Look."""
    return "seen"


def none(**but: Any) -> Limits:
    off: dict[str, Any] = {"turns": None, "tool_calls": None, "tokens": None, "seconds": None, "dollars": None}
    return Limits(**(off | but))


@pytest.mark.parametrize(
    ("limits", "name", "requests"),
    [
        (none(turns=2), "turns", 3),  # the third asks for the answer
        (none(tool_calls=3), "tool_calls", 5),  # the fourth call is refused, and the fifth request asks for the answer
        (none(tokens=111), "tokens", 2),  # each scripted reply has 110 tokens
        (none(tokens=110), "tokens", 1),
        (none(dollars="0.002"), "dollars", 2),  # and costs 0.001 dollars
        (none(dollars="0.0021"), "dollars", 2),
        (none(dollars="0.0009"), "dollars", 0),
        (none(dollars=0), "dollars", 0),
        (none(turns=0), "turns", 0),
        (none(seconds=0.0), "seconds", 0),
    ],
)
async def test_a_limit_is_checked_before_each_request(limits: Limits, name: str, requests: int) -> None:
    model = ScriptedModel([LOOK] * 10)
    result = await asyncio.wait_for(Agent(model, tools=[look], limits=limits, journal=None).run("go"), WATCHDOG)
    assert (result.outcome, result.exit_code) == ("limit", 4)
    assert result.detail.startswith(f"limit {name} reached: ")
    assert len(model.requests) == requests
    with pytest.raises(LimitOutcome, match="no output: limit") as caught:
        _ = result.output
    assert "resume" in caught.value.hint
    assert caught.value.result is result
    assert isinstance(caught.value, NoOutput)


async def test_a_model_that_costs_nothing_needs_hardly_any_dollars() -> None:
    model = ScriptedModel([LOOK, "free"], cost="0")
    result = await Agent(model, tools=[look], limits=Limits(dollars="0.000001"), journal=None).run("go")
    assert (result.outcome, result.output, result.cost) == ("finished", "free", Decimal(0))


async def test_a_run_that_sent_nothing_has_cost_nothing() -> None:
    result = await Agent(ScriptedModel([]), limits=Limits(turns=0), journal=None).run("go")
    assert result.cost == Decimal(0)
    assert "$0.00" in str(result)
    assert "unknown" not in str(result)


@pytest.mark.parametrize(("billed", "cost"), [("unknown", None), ("no", Decimal(0))])
async def test_a_request_that_may_have_been_billed_has_an_unknown_cost(billed: Any, cost: Decimal | None) -> None:
    model = ScriptedModel([e.RequestFailed(0, "timeout", "no answer", "stop", billed=billed)])
    result = await Agent(model, journal=None).run("go")
    assert result.cost == cost
    assert (" · cost unknown: 1 request in doubt (at most $0.0010) · " in str(result)) == (cost is None)


async def test_a_model_on_this_machine_costs_nothing_whatever_becomes_of_a_request() -> None:
    model = ScriptedModel([e.RequestFailed(0, "timeout", "no answer", "stop", billed="unknown")], name="local")
    result = await Agent(model, limits=Limits(dollars="0.01"), journal=None).run("go")
    assert (result.cost, result.receipt.requests_in_doubt, charged(result.state)) == (Decimal(0), 0, Decimal(0))
    assert " · $0.00 · " in str(result)
    sent = e.Entry(9, result.state.last_at, e.RequestSent(2, "work", 1, ""))
    result.state.add(sent)
    assert (result.cost, charged(result.state)) == (Decimal(0), Decimal(0)), "killed while it was asked"


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (State(), "$0.00"),
        (State(turns=2, owed={1: REPLIED, 2: REPLIED}), "cost unknown"),
        (State(turns=2, usage=Usage(cost=Decimal("0.5")), owed={1: REPLIED}), "$0.50 + 1 reply without a price"),
        (State(turns=1, usage=Usage(cost=Decimal("0.5")), open_request=2), "$0.50 + 1 request in doubt"),
        (State(open_request=2, owed={1: Owed()}), "cost unknown: 2 requests in doubt"),
    ],
)
def test_the_bill_says_what_is_not_in_it(state: State, told: str) -> None:
    assert bill(state) == told


async def test_the_last_reply_within_a_limit_is_judged_before_the_limit_counts() -> None:
    result = await Agent(ScriptedModel(["done"]), limits=none(turns=1, tokens=1, dollars="0.001"), journal=None).run(
        "go"
    )
    assert (result.outcome, result.output) == ("finished", "done")


class Total(BaseModel):
    total: int


async def test_a_limit_gives_what_there_is() -> None:
    script: list[Script] = [{"total": "many"}, {"total": 3}]
    result = await Agent(ScriptedModel(script), output=Total, limits=none(turns=1), journal=None).run("go")
    assert (result.outcome, result.partial) == ("limit", {})
    assert result.cost == Decimal("0.001")
    assert "limit" in str(result)


async def test_resuming_with_more_goes_on_where_it_stopped(journal: SQLiteJournal) -> None:
    seen: list[int] = []

    @tool
    def count() -> str:
        """Count."""
        seen.append(1)
        return "counted"

    model = ScriptedModel([Calls(("count", {})), Calls(("count", {})), "done"])
    agent = Agent(model, tools=[count], limits=none(turns=1), journal=journal)
    result = await agent.run("go")
    assert (result.outcome, len(seen), len(model.requests)) == ("limit", 1, 2), "a call where there are no tools"
    result = await agent.resume(result.run)
    assert (result.outcome, len(model.requests)) == ("limit", 2), "the same limit still stands"
    result = await agent.resume(result.run, limits=none(turns=5))
    assert (result.outcome, result.output, len(seen), len(model.requests)) == ("finished", "done", 1, 3)


async def test_requests_in_doubt_are_charged(journal: SQLiteJournal) -> None:
    def failed(billed: Any) -> e.RequestFailed:
        return e.RequestFailed(0, "timeout", "no answer", "retry", billed=billed)

    model = ScriptedModel([LOOK, failed("unknown"), failed("unknown"), LOOK, "done"])
    agent = Agent(model, tools=[look], limits=none(dollars="0.003"), journal=journal)
    result = await agent.run("go")
    assert result.outcome == "limit"
    assert (
        result.detail
        == "limit dollars reached: $0.002 of $0.003, and the next request may cost $0.002 with a last answer after it"
    )
    assert result.receipt.requests_in_doubt == 2
    assert " · $0.0010 + 2 requests in doubt (at most $0.0020) · " in str(result)
    assert result.cost == Decimal("0.001"), "what was billed, and nothing else"

    model = ScriptedModel([LOOK, failed("no"), failed("no"), "done"])
    agent = Agent(model, tools=[look], limits=none(dollars="0.003"), journal=journal)
    assert (await agent.run("go")).outcome == "finished", "what was refused before work is not charged"


def test_a_doubt_with_nothing_to_compare_it_with_is_charged_so_that_doubts_end() -> None:
    started = e.RunStarted("r", "task", "agent", "model", (), Limits(dollars=Decimal("0.5")))
    entries = [e.Entry(1, 1.0, started)]
    while len(entries) < 100 and charged(State.fold(entries)) < Decimal("0.5"):  # killed after each sending
        entries.append(e.Entry(len(entries) + 1, 1.0, e.RequestSent(len(entries), "work", 1, "")))
    assert 5 < len(entries) < 12, "a request is tried five times before its run is given up"


def test_a_bill_that_comes_later_takes_the_place_of_the_guess() -> None:
    started = e.RunStarted("r", "task", "agent", "model", (), Limits(dollars=Decimal("0.5")))
    events: list[e.Durable] = [started, e.RequestSent(1, "work", 1, ""), e.RequestSent(2, "work", 1, "")]
    events.append(e.Replied(2, e.NOTHING, "stop", Usage(cost=Decimal("0.01"))))
    assert charged(State.fold(e.Entry(n, 1.0, event) for n, event in enumerate(events, 1))) == Decimal("0.02")
    events.append(e.CostSettled(1, Decimal("0.003")))
    assert charged(State.fold(e.Entry(n, 1.0, event) for n, event in enumerate(events, 1))) == Decimal("0.013")


async def test_seconds_stop_what_is_under_way_and_the_run_can_go_on(journal: SQLiteJournal) -> None:
    mended = asyncio.Event()

    @tool(effect="read")
    async def slow() -> str:
        """Wait for better times."""
        await mended.wait()
        return "there"

    model = ScriptedModel([Calls(("slow", {})), "done"])
    agent = Agent(model, tools=[slow], limits=none(seconds=0.2), journal=journal)
    result = await asyncio.wait_for(agent.run("go"), WATCHDOG)
    assert result.outcome == "limit"
    assert result.detail.startswith("limit seconds reached: ")
    mended.set()
    result = await asyncio.wait_for(agent.resume(result.run, limits=none(seconds=WATCHDOG)), WATCHDOG)
    assert result.outcome == "finished"


async def test_no_more_calls_are_run_than_the_limit_says_and_the_model_may_still_answer() -> None:
    ran: list[int] = []

    @tool(effect="read")
    def count(number: int) -> str:
        """Count."""
        ran.append(number)
        return "counted"

    three = Calls(("count", {"number": 1}), ("count", {"number": 2}), ("count", {"number": 3}))
    model = ScriptedModel([three, "done"])
    result = await Agent(model, tools=[count], limits=Limits(tool_calls=2), journal=None).run("go")
    assert (result.outcome, sorted(ran)) == ("limit", [1, 2])
    assert "the limit of 2 tool calls is reached" in str(result.messages)
    enough = await Agent(model, tools=[count], limits=Limits(tool_calls=3), journal=None).run("go")
    assert enough.output == "done"


async def test_where_replies_have_no_price_requests_in_doubt_are_not_charged() -> None:
    lost = RequestFailed(0, "connection", "gone", "retry", billed="unknown")

    class Unpriced(ScriptedModel):
        async def ask(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
            async for event in super().ask(request):
                yield msgspec.structs.replace(event, usage=Usage(1, 1)) if isinstance(event, Replied) else event

    model = Unpriced([LOOK, lost, lost, lost, "done"])
    result = await Agent(model, tools=[look], journal=None).run("go")
    assert (result.output, result.cost, result.receipt.requests_in_doubt) == ("done", None, 3)
