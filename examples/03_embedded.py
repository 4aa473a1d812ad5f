# python examples/03_embedded.py MODEL   (local, or any model on OpenRouter)
"""Inside an async app: events forwarded as they come, and a user who goes away in the middle."""

import asyncio
import os
import sys

from outrider import Agent, Context, SetupError, TextDelta, ToolFinished, ToolStarted, tool

MODEL = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("OUTRIDER_MODEL", "qwen/qwen3-14b")


@tool(effect="read", trust="trusted")
async def stock(item: str, context: Context[dict[str, int]]) -> str:
    """How many of an item are in stock."""
    return f"There are {context.deps.get(item.lower(), 0)} {item} in stock."


shelves = {"lamps": 12, "chairs": 4}


async def chat(agent: Agent[dict[str, int]], user: str, task: str, patience: int) -> None:
    """One user's request. After so many pieces of text the user closes the window."""
    async with agent.stream(task, deps=shelves) as run:
        async for event in run:
            match event:
                case ToolStarted(calls=calls):
                    print(f"[{user}] looks up {bytes(calls[0].arguments).decode()}")
                case ToolFinished():
                    print(f"[{user}] has the result")
                case TextDelta(text=text):
                    print(f"[{user}] {text!r}")
                    patience -= 1
                    if not patience:
                        break  # leaving the block stops the run; what has happened stays on record
                case _:
                    pass
    result = await run.result()
    print(f"[{user}] {result}")


async def app() -> None:
    async with Agent(MODEL, tools=[stock], deps_type=dict[str, int]) as agent:  # loads all before the first user comes
        await asyncio.gather(
            chat(agent, "ann", "How many lamps are in stock?", patience=1000),
            chat(agent, "ben", "How many chairs are in stock?", patience=1),
        )


try:
    asyncio.run(app())
except SetupError as error:  # no key, say: it is raised before the first request
    print(error, file=sys.stderr)
    sys.exit(2)
