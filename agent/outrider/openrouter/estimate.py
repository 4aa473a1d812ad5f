"""The most that one request can cost, ahead of it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

import msgspec
from msgspec import Struct

from outrider.openrouter.catalogue import Endpoint, longest_asked, open_to
from outrider.openrouter.lists import kept_endpoints
from outrider.openrouter.settings import Settings
from outrider.parts import FILE_MARK, IMAGE_MARK
from outrider.times import ago

_FREE = frozenset(("response-healing", "context-compression", "moderation"))
"""Plugins without a price of their own."""


class Estimate(Struct, frozen=True):
    """Dollars, or None where they are not known. ``basis`` is where they come from, or why they are not known."""

    price: Decimal | None
    basis: str


def most(body: bytes, settings: Settings) -> Estimate:
    """What a request with this body costs at most, by the prices that are kept.

    Each byte counts as a token, images as all that fits, the answer is as long as it may be, and the dearest of the
    providers that may serve it does, of the dearest of its models.
    """
    request: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
    images = body.count(IMAGE_MARK)
    if extra := "reading a file" if FILE_MARK in body else _beside(request):
        return Estimate(None, f"what {extra} adds is not listed")
    dearest, basis = Decimal(0), ""
    for model in dict.fromkeys((request.get("model"), *(request.get("models") or ()))):
        kept = kept_endpoints(settings, str(model))
        if kept is None:
            return Estimate(None, f"the prices of {model} are not here; outrider models {model} fetches them")
        for endpoint in open_to(kept.rows, request) or kept.rows:
            price = _price(endpoint, request, len(body), images)
            name = endpoint.tag or endpoint.provider or "a provider"
            if price is None:
                return Estimate(None, f"{name} does not say what {model} costs, or how long an answer may be")
            if price >= dearest:
                dearest, basis = price, f"{model} at {name}, prices of {ago(kept.age)}"
    return Estimate(dearest, basis) if basis else Estimate(None, "no provider is listed")


def _price(endpoint: Endpoint, request: Mapping[str, Any], size: int, images: int) -> Decimal | None:
    prices = endpoint.price
    answer = longest_asked(request)
    longest = endpoint.longest or endpoint.context
    answer = longest if answer is None else min(answer, longest or answer)
    if prices.prompt_most is None or prices.completion_most is None or answer is None:
        return None
    if images and endpoint.context is None:
        return None
    prompt = endpoint.context if images and endpoint.context else min(size, endpoint.context or size)
    beside = (prices.request or 0) + images * (prices.image or 0)
    return prompt * prices.prompt_most + answer * prices.completion_most + beside


def _beside(request: Mapping[str, Any]) -> str:
    """What of a request is paid beside its tokens: a plugin or a tool that OpenRouter works itself."""
    for plugin in cast("list[Mapping[str, Any]]", request.get("plugins") or []):
        if plugin.get("id") not in _FREE and plugin.get("enabled") is not False:
            return f"the plugin {plugin.get('id')}"
    for tool in cast("list[Mapping[str, Any]]", request.get("tools") or []):
        if tool.get("type") != "function":
            return f"the tool {tool.get('type')}"
    if request.get("web_search_options") is not None or str(request.get("model")).endswith(":online"):
        return "a search of the web"
    return ""
