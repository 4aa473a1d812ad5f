"""What requests cost at most, by the prices that are kept on this machine."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

from outrider.model import Tariff
from outrider.openrouter.catalogue import MILLION, Endpoint, dollars, longest_asked, open_to
from outrider.openrouter.cost import count, object_of
from outrider.openrouter.lists import kept_endpoints
from outrider.openrouter.settings import Settings
from outrider.times import ago

USUAL_ANSWER = 16_384
"""Tokens an answer may have, thinking included, where money is put aside for it and the settings say nothing."""

LEAST_ANSWER = 256
"""Tokens; a shorter answer is of no use."""

_SHORT = 4096
"""Providers whose answers are shorter than this do not decide how long answers may be."""

_FREE = frozenset(("response-healing", "context-compression", "moderation"))
"""Plugins without a price of their own."""


def tariff_of(body: Mapping[str, Any], settings: Settings) -> Tariff | str:
    """What a request with this body, its messages left out, costs at most; or why that is not known.

    The dearest of the providers that may serve it counts, of the dearest of its models. Where they are not listed, what
    the ``max_price`` of the provider preferences allows does.
    """
    found: list[Endpoint] = []
    dearest, basis = Decimal(-1), ""
    for model in dict.fromkeys((body.get("model"), *(body.get("models") or ()))):
        kept = kept_endpoints(settings, str(model))
        if kept is None or not kept.rows:
            return _allowed(body) or f"the price of {model} is not known here (outrider models {model} looks it up)"
        rows = open_to(kept.rows, body) or kept.rows
        for row in rows:
            name = row.tag or row.provider or "a provider"
            if row.price.prompt_most is None or row.price.completion_most is None:
                return _allowed(body) or f"{name} does not say what {model} costs"
            if row.price.completion_most > dearest:
                dearest, basis = row.price.completion_most, f"{model} at {name}, prices of {ago(kept.age)}"
        found += rows
    return Tariff(
        prompt=max(row.price.prompt_most or Decimal(0) for row in found),
        answer=max(row.price.completion_most or Decimal(0) for row in found),
        request=max(row.price.request or Decimal(0) for row in found),
        image=max(row.price.image or Decimal(0) for row in found),
        window=max(row.context or 0 for row in found) if all(row.context for row in found) else 0,
        basis=basis,
        beside=_beside(body),
        **_lengths(found, body),
    )


def _allowed(body: Mapping[str, Any]) -> Tariff | None:
    """The tariff by which OpenRouter chooses providers, where the preferences name one."""
    most = object_of(object_of(body.get("provider")).get("max_price"))
    prices = {kind: dollars(str(most[kind])) for kind in ("prompt", "completion", "request", "image") if kind in most}
    prompt, answer = prices.get("prompt"), prices.get("completion")
    if prompt is None or answer is None:
        return None
    return Tariff(
        prompt=prompt / MILLION,
        answer=answer / MILLION,
        request=prices.get("request") or Decimal(0),
        image=prices.get("image") or Decimal(0),
        basis="the highest price allowed",
        beside=_beside(body),
        **_lengths((), body),
    )


def _lengths(endpoints: Sequence[Endpoint], body: Mapping[str, Any]) -> dict[str, int]:
    """How long an answer is to be; one that most providers take, where nothing is said."""
    budget = count(object_of(body.get("reasoning")).get("max_tokens"))
    if asked := longest_asked(body):
        return {"longest": asked, "least": min(asked, LEAST_ANSWER + budget)}
    lengths = [each.longest for each in endpoints if each.longest]
    long_enough = [each for each in lengths if each >= _SHORT + budget] or lengths
    longest = min([USUAL_ANSWER + budget, *long_enough])
    return {"longest": longest, "least": min(longest, LEAST_ANSWER + budget)}


def _beside(body: Mapping[str, Any]) -> str:
    """What of a request is paid beside its tokens: a plugin or a tool that OpenRouter works itself."""
    for plugin in cast("list[Mapping[str, Any]]", body.get("plugins") or []):
        if plugin.get("id") not in _FREE and plugin.get("enabled") is not False:
            return f"the plugin {plugin.get('id')}"
    for tool in cast("list[Mapping[str, Any]]", body.get("tools") or []):
        if tool.get("type") != "function":
            return f"the tool {tool.get('type')}"
    if body.get("web_search_options") is not None or str(body.get("model")).endswith(":online"):
        return "a search of the web"
    return ""
