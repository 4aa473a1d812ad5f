"""The bill of a reply that broke off before it said what it cost, asked for by the reply's id."""

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from outrider.messages import Usage
from outrider.openrouter.cost import count, dollars, exact, object_of

if TYPE_CHECKING:
    from outrider.openrouter.transport import Line

_PAUSES = (0.0, 0.5, 1.0)
"""Seconds before each asking: a bill is there soon after its reply ended, not at once."""


async def bill(line: "Line", generation: str, seconds: float) -> Usage | None:
    """What OpenRouter charged for a generation, or None when it does not say within so many seconds."""
    if not generation.startswith("gen-") or not seconds:  # the form of OpenRouter's own ids
        return None
    try:
        async with asyncio.timeout(seconds):
            for pause in _PAUSES:
                await asyncio.sleep(pause)
                usage, again = await _asked(line, generation)
                if usage or not again:
                    return usage
    except TimeoutError:
        pass
    return None


async def _asked(line: "Line", generation: str) -> tuple[Usage | None, bool]:
    """The bill, and whether asking again may bring one."""
    import httpx2

    try:
        response = await line.get(f"/generation?id={quote(generation)}")
    except httpx2.RequestError:
        return None, False
    if not response.is_success:
        return None, response.status_code in (404, 429) or response.status_code >= 500
    try:
        answer: Any = exact.decode(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None, False
    return _usage(object_of(object_of(answer).get("data"))), False


def _usage(told: dict[str, Any]) -> Usage | None:
    cost = dollars(told.get("total_cost"))
    if cost is None:
        return None
    upstream = dollars(told.get("upstream_inference_cost"))
    if told.get("is_byok") is True and upstream is not None:
        cost += upstream
    return Usage(
        prompt_tokens=count(told.get("native_tokens_prompt")) or count(told.get("tokens_prompt")),
        completion_tokens=count(told.get("native_tokens_completion")) or count(told.get("tokens_completion")),
        reasoning_tokens=count(told.get("native_tokens_reasoning")),
        cached_tokens=count(told.get("native_tokens_cached")),
        cost=cost,
    )
