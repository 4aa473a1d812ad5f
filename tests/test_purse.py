"""A purse: money that many runs share, in one process and across processes."""

import asyncio
import random
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncGenerator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent_kit import recorded
from catalogue_kit import endpoint, put
from outrider import Agent, Limits, Purse, SetupError, tool
from outrider import events as e
from outrider.errors import JournalError
from outrider.events import Replied
from outrider.journal import Spent, purses
from outrider.journal.sqlite import SQLiteJournal
from outrider.messages import Usage
from outrider.model import Ask, ModelEvent, Request, Tariff
from outrider.purse import Price
from outrider.testing.fake import FakeOpenRouter, FakeReply
from outrider.testing.scripted import Calls, ScriptedModel

pytestmark = pytest.mark.anyio
WATCHDOG = 120.0
NO_DOLLARS: dict[str, Any] = {"dollars": None, "turns": None, "repeats": None}


@tool(effect="read", polls=True)
def look() -> str:
    """Look."""
    return "seen"


class Dice(ScriptedModel):
    """Each of its requests may cost ``most`` dollars, and is billed by chance, up to ``over`` times that."""

    def __init__(self, seed: int, most: str = "0.01", over: float = 1.0, steps: int = 3) -> None:
        super().__init__([*[Calls(("look", {}))] * steps, "Done."], cost=most)
        self._random, self._over, self.billed = random.Random(seed), over, Decimal(0)

    async def ask(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        async for event in super().ask(request):
            await asyncio.sleep(0)
            if isinstance(event, Replied):
                share = Decimal(str(round(self._random.uniform(0, self._over), 4)))
                cost = self._cost * share
                self.billed += cost
                yield msgspec.structs.replace(event, usage=Usage(100, 10, cost=cost))
            else:
                yield event


async def spent(journal: SQLiteJournal, name: str) -> Spent:
    [found] = [each for each in await journal.spent() if each.name == name]
    return found


# ------------------------------------------------------------------------------------------------- many runs


@pytest.mark.parametrize("kept", [True, False])
async def test_a_thousand_runs_at_once_never_pass_their_purse(journal: SQLiteJournal, kept: bool) -> None:
    purse = Purse(f"thousand {kept}", 3)
    models = [Dice(seed) for seed in range(1000)]
    limits = Limits(purse=purse, **NO_DOLLARS)
    agents = [Agent(model, tools=[look], limits=limits, journal=journal if kept else None) for model in models]
    results = await asyncio.wait_for(asyncio.gather(*(agent.run("go") for agent in agents)), WATCHDOG * 5)
    billed = sum((model.billed for model in models), Decimal(0))
    assert {result.outcome for result in results} <= {"finished", "limit"}
    assert Decimal("2.9") < billed <= 3
    assert sum((result.cost or Decimal(0) for result in results), Decimal(0)) == billed
    if kept:
        assert await spent(journal, purse.name) == Spent(purse.name, "", billed, Decimal(0))


async def test_bills_above_what_was_put_aside_pass_the_cap_by_what_was_in_flight_and_that_is_named() -> None:
    purse, models = Purse("above", 1), [Dice(seed, over=3.0) for seed in range(300)]
    limits = Limits(purse=purse, **NO_DOLLARS)
    agents = [Agent(model, tools=[look], limits=limits, journal=None) for model in models]
    results = await asyncio.wait_for(asyncio.gather(*(agent.run("go") for agent in agents)), WATCHDOG * 5)
    billed = sum((model.billed for model in models), Decimal(0))
    above = sum((result.state.above for result in results), Decimal(0))
    assert billed <= 1 + above
    assert above > 0
    assert all("purse above" in result.detail for result in results if result.outcome == "limit")


async def test_what_was_above_is_an_event_and_the_purse_learns_it_for_all(journal: SQLiteJournal) -> None:
    class Dear(ScriptedModel):
        def tariff(self, ask: Ask) -> Tariff:
            return Tariff(Decimal(0), Decimal(0), Decimal("0.01"))

    limits = Limits(purse=Purse("dear", 1), **NO_DOLLARS)
    first = await Agent(Dear(["One."], cost="0.05"), limits=limits, journal=journal).run("go")
    second = await Agent(Dear(["Two."], cost="0.05"), limits=limits, journal=journal).run("go")
    assert await recorded(journal, first.run, e.BillAbove) == [
        e.BillAbove(1, Decimal("0.01"), Decimal("0.05"), Decimal(5))
    ]
    [sent] = await recorded(journal, second.run, e.RequestSent)
    assert (sent.reserved, second.outcome) == (Decimal("0.05"), "finished")


async def test_a_request_waits_for_money_that_another_may_give_back(journal: SQLiteJournal) -> None:
    sent, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Dice):
        async def ask(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
            sent.set()
            await go_on.wait()
            async for event in super().ask(request):
                yield event

    limits = Limits(purse=Purse("shared", "0.01"), **NO_DOLLARS)
    slow = asyncio.create_task(Agent(Slow(1, over=0.1, steps=0), limits=limits, journal=journal).run("go"))
    await asyncio.wait_for(sent.wait(), WATCHDOG)
    quick = asyncio.create_task(Agent(Dice(2, over=0.1, steps=0), limits=limits, journal=journal).run("go"))
    await asyncio.sleep(0.1)
    assert not quick.done()
    assert (await spent(journal, "shared")).put_aside == Decimal("0.01")
    go_on.set()
    await asyncio.wait_for(slow, WATCHDOG)
    assert (await asyncio.wait_for(quick, WATCHDOG)).outcome in ("finished", "limit")
    assert (await spent(journal, "shared")).put_aside == 0


async def test_a_run_that_waits_for_money_can_be_stopped(journal: SQLiteJournal) -> None:
    purse = Purse("held", 1)
    await journal.draw(purse, "another", 1, Price(Decimal(1), Decimal(1)), waits=False)
    agent = Agent(Dice(1), tools=[look], limits=Limits(purse=purse, **NO_DOLLARS), journal=journal)
    async with agent.stream("go") as run:
        async for event in run:
            if isinstance(event, e.RunStarted):
                run.stop()
    result = await run.result()
    assert (result.outcome, result.state.requests) == ("paused", 0)
    assert (await spent(journal, "held")).put_aside == 1, "the other's"


# ----------------------------------------------------------------------------------------- days, names, amounts


def on(monkeypatch: pytest.MonkeyPatch, day: str) -> None:
    """It is that day."""

    def today(_: Purse) -> str:
        return day

    monkeypatch.setattr(purses, "today", today)


async def test_a_purse_for_a_day_is_full_again_on_the_next(
    journal: SQLiteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = Limits(purse=Purse("daily", "0.001", per="day"), **NO_DOLLARS)
    agent = Agent(ScriptedModel(["Done."]), limits=limits, journal=journal)
    for day in ("2026-11-22", "2026-11-23"):
        on(monkeypatch, day)
        assert (await agent.run("go")).outcome == "finished"
        empty = await agent.run("go")
        assert (empty.outcome, empty.exit_code) == ("limit", 4)
        assert empty.detail.startswith("limit purse daily reached: $0.001 of $0.001, and the next request may cost")
    assert [each.day for each in await journal.spent()] == ["2026-11-22", "2026-11-23"]


async def test_a_bill_counts_for_the_day_on_which_its_request_left(
    journal: SQLiteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    purse, price = Purse("late", 1, per="day"), Price(Decimal("0.5"), Decimal("0.5"))
    on(monkeypatch, "2026-11-22")
    await journal.draw(purse, "a", 1, price, waits=False)
    on(monkeypatch, "2026-11-23")
    await journal.settle(purse, "a", 1, Decimal("0.2"))
    await journal.settle(purse, "a", 1, Decimal("0.2"))
    assert await journal.spent() == [Spent("late", "2026-11-22", Decimal("0.2"), Decimal(0))]


def test_today_is_that_of_greenwich(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    monkeypatch.setattr(purses.time, "gmtime", lambda: (2026, 11, 22, 23, 59, 0, 6, 326, 0))
    assert (purses.today(Purse("a", 1, per="day")), purses.today(Purse("a", 1))) == ("2026-11-22", "")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("", 1), "a purse's name is ''"),
        ((7, 1), "a purse's name is 7"),
        (("a", -1), "purse a holds -1"),
        (("a", "much"), "purse a holds 'much'"),
        (("a", True), "purse a holds True"),
        (("a", float("nan")), "purse a holds nan"),
        (("a", 1, "month"), "purse a: per is 'month'"),
    ],
)
def test_what_can_be_no_purse_is_refused(given: tuple[Any, ...], told: str) -> None:
    with pytest.raises(SetupError) as caught:
        Purse(*given)
    assert caught.value.message == told
    assert caught.value.hint


def test_a_limit_takes_a_purse_only() -> None:
    with pytest.raises(SetupError, match="limit purse is 5"):
        Limits(purse=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert Limits(purse=Purse("a", 0.5)).purse == Purse("a", Decimal("0.5"))


async def test_a_purse_needs_a_price(server: FakeOpenRouter, journal: SQLiteJournal) -> None:
    server.pages["/endpoints"] = FakeReply(status=404, error="no such model")
    agent = Agent(settings=server.settings(), limits=Limits(purse=Purse("nightly", 5)), journal=journal)
    with pytest.raises(SetupError, match=r"the purse nightly=5 cannot be kept: the price of qwen/qwen3-14b"):
        await agent.run("go")
    assert not journal.home.exists(), "what is refused leaves nothing behind"


async def test_the_dollars_of_the_run_count_beside_the_purse(journal: SQLiteJournal) -> None:
    limits = Limits(purse=Purse("big", 5), dollars="0.002")
    result = await Agent(ScriptedModel([Calls(("look", {}))] * 9), tools=[look], limits=limits, journal=journal).run(
        "go"
    )
    assert (result.outcome, result.cost) == ("limit", Decimal("0.002"))
    assert result.detail.startswith("limit dollars reached")
    assert await spent(journal, "big") == Spent("big", "", Decimal("0.002"), Decimal(0))


@pytest.mark.parametrize(("after", "left"), [(4, ("0.12", "0")), (99, ("0.05", "0.1"))])
async def test_what_was_put_aside_for_a_request_in_doubt_stays_so_until_its_bill_is_there(
    journal: SQLiteJournal, no_waiting: None, after: int, left: tuple[str, str]
) -> None:
    with FakeOpenRouter(bills=True, bill_after=after) as server:
        half_a_dollar(server, "0.1")
        server.add(FakeReply(text="Half of it", drop_at=3, cost=0.07), FakeReply(text="Done.", cost=0.05))
        limits = Limits(purse=Purse("doubt", 1))
        settings = server.settings(bill_seconds=WATCHDOG if after == 4 else 1.0)
        result = await Agent(settings=settings, limits=limits, journal=journal).run("go")
    assert result.outcome == "finished"
    assert await spent(journal, "doubt") == Spent("doubt", "", *map(Decimal, left))


async def test_where_no_price_is_known_nothing_is_learned_of_prices(journal: SQLiteJournal) -> None:
    purse, least = Purse("learns", 5), Decimal("0.000001")
    await journal.draw(purse, "a", 1, Price(least, least, billed=True), waits=False)
    await journal.settle(purse, "a", 1, Decimal("0.01"))
    share = await journal.draw(purse, "b", 1, Price(Decimal("0.02"), Decimal("0.01")), waits=False)
    assert (share.put_aside, share.factor) == (Decimal("0.02"), Decimal(1))


async def test_a_resumed_run_draws_on_the_purse_on_record(journal: SQLiteJournal) -> None:
    limits = Limits(purse=Purse("on record", 5), turns=1)
    agent = Agent(ScriptedModel([Calls(("look", {})), "Half.", "Done."]), tools=[look], limits=limits, journal=journal)
    first = await agent.run("go")
    plain = Agent(ScriptedModel([Calls(("look", {})), "Half.", "Done."]), tools=[look], journal=journal)
    assert (await plain.resume(first.run)).outcome == "limit"
    again = await plain.resume(first.run, limits=Limits(turns=9, purse=Purse("on record", 5)))
    assert (again.outcome, again.cost) == ("finished", Decimal("0.003"))
    assert (await spent(journal, "on record")).billed == Decimal("0.003")


async def test_a_run_that_goes_on_where_no_price_is_known_still_stops_at_its_purse(journal: SQLiteJournal) -> None:
    limits = Limits(purse=Purse("abroad", 1), dollars=None, turns=None)
    replies = [FakeReply(calls=[("look", {})], cost=0.3), FakeReply(status=402, error="no credit")]
    with FakeOpenRouter(replies) as server:
        first = await Agent(tools=[look], settings=server.settings(), limits=limits, journal=journal).run("go")
    with FakeOpenRouter(lambda body: FakeReply(calls=[("look", {})], cost=0.3)) as server:
        server.pages["/endpoints"] = FakeReply(status=404, error="no such page")
        again = await Agent(tools=[look], settings=server.settings(), journal=journal).resume(first.run)
    assert (first.outcome, first.cost) == ("provider", Decimal("0.3"))
    assert (again.outcome, again.cost) == ("limit", Decimal("0.9"))
    assert again.detail == "limit purse abroad reached: $0.9 of $1, and the next request may cost $0.3"


# ------------------------------------------------------------------------------------------------- processes

SPENDER = textwrap.dedent(
    """
    import sys
    from outrider import Agent, Limits, Purse, tool
    from outrider.openrouter.settings import Settings

    @tool(effect="read", polls=True)
    def look() -> str:
        "Look."
        return "seen"

    url, home, *run = sys.argv[1:]
    limits = Limits(purse=Purse("shared", 1, per="day"), dollars=None, turns=None, repeats=None)
    settings = Settings(base_url=url, api_key="any", bill_seconds=0.0, retries=0)
    agent = Agent(tools=[look], settings=settings, limits=limits, journal=home)
    result = agent.resume_sync(run[0]) if run else agent.run_sync("go")
    print(result.outcome, result.cost)
    """
)


def spender(server: FakeOpenRouter, home: Path, *run: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", SPENDER, server.base_url, str(home), *run]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def half_a_dollar(server: FakeOpenRouter, request: str) -> None:
    prices = {"prompt": "0", "completion": "0", "request": request}
    put(server, endpoints=[endpoint("a", pricing=prices, max_completion_tokens=16384, context_length=131072)])


def test_processes_share_a_purse_through_the_journal(home: Path) -> None:
    with FakeOpenRouter(lambda body: FakeReply(calls=[("look", {})], cost=0.05)) as server:
        half_a_dollar(server, "0.05")
        processes = [spender(server, home) for _ in range(4)]
        ends = [process.communicate(timeout=WATCHDOG) for process in processes]
    assert all(out.startswith("limit ") for out, _ in ends), ends
    sent = [request for request in server.requests if request.method == "POST"]
    assert len(sent) == 20, "a dollar, at five cents a request"


def test_kill_9_between_sending_and_hearing_ten_times_leaves_the_cap_whole(home: Path) -> None:
    held = FakeReply(calls=[("look", {})], cost=0.05, delay=WATCHDOG)
    with FakeOpenRouter([held] * 40) as server:
        half_a_dollar(server, "0.05")

        def sent() -> int:
            return sum(request.method == "POST" for request in server.requests)

        run: tuple[str, ...] = ()
        for kills in range(1, 11):
            process = spender(server, home, *run)
            server.wait(lambda kills=kills: sent() >= kills, WATCHDOG)
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=WATCHDOG)
            [known] = asyncio.run(SQLiteJournal(home).runs())
            run = (known.run,)
        [left] = asyncio.run(SQLiteJournal(home).spent())
        assert (left.billed, left.put_aside) == (0, Decimal("0.5")), "ten requests that may have been billed"
    with FakeOpenRouter(lambda body: FakeReply(calls=[("look", {})], cost=0.05)) as server:
        half_a_dollar(server, "0.05")
        out, err = spender(server, home, *run).communicate(timeout=WATCHDOG)
        assert out == "limit 0.50\n", err
    assert sum(request.method == "POST" for request in server.requests) == 10


async def test_money_put_aside_for_a_request_that_never_left_is_given_back(journal: SQLiteJournal) -> None:
    purse = Purse("tidy", 1)
    agent = Agent(ScriptedModel(["Done."]), limits=Limits(purse=purse), journal=journal)
    log = await journal.create("abc")
    log.append(
        e.Entry(1, 1.0, started := e.RunStarted("abc", "go", "a", "scripted", (), agent.limits)), e.encode(started)
    )
    await log.close()
    await journal.draw(purse, "abc", 1, Price(Decimal(1), Decimal(1)), waits=False)  # and then the power fails
    result = await agent.resume("abc")
    assert (result.outcome, result.cost) == ("finished", Decimal("0.001"))
    assert await spent(journal, "tidy") == Spent("tidy", "", Decimal("0.001"), Decimal(0))


async def test_a_journal_that_cannot_draw_ends_the_run_with_its_reason(
    journal: SQLiteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise JournalError("the disk is full", "Free some space.")

    monkeypatch.setattr(journal, "draw", broken)
    result = await Agent(ScriptedModel(["Done."]), limits=Limits(purse=Purse("a", 1)), journal=journal).run("go")
    assert result.outcome == "error"
    assert "the disk is full" in result.detail
