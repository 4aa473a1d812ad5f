"""The outside: what happened there and is not undone, the model that is paid, and the tools that do things."""

import asyncio
import os
from collections.abc import AsyncGenerator
from decimal import Decimal
from pathlib import Path

import msgspec
from msgspec.structs import replace

from crash.facts import Attempt
from crash.fuse import Fuse, FusedJournal
from outrider.commands import Cancel
from outrider.events import Replied
from outrider.model import ModelEvent, Request
from outrider.testing.scripted import Script, ScriptedModel
from outrider.tool import Context, ToolError, tool

DONE = {"reserve": "reserved", "pay": "paid", "wire": "wired"}
"""What the writing tools answer, and what a person says who finds that they did their work."""


class World:
    """What is outside: a file of all that ever happened, one line each, written at once and never undone."""

    def __init__(self, folder: Path, fuse: Fuse, life: int, journal: FusedJournal | None = None) -> None:
        self.journal = journal
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


async def wire(euros: int, context: Context[World]) -> str:
    """Pay, and never come back to say so."""
    context.deps.happen("wire", context.key)
    await asyncio.Event().wait()
    return DONE["wire"]


@tool(effect="read")
def sold_out(item: str, context: Context[World]) -> str:
    """Fail in words that are meant for the model."""
    context.deps.happen("sold_out", context.key)
    raise ToolError(f"There is no {item} left.")


@tool(effect="read")
async def broken(item: str, context: Context[World]) -> str:
    """Fail as programs do."""
    context.deps.happen("broken", context.key)
    raise ValueError(f"no shelf for {item}")


@tool(effect="read", timeout=0.05)
async def slow(item: str, context: Context[World]) -> str:
    """Be stuck the first time."""
    context.deps.happen("slow", context.key)
    if context.attempt == 1:
        await asyncio.Event().wait()
    return item


@tool(effect="read")
async def halt(item: str, context: Context[World]) -> str:
    """Be stopped by somebody the first time."""
    context.deps.happen("halt", context.key)
    if context.attempt == 1 and context.deps.journal:
        await context.deps.journal.tell(context.run, Cancel("somebody"))
        await asyncio.Event().wait()  # were it to return, it might do so before the word is heard
    return item


class BilledModel(ScriptedModel):
    """A scripted model that is paid for each reply, whether or not anybody lives to hear it."""

    def __init__(self, world: World, script: tuple[Script, ...], cost: str) -> None:
        super().__init__(script, cost=cost)
        self._world = world

    async def ask(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        async for event in super().ask(request):
            if isinstance(event, Replied):
                self._world.happen("bill")
                yield self.billed(event)
            else:
                yield event

    def billed(self, reply: Replied) -> Replied:
        """The reply with what it cost."""
        return reply


class LateBills(BilledModel):
    """Its replies come without a bill, which is there when it is asked for a second time."""

    def __init__(self, world: World, script: tuple[Script, ...], cost: str) -> None:
        super().__init__(world, script, cost)
        self._asked: set[str] = set()
        self._price = Decimal(cost)

    def billed(self, reply: Replied) -> Replied:
        return replace(reply, usage=replace(reply.usage, cost=None))

    async def bill(self, generation: str) -> Decimal | None:
        """What the reply has cost."""
        if generation in self._asked:
            return self._price
        self._asked.add(generation)
        return None


class Outdone(BilledModel):
    """A model beside which there is a stronger one."""

    stronger = "stronger"
