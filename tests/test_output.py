"""The answer: every declared form, how it is asked for, what is accepted, and what the model is told otherwise."""

import datetime
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from outrider import Agent, SetupError, tool
from outrider import events as e
from outrider.asking import MOST_REJECTIONS
from outrider.errors import OUTCOMES
from outrider.journal.sqlite import SQLiteJournal
from outrider.messages import UserMessage
from outrider.model import ModelEvent, Request
from outrider.output import OutputType
from outrider.result import Result
from outrider.testing.scripted import Calls, Script, ScriptedModel

pytestmark = pytest.mark.anyio


class Forecast(BaseModel):
    city: str
    celsius: float


@dataclass
class Point:
    x: int
    y: int


class Film(TypedDict):
    title: str
    year: int


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Refusal(BaseModel):
    why: str = Field(min_length=3)


RAW = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}


@tool(effect="read")
def look() -> str:
    """Look."""
    return "seen"


def told(result: Result[Any]) -> list[str]:
    """What the user's side said after the task."""
    return [str(m.content) for m in result.messages if isinstance(m, UserMessage)][1:]


def first_rung(declared: Any) -> str:
    ladder = OutputType[Any](declared).ladder
    assert ladder
    return ladder.first


def formats(model: ScriptedModel) -> list[Any]:
    return [json.loads(request.body).get("response_format") for request in model.requests]


# --------------------------------------------------------------------------------------- every form


FORMS: list[Any] = [
    (Forecast, {"city": "Rome", "celsius": 21}, Forecast(city="Rome", celsius=21)),
    (Point, {"x": 1, "y": 2}, Point(1, 2)),
    (Film, {"title": "M", "year": 1931}, {"title": "M", "year": 1931}),
    ((Forecast, Refusal), {"why": "no data"}, Refusal(why="no data")),
    ((Forecast, Refusal), {"city": "Rome", "celsius": 21.5}, Forecast(city="Rome", celsius=21.5)),
    ((int, None), None, None),
    (list[Point], [{"x": 1, "y": 2}], [Point(1, 2)]),
    (dict[str, int], {"a": 1}, {"a": 1}),
    (int, 21, 21),
    (float, 1.5, 1.5),
    (bool, True, True),
    (Colour, "red", Colour.RED),
    (Literal["yes", "no"], "yes", "yes"),
    (RAW, {"n": 3}, {"n": 3}),
    ({"type": "array", "items": {"type": "integer"}}, [1, 2], [1, 2]),
]


@pytest.mark.parametrize(("declared", "written", "value"), FORMS)
async def test_every_form_is_asked_for_as_a_schema_and_read(declared: Any, written: Any, value: Any) -> None:
    model = ScriptedModel([json.dumps(written)])
    result = await Agent(model, output=declared, journal=None).run("go")
    assert (result.outcome, result.output) == ("finished", value)
    assert type(result.output) is type(value)
    (form,) = formats(model)
    assert form["type"] == "json_schema"
    assert form["json_schema"]["schema"]["type"] == "object", "providers want an object at the root"
    assert form["json_schema"]["name"].replace("_", "").replace("-", "").isalnum()


@pytest.mark.parametrize(("declared", "order"), [(Film, ["title", "year"]), ({"type": "object"}, ["year", "title"])])
async def test_the_fields_of_an_answer_stand_in_the_order_of_its_type(declared: Any, order: list[str]) -> None:
    result = await Agent(ScriptedModel(['{"year":1957,"title":"a"}']), output=declared, journal=None).run("go")
    assert list(result.partial) == order


@pytest.mark.parametrize(("declared", "written", "value"), FORMS)
async def test_what_is_no_object_travels_wrapped_and_the_wrapping_is_taken_off(
    declared: Any, written: Any, value: Any
) -> None:
    model = ScriptedModel([json.dumps(written)])
    await Agent(model, output=declared, journal=None).run("go")
    schema = formats(model)[0]["json_schema"]["schema"]
    if isinstance(written, dict) and "answer" not in schema.get("properties", {}):
        return  # an object needs no wrapping
    assert (list(schema["properties"]), schema["required"]) == (["answer"], ["answer"])
    wrapped: Script = {"answer": written}
    result = await Agent(ScriptedModel([wrapped]), output=declared, journal=None).run("go")
    assert (result.outcome, result.output) == ("finished", value)
    assert json.loads(json.dumps(result.partial)) == written, "on record it is the plain value"


@pytest.mark.parametrize("declared", [None, str])
async def test_plain_text_needs_no_format(declared: Any) -> None:
    model = ScriptedModel(["It is 21."])
    result = await Agent(model, output=declared, journal=None).run("go")
    assert result.output == "It is 21."
    assert formats(model) == [None]


async def test_a_text_that_looks_like_json_stays_text() -> None:
    result = await Agent(ScriptedModel(['{"a": 1}']), journal=None).run("go")
    assert result.output == '{"a": 1}'


async def test_strict_where_the_schema_allows_it() -> None:
    assert first_rung(Forecast) == "json_schema strict"
    assert first_rung(dict[str, int]) == "json_schema"
    assert OutputType[Any]().ladder is None


@pytest.mark.parametrize("declared", [(), {"type": "nonsense"}, {"$ref": "https://example.org/schema"}, object()])
async def test_what_cannot_be_an_output_is_refused_before_anything_is_sent(declared: Any) -> None:
    with pytest.raises(SetupError):
        Agent(ScriptedModel([]), output=declared, journal=None)


# ------------------------------------------------------------------------------------------- phases


async def test_the_format_is_sent_in_the_answer_phase_only() -> None:
    model = ScriptedModel([Calls(("look", {})), "It is 21 in Rome.", {"city": "Rome", "celsius": 21}])
    result = await Agent(model, tools=[look], output=Forecast, journal=None).run("go")
    assert result.output == Forecast(city="Rome", celsius=21)
    assert [form is not None for form in formats(model)] == [False, False, True]
    offered = ["tools" in json.loads(request.body) for request in model.requests]
    assert offered == [True, True, False]
    (asked,) = told(result)
    assert '"celsius"' in asked, "the model is shown the schema"
    assert result.receipt.rejections == 0, "a work reply in words is no mistake"


async def test_a_work_reply_that_fits_as_it_stands_is_the_answer() -> None:
    model = ScriptedModel([Calls(("look", {})), {"city": "Rome", "celsius": 21}])
    result = await Agent(model, tools=[look], output=Forecast, journal=None).run("go")
    assert (result.output.celsius, len(model.requests)) == (21, 2)


async def test_a_further_message_takes_the_run_back_to_work(tmp_path: Path) -> None:
    journal = SQLiteJournal(tmp_path)
    script: list[Script] = ["words", "3", Calls(("look", {})), "4"]
    model = ScriptedModel(script)
    agent = Agent(model, tools=[look], output=int, journal=journal)
    result = await agent.run("go")
    assert result.output == 3
    result = await agent.resume(result.run, say="look again")
    assert (result.output, result.tool_calls) == (4, 1)
    assert [form is not None for form in formats(model)] == [False, True, False, False]


# ---------------------------------------------------------------------------------------- mismatches


async def test_a_mismatch_is_told_with_its_paths_and_the_next_answer_counts() -> None:
    model = ScriptedModel([{"city": "Rome", "celsius": "warm"}, {"city": "Rome", "celsius": 21}])
    result = await Agent(model, output=Forecast, journal=None).run("go")
    assert result.output.celsius == 21
    (said,) = told(result)
    assert "$.celsius: 'warm' is not a number" in said
    assert result.receipt.rejections == 1


@pytest.mark.parametrize(
    ("declared", "written", "path"),
    [
        (list[Point], {"answer": [{"x": 1, "y": 2}, {"x": 1}]}, "$.answer[1].y: is missing"),
        (int, {"answer": "many"}, "$.answer: 'many' is not an integer"),
        ((Forecast, Refusal), {"answer": {"why": "no"}}, "$.answer.why"),
        ({"type": "array", "items": {"type": "integer"}}, {"answer": ["x"]}, "$.answer[0]: 'x' is not an integer"),
        (int, "[[[", "not valid JSON"),
        (RAW, {"n": 0}, "$.n"),
    ],
)
async def test_the_paths_are_those_of_what_the_model_wrote(declared: Any, written: Any, path: str) -> None:
    result = await Agent(ScriptedModel([written]), output=declared, journal=None).run("go")
    assert path in told(result)[0]


async def test_the_third_wrong_answer_is_the_last(tmp_path: Path) -> None:
    journal = SQLiteJournal(tmp_path)
    model = ScriptedModel(["words", *["wrong"] * MOST_REJECTIONS, "3"])
    agent = Agent(model, tools=[look], output=int, journal=journal)
    result = await agent.run("go")
    assert (result.outcome, result.exit_code, len(model.requests)) == ("rejected", 3, 1 + MOST_REJECTIONS)
    assert result.detail == "no JSON: 'wrong'"
    assert (result.partial, result.text) == (None, "wrong")
    rejected = [r.event for r in await journal.read(result.run) if isinstance(r.event, e.OutputRejected)]
    assert [event.outcome for event in rejected] == [None] * MOST_REJECTIONS + ["rejected"]
    result = await agent.resume(result.run)
    assert (result.outcome, result.output) == ("finished", 3), "resumed, it is asked again"


# ------------------------------------------------------------------------------- cut off, refused, read again


class Ending(ScriptedModel):
    """A model whose replies end in a given way."""

    def __init__(self, script: list[Script], finish: str, refusal: str = "") -> None:
        super().__init__(script)
        self.finish = finish
        self.refusal = refusal

    async def ask(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        async for event in super().ask(request):
            if isinstance(event, e.Replied):
                event = msgspec.structs.replace(event, finish=self.finish, refusal=self.refusal)  # noqa: PLW2901
            yield event


async def outcome_of(model: ScriptedModel, output: Any = None, tools: Any = ()) -> Result[Any]:
    result = await Agent(model, output=output, tools=tools, journal=None).run("go")
    _, error = OUTCOMES[result.outcome]
    if error:
        with pytest.raises(error):
            _ = result.output
    return result


async def test_an_answer_cut_off_at_the_length_limit_is_truncated() -> None:
    result = await outcome_of(Ending(["It is a long st"], "length"))
    assert (result.outcome, result.exit_code, result.partial) == ("truncated", 8, "It is a long st")
    result = await outcome_of(Ending(['{"city": "Ro'], "length"), Forecast)
    assert (result.outcome, result.partial) == ("truncated", {"city": "Ro"})
    assert "cut off at the length limit" in result.detail


async def test_a_whole_answer_is_an_answer_even_at_the_length_limit() -> None:
    result = await outcome_of(Ending([{"city": "Rome", "celsius": 21}], "length"), Forecast)
    assert result.outcome == "finished"


@pytest.mark.parametrize("output", [None, Forecast])
async def test_a_refusal_is_an_outcome(output: Any) -> None:
    result = await outcome_of(Ending(["I cannot"], "stop", "against the rules"), output)
    assert (result.outcome, result.exit_code, result.detail) == ("refused", 7, "against the rules")
    result = await outcome_of(Ending(["I"], "content_filter"), output)
    assert (result.outcome, result.detail) == ("refused", "stopped by a content filter")


async def test_a_recorded_answer_that_no_longer_fits_says_so(tmp_path: Path) -> None:
    journal = SQLiteJournal(tmp_path)
    result = await Agent(ScriptedModel([{"n": 1}]), output=RAW, journal=journal).run("go")
    later = await Agent(ScriptedModel([]), output=Forecast, journal=journal).resume(result.run)
    assert later.outcome == "finished"
    with pytest.raises(SetupError, match="does not fit Forecast"):
        _ = later.output
    assert later.partial == {"n": 1}


class Mood(Enum):
    GOOD = "good"
    BAD = "bad"


@pytest.mark.parametrize(
    ("kind", "said", "meant"),
    [
        (Literal["good", "bad"], "good", "good"),
        (Literal["good", "bad"], "**Good.**", "good"),
        (Mood, "bad", Mood.BAD),
        (datetime.date, "2026-01-02", datetime.date(2026, 1, 2)),
        (bool, "True", True),
        (dict[str, int], 'Here it is: {"a": 1}. Hope it helps.', {"a": 1}),
    ],
)
def test_an_answer_without_quotes_is_read_where_only_one_thing_can_be_meant(
    kind: Any, said: str, meant: object
) -> None:
    result = Agent(ScriptedModel([said]), output=kind, journal=None).run_sync("go")
    assert result.output == meant
    assert result.receipt.repairs == 1


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Literal["good", "bad"], "good and bad"),
        (Literal["a", "A"], "'x'"),
        (int | str, "hello there"),
        (datetime.date, "tomorrow"),
        (dict[str, int], 'Either: {"a": 1} or {"a": 2}.'),
    ],
)
def test_an_answer_that_could_mean_more_is_asked_for_again(kind: Any, said: str) -> None:
    result = Agent(ScriptedModel([said]), output=kind, journal=None).run_sync("go")
    assert result.outcome == "provider", "it was rejected, and the script is over"
    assert "and the conversation holds 1 already" in result.detail
    assert "does not" in result.detail or "JSON" in result.detail, "why it is asked again"
