"""Checked by pyright, never run: what the types of agents are to those who use them."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Literal, assert_type

from pydantic import BaseModel
from typing_extensions import TypedDict

from outrider import Agent, Context, Limits, Result, Run, Settings, tool
from outrider.parts import File, Image, Text


class Forecast(BaseModel):
    city: str


class Refusal(BaseModel):
    why: str


@dataclass
class Point:
    x: int


class Film(TypedDict):
    title: str


class Colour(Enum):
    RED = "red"


class Deps:
    user: str


@tool
def who(context: Context[Deps]) -> str:
    """Who asks?"""
    return context.deps.user


def greet(deps: Deps) -> str:
    return f"Serve {deps.user}."


def shout(text: str) -> str:
    """Shout."""
    return text.upper()


async def without_dependencies() -> None:
    assert_type(Agent(), Agent[None, str])
    assert_type((await Agent().run("go")).output, str)
    assert_type((await Agent("some/model", output=str).run("go")).output, str)
    assert_type((await Agent(output=Forecast).run("go")).output, Forecast)
    assert_type((await Agent(output=Point).run("go")).output, Point)
    assert_type((await Agent(output=Film).run("go")).output, Film)
    assert_type((await Agent(output=Colour).run("go")).output, Colour)
    assert_type((await Agent(output=int).run("go")).output, int)
    assert_type((await Agent(output=bool).run("go")).output, bool)
    assert_type((await Agent(output=list[Point]).run("go")).output, list[Point])
    assert_type((await Agent(output=dict[str, int]).run("go")).output, dict[str, int])
    assert_type((await Agent(output=(Forecast, Refusal)).run("go")).output, Forecast | Refusal)
    assert_type((await Agent(output=Literal["a", "b"]).run("go")).output, Any)
    labels: Agent[None, Literal["a", "b"]] = Agent[None, Any](output=Literal["a", "b"])
    assert_type((await labels.run("go")).output, Literal["a", "b"])
    assert_type((await Agent(output=(Forecast, Point, str)).run("go")).output, Forecast | Point | str)
    assert_type((await Agent(output={"type": "object"}).run("go")).output, Any)
    assert_type(await Agent(tools=[who, shout], output=Forecast).run("go"), Result[Forecast])


async def with_dependencies(deps: Deps) -> None:
    assert_type(Agent(deps_type=Deps), Agent[Deps, str])
    assert_type(Agent(deps_type=Deps, instructions=greet), Agent[Deps, str])
    assert_type((await Agent(deps_type=Deps, output=Forecast).run("go", deps=deps)).output, Forecast)
    assert_type((await Agent(deps_type=Deps, output=Point).run("go", deps=deps)).output, Point)
    assert_type((await Agent(deps_type=Deps, output=Film).run("go", deps=deps)).output, Film)
    assert_type((await Agent(deps_type=Deps, output=int).run("go", deps=deps)).output, int)
    assert_type((await Agent(deps_type=Deps, output=list[Point]).run("go", deps=deps)).output, list[Point])
    assert_type(
        (await Agent(deps_type=Deps, output=(Forecast, Refusal)).run("go", deps=deps)).output, Forecast | Refusal
    )
    assert_type(Agent(deps_type=Deps, output={"type": "object"}), Agent[Deps, Any])
    assert_type((await Agent(deps_type=Deps, output={"type": "object"}).run("go", deps=deps)).output, Any)
    agent = Agent(deps_type=Deps, output=Forecast, tools=[who], instructions=greet)
    await agent.run("go", deps="somebody")  # pyright: ignore[reportArgumentType]


async def every_way_of_running(agent: Agent[None, Forecast], earlier: Result[str]) -> None:
    assert_type(agent.run_sync("go"), Result[Forecast])
    assert_type(await agent.run("go", history=earlier), Result[Forecast])
    assert_type(await agent.resume("run"), Result[Forecast])
    assert_type(agent.resume_sync("run"), Result[Forecast])
    async with agent.stream("go") as run:
        assert_type(run, Run[Forecast])
        assert_type(await run.result(), Result[Forecast])
    async with agent.stream_resume("run") as again:
        assert_type((await again.result()).output, Forecast)


async def tasks(agent: Agent[None, Forecast], pictures: list[Image]) -> None:
    assert_type(agent.run_sync(["What is on it?", Image("photo.png")]), Result[Forecast])
    assert_type(
        await agent.run([Text("Read it.", cache="1h"), File(Path("a.pdf")), File(b"", name="b")]), Result[Forecast]
    )
    agent.preview(pictures)
    agent.preview(["all", "texts"])
    agent.preview([3])  # pyright: ignore[reportArgumentType]
    agent.preview(Image("photo.png"))  # pyright: ignore[reportArgumentType]
    Image("photo.png", detail="hgh")  # pyright: ignore[reportArgumentType]


def plain_check(answer: Forecast) -> None: ...


def check_of_more(answer: Forecast | Refusal) -> None: ...


async def check_with_context(answer: Forecast, context: Context[Deps]) -> Forecast:
    return answer


def check_of_text(answer: str) -> str:
    return answer


def check_of_film(answer: Film) -> None: ...


def check_that_answers(answer: Forecast) -> bool:
    return bool(answer.city)


def checks(agent: Agent[Deps, Forecast], plain: Agent[None, Forecast]) -> None:
    assert_type(agent.checked(plain_check), Agent[Deps, Forecast])
    assert_type(agent.checked(plain_check, check_with_context, check_of_more), Agent[Deps, Forecast])
    assert_type(Agent().checked(check_of_text), Agent[None, str])
    assert_type(Agent(output=Film).checked(check_of_film), Agent[None, Film])
    assert_type(Agent(output=(Forecast, Refusal)).checked(check_of_more), Agent[None, Forecast | Refusal])
    assert_type(Agent(deps_type=Deps, output={"type": "object"}).checked(check_of_film), Agent[Deps, Any])
    agent.checked(check_of_text)  # pyright: ignore[reportArgumentType]
    agent.checked(check_that_answers)  # pyright: ignore[reportArgumentType]
    plain.checked(check_with_context)  # pyright: ignore[reportArgumentType]
    Agent(output=(Forecast, Refusal)).checked(plain_check)  # pyright: ignore[reportArgumentType]


def what_may_be_given() -> None:
    Agent(journal="runs", limits=Limits(dollars=0.05), settings=Settings(temperature=0))
    Agent(journal=Path("runs"), limits=Limits(5, None, None, 60, "1"))
    Agent(journal=None, limits=Limits(dollars=None))
    assert_type(Limits(dollars="1").dollars, Decimal | None)


def mistakes() -> None:
    Agent(journal=3)  # pyright: ignore[reportArgumentType]
    Limits(turns="5")  # pyright: ignore[reportArgumentType]
    Limits(dolars=1)  # pyright: ignore[reportCallIssue]
    Agent(deps_type=Deps, instructions=shout)  # pyright: ignore[reportArgumentType]
    Agent(modle="some/model")  # pyright: ignore[reportCallIssue]
