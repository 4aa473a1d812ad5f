"""What the journal costs, as ratios taken in one run, against the bars: make bench

A server on loopback, in a process of its own, answers each run with the same calls of a tool; journal on and off take
turns, and each figure is the median of the rounds. CPU is that of the agents' process with all its threads. A tool
that writes is the dearest case: its intent has to be on disk before it begins. The exit code is 1 when a bar does not
hold.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from outrider import Agent, Limits, Settings, tool
from outrider.journal.sqlite import SQLiteJournal
from outrider.observe.story import story
from outrider.testing import Calls, ScriptedModel

SERVER = """
from outrider.testing import FakeOpenRouter, FakeReply
def script(body):
    turns = sum(message["role"] == "assistant" for message in body["messages"])
    name, _, wanted = body["user"].partition(" ")
    return FakeReply(calls=[(name, {"text": f"step {turns}"})]) if turns < int(wanted) else "done"
with FakeOpenRouter(script) as server:
    print(server.base_url, flush=True)
    input()
"""
ROUNDS = 7
BEGIN_AND_END = 2
"""Commits of a run beside those of its turns: its name before anybody hears of it, and giving it up."""

READS, WRITES = "CPU a turn, 1 run of reads, on / off", "CPU a turn, 1 run of writes, on / off"
CLOCK = "time by the clock, 200 runs, on / off"
ALONE, MANY = "commits a turn, 1 run of writes", "commits a turn, 200 runs"
BARS = {
    READS: 1.6,
    WRITES: 1.6,
    CLOCK: 1.5,
    ALONE: 2.0,
    MANY: 0.2,
    "list, 10,000 runs / 100": 2.0,
    "show, 10,000 runs / 100": 2.0,
}


class Spent(NamedTuple):
    """What some runs took, and how many turns they had."""

    cpu: float
    clock: float
    turns: int
    commits: int


@tool
def note(text: str) -> str:
    """Make a note."""
    return f"noted: {text}"


@tool(effect="read")
def look(text: str) -> str:
    """Look."""
    return f"seen: {text}"


def agent(url: str, name: str, turns: int, journal: SQLiteJournal | None) -> Agent:
    """An agent whose runs have so many turns, and one for the answer."""
    settings = Settings(base_url=url, api_key="a-bench-key", thinking=None, extra={"user": f"{name} {turns}"})
    unlimited = Limits(turns=None, seconds=None, dollars=None, repeats=None)
    return Agent("bench/model", tools=[note, look], settings=settings, limits=unlimited, journal=journal)


async def spent(url: str, runs: int, turns: int, journal: SQLiteJournal | None, name: str = "note") -> Spent:
    """What so many runs at once take."""
    async with agent(url, name, turns, journal) as made:
        await made.run("warm up")
        before = journal.commits if journal else 0
        cpu, clock = time.process_time(), time.perf_counter()
        results = await asyncio.gather(*(made.run(f"task {n}") for n in range(runs)))
        cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    assert all(result.output == "done" for result in results), results[0].detail
    return Spent(cpu, clock, sum(result.turns for result in results), (journal.commits - before) if journal else 0)


async def on_and_off(url: str, folder: Path) -> dict[str, list[float]]:
    """Both kinds of load, with and without the journal, in turns."""
    found: dict[str, list[float]] = {name: [] for name in (READS, WRITES, CLOCK, ALONE, MANY)}
    journal = SQLiteJournal(folder / "one")
    for _ in range(ROUNDS):
        for ratio, name in ((READS, "look"), (WRITES, "note")):
            alone, kept = await spent(url, 1, 60, None, name), await spent(url, 1, 60, journal, name)
            found[ratio].append(kept.cpu / alone.cpu)
        found[ALONE].append((kept.commits - BEGIN_AND_END) / kept.turns)
        many, all_kept = await spent(url, 200, 4, None), await spent(url, 200, 4, journal)
        found[CLOCK].append(all_kept.clock / many.clock)
        found[MANY].append(all_kept.commits / all_kept.turns)
    await journal.close()
    return found


async def fill(journal: SQLiteJournal, count: int) -> None:
    """Put so many runs into a journal."""
    made = Agent(ScriptedModel([Calls(("note", {"text": "x"})), "done"]), tools=[note], journal=journal)
    for start in range(0, count, 500):
        await asyncio.gather(*(made.run(f"task {n}") for n in range(start, min(count, start + 500))))


async def small_and_large(folder: Path) -> dict[str, list[float]]:
    """Listing the newest runs of a small and of a large journal, and showing one of them."""
    small, large = SQLiteJournal(folder / "small"), SQLiteJournal(folder / "large")
    await fill(small, 100)
    await fill(large, 10_000)
    found: dict[str, list[float]] = {name: [] for name in list(BARS)[5:]}
    for _ in range(5 * ROUNDS):
        lists = [await _timed(partial(_list, journal)) for journal in (small, large)]
        shows = [await _timed(partial(_show, journal)) for journal in (small, large)]
        found["list, 10,000 runs / 100"].append(lists[1] / lists[0])
        found["show, 10,000 runs / 100"].append(shows[1] / shows[0])
    return found


async def _timed(work: Callable[[], Awaitable[None]]) -> float:
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


async def _list(journal: SQLiteJournal) -> None:
    assert len(await journal.runs(50)) == 50


async def _show(journal: SQLiteJournal) -> None:
    (newest,) = await journal.runs(1)
    assert list(story(await journal.read(newest.run)))


def main() -> int:
    """Measure, print, and say whether all bars hold."""
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            assert server.stdout is not None
            found = asyncio.run(on_and_off(server.stdout.readline().strip(), Path(folder)))
        finally:
            server.communicate("\n")
        found |= asyncio.run(small_and_large(Path(folder)))
    print(f"{'':42}{'median':>8}{'least':>8}{'bar':>8}")
    failed = False
    for name, values in found.items():
        median = statistics.median(values)
        failed |= median > BARS[name]
        word = "holds" if median <= BARS[name] else "DOES NOT HOLD"
        print(f"{name:42}{median:8.2f}{min(values):8.2f}{BARS[name]:8.2f}   {word}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
