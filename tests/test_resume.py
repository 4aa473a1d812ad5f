"""Going on with a recorded run: what comes from the record, what may differ, and a person's word in between."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from agent_kit import Forecast, look, pay
from outrider import Agent, Context, JournalError, Limits, SetupError, ask_before, tool
from outrider import events as e
from outrider.errors import RunBusy, RunNotFound
from outrider.journal.sqlite import SQLiteJournal
from outrider.messages import UserMessage
from outrider.state import State
from outrider.testing.scripted import Calls, ScriptedModel

pytestmark = pytest.mark.anyio
WATCHDOG = 60.0


class Unpriced(ScriptedModel):
    """Nobody knows what it costs."""

    tariff = None  # pyright: ignore[reportAssignmentType] -- a model need not have one


async def paused(journal: SQLiteJournal, **options: Any) -> str:
    model = ScriptedModel([Calls(("pay", {"amount": 1})), "done"])
    agent = Agent(model, tools=[look, pay], policy=ask_before("write"), journal=journal, **options)
    result = await agent.run("go")
    assert result.outcome == "paused"
    return result.run


async def changes(journal: SQLiteJournal, run: str) -> list[tuple[str, ...]]:
    return [r.event.changed for r in await journal.read(run) if isinstance(r.event, e.RunResumed)]


async def test_a_run_is_resumed_from_its_record_alone(journal: SQLiteJournal, home: Path) -> None:
    run = await paused(journal)
    await journal.close()
    model = ScriptedModel([Calls(("pay", {"amount": 1})), "done"])
    fresh = Agent(model, tools=[look, pay], policy=ask_before("write"), journal=SQLiteJournal(home))
    await fresh.approve(run, f"{run}:1:0")
    result = await fresh.resume(run)
    assert (result.output, result.run, result.turns) == ("done", run, 2)
    assert len(model.requests) == 1, "the first reply comes from the record"
    assert await changes(journal, run) == [()], "nothing differs"


async def test_more_turns_are_given_without_a_word_on_money(journal: SQLiteJournal) -> None:
    """The dollars that a run has by default, read back from its record, are still nobody's word."""
    model = Unpriced([Calls(("look", {})), "Not yet.", "done"])
    agent = Agent(model, tools=[look], limits=Limits(turns=1), journal=journal)
    first = await agent.run("go")
    assert first.outcome == "limit"
    recorded = State.fold(await journal.read(first.run)).limits
    with pytest.raises(SetupError, match="names no prices"):
        await agent.resume(first.run, limits=replace(recorded, dollars=Decimal(2)))
    again = await agent.resume(first.run, limits=replace(recorded, turns=4))
    assert (again.outcome, again.output) == ("finished", "done")


async def test_what_differs_from_the_record_is_said_in_plain_words(journal: SQLiteJournal) -> None:
    run = await paused(journal, instructions="Be brief.")

    def other_look(town: str) -> str:
        """Look."""
        return town

    @tool
    def smile() -> str:
        """Smile."""
        return "smiled"

    agent = Agent(
        ScriptedModel([], name="another"),
        instructions="Be long.",
        tools=[tool(other_look, name="look"), smile],
        output=Forecast,
        policy=ask_before("write"),
        journal=journal,
    )
    result = await agent.resume(run)
    assert result.outcome == "paused", "a question stays a question"
    (said,) = await changes(journal, run)
    assert set(said) == {
        "tool pay is missing",
        "tool smile is new",
        "tool look has changed",
        "the model was scripted and is another",
        "the output type was text and is Forecast",
        "the instructions have changed; the run keeps its own",
    }


@pytest.mark.parametrize(("before", "after"), [("", "Be brief."), ("Be brief.", "")])
async def test_instructions_that_come_or_go_are_a_change(journal: SQLiteJournal, before: str, after: str) -> None:
    run = await paused(journal, instructions=before)
    agent = Agent(ScriptedModel([]), instructions=after, tools=[look, pay], policy=ask_before("write"), journal=journal)
    await agent.resume(run)
    assert await changes(journal, run) == [("the instructions have changed; the run keeps its own",)]


async def test_masked_instructions_are_no_change(journal: SQLiteJournal) -> None:
    options: dict[str, Any] = {"instructions": "The key is hunter22.", "secrets": ["hunter22"]}
    run = await paused(journal, **options)
    agent = Agent(ScriptedModel([]), tools=[look, pay], policy=ask_before("write"), journal=journal, **options)
    await agent.resume(run)
    assert await changes(journal, run) == [()]


async def test_a_resume_that_cannot_begin_gives_the_run_up(journal: SQLiteJournal) -> None:
    model = ScriptedModel([Calls(("pay", {"amount": 1})), "done"])
    agent = Agent(
        model,
        instructions=lambda name: f"You serve {name.upper()}.",
        tools=[pay],
        policy=ask_before("write"),
        deps_type=str,
        journal=journal,
    )
    run = (await agent.run("go", deps="Ada")).run
    with pytest.raises(SetupError, match="deps_type is str"):
        await agent.resume(run)  # without the dependencies
    assert (await agent.resume(run, deps="Ada")).outcome == "paused", "and not: the run is busy"


async def test_a_finished_run_gives_its_result_again_and_records_nothing(journal: SQLiteJournal) -> None:
    model = ScriptedModel([{"city": "Rome", "celsius": 21}])
    agent = Agent(model, output=Forecast, journal=journal)
    first = await agent.run("go")
    entries = await journal.read(first.run)
    again = await agent.resume(first.run)
    assert again.output == first.output == Forecast(city="Rome", celsius=21)
    assert await journal.read(first.run) == entries
    assert len(model.requests) == 1


async def test_a_finished_run_goes_on_with_a_further_message(journal: SQLiteJournal) -> None:
    agent = Agent(ScriptedModel(["one", "two"]), journal=journal)
    result = await agent.run("go")
    result = await agent.resume(result.run, say="and then?")
    assert result.output == "two"
    assert [m.content for m in result.messages if isinstance(m, UserMessage)] == ["go", "and then?"]


async def test_new_limits_hold_from_then_on(journal: SQLiteJournal) -> None:
    agent = Agent(ScriptedModel(["one", "two", "three"]), limits=Limits(turns=1), journal=journal)
    result = await agent.run("go")
    result = await agent.resume(result.run, say="more")
    assert (result.outcome, result.partial) == ("limit", "one")
    result = await agent.resume(result.run, limits=Limits(turns=9))
    assert result.output == "two"
    assert (await agent.resume(result.run, say="more")).output == "three", "they are on record"


async def test_what_is_not_on_record_cannot_be_resumed(journal: SQLiteJournal) -> None:
    with pytest.raises(RunNotFound):
        await Agent(ScriptedModel([]), journal=journal).resume("nosuchrun")
    with pytest.raises(RunNotFound, match="not on record"):
        await Agent(ScriptedModel([]), journal=None).resume("nosuchrun")


async def test_a_run_under_way_is_busy(journal: SQLiteJournal) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    @tool(effect="read")
    async def wait() -> str:
        """Wait."""
        begun.set()
        await go.wait()
        return "waited"

    agent = Agent(ScriptedModel([Calls(("wait", {})), "done"]), tools=[wait], journal=journal)
    async with agent.stream("go") as run:
        await asyncio.wait_for(begun.wait(), WATCHDOG)
        with pytest.raises(RunBusy):
            await agent.resume(run.id)
        go.set()
        assert (await run.result()).output == "done"


async def test_a_record_of_a_newer_version_is_refused(journal: SQLiteJournal) -> None:
    log = await journal.create("fromthefuture")
    started = e.RunStarted("fromthefuture", "go", "agent", "scripted", (), Limits(), schema=e.SCHEMA + 1)
    log.append(e.Entry(1, 1e9, started), e.encode(started))
    await log.close()
    agent = Agent(ScriptedModel(["done"]), journal=journal)
    for _ in range(2):  # it is given up again each time
        with pytest.raises(JournalError, match="newer Outrider"):
            await agent.resume("fromthefuture")


# --------------------------------------------------------------------------------------- a person's word


async def test_a_persons_word_through_the_api(journal: SQLiteJournal) -> None:
    paid: list[int] = []

    @tool(approve=True)
    def pay(amount: int) -> str:
        """Pay."""
        paid.append(amount)
        return f"paid {amount}"

    calls = Calls(*[("pay", {"amount": amount}) for amount in (1, 2, 3)])
    agent = Agent(ScriptedModel([calls, "done"]), tools=[pay], journal=journal)
    result = await agent.run("go")
    run = result.run
    assert [call.call.id for call in result.state.owed_calls()] == [f"{run}:1:{n}" for n in range(3)]
    await agent.approve(run, f"{run}:1:0")
    result = await agent.resume(run)
    assert (result.outcome, paid) == ("paused", [1]), "the others still wait"
    await agent.deny(run, f"{run}:1:1", "too much")
    await agent.approve(run, f"{run}:1:2", arguments={"amount": 30})
    result = await agent.resume(run)
    assert (result.outcome, paid) == ("finished", [1, 30])


async def test_a_call_in_doubt_is_settled_through_the_api(journal: SQLiteJournal) -> None:
    attempts: list[str] = []

    @tool(timeout=0.01)
    async def order(what: str, context: Context[None]) -> str:
        """Order."""
        attempts.append(context.key)
        if context.attempt == 1:
            await asyncio.Event().wait()
        return f"ordered {what}"

    calls = Calls(("order", {"what": "a"}), ("order", {"what": "b"}))
    agent = Agent(ScriptedModel([calls, "done"]), tools=[order], journal=journal)
    result = await asyncio.wait_for(agent.run("go"), WATCHDOG)
    run = result.run
    assert (result.outcome, result.state.paused) == ("paused", "doubt")
    await agent.settle(run, f"{run}:1:0", "it came by post")
    await agent.settle(run, f"{run}:1:1")
    result = await agent.resume(run)
    assert result.outcome == "finished"
    assert "it came by post" in str(result.messages)
    assert "ordered b" in str(result.messages)
    assert attempts == [f"{run}:1:0", f"{run}:1:1", f"{run}:1:1"], "the key stays the same"
