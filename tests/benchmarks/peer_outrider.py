# pyright: basic
# (the harness is no part of this repository, so its types are unknown here)
"""Outrider as a peer of a side-by-side benchmark: an adapter for a harness module named ``_common``.

The harness calls ``agent``, ``run``, ``stream`` and ``structured``. OUTRIDER_BENCH_JOURNAL names a folder and
switches the journal on; without it nothing is recorded. OUTRIDER_BENCH_EFFECT is the effect of the tools.
"""

import os
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

from _common import Base, main  # type: ignore[import-not-found]
from _tools import PROMPT, SYSTEM  # type: ignore[import-not-found]
from pydantic import BaseModel

from outrider import Agent, Limits, Settings, TextDelta, Tool, tool

UNLIMITED = Limits(turns=None, seconds=None, dollars=None)


class City(BaseModel):
    """What the structured scenario wants."""

    city: str
    country: str
    population: int


class Outrider(Base):
    """The adapter."""

    name = "outrider"

    async def open(self) -> None:
        """One journal for all agents, as in an app."""
        home = os.environ.get("OUTRIDER_BENCH_JOURNAL")
        self.journal = None
        if home:
            from outrider.journal.sqlite import SQLiteJournal

            self.journal = SQLiteJournal(home)
        self.effect = os.environ.get("OUTRIDER_BENCH_EFFECT", "read")
        self.settings = Settings(base_url=self.base_url, api_key="a-bench-key", thinking=None)
        self.talkers: dict[str, Agent[None, str]] = {}
        self.typed: dict[str, Agent[None, City]] = {}

    def wrap(self, function: Callable[..., Any]) -> Tool[..., Any]:
        """A tool of this function."""
        return tool(function, effect=self.effect)  # type: ignore[arg-type]

    def _agent(self, model: str, **more: Any) -> Any:
        return Agent(model, settings=self.settings, limits=UNLIMITED, journal=self.journal, **more)

    def agent(self, model: str, tools: list[Any]) -> Agent[None, str]:
        """An agent with these tools."""
        return self._agent(model, instructions=SYSTEM, tools=tools)

    async def run(self, agent: Agent[None, str]) -> str:
        """One run."""
        return (await agent.run(PROMPT)).output

    async def stream(self, model: str) -> AsyncIterator[str]:
        """The deltas of one answer."""
        if model not in self.talkers:
            self.talkers[model] = self._agent(model)
        async with self.talkers[model].stream(PROMPT) as run:
            async for event in run:
                if isinstance(event, TextDelta):
                    yield event.text

    async def structured(self, model: str) -> City:
        """One typed answer."""
        if model not in self.typed:
            self.typed[model] = self._agent(model, output=City)
        return (await self.typed[model].run(PROMPT)).output


if __name__ == "__main__":
    sys.exit(main(Outrider))
