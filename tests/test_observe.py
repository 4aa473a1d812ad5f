"""Readers of a run's events."""

import asyncio
from typing import Any

import pytest
from msgspec import Raw
from structlog.testing import CapturingLogger

from outrider import Agent, tool
from outrider.events import ApprovalGiven, Entry, MessageAdded, Replied, RequestFailed, RunStarted
from outrider.messages import AssistantMessage, Limits, Usage, UserMessage, to_wire
from outrider.observe.logs import log_events
from outrider.observe.story import story
from outrider.observe.terminal import call_text, lines, short
from outrider.state import State
from outrider.telling import clean
from outrider.testing.scripted import Calls, ScriptedModel

pytestmark = pytest.mark.anyio


@tool(effect="read")
def weather(city: str) -> str:
    """Tomorrow's weather for a city."""
    return f"{city}: 21 degrees"


def agent(observer: Any, model: ScriptedModel | None = None) -> Agent[None, str]:
    script = model or ScriptedModel([Calls(("weather", {"city": "Paris"})), "Warm."])
    return Agent(script, tools=[weather], journal=None, observers=[observer])


async def test_every_entry_is_logged_with_its_run() -> None:
    logger = CapturingLogger()
    one = agent(log_events(logger))
    results = await asyncio.gather(*(one.run(f"task {number}") for number in range(3)))
    for result in results:
        calls = [call for call in logger.calls if call.kwargs["run"] == result.run]
        assert [call.kwargs["seq"] for call in calls] == list(range(1, result.state.seq + 1))
        assert [call.args[0] for call in calls][-2:] == ["output_accepted", "run_finished"]
        assert {call.method_name for call in calls} == {"info"}


async def test_what_goes_wrong_is_a_warning() -> None:
    logger = CapturingLogger()
    await agent(log_events(logger), ScriptedModel([])).run("task")
    (warning,) = [call for call in logger.calls if call.method_name == "warning"]
    assert (warning.args[0], warning.kwargs["reason"]) == ("request_failed", "script_exhausted")


async def test_lines_and_story_tell_a_run_and_any_beginning_of_it() -> None:
    entries: list[Entry] = []
    await agent(entries.append).run("How warm?")
    state, told = State(), list[str]()
    for entry in entries:
        told += lines(entry, state)
        state.add(entry)
    assert '  weather(city="Paris")' in told
    assert "  weather -> Paris: 21 degrees" in told
    for length in range(len(entries)):
        assert "unfinished" in list(story(entries[:length]))[-1].text
    assert list(story(entries))[-1].text.startswith("finished · 2 requests · 1 tool call")


async def test_a_story_shows_what_a_person_said_and_the_arguments_put_in_place() -> None:
    entries = [
        Entry(1, 0.0, RunStarted("r", "task", "agent", "local", (), Limits())),
        Entry(2, 0.0, MessageAdded(to_wire(UserMessage("In French,\nplease")), "user")),
        Entry(3, 0.0, Replied(1, to_wire(AssistantMessage("Vu.")), "stop", Usage(), "local", "local")),
        Entry(4, 0.0, ApprovalGiven("r:1:0", 3, True, "cli", Raw(b'{"amount":2}'))),
    ]
    told = "\n".join(line.text for line in story(entries))
    assert "a message from user\n    In French,\n    please\n" in told
    assert "allowed by cli, with other arguments\n    {\n" in told
    assert '"amount": 2' in told
    assert "cost unknown · local\n" in told


def test_a_failure_that_is_tried_again_is_one_sentence() -> None:
    failed = RequestFailed(1, "overloaded", "The server is overloaded.", "retry", 503, 0.5)
    (line,) = lines(Entry(1, 0.0, failed), State())
    assert line == "request 1 failed: overloaded 503: The server is overloaded; again in 0.5 s · not billed"


async def test_how_a_run_ends_is_said_once() -> None:
    for script, reason in (([], "the script has 0 replies"), ([Calls(("weather", {"city": "P"}))], "limit turns")):
        state, told = State(), list[str]()

        def watch(entry: Entry, state: State = state, told: list[str] = told) -> None:
            told.extend(lines(entry, state))
            state.add(entry)

        limits = Limits(turns=1)
        await Agent(ScriptedModel(script), tools=[weather], limits=limits, journal=None, observers=[watch]).run("x")
        assert sum(reason in line for line in told) == 1


async def test_a_long_text_is_cut_and_says_so() -> None:
    entries: list[Entry] = []
    await agent(entries.append).run("x" * 5000)
    assert "1000 more characters" in "\n".join(line.text for line in story(entries))


def test_texts_cannot_steer_a_terminal() -> None:
    assert clean("a\x1b[2Jb\x07\u202ec\n\td") == "a�[2Jb��c\n\td"
    assert short("one\n  two " + "x" * 1000, 10) == "one two xx…"
    assert call_text("pay", '{"amount": 3, "to": "a\\nb"}') == 'pay(amount=3, to="a\\nb")'
    assert call_text("pay", "not JSON") == "pay(not JSON)"
