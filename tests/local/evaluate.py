"""How often the embedded model is right: make eval-local, or python tests/local/evaluate.py [kind ...] [--set dev]

The requests stand in <kind>.<set>.toml, written without sight of the prompts. The prompts were tuned on the
set "dev"; the set "held" is never tuned on, and so its misses are told by number only. Once reported and looked at, a
held set becomes a part of dev, and others write a new one; so not every kind has both.
"""

import argparse
import asyncio
import json
import math
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, cast

from msgspec import Struct
from pydantic import BaseModel

from outrider import Agent, NoOutput, Result, ToolError, tool
from outrider.messages import AssistantMessage
from outrider_tools.calculator import calculate, calculator

HERE = Path(__file__).parent
SETS = ("dev", "held")


class Answer(BaseModel):
    expression: str
    result: float


class Invoice(BaseModel):
    vendor: str
    number: str
    total: float
    currency: str


class DatedInvoice(BaseModel):
    vendor: str
    number: str
    total: float
    date: str


class Sentiment(BaseModel):
    label: Literal["positive", "negative"]


class Sentiment3(BaseModel):
    label: Literal["positive", "neutral", "negative"]


@tool(effect="read")
def weather(city: str) -> str:
    """Tomorrow's weather for a city."""
    return f"{city}: 21 degrees, light wind"


Expected = dict[str, Any]


class Kind(Struct, frozen=True):
    """A kind of request: the agent for it, and what of a result is compared with what is expected."""

    agent: Agent[None, Any]
    got: Callable[[Result[Any]], Expected]


class Case(Struct, frozen=True):
    """One request. ``expected`` holds what has to come of it."""

    text: str
    expected: Expected


class Score(Struct):
    """How a kind did."""

    right: int = 0
    of: int = 0
    seconds: float = 0.0


def cases(kind: str, part: str) -> list[Case]:
    """The requests of a kind; none when there is no such set of it."""
    file = HERE / f"{kind}.{part}.toml"
    if not file.exists():
        return []
    read = tomllib.loads(file.read_text())
    return [Case(**request) for request in read["request"]]


def kinds() -> dict[str, Kind]:
    """What there is to evaluate, by name."""
    return {
        "arithmetic": Kind(_agent(output=Answer, tools=[calculator]), _fields),
        "invoice": Kind(_agent(output=Invoice), _fields),
        "invoice_dated": Kind(_agent(output=DatedInvoice), _fields),
        "sentiment": Kind(_agent(output=Sentiment), _fields),
        "sentiment3": Kind(_agent(output=Sentiment3), _fields),
        "two_tools": Kind(_agent(tools=[calculator, weather]), _first_call),
    }


def is_right(got: Expected, expected: Expected) -> bool:
    """Whether everything expected has come, texts to the letter, numbers to half a cent."""
    return all(name in got and _same(got[name], value) for name, value in expected.items())


async def evaluate(kind: Kind, case: Case) -> Expected:
    """What came of one request, as its user would get it; why nothing did, if nothing did."""
    result = await kind.agent.run(case.text)
    try:
        _ = result.output
        return kind.got(result)
    except NoOutput as error:
        return {"error": str(error)}


def _agent(output: Any = None, tools: Any = ()) -> Agent[None, Any]:
    return Agent[None, Any]("local", output=output, tools=tools, journal=None)


def _fields(result: Result[Any]) -> Expected:
    return cast("BaseModel", result.output).model_dump()


def _first_call(result: Result[Any]) -> Expected:
    calls = [call for m in result.messages if isinstance(m, AssistantMessage) for call in m.tool_calls or ()]
    if not calls:
        return {}
    arguments = cast("dict[str, str]", json.loads(calls[0].function.arguments))
    got = {"tool": calls[0].function.name, **arguments}
    if "expression" in got:
        try:
            got["result"] = calculate(got["expression"])
        except ToolError as error:
            got["result"] = str(error)
    return got


def _same(got: Any, expected: Any) -> bool:
    if isinstance(expected, str):
        return got == expected
    try:
        return math.isclose(float(got), expected, rel_tol=1e-9, abs_tol=0.005)
    except ValueError:
        return False


async def _score(name: str, kind: Kind, part: str) -> Score:
    score = Score()
    for number, case in enumerate(cases(name, part), start=1):
        begun = time.perf_counter()
        got = await evaluate(kind, case)
        score.seconds += time.perf_counter() - begun
        score.of += 1
        if is_right(got, case.expected):
            score.right += 1
        else:
            told = "" if part == "held" else f": {case.text}\n    wanted {case.expected}\n    got    {got}"
            print(f"miss: {name}.{part} {number}{told}", flush=True)
    return score


async def _main(names: list[str], parts: list[str]) -> None:
    chosen = {name: kind for name, kind in kinds().items() if name in names or not names}
    begun = time.perf_counter()
    await next(iter(chosen.values())).agent.ready()
    print(f"the model was ready after {time.perf_counter() - begun:.1f} s", flush=True)
    asked = [(name, part) for part in parts for name in chosen if cases(name, part)]
    scores = {(name, part): await _score(name, chosen[name], part) for name, part in asked}
    print(f"\n{'kind':13} {'set':5} {'right':>8}   seconds a request")
    for (name, part), score in scores.items():
        print(f"{name:13} {part:5} {score.right:3} of {score.of:2}   {score.seconds / score.of:.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="How often the embedded model is right.")
    parser.add_argument("kind", nargs="*", help="default: all")
    parser.add_argument("--set", choices=SETS, help="default: both")
    given = parser.parse_args()
    if unknown := set(given.kind) - set(kinds()):
        parser.error(f"no such kind: {unknown}")
    asyncio.run(_main(given.kind, [given.set] if given.set else list(SETS)))
