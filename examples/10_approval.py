# python examples/10_approval.py   (a script plays the model; nothing leaves this machine)
"""A call waits for consent while no process is there; another one gives it, changed, and a third goes on."""

import asyncio
import os
import subprocess
import sys

from outrider import Agent, tool
from outrider.journal.sqlite import SQLiteJournal
from outrider.testing import Calls, ScriptedModel

RUN = os.environ.setdefault("RUN", f"lamps-{os.getpid()}")  # the processes to come inherit it


@tool(effect="read")
def stock(item: str) -> int:
    """How many are in stock."""
    return 2


@tool(approve=True)
def order(item: str, pieces: int) -> str:
    """Order more."""
    print(f"    ordered: {pieces} {item}", flush=True)
    return f"{pieces} {item} are on their way"


def agent() -> Agent:
    """The same in each process: what a run needs besides its record is code."""
    replies = [Calls(("stock", {"item": "lamps"})), Calls(("order", {"item": "lamps", "pieces": 500})), "Done."]
    return Agent(ScriptedModel(replies), tools=[stock, order])


def begin() -> None:
    """The nightly job: it ends, and the run waits."""
    result = agent().run_sync("See to it that there are lamps.", id=RUN)
    print(f"    {result.outcome}: {result.detail}", flush=True)


def approve() -> None:
    """A person, at any later time: less than was asked for."""
    call = "2:0"  # the first call of the second reply, as the first process has said
    asyncio.run(agent().approve(RUN, call, arguments={"item": "lamps", "pieces": 50}, by="Ada"))
    print("    Ada allows 50", flush=True)


def go_on() -> None:
    """The next nightly job, which is the same command as the first."""
    result = agent().run_sync("See to it that there are lamps.", id=RUN)
    print(f"    {result.output} {len(asyncio.run(SQLiteJournal().read(RUN)))} events on record", flush=True)


if len(sys.argv) > 1 and sys.argv[1] in ("begin", "approve", "go_on"):
    {"begin": begin, "approve": approve, "go_on": go_on}[sys.argv[1]]()
else:
    for step in ("begin", "approve", "go_on"):
        print(f"process {step}", flush=True)
        subprocess.run([sys.executable, __file__, step], check=True)
