# python examples/09_killed.py   (a script plays the model; nothing leaves this machine)
"""A long task is killed in the middle, twice, as by `kill -9`, and resumed: nothing is lost, and nothing done twice."""

import asyncio
import os
import signal
import subprocess
import sys

from outrider import Agent, Context, tool
from outrider.journal.sqlite import SQLiteJournal, default_home
from outrider.testing import Calls, ScriptedModel

LETTERS = ("Ada", "Ben", "Cleo", "Dora")
RUN = os.environ.setdefault("RUN", f"letters-{os.getpid()}")  # the processes to come inherit it
SENT = default_home() / f"{RUN}.txt"


@tool(effect="read")
def address(name: str) -> str:
    """Where somebody lives."""
    return f"{name}'s house"


@tool(repeat="with_key")
def post(name: str, context: Context[None]) -> str:
    """Post a letter. The post office takes each key once: a letter that is handed in again is the same letter."""
    with SENT.open("a+") as sent:
        sent.seek(0)
        if context.key not in sent.read():
            sent.write(f"{context.key} {name}\n")
            print(f"    posted to {name}", flush=True)
    if os.environ.get("DIE_AFTER") == name:
        print("    kill -9", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)  # the letter is out, and nobody has heard of it
    return "posted"


def work() -> None:
    """Begin the task, or go on with it: whoever begins a run by its name does either."""
    steps = [step for name in LETTERS for step in (Calls(("address", {"name": name})), Calls(("post", {"name": name})))]
    agent = Agent(ScriptedModel([*steps, "All four letters are out."]), tools=[address, post])
    result = agent.run_sync("Write to all four.", id=RUN)
    print(f"    {result.output} It took {result.turns} replies of the model, for ${result.cost}.", flush=True)


if "--work" in sys.argv:
    work()
else:
    for life, dies in enumerate(("Ben", "Dora", ""), 1):
        print(f"life {life}", flush=True)
        subprocess.run([sys.executable, __file__, "--work"], env={**os.environ, "DIE_AFTER": dies}, check=not dies)
    names = [run.run for run in asyncio.run(SQLiteJournal().runs())]
    print(f"letters at the post office: {len(SENT.read_text().splitlines())}, runs on record: {names.count(RUN)}")
