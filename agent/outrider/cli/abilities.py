"""What the catalogue says of a model, for ``outrider doctor``."""

import asyncio
from collections.abc import Sequence

from outrider.errors import SetupError
from outrider.openrouter.catalogue import Endpoint, cheapest_first
from outrider.openrouter.fit import check_model, prices
from outrider.openrouter.lists import DAY, Kept, asks, fetch_endpoints, kept_endpoints
from outrider.openrouter.page import Refused
from outrider.openrouter.settings import Settings
from outrider.times import ago

SECONDS = 10.0
_NO_WAY = ("connection", "timeout", "proxy", "certificate")
"""Reasons of a request to have failed that lie between here and the server."""
TOLD = {"tools": "tools", "structured_outputs": "answers of a JSON Schema", "reasoning": "thinking"}
NO_SCHEMA = "Without answers of a JSON Schema typed answers are checked here, and asked for again when they are wrong."


class Unfit(Exception):
    """The model cannot serve. ``says`` is why, ``fix`` what to do."""

    def __init__(self, says: str, fix: str) -> None:
        super().__init__(says)
        self.says, self.fix = says, fix


class Unreached(Exception):
    """Nobody could be asked. ``says`` is why, ``fix`` what to do."""

    def __init__(self, says: str, fix: str) -> None:
        super().__init__(says)
        self.says, self.fix = says, fix


def abilities(model: str, settings: Settings, tools: bool) -> tuple[str, str] | None:
    """What the providers of a model take, its length and its price, and a note; None where nobody says.

    Fetched anew after a day, where the server is asked for lists at all. Raises Unfit when the model is not listed, or
    takes no tools and needs to; Unreached when there is no way to the server, and nothing is kept.
    """
    kept, fault = _providers(model, settings)
    try:
        check_model(model, settings, tools)
    except SetupError as error:
        raise Unfit(error.message, error.hint) from None
    if kept is None or not kept.rows:
        return (f"not known: {fault}", "") if fault else None
    takes = [f"{name} at {_count(kept.rows, parameter)}" for parameter, name in TOLD.items()]
    context = max((row.context or 0 for row in kept.rows), default=0)
    length = f"up to {context:,} tokens" if context else "of a length that nobody says"
    cheapest = prices(min(kept.rows, key=cheapest_first))
    says = f"{', '.join(takes)}; {length}; from {cheapest} per million tokens (fetched {ago(kept.age)})"
    return says, "" if any(row.takes("structured_outputs") for row in kept.rows) else NO_SCHEMA


def _providers(model: str, settings: Settings) -> tuple[Kept[Endpoint] | None, str]:
    """The providers as they are kept, fetched anew where that is due; and why that came to nothing."""
    kept = kept_endpoints(settings, model)
    if (kept and kept.age < DAY) or not asks(settings):
        return kept, ""
    try:
        return asyncio.run(fetch_endpoints(settings, model, SECONDS)), ""
    except Refused as error:
        if not kept and error.failure.reason in _NO_WAY:
            raise Unreached(error.failure.message, error.hint) from None
        return kept, error.failure.message
    except SetupError as error:
        return kept, error.message


def _count(rows: Sequence[Endpoint], parameter: str) -> str:
    takes = sum(row.takes(parameter) is True for row in rows)
    return f"{takes} of {len(rows)} providers" if parameter == "tools" else f"{takes}"
