"""A run is stopped from another process while it is at work; and read along, from any number on."""

import asyncio
import json
import random
import sqlite3
import threading
import time
from collections.abc import AsyncGenerator, Callable
from decimal import Decimal
from pathlib import Path

import pytest

from journal_kit import sql, until
from outrider import Agent, Limits, Purse, Result, SetupError, tool
from outrider import events as e
from outrider.commands import Cancel
from outrider.journal.follow import follow
from outrider.journal.sqlite import SQLiteJournal
from outrider.model import ModelEvent, Request
from outrider.testing import Calls, FakeOpenRouter, FakeReply, ScriptedModel
from shell import Shell, end

pytestmark = pytest.mark.anyio
WATCHDOG = 60.0

STALLS = FakeReply(text="Hello, hello.", hold=threading.Event(), hold_at=2)


async def stopped(journal: SQLiteJournal, agent: Agent, busy: Callable[[], bool]) -> Result[str]:
    """A run that another journal object asks to stop once it is busy."""
    task = asyncio.create_task(agent.run("go"))
    await until(busy)
    (summary,) = await journal.runs(1)
    other = SQLiteJournal(journal.home)
    await Agent("local", journal=other).cancel(summary.run, by="Ada")
    await other.close()
    result = await asyncio.wait_for(task, WATCHDOG)
    events = [entry.event for entry in await journal.read(result.run)]
    (asked,) = [event for event in events if isinstance(event, e.StopAsked)]
    assert asked.by == "Ada"
    assert (result.outcome, result.state.paused) == ("paused", "stopped")
    return result


async def test_in_the_middle_of_a_reply_the_connection_is_closed(journal: SQLiteJournal) -> None:
    with FakeOpenRouter([STALLS, "Hello."]) as server:
        agent = Agent(settings=server.settings(), journal=journal)
        result = await stopped(journal, agent, lambda: bool(server.requests))
        assert result.state.requests_in_doubt == 1
        await until(lambda: bool(server.closed))
        assert (await agent.resume(result)).output == "Hello."
        await agent.close()


@pytest.mark.parametrize("waits", ["async", "thread"])
@pytest.mark.parametrize("repeat", ["safe", "never"])
async def test_in_the_middle_of_a_tool_its_own_rule_says_what_comes_of_it(
    journal: SQLiteJournal, waits: str, repeat: str
) -> None:
    begun: list[float] = []

    async def slow() -> str:
        """Take long, the first time."""
        begun.append(time.monotonic())
        if len(begun) == 1:
            await asyncio.sleep(WATCHDOG)
        return "there"

    def slow_thread() -> str:
        """Take long, the first time."""
        begun.append(time.monotonic())
        if len(begun) == 1:
            time.sleep(5)
        return "there"

    made = tool(slow if waits == "async" else slow_thread, name="slow", repeat=repeat)  # type: ignore[call-overload]
    agent = Agent(ScriptedModel([Calls(("slow", {})), "done"]), tools=[made], journal=journal)
    result = await stopped(journal, agent, lambda: bool(begun))
    again = await agent.resume(result)
    assert (again.outcome, len(begun)) == (("finished", 2) if repeat == "safe" else ("paused", 1))
    assert again.state.paused == ("" if repeat == "safe" else "doubt")


async def test_while_it_waits_to_try_again(journal: SQLiteJournal) -> None:
    busy = FakeReply(status=429, error="slow down", headers={"Retry-After": "30"})
    with FakeOpenRouter([busy, "Hello."]) as server:
        agent = Agent(settings=server.settings(), journal=journal)
        result = await stopped(journal, agent, lambda: bool(server.requests))
        assert (await agent.resume(result)).output == "Hello."
        await agent.close()


class Slow(ScriptedModel):
    """Does not answer before it may."""

    may = asyncio.Event()

    async def ask(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        await self.may.wait()
        async for event in super().ask(request):
            yield event


async def test_while_it_waits_for_money(journal: SQLiteJournal) -> None:
    model = Slow(["one"])
    model.may = asyncio.Event()
    limits = Limits(purse=Purse("shared", Decimal("0.0015")))
    holding = asyncio.create_task(Agent(model, journal=journal, limits=limits).run("hold"))
    await until(lambda: bool(asked(journal, "draw")))
    other = SQLiteJournal(journal.home)
    agent = Agent(ScriptedModel(["two"]), journal=other, limits=limits)
    result = await stopped(journal, agent, lambda: asked(journal, "run") == 2)
    assert result.state.requests == 0
    model.may.set()
    assert (await holding).outcome == "finished"
    await other.close()


def asked(journal: SQLiteJournal, table: str) -> int:
    try:
        ((count,),) = sql(journal.home, f"SELECT count(*) FROM {table}")
    except sqlite3.OperationalError:  # not made yet
        return 0
    assert isinstance(count, int)
    return count


async def test_a_stop_is_heard_once_and_not_by_the_leg_after_it(journal: SQLiteJournal) -> None:
    agent = Agent(ScriptedModel(["one", "two"]), journal=journal)
    result = await agent.run("go")
    with pytest.raises(SetupError, match="rests already: finished"):
        await agent.cancel(result.run)
    await journal.tell(result.run, Cancel("Ada"))  # it came a moment too late
    again = await agent.resume(result, say="More.")
    assert again.output == "two"
    refused = [entry.event for entry in await journal.read(result.run) if isinstance(entry.event, e.CommandRefused)]
    assert [event.why for event in refused] == ["the run rested already when it went on"]


def test_by_command(outrider: Shell) -> None:
    outrider.server.add(STALLS)
    process = outrider.start("run", "Say hello.")
    deadline = time.monotonic() + WATCHDOG
    while not outrider.server.requests and time.monotonic() < deadline:
        time.sleep(0.01)
    began = time.monotonic()
    told = outrider("cancel", "last")
    print(f"outrider cancel, from its start to its end: {time.monotonic() - began:.2f} s")
    assert (told.code, "rests: paused; to go on, with its flags: " in told.err) == (0, True)
    assert end(process).code == 6
    twice = outrider("cancel", "last")
    assert (twice.code, "rests already: paused" in twice.err) == (2, True)


# ------------------------------------------------------------------------------------------------- reading along


async def test_readers_have_every_entry_once_from_any_number_on(journal: SQLiteJournal) -> None:
    @tool(effect="read")
    async def step(n: int) -> int:
        """Take a step."""
        await asyncio.sleep(0.02)
        return n

    model = ScriptedModel([*(Calls(("step", {"n": n}), ("step", {"n": -n})) for n in range(1, 30)), "done"])
    agent = Agent(model, tools=[step], journal=journal, limits=Limits(turns=None))
    task = asyncio.create_task(agent.run("go"))
    await until(lambda: bool(journal.commits))
    (summary,) = await journal.runs()
    lot = random.Random(7)

    async def read(after: int) -> list[e.Entry]:
        await asyncio.sleep(lot.random())
        return [entry async for entry in follow(SQLiteJournal(journal.home), summary.run, after)]

    starts = [lot.randrange(100) for _ in range(20)]
    read_by_all = await asyncio.wait_for(asyncio.gather(*map(read, starts)), WATCHDOG)
    await task
    whole = await journal.read(summary.run)
    for after, entries in zip(starts, read_by_all, strict=True):
        assert entries == whole[after:]
        assert [entry.seq for entry in entries] == list(range(after + 1, len(whole) + 1))


def test_show_follows_a_run_to_its_end(outrider: Shell, tmp_path: Path) -> None:
    outrider.server.add(STALLS, "Hello.")
    process = outrider.start("run", "Say hello.")
    deadline = time.monotonic() + WATCHDOG
    while not outrider.server.requests and time.monotonic() < deadline:
        time.sleep(0.01)
    story, data = (
        outrider.start("show", "last", "--follow"),
        outrider.start("show", "last", "-f", "--json", "--after", "1"),
    )
    assert outrider("cancel", "last").code == 0
    end(process)
    seen = [json.loads(line)["seq"] for line in end(data).out.splitlines()]
    assert seen == list(range(2, len(seen) + 2))
    told = end(story)
    assert (told.code, "stop" in told.out) == (0, True)
