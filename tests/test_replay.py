"""A recorded run done again: as it was, or with the first difference named; kept in a file; branched off."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from outrider import Agent, Context, Limits, Result, SetupError, ToolError, ask_before, tool
from outrider.errors import JournalError, RunTaken
from outrider.events import RequestFailed, RunStarted
from outrider.journal.lines import bring_in, lines, read_lines
from outrider.journal.sqlite import SQLiteJournal
from outrider.testing import Calls, FakeOpenRouter, FakeReply, ScriptedModel, faults, record, replay
from shell import FORECAST, Shell, weather_call

pytestmark = pytest.mark.anyio
WATCHDOG = 60.0

TRIP = (
    RequestFailed(0, "busy", "the provider is busy", "retry", status=503),
    Calls(("price", {"of": "lamp"}), ("price", {"of": "desk"}), ("lost", {})),
    Calls(("buy", {"of": "lamp"})),
    "A lamp, then.",
    {"item": 3},
    {"item": "lamp", "euros": 4},
)


class Order(BaseModel):
    item: str
    euros: int


class Shop:
    """Counts what is done in it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.bought: list[str] = []


@tool(effect="read")
def price(of: str, context: Context[Shop]) -> int:
    """What it costs."""
    context.deps.asked.append(of)
    return len(of)


@tool(effect="read")
def lost(context: Context[Shop]) -> str:
    """Fails."""
    raise ToolError("there is no such page")


@tool
def buy(of: str, context: Context[Shop]) -> str:
    """Buy it."""
    context.deps.bought.append(of)
    return f"bought {of}"


def buyer(journal: Any, script: Any = TRIP, **more: Any) -> Agent[Shop, Order]:
    given: dict[str, Any] = {"instructions": "You buy.", "tools": [price, lost, buy], "policy": ask_before("write")}
    return Agent[Shop, Order](ScriptedModel(script), output=Order, deps_type=Shop, journal=journal, **(given | more))


async def bought(journal: SQLiteJournal) -> Result[Order]:
    """A run with a retry, three calls at once, one that fails, consent in another leg, and an answer rejected once."""
    agent = buyer(journal)
    waits = await agent.run("Buy a lamp.", deps=Shop())
    (call,) = waits.state.owed_calls()
    await agent.approve(waits.run, call.call.id, arguments={"of": "lamp 2"})
    result = await agent.resume(waits, deps=Shop())
    assert result.outcome == "finished"
    return result


# ------------------------------------------------------------------------------------------------- replaying


async def test_a_replay_asks_nobody_calls_nothing_and_comes_to_the_same(journal: SQLiteJournal) -> None:
    was = await bought(journal)
    shop, agent = Shop(), buyer(journal)
    done = await asyncio.wait_for(agent.replay(was.run, deps=shop), WATCHDOG)
    assert (done.difference, done.seq, done.complete) == ("", 0, True)
    assert done.result.output == was.output
    assert done.result.state.messages == was.state.messages
    assert (done.result.usage, done.result.tool_calls) == (was.usage, was.tool_calls)
    assert (shop.asked, shop.bought) == ([], [])
    assert isinstance(agent.model, ScriptedModel)
    assert not agent.model.requests
    assert len(await journal.runs()) == 1


async def test_live_tools_are_those_that_only_read(journal: SQLiteJournal) -> None:
    was = await bought(journal)
    shop = Shop()
    done = await buyer(journal).replay(was, deps=shop, live_tools=True)
    assert done.difference == ""
    assert sorted(shop.asked) == ["desk", "lamp"]
    assert shop.bought == []


def dearer(of: str, context: Context[Shop]) -> int:
    """What it costs."""
    return 100


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ({"instructions": "You sell."}, "request 1 differs at $.messages[0].content: it was 'You buy.' and is"),
        ({"tools": [price, lost]}, "request 1 differs at $.tools, which had 3 items and has 2"),
        ({"policy": ask_before("read", "write")}, "then came tool_started, and now comes approval_asked"),
        ({"policy": ask_before("egress")}, "then came approval_asked, and now comes tool_started"),
    ],
)
async def test_what_has_changed_is_named_where_it_first_shows(
    journal: SQLiteJournal, change: dict[str, Any], seen: str
) -> None:
    was = await bought(journal)
    done = await buyer(journal, **change).replay(was.run, deps=Shop())
    assert seen in done.difference
    assert done.seq > 1
    assert not done.complete


async def test_a_live_tool_that_brings_something_else_is_named(journal: SQLiteJournal) -> None:
    was = await bought(journal)
    other = tool(dearer, name="price", effect="read")
    done = await buyer(journal, tools=[other, lost, buy]).replay(was, deps=Shop(), live_tools=True)
    assert "$.tools[0]" not in done.difference
    assert "$.content: it was '4' and is '100'" in done.difference


async def test_runs_of_all_endings_replay(journal: SQLiteJournal) -> None:
    """Landed, limited, rejected, failed, refused, stopped in a call, out of time, out of money; and gone on with."""
    scripts: list[tuple[Any, Limits]] = [
        ([Calls(("price", {"of": "lamp"})), {"item": "lamp", "euros": 1}], Limits(turns=1)),
        ([Calls(("price", {"of": "lamp"}))] * 9, Limits(turns=2)),
        ([Calls(("price", {"of": "lamp"}))] * 9, Limits(repeats=2)),
        ([Calls(("price", {"of": "lamp"}), ("price", {"of": "x"}))] * 9, Limits(tool_calls=3)),
        ([Calls(("price", {"of": "lamp"}))] * 9, Limits(dollars=Decimal("0.0025"))),
        ([Calls(("price", {"of": "lamp"}))] * 9, Limits(tokens=200)),
        ([Calls(("price", {"of": "lamp"}))] * 9, Limits(seconds=0.0)),
        (["no"] * 9, Limits()),
        ([RequestFailed(0, "gone", "no such model", "stop", status=404)], Limits()),
        ([Calls(("price", '{"of": ')), Calls(("prise", {})), {"item": "lamp", "euros": 1}], Limits()),
    ]
    ends: list[str] = []
    for script, limits in scripts:
        agent = buyer(journal, script, limits=limits)
        was = await agent.run("Buy.", deps=Shop())
        ends.append(was.outcome)
        for leg in (1, 2):
            done = await asyncio.wait_for(agent.replay(was.run, deps=Shop()), WATCHDOG)
            assert (done.difference, done.complete) == ("", True), (script, limits)
            assert (done.result.outcome, done.result.detail) == (was.outcome, was.detail)
            if leg == 1:
                was = await agent.resume(was, deps=Shop(), limits=Limits(turns=3), say="Go on.")
    assert set(ends) >= {"finished", "limit", "rejected", "provider"}


async def test_a_run_that_was_cut_anywhere_replays_up_to_there(journal: SQLiteJournal) -> None:
    entries = await journal.read((await bought(journal)).run)
    for length in range(1, len(entries) + 1):
        done = await asyncio.wait_for(buyer(journal).replay(entries[:length], deps=Shop()), WATCHDOG)
        assert done.difference == "", length
        assert done.result.state.seq >= length - 2  # results of parallel calls are there or not
        assert done.complete == (entries[length - 1].event.__class__.__name__ in ("RunPaused", "RunFinished"))


async def test_what_is_no_record_of_a_run_is_refused(journal: SQLiteJournal) -> None:
    entries = await journal.read((await bought(journal)).run)
    for wrong in ([], entries[1:]):
        with pytest.raises(JournalError, match="no record of a run"):
            await buyer(journal).replay(wrong, deps=Shop())


# --------------------------------------------------------------------------------------------- as a test, as a file


async def test_a_real_run_becomes_a_test_in_one_line(journal: SQLiteJournal, tmp_path: Path) -> None:
    was = await bought(journal)
    file = tmp_path / "runs" / "lamp.jsonl"
    record(was, file, buyer(journal))
    assert replay(buyer(None), file, deps=Shop()).output == Order(item="lamp", euros=4)
    with pytest.raises(AssertionError, match=r"lamp.jsonl:\d+: request 1 differs at \$.messages\[0\].content"):
        replay(buyer(None, instructions="Sell."), file, deps=Shop())
    with pytest.raises(SetupError, match="cannot be read"):
        replay(buyer(None), tmp_path / "none.jsonl", deps=Shop())


async def test_a_run_goes_to_another_journal_and_goes_on_there(journal: SQLiteJournal, tmp_path: Path) -> None:
    agent = buyer(journal)
    waits = await agent.run("Buy a lamp.", deps=Shop())
    text = b"\n".join(lines(waits.run, await journal.read(waits.run)))
    other = SQLiteJournal(tmp_path / "other")
    entries = read_lines(text, "it")
    assert await bring_in(other, entries) == waits.run
    assert await other.read(waits.run) == await journal.read(waits.run)
    (listed,) = await other.runs()
    assert (listed.totals.outcome, listed.totals.turns, listed.live) == ("paused", 2, False)
    with pytest.raises(RunTaken):
        await bring_in(other, entries)
    there, shop = buyer(other), Shop()
    await there.approve(waits.run, waits.state.owed_calls()[0].call.id)
    assert (await there.resume(waits.run, deps=shop)).output.item == "lamp"
    assert shop.bought == ["lamp"]
    await other.close()


async def test_broken_files_are_refused_with_their_line(journal: SQLiteJournal) -> None:
    run = (await bought(journal)).run
    whole = list(lines(run, await journal.read(run)))
    other = [line.replace(run.encode(), b"otherrun22") for line in whole]
    for broken, why in [
        ([], "x is empty"),
        (whole[1:], "x:1: a record begins with"),
        ([*whole[:3], *whole[4:]], "x:4: entry 4 is missing"),
        ([*whole[:3], whole[2], *whole[3:]], "x:4: entry 4 is missing"),
        ([*whole[:3], other[3]], "x:4: this is of run otherrun22"),
        ([*whole[:2], whole[2][:-9]], "x:3: this is no line"),
        ([*whole[:2], b"[" * 100_000], "x:3: this is no line"),
        ([*whole[:2], b"\xff\xfe"], "x:3: this is no line"),
        ([whole[0].replace(b'"schema":1', b'"schema":9')], "x:1: this run was recorded by a newer Outrider"),
    ]:
        with pytest.raises(JournalError) as caught:
            read_lines(b"\n".join(broken), "x")
        assert caught.value.message.startswith(why)
        assert caught.value.hint


# --------------------------------------------------------------------------------------------------- branching off


async def test_a_fork_goes_on_from_a_turn_with_a_bill_of_its_own(journal: SQLiteJournal) -> None:
    was = await bought(journal)
    before = await journal.read(was.run)
    model = ScriptedModel(["", Calls(("buy", {"of": "desk"})), {"item": "desk", "euros": 4}], name="other/model")
    shop = Shop()
    agent = Agent[Shop, Order](model, output=Order, tools=[price, lost, buy], journal=journal, deps_type=Shop)
    fork = await agent.fork(was, 1, deps=shop, say="Rather a desk.")
    assert (fork.outcome, fork.output.item, shop.bought) == ("finished", "desk", ["desk"])
    assert (fork.turns, fork.cost) == (2, Decimal("0.002"))
    told = [message["content"] for message in model.bodies[0]["messages"]]
    assert told[0] == "Buy a lamp."  # this agent has no instructions
    assert (len(told), told[2:4], told[-1]) == (6, ["4", "4"], "Rather a desk.")
    start = (await journal.read(fork.run))[0].event
    assert isinstance(start, RunStarted)
    assert (start.forked, start.task, start.model) == (f"{was.run}@1", "Buy a lamp.", "other/model")
    assert await journal.read(was.run) == before
    assert fork.run != was.run


async def test_a_fork_never_takes_a_call_with_it_that_has_no_result(journal: SQLiteJournal) -> None:
    agent = buyer(journal)
    waits = await agent.run("Buy a lamp.", deps=Shop())
    with pytest.raises(SetupError, match=r"turn 2 of run .* has calls without results: buy"):
        await agent.fork(waits, deps=Shop())
    for wrong in (-1, 3):
        with pytest.raises(SetupError, match=f"has no turn {wrong}"):
            await agent.fork(waits, wrong, deps=Shop())
    again = await buyer(journal).fork(waits, 0, deps=Shop())
    assert (again.outcome, again.state.messages[0]) == ("paused", waits.state.messages[0])
    finished = await bought(journal)
    with pytest.raises(SetupError, match="is its answer"):
        await agent.fork(finished, deps=Shop())
    assert len(await journal.runs()) == 3


# ---------------------------------------------------------------------------------------------- the command line


def test_replay_fork_export_and_import_by_command(outrider: Shell, tmp_path: Path) -> None:
    outrider.server.add(FakeReply(status=429, error="slow down", headers={"Retry-After": "0"}), weather_call())
    outrider.server.add("Rather warm.", FORECAST)
    flags = ("-t", "app:weather", "--output", "app:Forecast")
    assert outrider("run", "How warm?", *flags).code == 0
    asked = len(outrider.server.requests)
    done = outrider("replay", "last", *flags)
    assert (done.code, done.json) == (0, {"city": "Paris", "celsius": 21.5})
    assert "as recorded: 4 requests, 1 tool call; finished" in done.err
    assert "slow down" in done.err
    bare = outrider("replay", "last")
    assert (bare.code, "outrider replay" in bare.err, ":weather" in bare.err) == (2, True, True)
    less = outrider("replay", "last", "-t", "app:look", "--force", "--json")
    assert (less.code, less.json["complete"]) == (1, False)
    assert less.json["difference"].startswith("request 1 differs at $.tools[0]")
    assert len(outrider.server.requests) == asked

    file = outrider("export", "last")
    assert file.out == outrider("show", "last", "--json").out
    (tmp_path / "run.jsonl").write_text(file.out)
    there = {"OUTRIDER_HOME": str(tmp_path / "there")}
    brought = outrider("import", str(tmp_path / "run.jsonl"), **there)
    assert (brought.code, brought.out.strip()) == (0, outrider.last())
    assert outrider("import", "-", stdin=file.out, **there).code == 1
    assert "Paris: 21 degrees" in outrider("show", "last", **there).out

    outrider.server.add('{"city":"Rome","celsius":30}')
    fork = outrider("fork", "last", "--at", "1", "--say", "And in Rome?", *flags)
    assert (fork.code, fork.json["city"]) == (0, "Rome")
    body = outrider.server.requests[-1].json["messages"]
    assert [message["content"] for message in body[-2:]] == ["Paris: 21 degrees", "And in Rome?"]
    assert outrider("fork", "last", "--at", "7", *flags).code == 2


def test_a_replay_over_http_waits_for_nothing(tmp_path: Path) -> None:
    with FakeOpenRouter([faults.status(503), faults.error_mid_stream(), "Hello."]) as server:
        agent = Agent(settings=server.settings(), journal=tmp_path)
        was = agent.run_sync("Say hello.")
        assert was.output == "Hello."
        sent = len(server.requests)
        record(was, tmp_path / "hello.jsonl", agent)
        again = replay(agent, tmp_path / "hello.jsonl")
        assert (again.output, again.cost, len(server.requests)) == ("Hello.", was.cost, sent)
