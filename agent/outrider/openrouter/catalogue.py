"""What is known of models and their providers: prices, lengths, and what each is able to do.

Read from what OpenRouter lists (lists.py fetches it and keeps it). Nothing in it is relied on: a field that is
missing or of a wrong type counts as not said.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

import msgspec
from msgspec import Struct

from outrider.openrouter.cost import count, exact, object_of
from outrider.openrouter.cost import dollars as any_dollars
from outrider.openrouter.detour import slug

MILLION = 1_000_000
_LEAST, _MOST = Decimal("1e-15"), Decimal(1_000_000)

_PARAMETERS = """
temperature top_p top_k min_p top_a frequency_penalty presence_penalty repetition_penalty logit_bias logprobs
top_logprobs prediction seed stop tools tool_choice parallel_tool_calls reasoning reasoning_effort include_reasoning
web_search_options verbosity
"""
PARAMETERS = frozenset(_PARAMETERS.split())
"""Fields of a body that a provider may know or not know; those of length and format are looked at one by one."""


class Price(Struct, frozen=True, omit_defaults=True):
    """Dollars: ``prompt`` and ``completion`` for a token, ``request`` for each request. None: nobody said.

    ``prompt_most`` and ``completion_most`` are the dearest that a token may be: a long prompt, what is written into
    a cache, and thinking may have prices of their own.
    """

    prompt: Decimal | None = None
    completion: Decimal | None = None
    request: Decimal | None = None
    image: Decimal | None = None
    prompt_most: Decimal | None = None
    completion_most: Decimal | None = None


class ModelCard(Struct, frozen=True, omit_defaults=True):
    """A model as OpenRouter lists it. ``slug`` is its permanent name; ``parameters`` those that any provider takes.

    ``context`` and ``longest`` (of an answer) count tokens; ``created`` is in Unix seconds; ``must_think`` says that it
    refuses not to.
    """

    name: str
    slug: str = ""
    title: str = ""
    created: int = 0
    context: int | None = None
    longest: int | None = None
    price: Price = Price()
    parameters: tuple[str, ...] | None = None
    inputs: tuple[str, ...] | None = None
    must_think: bool = False

    def takes(self, parameter: str) -> bool | None:
        """Whether some provider of it takes a parameter of a request; None where nobody said."""
        return None if self.parameters is None else parameter in self.parameters


class Endpoint(Struct, frozen=True, omit_defaults=True):
    """One provider of a model. ``tag`` is its name in routing preferences, as in ``deepinfra/fp8``.

    ``uptime`` is in percent, of the last half hour, or the day; ``latency`` (milliseconds to the first token) and
    ``throughput`` (tokens a second) are medians of the last half hour, which OpenRouter tells those with a key.
    ``status`` is 0 when all is well. ``choices`` are the values of ``tool_choice`` that it takes.
    """

    tag: str = ""
    provider: str = ""
    context: int | None = None
    longest: int | None = None
    price: Price = Price()
    quantization: str = ""
    parameters: tuple[str, ...] | None = None
    choices: tuple[str, ...] | None = None
    tier: str = ""
    status: int = 0
    uptime: float | None = None
    latency: float | None = None
    throughput: float | None = None

    def takes(self, parameter: str) -> bool | None:
        """Whether it takes a parameter of a request; None where nobody said."""
        return None if self.parameters is None else parameter in self.parameters


# ------------------------------------------------------------------------------------------------- reading


def models_from(page: bytes) -> tuple[ModelCard, ...] | None:
    """The models of a page of ``/models``; None when it is no such page."""
    rows = object_of(_decoded(page)).get("data")
    return tuple(card for row in _list(rows) if (card := _card(object_of(row)))) if isinstance(rows, list) else None


def endpoints_from(page: bytes) -> tuple[Endpoint, ...] | None:
    """The providers on a page of ``/models/{author}/{slug}/endpoints``; None when it is no such page."""
    rows = object_of(object_of(_decoded(page)).get("data")).get("endpoints")
    return tuple(_endpoint(object_of(row)) for row in _list(rows)) if isinstance(rows, list) else None


def _card(row: dict[str, Any]) -> ModelCard | None:
    name = _text(row.get("id"))
    top = object_of(row.get("top_provider"))
    card = ModelCard(
        name=name,
        slug=_text(row.get("canonical_slug")),
        title=_text(row.get("name")),
        created=count(row.get("created")),
        context=count(row.get("context_length")) or count(top.get("context_length")) or None,
        longest=count(top.get("max_completion_tokens")) or None,
        price=_price(object_of(row.get("pricing"))),
        parameters=_texts(row.get("supported_parameters")),
        inputs=_texts(object_of(row.get("architecture")).get("input_modalities")),
        must_think=object_of(row.get("reasoning")).get("mandatory") is True,
    )
    return card if name else None


def _endpoint(row: dict[str, Any]) -> Endpoint:
    choices = object_of(row.get("supports_tool_choice"))
    uptime = _number(row.get("uptime_last_30m"))
    return Endpoint(
        tag=_text(row.get("tag")),
        provider=_text(row.get("provider_name")),
        context=count(row.get("context_length")) or None,
        longest=count(row.get("max_completion_tokens")) or None,
        price=_price(object_of(row.get("pricing"))),
        quantization=_text(row.get("quantization")),
        parameters=_texts(row.get("supported_parameters")),
        choices=tuple(name for name, so in choices.items() if so is True) if choices else None,
        tier=_text(row.get("service_tier")),
        status=int(_number(row.get("status")) or 0),
        uptime=_number(row.get("uptime_last_1d")) if uptime is None else uptime,
        latency=_number(object_of(row.get("latency_last_30m")).get("p50")),
        throughput=_number(object_of(row.get("throughput_last_30m")).get("p50")),
    )


def _price(row: dict[str, Any]) -> Price:
    prompt, completion = dollars(row.get("prompt")), dollars(row.get("completion"))
    steps = [object_of(each) for each in _list(row.get("overrides"))]
    writes = ("input_cache_write", "input_cache_write_1h")
    dear = [row.get(name) for name in writes] + [step.get(name) for step in steps for name in ("prompt", *writes)]
    thought = [row.get("internal_reasoning")]
    thought += [step.get(name) for step in steps for name in ("completion", "internal_reasoning")]
    return Price(
        prompt,
        completion,
        dollars(row.get("request")),
        dollars(row.get("image")),
        _most(prompt, dear),
        _most(completion, thought),
    )


def dollars(value: Any) -> Decimal | None:
    """A price, or None for what can be none: sums and texts of it stay of a human size."""
    price = any_dollars(value)
    if price is None or not price:
        return None if price is None else Decimal(0)
    return price if _LEAST < price < _MOST else None


def _most(plain: Decimal | None, others: Sequence[Any]) -> Decimal | None:
    """The dearest of a price and those that may come in its place; None when there is no plain one."""
    return None if plain is None else max([plain, *(known for each in others if (known := dollars(each)) is not None)])


def _decoded(page: bytes) -> Any:
    try:
        return exact.decode(page)
    except (msgspec.DecodeError, ValueError, ArithmeticError):
        return None


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> tuple[str, ...] | None:
    return tuple(each for each in _list(value) if isinstance(each, str)) if isinstance(value, list) else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    return float(value) if abs(value) < 10**15 else None


# ------------------------------------------------------------------------------------------------- finding


def find(cards: Sequence[ModelCard], name: str) -> ModelCard | None:
    """The model that a name stands for: its own, its permanent one, or one of these with a variant or a preset."""
    plain = name.partition("@")[0] or name
    for wanted in (name, plain, plain.rpartition(":")[0]):
        for card in cards:
            if wanted and wanted in (card.name, card.slug):
                return card
    return None


def is_plain(name: str) -> bool:
    """Whether a name is that of one model: not of a router, a preset, or whatever is latest in a family."""
    return not name.startswith(("@", "~", "openrouter/"))


def instead(cards: Sequence[ModelCard], name: str, tools: bool) -> tuple[ModelCard, ...]:
    """Up to three models that would do in the place of this one.

    The same vendor's come first, then those that take a JSON Schema for their answer, then the cheaper ones; not free
    ones, which take few requests a day.
    """
    vendor = name.partition("/")[0]

    def order(card: ModelCard) -> tuple[bool, bool, Decimal]:
        other = card.name.partition("/")[0] != vendor
        return other, not card.takes("structured_outputs"), _both(card.price)

    fit = [card for card in cards if card.name != name and _both(card.price) and is_plain(card.name)]
    return tuple(sorted((card for card in fit if not tools or card.takes("tools")), key=order)[:3])


def cheapest_first(row: ModelCard | Endpoint) -> tuple[bool, Decimal, str]:
    """To sort by price: those whose price nobody says come last."""
    unknown = row.price.prompt is None or row.price.completion is None
    return unknown, _both(row.price), row.name if isinstance(row, ModelCard) else row.tag


def _both(price: Price) -> Decimal:
    """What a token in and a token out are together; 0 where nobody said."""
    return Decimal(0) if price.prompt is None or price.completion is None else price.prompt + price.completion


# ------------------------------------------------------------------------------------------------ choosing


def able(endpoints: Sequence[Endpoint], body: Mapping[str, Any]) -> tuple[Endpoint, ...]:
    """Those that a request may go to which take every parameter its body names.

    The body's ``provider`` preferences count where the list can tell: only, ignore, order without fallbacks,
    quantizations, max_price. Who does not say what it takes is not among them.
    """
    return tuple(each for each in open_to(endpoints, body) if takes_all(each, body))


def open_to(endpoints: Sequence[Endpoint], body: Mapping[str, Any]) -> tuple[Endpoint, ...]:
    """Those that the body's ``provider`` preferences and service tier leave to choose from."""
    wanted = object_of(body.get("provider"))
    only = _slugs(wanted.get("only"))
    if wanted.get("allow_fallbacks") is False and (order := _slugs(wanted.get("order"))):
        only = [each for each in only if each in order] if only else order
    tier = bool(body.get("service_tier")) or _text(body.get("model")).endswith((":nitro", ":floor"))
    ignore, kinds, most = _slugs(wanted.get("ignore")), _slugs(wanted.get("quantizations")), wanted.get("max_price")
    tests: list[Callable[[Endpoint], bool]] = [
        lambda each: not only or _named(each, only),
        lambda each: not _named(each, ignore),
        lambda each: not kinds or (each.quantization or "unknown") in kinds,
        lambda each: _affordable(each.price, object_of(most)),
        lambda each: tier or each.tier in ("", "default", "standard", "auto") or each.tag in only,
    ]
    return tuple(each for each in endpoints if all(test(each) for test in tests))


def takes_all(endpoint: Endpoint, body: Mapping[str, Any]) -> bool:
    """Whether it takes every parameter that a body names, with what they are set to."""
    has = endpoint.parameters
    if has is None:
        return False
    named = {name for name, value in body.items() if name in PARAMETERS and value is not None}
    kind = object_of(body.get("response_format")).get("type", "text")
    if kind != "text":
        named.add("structured_outputs" if kind == "json_schema" else "response_format")
    if "reasoning" in has:
        named.discard("reasoning_effort")
    choice = body.get("tool_choice")
    if endpoint.choices is not None and choice is not None:
        kind = choice if isinstance(choice, str) else "function"
        if kind not in endpoint.choices:
            return False
    return named <= set(has) and _long_enough(endpoint, body)


def _long_enough(endpoint: Endpoint, body: Mapping[str, Any]) -> bool:
    asked = longest_asked(body)
    if asked is None:
        return True
    if not {"max_tokens", "max_completion_tokens"} & set(endpoint.parameters or ()):
        return False
    return asked <= (endpoint.longest or asked) and asked < (endpoint.context or asked + 1)


def longest_asked(body: Mapping[str, Any]) -> int | None:
    """The tokens that a body allows its answer, if it says."""
    return count(body.get("max_completion_tokens")) or count(body.get("max_tokens")) or None


def _slugs(value: Any) -> list[str]:
    return [each.lower() for each in cast("Sequence[Any]", value) if isinstance(each, str)] if _many(value) else []


def _many(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _named(endpoint: Endpoint, slugs: Sequence[str]) -> bool:
    """Whether it is one of these: by its tag, by the provider's part of it, or by the provider's name."""
    tag = endpoint.tag.lower()
    return bool({tag, tag.partition("/")[0], slug(endpoint.provider)} & set(slugs))


def _affordable(price: Price, most: Mapping[str, Any]) -> bool:
    """Whether no price is above the highest allowed, which are in dollars per million tokens, or per request."""
    for name, size in (("prompt", MILLION), ("completion", MILLION), ("request", 1), ("image", 1)):
        allowed, asked = _allowed(most.get(name)), getattr(price, name)
        if allowed is not None and asked is not None and asked * size > allowed:
            return False
    return True


def _allowed(value: Any) -> Decimal | None:
    return dollars(str(value)) if isinstance(value, float) else dollars(value)
