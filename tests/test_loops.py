"""Runs that go round in circles: the model is told, then the run lands, and resuming goes on."""

import itertools
from typing import Any

import pytest

from agent_kit import recorded
from outrider import Agent, Limits, Result, tool
from outrider import events as e
from outrider.journal.sqlite import SQLiteJournal
from outrider.messages import UserMessage, from_wire
from outrider.testing import Calls, ScriptedModel

pytestmark = pytest.mark.anyio

LOOK = Calls(("look", {"place": "attic"}))


@tool(effect="read")
def look(place: str) -> str:
    """Look somewhere."""
    return f"nothing in the {place}"


@tool(effect="read", polls=True)
def status() -> str:
    """How far the job is."""
    return "running"


@pytest.fixture
def journal(tmp_path: Any) -> SQLiteJournal:
    return SQLiteJournal(tmp_path)


async def run(journal: SQLiteJournal, *script: Any, repeats: int | None = 3, **more: Any) -> Result[str]:
    limits = Limits(turns=None, repeats=repeats)
    return await Agent(ScriptedModel(script), tools=[look, status], journal=journal, limits=limits, **more).run("go")


async def steered(journal: SQLiteJournal, result: Result[str]) -> list[int]:
    return [event.rounds for event in await recorded(journal, result.run, e.LoopSteered)]


async def test_equal_calls_with_equal_results_are_steered_then_the_run_lands(journal: SQLiteJournal) -> None:
    result = await run(journal, *[LOOK] * 20)
    assert (result.outcome, result.turns) == ("limit", 8), "seven rounds, and one more chance to answer"
    assert "limit repeats reached: 6 of 6" in result.detail
    assert await steered(journal, result) == [3]
    [told, last] = [m.content for m in result.messages if isinstance(m, UserMessage)][1:]
    assert "look 4 times" in str(told)
    assert "without anything new" in str(last)


async def test_a_model_that_heeds_it_goes_on(journal: SQLiteJournal) -> None:
    result = await run(journal, *[LOOK] * 4, "Nothing there.")
    assert result.output == "Nothing there."


async def test_going_round_two_calls_is_a_loop_as_well(journal: SQLiteJournal) -> None:
    other = Calls(("look", {"place": "cellar"}))
    result = await run(journal, *[LOOK, other] * 10)
    assert (result.outcome, result.turns) == ("limit", 9)


async def test_news_begin_the_count_anew(journal: SQLiteJournal) -> None:
    places = [Calls(("look", {"place": str(n)})) for n in range(8)]
    mixed = list(itertools.chain.from_iterable((place, LOOK, LOOK) for place in places))
    result = await run(journal, *mixed, "Done.")
    assert (result.output, await steered(journal, result)) == ("Done.", [])


async def test_a_tool_that_polls_may_be_asked_for_ever(journal: SQLiteJournal) -> None:
    result = await run(journal, *[Calls(("status", {}))] * 30, "Done.")
    assert (result.output, await steered(journal, result)) == ("Done.", [])


async def test_calls_that_fail_alike_are_a_loop_too(journal: SQLiteJournal) -> None:
    result = await run(journal, *[Calls(("nothing", {}))] * 20)
    assert (result.outcome, result.turns) == ("limit", 8)


@pytest.mark.parametrize(("repeats", "turns"), [(1, 4), (2, 6), (None, 20)])
async def test_the_threshold_is_a_limit(journal: SQLiteJournal, repeats: int | None, turns: int) -> None:
    result = await run(journal, *[LOOK] * 19, "Done.", repeats=repeats)
    assert result.turns == turns


async def test_a_resumed_run_has_another_chance_and_counts_the_same(journal: SQLiteJournal) -> None:
    agent = Agent(ScriptedModel([LOOK] * 40), tools=[look], journal=journal, limits=Limits(turns=None))
    first = await agent.run("go")
    again = await agent.resume(first.run)
    assert (first.turns, again.turns, again.outcome) == (8, 16, "limit")
    assert await steered(journal, again) == [3, 3]


async def test_a_run_cut_at_any_point_is_steered_at_the_same_place(journal: SQLiteJournal) -> None:
    agent = Agent(ScriptedModel([LOOK] * 40), tools=[look], journal=journal, limits=Limits(turns=None, tokens=440))
    first = await agent.run("go")
    result = await agent.resume(first.run, limits=Limits(turns=20))
    told = [from_wire(message) for message in result.state.messages]
    assert (first.outcome, result.outcome) == ("limit", "limit")
    assert len([m for m in told if isinstance(m, UserMessage)]) == 3, "the task, the loop, and the end"
