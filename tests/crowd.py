"""Many runs at once in one journal, each of some steps that write, and what has to have come of them."""

import asyncio
from collections import Counter

from outrider import Agent, Context, Limits, tool
from outrider.events import JournalWaited, ToolFinished
from outrider.journal.sql import SQLJournal
from outrider.testing import Calls, ScriptedModel

STEPS = 40


class Crowd:
    """So many runs, under way from now on; ``done`` counts the steps that were done, by key."""

    def __init__(self, journal: SQLJournal, runs: int) -> None:
        self.done = Counter[str]()
        self._journal, self._runs = journal, runs

        @tool
        async def step(context: Context[None]) -> str:
            """One step."""
            self.done[context.key] += 1
            await asyncio.sleep(0.02)
            return "ok"

        limits = Limits(turns=None, repeats=None, seconds=None)
        scripts = [[*[Calls(("step", {}))] * STEPS, f"done {number}"] for number in range(runs)]
        agents = [Agent(ScriptedModel(script), tools=[step], journal=journal, limits=limits) for script in scripts]
        self.going = [asyncio.create_task(agent.run("Go.", id=f"run{n}")) for n, agent in enumerate(agents)]

    def has_done(self, steps: int) -> bool:
        """Whether more than so many steps are done."""
        return len(self.done) > steps

    async def check(self) -> None:
        """All end as if nothing had happened: each step once, no entry lost, none doubled. Each tells of its wait."""
        results = await asyncio.gather(*self.going)
        assert [(each.outcome, each.output) for each in results] == [
            ("finished", f"done {number}") for number in range(self._runs)
        ]
        assert (set(self.done.values()), len(self.done)) == ({1}, self._runs * STEPS)
        for result in results:
            entries = await self._journal.read(result.run)
            assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
            assert sum(isinstance(entry.event, ToolFinished) for entry in entries) == STEPS
            assert any(isinstance(entry.event, JournalWaited) and entry.event.why for entry in entries)
