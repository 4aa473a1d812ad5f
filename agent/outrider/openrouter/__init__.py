"""OpenRouter, and any server that speaks its dialect of chat completions.

    settings.py    what a user may set, and the body that comes of it
    client.py      OpenRouter: one request in, its events out
    transport.py   the connection pool and the one way out (imports openai, aiohttp, httpx2)
    deadline.py    the time a request may take
    merge.py       bytes of a reply -> one reply
    cost.py        the bill
    failures.py    everything that can go wrong, and whether trying again can help

Importing this package imports none of the heavy ones; the first request does, in a thread.
"""

from typing import TYPE_CHECKING

from outrider.openrouter.settings import Settings

if TYPE_CHECKING:
    from outrider.openrouter.client import OpenRouter

__all__ = ["OpenRouter", "Settings"]


def __getattr__(name: str) -> object:
    if name == "OpenRouter":  # every agent has settings; not every program has an agent on OpenRouter
        from outrider.openrouter.client import OpenRouter

        return OpenRouter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
