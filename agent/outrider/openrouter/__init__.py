"""OpenRouter, and any server that speaks its dialect of chat completions.

    settings.py    what a user may set; ranges.py and checks.py refuse what cannot work
    routing.py     which providers may serve; plugins.py: what OpenRouter adds by itself
    habits.py      what is known of models (habits.toml); thinking.py: whether a request thinks
    body.py        the body that comes of all this; ways.py: which ways of asking for an answer are not taken
    client.py      OpenRouter: one request in, its events out; exchange.py: one request on the wire
    transport.py   the connection pool and the one way out (imports openai, aiohttp, httpx2)
    deadline.py    the time a request may take
    merge.py       bytes of a reply -> one reply; sse.py its lines, tags.py and reasoning.py its thinking
    mend.py        what small models get wrong in it; leaked.py: calls written as text
    failures.py    everything that can go wrong, and whether trying again can help; advice.py: what a person can do
    detour.py      what the next attempt does differently
    cost.py        the bill; generation.py asks for one that did not come, estimate.py says the most that one can be
    catalogue.py   what is listed of models and providers; lists.py keeps it, fit.py judges a model by it
    account.py     what the server says of a key; page.py: one page of the API

Importing this package imports none of the heavy ones; the first request does, in a thread.
"""

from typing import TYPE_CHECKING

from outrider.openrouter.plugins import (
    ContextCompression,
    DateTime,
    FileParser,
    ResponseHealing,
    Web,
    WebFetch,
    WebSearch,
)
from outrider.openrouter.routing import Routing
from outrider.openrouter.settings import Settings

if TYPE_CHECKING:
    from outrider.openrouter.client import OpenRouter

__all__ = [
    "ContextCompression",
    "DateTime",
    "FileParser",
    "OpenRouter",
    "ResponseHealing",
    "Routing",
    "Settings",
    "Web",
    "WebFetch",
    "WebSearch",
]


def __getattr__(name: str) -> object:
    if name == "OpenRouter":  # every agent has settings; not every program has an agent on OpenRouter
        from outrider.openrouter.client import OpenRouter

        return OpenRouter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
