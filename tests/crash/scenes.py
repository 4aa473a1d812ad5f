"""The task that gets killed, in a few forms, and one life of it.

A lamp is bought: stock and rate are read and the lamp reserved, all in one reply; then it is paid; then comes the
answer, first in words and, asked again, as an ``Order``.
"""

import hashlib
import os
from collections.abc import AsyncGenerator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from pydantic import BaseModel

from crash.facts import Attempt, Life, Point
from crash.fuse import Fuse, FusedJournal
from outrider.agent import Agent
from outrider.errors import RunNotFound
from outrider.events import Replied
from outrider.journal.sqlite import SQLiteJournal
from outrider.limits import charged
from outrider.messages import Limits
from outrider.model import ModelEvent, Request
from outrider.result import Result
from outrider.state import State
from outrider.testing.scripted import Calls, ScriptedModel
from outrider.tool import Context, Tool, tool

TASK = "Buy a lamp."
SCRIPT = (
    Calls(("stock", {"item": "lamp"}), ("reserve", {"item": "lamp"}), ("rate", {"currency": "EUR"})),
    Calls(("pay", {"euros": 42})),
    "The lamp is reserved and paid.",
    {"item": "lamp", "euros": 42},
)
DONE = {"reserve": "reserved", "pay": "paid"}
"""What the writing tools answer, and what a person says who finds that they did their work."""

MORE_MONEY = 100
"""What a run out of money gets: so many times its limit."""


class Order(BaseModel):
    item: str
    euros: int


class World:
    """What is outside: a file of all that ever happened, one line each, written at once and never undone."""

    def __init__(self, folder: Path, fuse: Fuse, life: int) -> None:
        self._file = folder / "world.jsonl"
        self._fuse = fuse
        self._life = life

    def happen(self, what: str, key: str = "") -> None:
        """Let it happen, with a step before and after."""
        self._fuse.reach(f"before {what}")
        line = msgspec.json.encode(Attempt(self._life, what, key.partition(":")[2])) + b"\n"
        file = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, line)
        finally:
            os.close(file)
        self._fuse.reach(f"after {what}")

    def attempts(self) -> tuple[Attempt, ...]:
        """All that happened, in all lives."""
        if not self._file.exists():
            return ()
        return tuple(msgspec.json.decode(line, type=Attempt) for line in self._file.read_bytes().splitlines())


@tool(effect="read")
def stock(item: str, context: Context[World]) -> int:
    """How many there are."""
    context.deps.happen("stock", context.key)
    return len(item)


@tool(effect="read")
async def rate(currency: str, context: Context[World]) -> str:
    """Tomorrow's rate."""
    context.deps.happen("rate", context.key)
    return f"{currency}: 1.08"


async def reserve(item: str, context: Context[World]) -> str:
    """Put one aside."""
    context.deps.happen("reserve", context.key)
    return DONE["reserve"]


def pay(euros: int, context: Context[World]) -> str:
    """Pay."""
    context.deps.happen("pay", context.key)
    return DONE["pay"]


class BilledModel(ScriptedModel):
    """A scripted model that is paid for each reply, whether or not anybody lives to hear it."""

    def __init__(self, world: World, cost: str) -> None:
        super().__init__(SCRIPT, cost=cost)
        self._world = world

    async def ask(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        async for event in super().ask(request):
            if isinstance(event, Replied):
                self._world.happen("bill")
            yield event


class Scene(Struct, frozen=True):
    """One form of the task. ``cost`` is that of a reply, in dollars, as is ``dollars``, the limit."""

    tools: tuple[Tool[..., Any], ...]
    cost: str
    dollars: Decimal = Decimal(1)

    def agent(self, world: World, journal: FusedJournal) -> Agent[World, Order]:
        return Agent[World, Order](
            BilledModel(world, self.cost),
            output=Order,
            tools=self.tools,
            limits=Limits(dollars=self.dollars),
            journal=journal,
        )


KEYED = (stock, rate, tool(reserve, repeat="with_key"), tool(pay, repeat="with_key"))
ONCE = (stock, rate, tool(reserve, repeat="never"), tool(pay, repeat="never"))
ASKED = (stock, rate, tool(reserve, repeat="never"), tool(pay, repeat="never", approve=True))

SCENES = {
    "keyed": Scene(KEYED, "0.001"),
    "never": Scene(ONCE, "0.001"),
    "asked": Scene(ASKED, "0.001"),
    "capped": Scene(KEYED, "0.50", Decimal("0.90")),  # what is left after one pays for no last answer
}


async def live(scene: Scene, folder: Path, number: int, death: Point | None) -> Life:
    """One life: go on with the run on record, or begin it where there is none; as somebody would who finds it.

    What it waits for it gets first: consent, word on a call in doubt after a look at the world, more money.
    """
    fuse = Fuse(death)
    world = World(folder, fuse, number)
    journal = FusedJournal(SQLiteJournal(folder), fuse.reach)
    agent = scene.agent(world, journal)
    found = [summary.run for summary in await journal.runs()]
    run, more = "none", None
    if found:
        run = found[0]
        state = State.fold(await journal.read(run))
        await _answer(agent, world, state)
        if state.outcome == "limit" and state.limits.dollars is not None:
            more = Limits(dollars=state.limits.dollars * MORE_MONEY)
    try:
        result = await agent.resume(run, deps=world, limits=more)
    except RunNotFound:
        result = await agent.run(TASK, deps=world)
    return await _told(result, fuse, journal, fresh=not found)


async def _answer(agent: Agent[World, Order], world: World, state: State) -> None:
    done = {attempt.key for attempt in world.attempts()}
    for call in state.owed_calls():
        if call.status == "asked":
            await agent.approve(state.run, call.call.id)
        elif call.status == "doubt" and call.intent:
            happened = call.intent.key.partition(":")[2] in done
            await agent.settle(state.run, call.call.id, DONE[call.call.name] if happened else None)


async def _told(result: Result[Order], fuse: Fuse, journal: FusedJournal, fresh: bool) -> Life:
    state = result.state
    entries = await journal.read(result.run)
    return Life(
        killed=False,
        steps=tuple(fuse.passed),
        fresh=fresh,
        outcome=result.outcome,
        output=result.output.model_dump() if result.outcome == "finished" else None,
        conversation=hashlib.sha256(b"\n".join(map(bytes, state.messages))).hexdigest(),
        runs=len(await journal.runs()),
        faithful=State.fold(entries) == state,
        charged=charged(state),
    )
