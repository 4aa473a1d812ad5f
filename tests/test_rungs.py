"""The ways of asking for a typed answer: each server takes one, and the answer comes back typed."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from agent_kit import weather
from outrider import Agent, Result, Settings
from outrider import events as e
from outrider.asking import MOST_MISFITS
from outrider.rungs import ANSWER_TOOL, RUNGS, Ladder
from outrider.testing import Calls, FakeOpenRouter, FakeReply, ScriptedModel

pytestmark = pytest.mark.anyio


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    x: int
    y: int = 0


class Film(TypedDict):
    title: str
    year: int


class Line(BaseModel):
    what: str
    price: float = Field(ge=0)
    colour: Colour | None = None


class Order(BaseModel):
    """An order with its lines."""

    number: str = Field(pattern=r"^[A-Z]\d+$")
    lines: list[Line] = Field(min_length=1)
    note: str = ""
    at: Point


class Tree(BaseModel):
    name: str
    children: "list[Tree]" = []


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    good: bool


class Pet(BaseModel):
    pet: Cat | Dog = Field(discriminator="kind")


class Refusal(BaseModel):
    why: str


LINE = {"what": "lamp", "price": 12.5, "colour": "red"}
TREE: dict[str, Any] = {
    "name": "a",
    "children": [{"name": "b", "children": []}, {"name": "c", "children": [{"name": "d", "children": []}]}],
}
TYPES: list[tuple[Any, Any]] = [
    (int, 21),
    (float, 1.5),
    (bool, True),
    (Colour, "red"),
    (Literal["yes", "no"], "yes"),
    (Literal[1, 2], 2),
    ((int, None), None),
    (int | str, "three"),
    (list[int], [1, 2, 3]),
    (list[Colour], ["red", "blue"]),
    (list[list[int]], [[1], [2, 3]]),
    (dict[str, int], {"a": 1, "b": 2}),
    (dict[str, list[int]], {"a": [1]}),
    (tuple[int, str], [1, "a"]),
    (set[str], ["a"]),
    (Annotated[int, Field(ge=1, le=5)], 4),
    (Annotated[str, Field(min_length=3)], "long enough"),
    (Point, {"x": 1, "y": 2}),
    (list[Point], [{"x": 1, "y": 2}]),
    (Film, {"title": "M", "year": 1931}),
    (Line, LINE),
    (list[Line], [LINE, LINE]),
    (Order, {"number": "A1", "lines": [LINE], "note": "", "at": {"x": 1, "y": 2}}),
    (Tree, TREE),
    (list[Tree], [TREE]),
    (Pet, {"pet": {"kind": "dog", "good": True}}),
    ((Cat, Dog), {"kind": "cat", "lives": 7}),
    ((Line, Refusal), {"why": "none left"}),
    ((Tree, Refusal, int), 3),
    ({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}, {"n": 3}),
    ({"type": "array", "items": {"enum": ["a", "b"]}}, ["a"]),
]


def way(body: dict[str, Any]) -> str:
    """The rung that a request is on, as a server sees it."""
    format = body.get("response_format")
    if format is None:
        return "final_answer tool" if body.get("tools") else "prompted"
    strict = format["type"] == "json_schema" and format["json_schema"]["strict"]
    return "json_schema strict" if strict else format["type"]


def only(rung: str, written: Any) -> Callable[[dict[str, Any]], FakeReply]:
    """A server that takes this way of asking and refuses every other."""

    def answer(body: dict[str, Any]) -> FakeReply:
        if way(body) != rung:
            refusal = "tool_choice is not supported" if "tools" in body else "response_format is not supported"
            return FakeReply(status=400, error=refusal)
        if rung == "final_answer tool":
            schema = body["tools"][0]["function"]["parameters"]
            wrapped = "answer" in schema.get("properties", {})
            return FakeReply(calls=[(ANSWER_TOOL, {"answer": written} if wrapped else written)])
        if rung not in ("json_schema strict", "json_schema"):
            assert "JSON Schema" in body["messages"][-1]["content"], "the model has to know what is wanted"
        return FakeReply(text=json.dumps(written))

    return answer


async def run_at(server: FakeOpenRouter, declared: Any) -> Result[Any]:
    settings = Settings(base_url=server.base_url, api_key="sk-test")
    return await Agent(output=declared, settings=settings, journal=None).run("go")


@pytest.mark.parametrize("rung", RUNGS)
async def test_a_server_that_takes_one_way_of_asking_is_enough(rung: str) -> None:
    for declared, written in TYPES:
        if rung not in ways(declared):
            continue
        async with FakeOpenRouter(only(rung, written)) as server:
            result = await run_at(server, declared)
        assert result.outcome == "finished", f"{declared}: {result.detail}"
        assert plain(result.partial) == written, declared
        assert result.receipt.rung == rung
        assert result.receipt.rejections == 0
        assert result.receipt.requests == 1 + ways(declared).index(rung)
        assert result.receipt.tries == result.receipt.requests
        assert result.receipt.climb == (result.cost if result.receipt.tries > 1 else 0)


def ways(declared: Any) -> list[str]:
    """The ways of asking for a type, the first first."""
    from outrider.output import OutputType

    ladder = OutputType(declared).ladder
    assert isinstance(ladder, Ladder)
    found = [ladder.first]
    while below := ladder.below(found[-1], "refused"):
        found.append(below)
    return found


def plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def test_every_type_has_the_last_three_ways_and_most_have_a_strict_one() -> None:
    assert len(TYPES) > 30
    strict = 0
    for declared, _ in TYPES:
        found = ways(declared)
        assert found[-4:] == ["json_schema", "json_object", "final_answer tool", "prompted"]
        strict += found[0] == "json_schema strict"
    assert strict > 20


async def test_answers_that_do_not_fit_make_it_fall_too_and_the_record_says_so() -> None:
    events: list[e.Durable] = []
    model = ScriptedModel(["no", "no", '{"x": 1, "y": 2}'])
    result = await Agent(model, output=Point, journal=None, observers=[lambda entry: events.append(entry.event)]).run(
        "go"
    )
    assert result.output == Point(1, 2)
    [fall] = [event for event in events if isinstance(event, e.AnswerForm)]
    assert (fall.rung, fall.why) == ("final_answer tool", f"{MOST_MISFITS} answers in a row did not fit")
    assert [request.ask.rung for request in model.requests] == ["json_schema strict"] * 2 + ["final_answer tool"]
    assert (result.receipt.rung, result.receipt.rejections) == ("final_answer tool", 2)


async def test_tools_first_then_the_answer_in_its_way() -> None:
    script = [Calls(("weather", {"city": "Rome"})), "It is fine.", '{"x": 1, "y": 2}']
    model = ScriptedModel(script)
    result = await Agent(model, tools=[weather], output=Point, journal=None).run("go")
    assert result.output == Point(1, 2)
    assert [request.ask.rung for request in model.requests] == ["", "", "json_schema strict"]


async def test_a_refusal_that_is_about_something_else_is_not_tried_in_another_way() -> None:
    async with FakeOpenRouter([FakeReply(status=400, error="qwen/qwen9 is not a valid model ID"), "{}"]) as server:
        result = await run_at(server, Point)
    assert (result.outcome, len(server.requests)) == ("provider", 1)


async def test_where_nothing_is_taken_the_last_refusal_is_what_is_told() -> None:
    def refuse(body: dict[str, Any]) -> FakeReply:
        return FakeReply(status=400, error=f"response_format: {way(body)} is not taken")

    async with FakeOpenRouter(refuse) as server:
        result = await run_at(server, Point)
    assert (result.outcome, len(server.requests)) == ("provider", 5)
    assert "prompted is not taken" in result.detail
