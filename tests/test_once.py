"""A run of a name is done once, however often and in however many processes it is begun."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from agent_kit import pay
from outrider import Agent, Limits, SetupError, tool
from outrider.journal.sqlite import SQLiteJournal
from outrider.testing import Calls, ScriptedModel
from outrider.testing.fake import FakeReply
from shell import FORECAST, Shell, end, weather_call

pytestmark = pytest.mark.anyio
WATCHDOG = 120.0

TEN = """
import asyncio, json, os, sys
from pathlib import Path
from outrider import Agent, tool
from outrider.testing import Calls, ScriptedModel

home = Path(sys.argv[1])

@tool
async def write(line: str) -> str:
    "Write a line."
    with (home / "written").open("a") as file:
        file.write(line + "\\n")
    if os.environ.get("DIE"):
        os.kill(os.getpid(), 9)
    await asyncio.sleep(0.1)
    return f"written by {os.getpid()}"

async def main():
    model = ScriptedModel([Calls(("write", {"line": "x"})), f"done by {os.getpid()}"])
    agent = Agent(model, tools=[write], journal=home)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    results = await asyncio.gather(*(agent.run("Write.", id="nightly-1") for _ in range(10)))
    print(json.dumps([[r.outcome, r.partial, r.state.seq] for r in results]), flush=True)

asyncio.run(main())
"""


def start(home: Path, **env: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", TEN, str(home)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **env},
    )  # fmt: skip


def go(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_begun_a_hundred_times_it_is_done_once_and_has_a_hundred_equal_answers(tmp_path: Path) -> None:
    processes = [start(tmp_path) for _ in range(10)]
    for process in processes:  # all are there before the first begins
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        go(process)
    said = [process.communicate(timeout=WATCHDOG)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 10
    answers = Counter(tuple(answer) for text in said for answer in json.loads(text))
    ((outcome, partial, _),) = answers
    assert sum(answers.values()) == 100
    assert outcome == "finished"
    assert partial.startswith("done by ")
    assert (tmp_path / "written").read_text() == "x\n"


def test_who_waits_takes_over_when_the_one_who_does_it_dies(tmp_path: Path) -> None:
    dying = start(tmp_path, DIE="1")
    go(dying)
    dying.communicate(timeout=WATCHDOG)
    assert dying.returncode == -signal.SIGKILL
    waits = start(tmp_path)
    go(waits)
    output = waits.communicate(timeout=WATCHDOG)[0]
    answers = json.loads(output.splitlines()[1])
    assert {tuple(answer[:2]) for answer in answers} == {("paused", None)}  # the write is in doubt: a person is asked
    assert (tmp_path / "written").read_text() == "x\n"


async def test_one_that_met_a_limit_goes_on_when_it_is_begun_again_and_only_then(journal: SQLiteJournal) -> None:
    model = ScriptedModel([Calls(("pay", {"amount": 1})), Calls(("pay", {"amount": 2})), "done"])
    less = Agent(model, tools=[pay], journal=journal, limits=Limits(turns=1, repeats=None))
    two = await asyncio.gather(*(less.run("Pay.", id="a.b-1") for _ in range(2)))
    assert {result.outcome for result in two} == {"limit"}
    assert len({result.state.seq for result in two}) == 1
    assert (await less.run("Pay.", id="a.b-1")).state.seq > two[0].state.seq
    more = Agent(model, tools=[pay], journal=journal)
    resumed = await more.resume("a.b-1", limits=Limits())
    assert (await more.run("Pay.", id="a.b-1")).output == resumed.output


async def test_a_name_belongs_to_one_task(journal: SQLiteJournal) -> None:
    agent = Agent(ScriptedModel(["one"]), journal=journal)
    assert (await agent.run("Count.", id="count")).run == "count"
    with pytest.raises(SetupError, match="run count is there already, on another task: Count"):
        await agent.run("Add.", id="count")
    for wrong in ("last", "a:b", "", " ", "-x", "x" * 65, "ä"):
        if wrong:
            with pytest.raises(SetupError, match="id is"):
                await agent.run("Count.", id=wrong)
    with pytest.raises(SetupError, match="nothing is kept"):
        await Agent(ScriptedModel(["one"]), journal=None).run("Count.", id="count")
    async with agent.stream("Count.", id="count") as run:
        assert (await run.result()).output == "one"
    assert (await asyncio.to_thread(agent.run_sync, "Count.", id="count")).output == "one"


async def test_who_is_cancelled_while_it_waits_leaves_the_run_alone(journal: SQLiteJournal) -> None:
    goes_on, has_begun = asyncio.Event(), asyncio.Event()

    @tool(effect="read")
    async def slow() -> str:
        """Wait."""
        has_begun.set()
        await goes_on.wait()
        return "there"

    agent = Agent(ScriptedModel([Calls(("slow", {})), "done"]), tools=[slow], journal=journal)
    first = asyncio.create_task(agent.run("Wait.", id="slow-1"))
    await asyncio.wait_for(has_begun.wait(), WATCHDOG)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(agent.run("Wait.", id="slow-1"), 0.1)
    goes_on.set()
    assert (await asyncio.wait_for(first, WATCHDOG)).output == "done"


def test_by_command_a_second_time_prints_the_same_answer_and_costs_nothing(outrider: Shell) -> None:
    outrider.server.add(weather_call(), FORECAST)
    args = ("run", "How warm?", "-t", "app:weather", "--output", "app:Forecast", "--id", "nightly-1")
    one, two = outrider(*args), outrider(*args)
    assert (one.code, two.code) == (0, 0)
    assert one.out == two.out
    assert len(outrider.server.requests) == 2
    other = outrider("run", "How cold?", "--id", "nightly-1")
    assert (other.code, "on another task" in other.err) == (2, True)


def test_by_command_after_a_kill_it_is_told_as_the_run_it_is(outrider: Shell) -> None:
    outrider.server.add(weather_call(), FakeReply(text="Warm.", hold=threading.Event()), "Warm.")
    args = ("run", "How warm?", "-t", "app:weather", "--id", "nightly-2")
    process = outrider.start(*args)
    outrider.server.wait(lambda: len(outrider.server.requests) == 2)
    process.kill()
    assert end(process).code == -signal.SIGKILL
    again = outrider(*args)
    assert (again.code, again.out) == (0, "Warm.\n")
    assert "run nightly-2 goes on · " in again.err
    assert "request 3: 4 messages" in again.err or "request 3: 3 messages" in again.err
