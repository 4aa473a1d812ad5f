"""What one worker does: runs and turns a second at 1, 10 and 100 runs at once, and what journal and engine each cost.

    make bench-workers

The model is a script and the tool does nothing, so that all that is measured is ours: PostgreSQL on this machine with
fsync, Temporal's dev server, one worker process. Figures are ratios within one run of this script.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from outrider import Agent, Limits, tool
from outrider.journal import Journal
from outrider.journal.postgres import PostgresJournal
from outrider.journal.sqlite import SQLiteJournal
from outrider.temporal.client import connect, submit
from outrider.testing import Calls, ScriptedModel
from postgres_kit import cluster
from temporal_kit import WorkerProcess, dev_server

TURNS = 7
FREE = Limits(turns=None, repeats=None, seconds=None)


@tool(repeat="with_key")
async def step(number: int) -> str:
    """A step."""
    return "done"


def agent(journal: Journal | None) -> Agent[None, str]:
    """Seven turns, six of them with a call that writes."""
    script = [*[Calls(("step", {"number": n})) for n in range(TURNS - 1)], "all done"]
    return Agent(ScriptedModel(script), tools=[step], limits=FREE, name="clerk", journal=journal)


async def rate(done: Callable[[int], Awaitable[object]], at_once: int, runs: int) -> float:
    """Runs a second, so many at once."""
    room = asyncio.Semaphore(at_once)

    async def one(number: int) -> None:
        async with room:
            await done(number)

    began = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(runs)))
    return runs / (time.perf_counter() - began)


def cpu(process: subprocess.Popen[bytes]) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def told(name: str, at_once: int, runs: float, ms: float) -> None:
    """One line of the table."""
    print(f"  {name:<11} {at_once:>4} at once {runs:>7.1f} runs/s {runs * TURNS:>7.0f} turns/s {ms:>6.2f} ms CPU/turn")


async def compared(postgres: Journal, folder: Path) -> None:
    """In one process, without an engine: no journal, SQLite, PostgreSQL."""
    print(f"in one process, without an engine ({TURNS} turns a run)")
    for name, journal in (("no journal", None), ("SQLite", SQLiteJournal(folder / "sqlite")), ("PostgreSQL", postgres)):
        clerk = agent(journal)
        await clerk.run("Go.")
        for at_once, runs in ((1, 30), (10, 100), (100, 300)):
            used, each = time.process_time(), await rate(lambda n: clerk.run("Go."), at_once, runs)  # noqa: B023
            ms = 1000 * (time.process_time() - used) / (runs * TURNS)
            told(name, at_once, each, ms)


async def worked(folder: Path, postgres: str, temporal: str) -> None:
    """One worker process with the engine."""
    client, clerk = await connect(temporal), agent(PostgresJournal(postgres))
    worker = WorkerProcess(folder, temporal, {"OUTRIDER_JOURNAL": postgres}, "--most", "200", PAUSE="0")

    async def done(number: int) -> None:
        await (await submit(clerk, "Go.", client))._handle.result()  # pyright: ignore[reportPrivateUsage]

    try:
        await done(0)
        print(f"one worker, with Temporal and PostgreSQL ({TURNS} turns a run)")
        for at_once, runs in ((1, 20), (10, 100), (100, 300)):
            used = cpu(worker.process)
            each = await rate(done, at_once, runs)
            ms = 1000 * (cpu(worker.process) - used) / (runs * TURNS)
            told("worker", at_once, each, ms)
    finally:
        worker.end()
        await clerk.journal.close()


async def main() -> None:
    with tempfile.TemporaryDirectory() as name, cluster("fsync=on") as server:
        folder = Path(name)
        (folder / "temporal").mkdir()
        with dev_server(folder / "temporal") as temporal:
            journal = PostgresJournal(server.address)
            await compared(journal, folder)
            await journal.close()
            await worked(folder, server.address, temporal)


if __name__ == "__main__":
    asyncio.run(main())
