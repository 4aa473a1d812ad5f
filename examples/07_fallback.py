# python examples/07_fallback.py   (a server on this machine plays an OpenRouter that misbehaves; nothing leaves it)
"""One provider breaks off its reply, another sends a web page: the run goes round both, and each step has its price."""

import asyncio
from typing import Any

from outrider import Agent, Settings
from outrider.events import Entry, Replied, RequestFailed
from outrider.testing import FakeOpenRouter, FakeReply

FALLBACK = "mistralai/mistral-small"


def misbehaving(body: dict[str, Any]) -> FakeReply:
    """What the server answers to a request, given its body."""
    if body["model"] == FALLBACK:
        return FakeReply(text="There are 12 lamps left.", cost=0.0004)
    if body.get("provider", {}).get("ignore"):  # the first provider is left out by now
        return FakeReply(body=b"<html>Too many visitors.</html>")
    start = {"index": 0, "delta": {"content": "There are 12 la"}}
    return FakeReply(chunks=[{"provider": "Cheap Host", "choices": [start]}])  # and then nothing more


def watch(entry: Entry) -> None:
    """Told of everything that is put on record."""
    match entry.event:
        case RequestFailed() as failed:
            after = failed.detour
            without = f", without {', '.join(after.avoid)}" if after.avoid else ""
            cost = failed.usage.cost if failed.billed == "usage" else failed.billed
            print(f"request {failed.number} failed: {failed.reason} (billed: {cost})")
            print(f"  then: {failed.then} in {failed.delay:.1f} s, {after.model or 'the same model'}{without}")
        case Replied() as reply:
            print(f"request {reply.number} answered by {reply.model}: ${reply.usage.cost}")
        case _:
            pass


async def main() -> None:
    with FakeOpenRouter(misbehaving, model=FALLBACK) as server:
        # what a reply cost that broke off, OpenRouter says when asked for it
        server.pages["/generation?id=gen-1"] = FakeReply(body=b'{"data": {"total_cost": 0.0001}}')
        settings = Settings(base_url=server.base_url, api_key="any-key", models=(FALLBACK,))
        async with Agent(settings=settings, observers=[watch]) as agent:
            result = await agent.run("How many lamps are left?")
    print(result.output if result.outcome == "finished" else result.detail)
    print(result)


asyncio.run(main())
