"""What the tests of agents and tools share: three tools, a type of answer, and questions to a finished run."""

import asyncio
from typing import Any

from pydantic import BaseModel

from outrider import Agent, Result, tool
from outrider.journal.sqlite import SQLiteJournal
from outrider.messages import ToolMessage
from outrider.testing.scripted import Calls, ScriptedModel

WATCHDOG = 60.0


class Forecast(BaseModel):
    city: str
    celsius: float


@tool(effect="read")
def look(city: str) -> str:
    """Look."""
    return f"{city} is fine"


@tool
def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


@tool(effect="read")
def weather(city: str, days: int = 1) -> str:
    """The weather of a city."""
    return f"{city}: {days}"


def told(result: Result[Any]) -> list[str]:
    """What the model was told of its calls, in order."""
    return [message.content for message in result.messages if isinstance(message, ToolMessage)]


async def outcome_of(calls: Calls, *tools: Any, **more: Any) -> Result[str]:
    agent = Agent(ScriptedModel([calls, "done"]), tools=tools, journal=None, **more)
    return await asyncio.wait_for(agent.run("go"), WATCHDOG)


async def recorded(journal: SQLiteJournal, run: str, kind: type[Any]) -> list[Any]:
    return [entry.event for entry in await journal.read(run) if isinstance(entry.event, kind)]
