"""What there is of an answer: cut off anywhere, while it streams, and where it does not fit."""

import json
from collections.abc import AsyncGenerator
from enum import Enum
from typing import Annotated, Any, Literal, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, model_validator

from outrider import Agent
from outrider import events as e
from outrider.model import ModelEvent, Request
from outrider.partial import valid_part
from outrider.schema import Checker, answer_of
from outrider.testing.scripted import Script, ScriptedModel


class Mood(Enum):
    GOOD = "good"
    GOODISH = "goodish"


class Film(BaseModel):
    kind: Literal["film"]
    title: str
    minutes: int = Field(ge=1)


class Book(BaseModel):
    kind: Literal["book"]
    title: str = Field(min_length=1)
    pages: int | None = None


class Tree(BaseModel):
    name: str
    children: list["Tree"] = []


class Report(BaseModel):
    title: str
    mood: Mood
    score: float
    items: list[Annotated[Film | Book, Field(discriminator="kind")]] = Field(min_length=1)
    notes: dict[str, str] = {}
    tree: Tree | None = None


RAW = {
    "type": "object",
    "properties": {
        "n": {"type": "integer", "minimum": 1},
        "words": {"type": "array", "items": {"enum": ["a", "ab", "b"]}, "minItems": 2, "uniqueItems": True},
        "one": {"oneOf": [{"type": "object", "required": ["a"]}, {"type": "object", "required": ["b"]}]},
        "text": {"type": "string"},
    },
    "required": ["n", "words"],
    "additionalProperties": False,
}

words = st.text(max_size=8)
films = st.fixed_dictionaries({"kind": st.just("film"), "title": words, "minutes": st.integers(1, 10**20)})
books = st.fixed_dictionaries(
    {"kind": st.just("book"), "title": st.text(min_size=1, max_size=8)},
    optional={"pages": st.none() | st.integers()},
)
trees: st.SearchStrategy[Any] = st.recursive(
    st.fixed_dictionaries({"name": words}),
    lambda inner: st.fixed_dictionaries({"name": words, "children": st.lists(inner, max_size=2)}),
    max_leaves=4,
)
reports = st.fixed_dictionaries(
    {
        "title": words,
        "mood": st.sampled_from(["good", "goodish"]),
        "score": st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False),
        "items": st.lists(films | books, min_size=1, max_size=3),
    },
    optional={"notes": st.dictionaries(words, words, max_size=2), "tree": st.none() | trees},
)
raws = st.fixed_dictionaries(
    {
        "n": st.integers(1, 2000),
        "words": st.lists(st.sampled_from(["a", "ab", "b"]), min_size=2, max_size=3, unique=True),
    },
    optional={"one": st.sampled_from([{"a": 1}, {"b": [1, {"c": "d"}]}]), "text": words},
)
ANSWERS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (Report, reports),
    (RAW, raws),
    (Tree, trees),
    (list[Film], st.lists(films, max_size=3)),
    ((Film, Book), films | books),
    (int, st.integers()),
    (Literal["a", "ab"], st.sampled_from(["a", "ab"])),
    (dict[str, list[int | str]], st.dictionaries(words, st.lists(st.integers() | words, max_size=3), max_size=3)),
]


def in_part(part: Any, whole: Any) -> bool:
    """Whether the part is the beginning of the whole: only what comes last may be missing or go on."""
    if isinstance(part, dict) and isinstance(whole, dict):
        known, all_of = cast("dict[str, Any]", part), cast("dict[str, Any]", whole)
        last = [*known][-1:]
        return all(
            name in all_of and (in_part(value, all_of[name]) if [name] == last else value == all_of[name] or not value)
            for name, value in known.items()
        )
    if isinstance(part, list) and isinstance(whole, list):
        first, every = cast("list[Any]", part), cast("list[Any]", whole)
        return len(first) <= len(every) and all(
            in_part(*pair) if place == len(first) - 1 else pair[0] == pair[1]
            for place, pair in enumerate(zip(first, every, strict=False))
        )
    if isinstance(part, str) and isinstance(whole, str):
        return whole.startswith(part)
    return part == whole


def refused(checker: Checker[Any], part: Any) -> bool:
    """Whether the type refuses anything in the part but for what is missing everywhere along its last branch."""
    spine: list[tuple[str | int, ...]] = [()]
    inner = part
    while isinstance(inner, dict | list) and inner:
        step: Any = [*cast("dict[str, Any]", inner)][-1] if isinstance(inner, dict) else len(cast("Any", inner)) - 1
        spine.append((*spine[-1], step))
        inner = cast("Any", inner)[step]
    return bool(checker.faults(part, spine))


@pytest.mark.parametrize(("declared", "values"), ANSWERS, ids=[str(number) for number in range(len(ANSWERS))])
@given(data=st.data())
@settings(deadline=None, max_examples=25)
def test_every_beginning_of_an_answer_gives_what_is_sure_of_it(
    declared: Any, values: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    answer = answer_of(declared)
    value = data.draw(values)
    written = json.dumps(value, ensure_ascii=data.draw(st.booleans()), indent=data.draw(st.sampled_from([None, 1])))
    enveloped = f'{{"answer": {written}}}' if answer.wrapped else written
    before, after = data.draw(st.sampled_from([("", ""), ("```json\n", "\n```"), ("Here it is:\n", "\nThat is all.")]))
    text = before + enveloped + after
    for end in range(len(text) + 1):
        part = valid_part(answer.checker, text[:end], wrapped=answer.wrapped)
        if part is not None:
            assert in_part(part, value), text[:end]
            assert not refused(answer.checker, part), text[:end]
    assert valid_part(answer.checker, text, wrapped=answer.wrapped) == value


@given(text=st.text(alphabet='{}[]":,\\ut0123-.e`\n kindfilm', max_size=40), whole=st.booleans())
@settings(deadline=None)
def test_no_text_makes_it_raise(text: str, whole: bool) -> None:
    for declared in (Report, RAW, (Film, Book), int):
        answer = answer_of(declared)
        part = valid_part(answer.checker, text, whole, answer.wrapped)
        assert part is None or not refused(answer.checker, part)


SHOWN: list[tuple[str, Any]] = [
    ("", None),
    ("Let me see", None),
    ("{", {}),
    ('{"title": "A nig', {"title": "A nig"}),
    ('{"title": "A \\u00', {"title": "A "}),
    ('{"title": "A", "mood": "good', {"title": "A"}),
    ('{"title": "A", "mood": "good"', {"title": "A", "mood": "good"}),
    ('{"score": 12', {}),
    ('{"score": 12,', {"score": 12}),
    ('{"items": [{"kind": "film"', {"items": [{"kind": "film"}]}),
    ('{"items": [{"kind": "song", "title": "x"}, {"kind": "book"}', {"items": [{"kind": "book"}]}),
    ('{"items": [{"kind": "film", "minutes": 0, "title": "x"}', {"items": [{"kind": "film", "title": "x"}]}),
    ('{"title": 3, "tree": {"name": "x", "children": [7, {"na', {"tree": {"name": "x", "children": [{}]}}),
    ('{"items": [], "title": "x"', {"title": "x"}),
    ("[1, 2", None),
]


@pytest.mark.parametrize(("text", "part"), SHOWN)
def test_what_is_shown_and_what_is_not(text: str, part: Any) -> None:
    assert valid_part(answer_of(Report).checker, text) == part


def test_a_rule_about_the_whole_waits_for_the_whole() -> None:
    class Sum(BaseModel):
        parts: list[int]
        total: int = 0

        @model_validator(mode="after")
        def adds_up(self) -> "Sum":
            if sum(self.parts) != self.total:
                raise ValueError("does not add up")
            return self

    checker = answer_of(Sum).checker
    assert valid_part(checker, '{"parts": [1, 2], ') == {"parts": [1, 2]}
    assert valid_part(checker, '{"parts": [1, 2], "total": 4}') is None
    assert valid_part(checker, '{"parts": [1, 2], "total": 3}') == {"parts": [1, 2], "total": 3}


def test_a_validator_that_cannot_do_without_the_rest_shows_nothing() -> None:
    class Odd(BaseModel):
        a: int
        b: int

        @model_validator(mode="before")
        @classmethod
        def swapped(cls, value: dict[str, int]) -> dict[str, int]:
            return {"a": value["b"], "b": value["a"]}

    assert valid_part(answer_of(Odd).checker, '{"a": 1, ') is None
    assert valid_part(answer_of(Odd).checker, '{"a": 1, "b": 2}') == {"a": 1, "b": 2}


# --------------------------------------------------------------------------------------- live, and afterwards


class Dripping(ScriptedModel):
    """A model that thinks, then sends its texts in pieces; after each it looks at what the run shows."""

    run: Any = None

    def __init__(self, script: list[Script]) -> None:
        super().__init__(script)
        self.parts: list[Any] = []

    async def ask(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        kind = e.ArgumentsDelta if request.ask.answer_tool is not None else e.TextDelta
        text, number = "", request.number
        async for event in super().ask(request):
            if isinstance(event, e.TextDelta):
                text += event.text
                continue
            if isinstance(event, e.Replied):
                yield e.ReasoningDelta(number, '{"name": "thought')
                for place in range(0, len(text), 5):
                    self.parts.append(self.run.partial)
                    yield kind(number, text[place : place + 5])
                self.parts.append(self.run.partial)
                if "broken off" in text:
                    yield e.RequestFailed(number, "broken", "it broke off", "retry", billed="no")
                    self.parts.append(self.run.partial)
                    return
            yield event


async def watched(model: Dripping, output: Any) -> Any:
    agent = Agent(model, output=output, journal=None)
    async with agent.stream("go") as run:
        model.run = run
        async for _ in run:
            pass
        result = await run.result()
        assert run.partial == result.partial
    return result


@pytest.mark.anyio
async def test_a_run_shows_what_has_come_of_its_answer() -> None:
    tree = {"name": "oak", "children": [{"name": "twig"}]}
    model = Dripping([tree])
    result = await watched(model, Tree)
    assert result.outcome == "finished"
    assert result.partial["children"][0]["name"] == "twig"
    assert model.parts[0] is None, "thinking is no part of an answer"
    assert [part for part in model.parts if part] == [part for part in model.parts if in_part(part, tree) and part]
    assert model.parts[-1] == tree
    assert len({json.dumps(part) for part in model.parts}) > 3


@pytest.mark.anyio
async def test_the_envelope_is_taken_off_and_a_text_stays_a_text() -> None:
    model = Dripping([{"answer": [1, 22, 333]}])
    assert (await watched(model, list[int])).partial == [1, 22, 333]
    assert [1] in model.parts
    assert all(part is None or isinstance(part, list) for part in model.parts)
    model = Dripping(["Once upon a time"])
    assert (await watched(model, None)).partial == "Once upon a time"
    assert model.parts[:3] == [None, "Once ", "Once upon "]


@pytest.mark.anyio
async def test_a_failed_attempt_voids_its_text() -> None:
    model = Dripping([{"name": "broken off"}])
    agent = Agent(model, output=Tree, journal=None)
    async with agent.stream("go") as run:
        model.run = run
        async for event in run:
            if isinstance(event, e.RequestFailed):
                break
    assert {"name": "broken off"} in model.parts
    assert model.parts[-1] is None


@pytest.mark.anyio
async def test_arguments_of_the_answer_tool_count_as_the_answer() -> None:
    misfits: list[Script] = [{"name": 1}, {"name": 2}]
    model = Dripping([*misfits, {"name": "elm"}])
    result = await watched(model, Tree)
    assert result.receipt.rung == "final_answer tool"
    assert result.partial["name"] == "elm"
    assert model.parts[-1] == {"name": "elm"}
