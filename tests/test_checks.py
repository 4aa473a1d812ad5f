"""Checks: what an answer must pass besides fitting its type, and what becomes of one that does not."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

from agent_kit import WATCHDOG, Forecast, look, recorded
from outrider import Agent, Context, Limits, Result, SetupError, ToolError
from outrider import events as e
from outrider.asking import MOST_REJECTIONS
from outrider.journal.sqlite import SQLiteJournal
from outrider.messages import UserMessage
from outrider.observe.story import story
from outrider.observe.terminal import told as told_of
from outrider.state import State
from outrider.testing.scripted import Calls, Script, ScriptedModel

pytestmark = pytest.mark.anyio

ROME = {"city": "Rome", "celsius": 21}
HOT = {"city": "Rome", "celsius": 99}
TOO_HOT = "No city is that hot."


class Refusal(BaseModel):
    why: str


class Film(TypedDict):
    title: str
    year: int


@dataclass
class Shop:
    cities: tuple[str, ...] = ("Rome",)


def mild(answer: Forecast) -> None:
    if answer.celsius > 60:
        raise ValueError(TOO_HOT)


async def mild_later(answer: Forecast) -> Forecast:
    await asyncio.sleep(0)
    mild(answer)
    return answer


def short(answer: str) -> None:
    if len(answer) > 10:
        raise ValueError("At most ten characters.")


def told(result: Result[Any]) -> list[str]:
    """What the user's side said after the task."""
    return [str(m.content) for m in result.messages if isinstance(m, UserMessage)][1:]


async def run(agent: Agent[Any, Any], **more: Any) -> Result[Any]:
    return await asyncio.wait_for(agent.run("go", **more), WATCHDOG)


def forecaster(script: list[Script], journal: SQLiteJournal | None = None, **more: Any) -> Agent[None, Forecast]:
    return Agent(ScriptedModel(script), output=Forecast, journal=journal, **more)


# ------------------------------------------------------------------------------------------- yes and no


class Mild:
    def __call__(self, answer: Forecast) -> None:
        mild(answer)

    def method(self, answer: Forecast, context: Context[None]) -> None:
        mild(answer)


def at_most(most: int, answer: Forecast) -> None:
    if answer.celsius > most:
        raise ValueError(TOO_HOT)


def promised(answer: Forecast) -> Awaitable[Forecast]:
    return mild_later(answer)


async def at_most_later(most: int, answer: Forecast) -> None:
    at_most(most, answer)


@pytest.mark.parametrize(
    "check",
    [mild, mild_later, Mild(), Mild().method, partial(at_most, 60), partial(at_most_later, 60), promised],
)  # fmt: skip
async def test_an_answer_that_a_check_rejects_is_asked_for_again_with_its_reason(check: Callable[..., Any]) -> None:
    result = await run(forecaster([HOT, ROME]).checked(check))
    assert (result.outcome, result.output) == ("finished", Forecast(city="Rome", celsius=21))
    (said,) = told(result)
    assert TOO_HOT in said
    assert result.receipt.rejections == 1


@pytest.mark.parametrize("error", [ValueError, AssertionError, ToolError])
async def test_a_check_says_no_by_these_errors(error: type[Exception]) -> None:
    def no(answer: Forecast) -> None:
        if answer.celsius > 60:
            raise error(TOO_HOT)

    result = await run(forecaster([HOT, ROME]).checked(no))
    assert (result.outcome, result.receipt.rejections) == ("finished", 1)
    assert TOO_HOT in told(result)[0]


async def test_a_check_without_a_reason_is_told_by_its_name(tmp_path: Path) -> None:
    def is_mild(answer: Forecast) -> None:
        if answer.celsius > 60:
            raise AssertionError

    journal = SQLiteJournal(tmp_path)
    result = await run(forecaster([HOT, ROME], journal=journal).checked(is_mild))
    assert "is_mild" in told(result)[0]
    (rejected,) = await recorded(journal, result.run, e.OutputRejected)
    assert (rejected.check, rejected.problems) == ("is_mild", ("it gave no reason",))


async def test_checks_are_asked_in_order_and_the_first_no_counts() -> None:
    asked: list[str] = []

    def first(answer: Forecast) -> None:
        asked.append("first")

    async def second(answer: Forecast) -> None:
        asked.append("second")
        mild(answer)

    def third(answer: Forecast) -> None:
        asked.append("third")

    agent = forecaster([HOT, ROME])
    more = agent.checked(first).checked(second, third)
    await run(more)
    assert asked == ["first", "second", "first", "second", "third"]
    assert repr(more).endswith("output: Forecast, checks: first, second, third>")
    assert "checks" not in repr(agent), "the agent it was made from is as it was"


async def test_an_agent_without_the_check_takes_the_answer() -> None:
    agent = forecaster([HOT])
    agent.checked(mild)
    assert (await run(agent)).output.celsius == 99


async def test_a_check_gets_the_runs_dependencies_and_is_told_which_answer_it_is() -> None:
    seen: list[Context[Shop]] = []

    def known(answer: Forecast, context: Context[Shop]) -> None:
        seen.append(context)
        if answer.city not in context.deps.cities:
            raise ValueError(f"Known cities: {', '.join(context.deps.cities)}")

    model = ScriptedModel([{"city": "Atlantis", "celsius": 9}, ROME])
    agent = Agent(model, output=Forecast, deps_type=Shop, journal=None, name="weather").checked(known)
    result = await run(agent, deps=Shop())
    assert result.output.city == "Rome"
    assert "Known cities: Rome" in told(result)[0]
    assert [(c.run, c.agent, c.attempt, c.call) for c in seen] == [
        (result.run, "weather", 1, ""),
        (result.run, "weather", 2, ""),
    ]


async def test_a_plain_function_runs_in_a_thread_with_its_callers_context_and_an_async_one_on_the_loop() -> None:
    threads: list[str] = []

    def plain(answer: Forecast) -> None:
        threads.append(threading.current_thread().name)

    async def later(answer: Forecast) -> None:
        threads.append(threading.current_thread().name)

    await run(forecaster([ROME]).checked(plain, later))
    assert threads == ["outrider-tool", threading.current_thread().name]


# ---------------------------------------------------------------------------------------- kinds of answers


async def test_a_text_is_checked_and_asked_for_again_with_its_tools() -> None:
    model = ScriptedModel([Calls(("look", {"city": "Rome"})), "It is fine in Rome.", "Fine."])
    result = await run(Agent(model, tools=[look], journal=None).checked(short))
    assert (result.output, result.receipt.rejections) == ("Fine.", 1)
    assert "At most ten characters." in told(result)[0]
    assert "tools" in model.bodies[2]


async def test_a_check_of_a_union_gets_whichever_it_is() -> None:
    def sure(answer: Forecast | Refusal) -> None:
        if isinstance(answer, Refusal):
            raise ToolError("Do not give up.")

    model = ScriptedModel([{"why": "no data"}, ROME])
    result = await run(Agent(model, output=(Forecast, Refusal), journal=None).checked(sure))
    assert isinstance(result.output, Forecast)


@pytest.mark.parametrize("output", [Film, {"type": "object", "properties": {"year": {"type": "integer"}}}])
async def test_typed_dicts_and_answers_of_a_schema_are_checked_as_dicts(output: Any) -> None:
    def silent(answer: dict[str, Any]) -> None:
        if answer["year"] > 1930:
            raise ValueError("Silent films only.")

    model = ScriptedModel([{"title": "M", "year": 1931}, {"title": "Sunrise", "year": 1927}])
    result = await run(Agent(model, output=output, journal=None).checked(silent))
    assert (result.output["year"], result.receipt.rejections) == (1927, 1)


async def test_what_does_not_fit_its_type_is_shown_to_no_check() -> None:
    seen: list[Forecast] = []

    def keep(answer: Forecast) -> None:
        seen.append(answer)

    result = await run(forecaster([{"city": "Rome", "celsius": "warm"}, ROME]).checked(keep))
    assert seen == [result.output]


# ------------------------------------------------------------------------------- phases, and the end of it


async def test_a_no_in_the_answer_phase_gives_the_model_its_tools_again() -> None:
    script: list[Script] = ["It is 99.", HOT, Calls(("look", {"city": "Rome"})), "It is 21.", ROME]
    model = ScriptedModel(script)
    result = await run(Agent(model, output=Forecast, tools=[look], journal=None).checked(mild))
    assert (result.output.celsius, result.tool_calls, result.receipt.rejections) == (21, 1, 1)
    assert ["tools" in body for body in model.bodies] == [True, False, True, True, False]
    assert ["response_format" in body for body in model.bodies] == [False, True, False, False, True]


async def test_a_work_reply_that_fits_is_checked_as_it_stands() -> None:
    model = ScriptedModel([HOT, ROME])
    result = await run(Agent(model, output=Forecast, tools=[look], journal=None).checked(mild))
    assert (result.output.celsius, len(model.requests), result.receipt.rejections) == (21, 2, 1)


@pytest.mark.parametrize("tools", [(), (look,)])
async def test_a_check_that_never_agrees_ends_the_run_as_rejected(tmp_path: Path, tools: Any) -> None:
    journal = SQLiteJournal(tmp_path)
    model = ScriptedModel([*[HOT] * MOST_REJECTIONS, ROME])
    agent = Agent(model, output=Forecast, tools=tools, journal=journal).checked(mild)
    result = await run(agent)
    assert (result.outcome, result.exit_code, result.detail) == ("rejected", 3, TOO_HOT)
    assert (len(model.requests), result.receipt.rejections) == (MOST_REJECTIONS, MOST_REJECTIONS)
    rejected = await recorded(journal, result.run, e.OutputRejected)
    assert [event.problems for event in rejected] == [(TOO_HOT,)] * MOST_REJECTIONS
    assert [event.check for event in rejected] == ["mild"] * MOST_REJECTIONS
    assert [event.outcome for event in rejected] == [None] * (MOST_REJECTIONS - 1) + ["rejected"]
    result = await agent.resume(result.run)
    assert (result.outcome, result.output.celsius) == ("finished", 21), "resumed, it is asked again"


async def test_misfits_and_noes_are_counted_together_and_a_no_is_no_misfit(tmp_path: Path) -> None:
    journal = SQLiteJournal(tmp_path)
    result = await run(forecaster(["warm", HOT, "warm", HOT, ROME], journal=journal).checked(mild))
    assert (result.outcome, result.receipt.rejections) == ("rejected", 4)
    assert not await recorded(journal, result.run, e.AnswerForm), "the form was right in between"


# ------------------------------------------------------------------------------------ a check that fails


def broken(answer: Forecast) -> None:
    raise KeyError("rates")


def noisy(answer: Forecast) -> None:
    error = KeyError("rates")
    error.add_note("many\nwords\n")
    raise error


async def cancelled(answer: Forecast) -> None:
    raise asyncio.CancelledError


def leaves(answer: Forecast) -> None:
    raise SystemExit


def says_yes(answer: Forecast) -> bool:
    return answer.celsius < 60


def copies(answer: Forecast) -> Forecast:
    return answer.model_copy()


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (broken, "KeyError: 'rates'; raised by the check broken"),
        (noisy, "KeyError: 'rates'; raised by the check noisy"),
        (cancelled, "the check cancelled raised CancelledError"),
        (leaves, "the check leaves raised SystemExit"),
        (says_yes, "the check says_yes returned True: it has to return None"),
        (copies, "it has to return None, or the answer as it was given"),
    ],
)
async def test_any_other_error_ends_the_run(tmp_path: Path, check: Any, said: str) -> None:
    journal = SQLiteJournal(tmp_path)
    result = await run(forecaster([ROME], journal=journal).checked(check))
    assert (result.outcome, result.exit_code) == ("error", 1)
    assert said in result.detail
    (finished,) = await recorded(journal, result.run, e.RunFinished)
    assert "Traceback" in finished.error
    again = await forecaster([], journal=journal).checked(mild).resume(result.run)
    assert again.output.celsius == 21, "the answer that had come is judged once more, at no cost"


class Thing:
    pass


def takes_three(a: Any, b: Any, c: Any) -> None: ...


def takes_named(a: Any, *, b: Any) -> None: ...


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (3, "a check is 3"),
        ("mild", "a check is 'mild'"),
        (Thing, "a check is the class Thing"),
        (look, "a check is <tool look>"),
        (lambda: None, "the check <lambda> takes nothing"),
        (takes_three, "the check takes_three takes a: Any, b: Any, c: Any"),
        (takes_named, "the check takes_named takes a: Any, b: Any"),
        (at_most, "the check at_most takes answer: Forecast"),
    ],
)
def test_what_can_be_no_check_is_refused_at_once(check: Any, said: str) -> None:
    with pytest.raises(SetupError) as raised:
        forecaster([]).checked(check)
    assert raised.value.message.startswith(said)
    assert raised.value.hint


def test_further_parameters_with_defaults_are_the_functions_own() -> None:
    def flexible(answer: Forecast, most: int = 60) -> None:
        at_most(most, answer)

    def anything(*answers: Forecast) -> None:
        mild(*answers)

    assert forecaster([HOT, ROME]).checked(flexible, anything).run_sync("go").output.celsius == 21


# ---------------------------------------------------------------------------------------- stop and resume


async def test_stopped_in_a_check_the_answer_is_judged_again_when_the_run_is_resumed(tmp_path: Path) -> None:
    journal = SQLiteJournal(tmp_path)
    begun = asyncio.Event()

    async def slow(answer: Forecast) -> None:
        begun.set()
        await asyncio.sleep(3600)

    async with forecaster([HOT], journal=journal).checked(slow).stream("go") as going:
        await asyncio.wait_for(begun.wait(), WATCHDOG)
        going.stop()
        result = await asyncio.wait_for(going.result(), WATCHDOG)
    assert (result.outcome, result.state.unjudged is not None) == ("paused", True)
    assert not await recorded(journal, result.run, e.OutputRejected)
    model = ScriptedModel([HOT, ROME])  # replies by turn: the first one is on record
    result = await Agent(model, output=Forecast, journal=journal).checked(mild).resume(result.run)
    assert (result.output.celsius, len(model.requests), result.receipt.rejections) == (21, 1, 1)
    (resumed,) = await recorded(journal, result.run, e.RunResumed)
    assert resumed.changed == ("check slow is missing", "check mild is new")


@pytest.mark.parametrize("sync", [True, False])
async def test_the_limit_of_seconds_ends_a_check(sync: bool) -> None:
    let_go = threading.Event()

    def slow(answer: Forecast) -> None:
        let_go.wait(WATCHDOG)

    async def slow_later(answer: Forecast) -> None:
        await asyncio.sleep(3600)

    agent = forecaster([ROME], limits=Limits(seconds=0.3)).checked(slow if sync else slow_later)
    try:
        result = await run(agent)
    finally:
        let_go.set()
    assert result.outcome == "limit"
    assert "seconds" in result.detail


async def test_a_rejection_by_a_check_is_told_with_its_name_also_of_a_reply_at_work(tmp_path: Path) -> None:
    journal = SQLiteJournal(tmp_path)
    model = ScriptedModel(["It is fine in Rome.", "Fine."])
    result = await run(Agent(model, tools=[look], journal=journal).checked(short))
    entries = await journal.read(result.run)
    lines = [line.text for line in story(entries)]
    assert "tools: look · answer: text · checks: short" in lines
    assert lines[lines.index("  answer rejected by the check short") + 1] == "    At most ten characters."
    place = next(i for i, entry in enumerate(entries) if isinstance(entry.event, e.OutputRejected))
    (line,) = told_of(entries[place], State.fold(entries[:place]))
    assert line.text == "  answer rejected by the check short: At most ten characters. · that reply: $0.0010"


async def test_the_record_names_the_checks_and_masks_what_they_say(tmp_path: Path) -> None:
    def leaky(answer: Forecast) -> None:
        if answer.celsius > 60:
            raise ValueError("hunter2hunter2 is not in Rome")

    journal = SQLiteJournal(tmp_path)
    agent = forecaster([HOT, ROME], journal=journal, secrets=["hunter2hunter2"]).checked(leaky)
    result = await run(agent)
    (started,) = await recorded(journal, result.run, e.RunStarted)
    assert (started.checks, result.state.checks) == (("leaky",), ("leaky",))
    assert "hunter2" not in json.dumps(told(result))
    (rejected,) = await recorded(journal, result.run, e.OutputRejected)
    assert "hunter2" not in str(rejected)
    assert rejected.problems[0].endswith("is not in Rome")
