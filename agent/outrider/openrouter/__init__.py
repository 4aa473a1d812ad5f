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

from outrider.openrouter.client import OpenRouter
from outrider.openrouter.settings import Settings

__all__ = ["OpenRouter", "Settings"]
