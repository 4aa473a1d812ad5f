"""A few questions to the live OpenRouter: make live, with OPENROUTER_API_KEY. Together they cost under 0.01 dollars.

What the code relies on is asserted. What is only believed of OpenRouter, and handled either way, is noted and listed
at the end, for people to read.
"""

import asyncio
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from live.wire import Live
from outrider import Agent, Limits, Result, TextDelta, tool
from outrider.events import Replied, RequestAccepted
from outrider.openrouter.settings import DEFAULT_MODEL

MakeAgent = Callable[..., Agent[None, Any]]
BILLED = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds to wait before each look for a bill."""


class Forecast(BaseModel):
    city: str
    celsius: float


@tool(effect="read", trust="trusted")
def today() -> str:
    """The day of the week."""
    return "Monday"


@tool(effect="read", trust="trusted")
def weather(city: str, day: str) -> str:
    """The weather of a city on a day of the week."""
    return f"{city} on {day}: 21 degrees, light wind"


def finished(result: Result[Any]) -> Replied:
    """The last reply of a run that has to have finished."""
    assert result.outcome == "finished", f"{result.outcome}: {result.detail}"
    assert result.state.last_reply is not None
    return result.state.last_reply


# ------------------------------------------------------------------------------------------ through the frame


def test_a_plain_answer_with_its_bill(live: Live, agent: MakeAgent) -> None:
    result = live.run(agent(), "Reply with one word: ready")
    reply = finished(result)
    assert "ready" in result.output.lower()
    assert result.cost, "a bill that says what it cost"
    assert result.usage.prompt_tokens > 0
    live.saw("who answered", reply.model, "at", reply.provider or "(no provider named)")
    live.saw("thinking, left on", result.usage.reasoning_tokens, "tokens")
    billed, waited = bill(live, reply.generation)
    live.saw("the generation's bill", billed, "dollars after", waited, "s; the reply said", result.cost)
    assert billed in (None, result.cost)


def bill(live: Live, generation: str) -> tuple[Decimal | None, float]:
    """What OpenRouter says a generation cost, or None, and after how many seconds it said so."""
    for wait in BILLED:
        time.sleep(wait)
        status, answer = live.get(f"/generation?id={generation}")
        if status == 200:
            return Decimal(str(answer["data"]["total_cost"])), sum(BILLED[: BILLED.index(wait) + 1])
    return None, sum(BILLED)


def test_a_typed_answer_is_asked_for_without_thinking(live: Live, agent: MakeAgent) -> None:
    result = live.run(agent(output=Forecast), "It will be 21.5 degrees in Paris.")
    reply = finished(result)
    assert result.output == Forecast(city="Paris", celsius=21.5)
    live.saw("thinking, switched off", result.usage.reasoning_tokens, "tokens at", reply.provider)
    live.saw("a strict schema", result.turns, "replies,", result.receipt.rejections, "rejected")


def test_tools_are_called_and_their_results_used(live: Live, agent: MakeAgent) -> None:
    result = live.run(agent(tools=[today, weather], output=Forecast), "How warm is it in Paris today? Use the tools.")
    finished(result)
    assert result.tool_calls >= 2
    assert result.output == Forecast(city="Paris", celsius=21)
    live.saw("a tool loop", result)


def test_an_answer_comes_in_pieces(live: Live, agent: MakeAgent) -> None:
    async def watch() -> tuple[Result[Any], list[TextDelta]]:
        maker = agent()
        async with maker, maker.stream("Count from 1 to 20 in digits, with spaces.") as run:
            pieces = [event async for event in run if isinstance(event, TextDelta)]
            return await run.result(), pieces

    result, pieces = asyncio.run(watch())
    live.spent += result.cost or 0
    finished(result)
    whole = "".join(piece.text for piece in pieces)
    assert whole.strip() == result.output.strip()
    assert "19 20" in whole
    live.saw("an answer came in", len(pieces), "pieces")


def test_a_reply_that_is_left_stops(live: Live, agent: MakeAgent) -> None:
    generation = ""

    async def leave() -> Result[Any]:
        nonlocal generation
        maker = agent(wire={"thinking": False})
        async with maker, maker.stream("Count from 1 to 300 in words.") as run:
            async for event in run:
                if isinstance(event, RequestAccepted):
                    generation = event.generation
                if isinstance(event, TextDelta):
                    break
        return await run.result()

    result = asyncio.run(leave())
    assert result.outcome == "paused"
    billed, waited = bill(live, generation)
    live.spent += billed or 0
    live.saw("a reply left at its first words cost", billed, "dollars, known after", waited, "s")


@pytest.mark.parametrize("model", ["qwen/no-such-model", f"{DEFAULT_MODEL}:free"])
def test_a_model_that_is_not_there_is_one_failed_request(live: Live, agent: MakeAgent, model: str) -> None:
    result = live.run(agent(model=model, limits=Limits(turns=1)), "Hi")  # its price cannot be known
    live.saw(model, result.outcome, result.detail)
    if model.endswith(":free"):  # which may exist again
        return
    assert (result.outcome, result.state.requests) == ("provider", 1)
    assert result.cost == 0


def test_a_wrong_key_is_told_as_such(live: Live, agent: MakeAgent) -> None:
    result = live.run(agent(wire={"api_key": "sk-or-v1-" + 64 * "0"}, limits=Limits(turns=1)), "Hi")
    assert (result.outcome, result.state.requests) == ("provider", 1)
    live.saw("a wrong key", result.detail)
