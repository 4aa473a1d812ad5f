"""outrider models: what there is to choose from, and what it costs."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import TypeVar

import click
from msgspec import Struct

from outrider.cli.flags import base_settings
from outrider.cli.table import Column, table, width_of
from outrider.cli.text import out_json, out_row, stdout, tell
from outrider.errors import OutriderError, SetupError, did_you_mean
from outrider.observe.line import Line
from outrider.openrouter.catalogue import MILLION, Endpoint, ModelCard, cheapest_first, find
from outrider.openrouter.lists import DAY, Kept, fetch_endpoints, fetch_models, kept_endpoints, kept_models, key_or_none
from outrider.openrouter.page import Refused
from outrider.openrouter.settings import BASE_URL, Settings
from outrider.telling import clean, counted
from outrider.times import ago

Row = TypeVar("Row", ModelCard, Endpoint)
ABLE = {"tools": "tools", "schema": "structured_outputs", "reasoning": "reasoning"}
"""What a model may be able to do, and the parameter that says so."""


class ModelLine(Struct, frozen=True, kw_only=True):
    """A model. Prices are dollars per million tokens; what nobody said is null.

    ``tools``, ``schema`` (an answer of a JSON Schema) and ``reasoning``: whether some provider of it takes them.
    ``context`` and ``longest``, of an answer, are tokens; ``created`` is in Unix seconds.
    """

    model: str
    title: str
    created: int
    context: int | None
    longest: int | None
    prompt: Decimal | None
    completion: Decimal | None
    tools: bool | None
    schema: bool | None
    reasoning: bool | None
    parameters: Sequence[str] | None


class ProviderLine(Struct, frozen=True, kw_only=True):
    """A provider of a model. ``provider`` is its name in routing preferences, ``status`` 0 when all is well.

    Prices are dollars per million tokens, ``uptime`` percent, ``latency`` milliseconds to the first token and
    ``throughput`` tokens a second, these two medians of the last half hour. What nobody said is null.
    """

    model: str
    provider: str
    context: int | None
    longest: int | None
    prompt: Decimal | None
    completion: Decimal | None
    quantization: str
    status: int
    uptime: float | None
    latency: float | None
    throughput: float | None
    tools: bool | None
    schema: bool | None
    reasoning: bool | None
    parameters: Sequence[str] | None


@click.command("models")
@click.argument("word", required=False, default="")
@click.option("--refresh", is_flag=True, help="Fetch anew what is less than a day old.")
@click.option("--offline", is_flag=True, help="Fetch nothing; show what is on this machine, however old.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines, one model or one provider a line.")
def command(word: str, refresh: bool, offline: bool, as_json: bool) -> int:
    """List the models with WORD in their name, cheapest first; of one model, given in full, its providers.

    \b
      outrider models                    all
      outrider models qwen               those with this in their name
      outrider models qwen/qwen3-14b     who provides it, at what price

    The lists are fetched without a key, at most once a day, and kept in the cache folder (OUTRIDER_CACHE).
    """
    if refresh and offline:
        raise click.UsageError("--refresh fetches and --offline does not: give one of them.")
    settings = base_settings()

    def current(kept: Kept[Row] | None, fetch: Callable[[], Awaitable[Kept[Row]]], what: str) -> Kept[Row]:
        if kept and (offline or (kept.age < DAY and not refresh)):
            return kept
        if offline:
            raise SetupError(f"{what} is not on this machine yet", "Leave --offline out, and it is fetched.")
        return _fetched(kept, fetch, what)

    models = current(kept_models(settings), lambda: fetch_models(settings), "the list of models")
    card = find(models.rows, word) if "/" in word else None
    if card is None:
        found = _like(models.rows, word)
        _show_models(found, models, as_json)
        if len(found) == 1 and not as_json:
            _say(f"its providers: outrider models {clean(found[0].name)}")
        return 0
    name = card.name
    what = f"the list of providers of {name}"
    try:
        providers = current(kept_endpoints(settings, name), lambda: fetch_endpoints(settings, name), what)
    except Unlisted:
        _show_models([card], models, as_json)
        _say(f"{settings.base_url} says nothing of its providers")
        return 0
    _show_providers(card, providers, as_json, settings)
    return 0


class Unlisted(OutriderError):
    """The server has no such list."""


def _fetched(kept: Kept[Row] | None, fetch: Callable[[], Awaitable[Kept[Row]]], what: str) -> Kept[Row]:
    """What comes of fetching; where that fails what is kept does, said so. Raises OutriderError without either."""

    async def fetching() -> Kept[Row]:
        return await fetch()

    try:
        return asyncio.run(fetching())
    except Refused as error:
        if kept:
            _say(f"{what} could not be fetched anew: {error.failure.message}")
            return kept
        told = f"{what} could not be fetched: {error.failure.message}"
        if error.failure.status == 404:
            raise Unlisted(told, "Not every server has one; OpenRouter's address is " + BASE_URL) from None
        raise OutriderError(told, error.hint) from None


def _like(cards: Sequence[ModelCard], word: str) -> list[ModelCard]:
    """The models with this word in a name of theirs, cheapest first. Raises SetupError when there are none."""
    wanted = word.casefold()
    found = [card for card in cards if wanted in card.name.casefold() or wanted in card.title.casefold()]
    if not found and word:
        near = did_you_mean(word, (card.name for card in cards))
        raise SetupError(f"no model has {word!r} in its name", near or "All of them: outrider models")
    return sorted(found, key=cheapest_first)


# ------------------------------------------------------------------------------------------------- showing


def _say(text: str) -> None:
    tell(Line(text, fit="wrap"))


def _show_models(cards: Sequence[ModelCard], models: Kept[ModelCard], as_json: bool) -> None:
    if as_json:
        for card in cards:
            out_json(_model_line(card))
    else:
        long = [clean(card.name) for card in cards]
        _print(
            [Column("model", long), *_prices(cards), _tokens("context", cards), *_abilities(cards)],
            [Column("model", long), *_prices(cards, True), _tokens("context", cards, True), _letters(cards)],
        )
    total = len(models.rows)
    which = counted(total, "model") if len(cards) == total else f"{len(cards)} of {counted(total, 'model')}"
    _say(f"{which}, cheapest first; {_age(models)}")


def _show_providers(card: ModelCard, kept: Kept[Endpoint], as_json: bool, settings: Settings) -> None:
    rows = sorted(kept.rows, key=cheapest_first)
    if as_json:
        for row in rows:
            out_json(_provider_line(card.name, row))
    elif rows:
        names = Column("provider", [_named(row) for row in rows])
        kinds = Column("quant", [clean(row.quantization) or "?" for row in rows])
        up = Column("uptime", [_number(row.uptime, 1, "%") for row in rows], right=True)
        speed = [
            Column("latency", [_number(row.latency, 0, " ms") for row in rows], right=True),
            Column("tok/s", [_number(row.throughput, 0) for row in rows], right=True),
        ]
        longest = Column("max out", [_count(row.longest) for row in rows], right=True)
        _print(
            [names, *_prices(rows), _tokens("context", rows), longest, kinds, up, *speed, *_abilities(rows)],
            [names, *_prices(rows, True), _tokens("context", rows, True), kinds, up, _letters(rows)],
        )
    _say(f"{card.name}: {counted(len(rows), 'provider')}, cheapest first; {_age(kept)}")
    if rows and all(row.latency is None for row in rows) and not key_or_none(settings):
        _say("how fast they are is told with a key (OPENROUTER_API_KEY)")


def _print(wide: Sequence[Column], narrow: Sequence[Column]) -> None:
    """A table as wide as the terminal, or all of it where stdout is none."""
    from outrider.observe.paint import width_of as width_of_stream

    stream = stdout()
    room = width_of_stream(stream) if stream.isatty() else None
    fits = room is None or width_of(wide) <= room
    for row in table(wide if fits else narrow, stream, room):
        out_row(row)
    if not fits:
        _say("in, out: dollars per million tokens; can: tools, schema, reasoning")


def _prices(rows: Sequence[ModelCard | Endpoint], short: bool = False) -> list[Column]:
    heads = ("in", "out") if short else ("$/M in", "$/M out")
    prices = ([row.price.prompt for row in rows], [row.price.completion for row in rows])
    return [Column(head, list(map(_dollars, each)), right=True) for head, each in zip(heads, prices, strict=True)]


def _tokens(head: str, rows: Sequence[ModelCard | Endpoint], short: bool = False) -> Column:
    return Column(head, [_count(row.context, short) for row in rows], right=True)


def _abilities(rows: Sequence[ModelCard | Endpoint]) -> list[Column]:
    words = {True: "yes", False: "-", None: "?"}
    return [Column(head, [words[row.takes(name)] for row in rows]) for head, name in ABLE.items()]


def _letters(rows: Sequence[ModelCard | Endpoint]) -> Column:
    """What they are able to do in one column: a letter for each."""
    takes = [[(head[0], row.takes(name)) for head, name in ABLE.items()] for row in rows]
    return Column(
        "can", ["".join("?" if so is None else letter if so else "-" for letter, so in each) for each in takes]
    )


def _named(row: Endpoint) -> str:
    degraded = " (degraded)" if row.status < 0 else ""
    return clean(row.tag or row.provider or "?") + degraded


def _age(kept: Kept[ModelCard] | Kept[Endpoint]) -> str:
    return "fetched just now" if kept.age < 60 else f"fetched {ago(kept.age)} (anew: --refresh)"


def _count(tokens: int | None, short: bool = False) -> str:
    if tokens is None:
        return "?"
    if not short or tokens < 1000:
        return f"{tokens:,}"
    return f"{tokens / 1000:.0f}k" if tokens < 999_500 else f"{tokens / 1e6:.3g}M"


def _number(value: float | None, places: int, unit: str = "") -> str:
    return "?" if value is None else f"{value:.{places}f}{unit}"


def per_million(price: Decimal | None) -> Decimal | None:
    """Dollars for a million tokens, of dollars for one."""
    return None if price is None else price * MILLION + 0


def _dollars(price: Decimal | None) -> str:
    """Dollars for a million tokens, to four places; the first digits that are not zero where those are none."""
    each = per_million(price)
    if each is None:
        return "?"
    text = f"{each:.4f}".rstrip("0").rstrip(".")
    return f"{each:.1g}" if text == "0" and each else text


def _plain(price: Decimal | None) -> Decimal | None:
    """The same, for JSON: without an exponent."""
    each = per_million(price)
    return None if each is None else Decimal(f"{each.normalize():f}")


def _able(row: ModelCard | Endpoint) -> dict[str, bool | None]:
    return {name: row.takes(parameter) for name, parameter in ABLE.items()}


def _model_line(card: ModelCard) -> ModelLine:
    return ModelLine(
        model=card.name,
        title=card.title,
        created=card.created,
        context=card.context,
        longest=card.longest,
        prompt=_plain(card.price.prompt),
        completion=_plain(card.price.completion),
        parameters=card.parameters,
        **_able(card),
    )


def _provider_line(model: str, row: Endpoint) -> ProviderLine:
    return ProviderLine(
        model=model,
        provider=row.tag or row.provider,
        context=row.context,
        longest=row.longest,
        prompt=_plain(row.price.prompt),
        completion=_plain(row.price.completion),
        quantization=row.quantization,
        status=row.status,
        uptime=row.uptime,
        latency=row.latency,
        throughput=row.throughput,
        parameters=row.parameters,
        **_able(row),
    )
