"""Whether a model can do what an agent needs, as far as the catalogue on this machine knows."""

from outrider.errors import SetupError, did_you_mean
from outrider.openrouter.catalogue import MILLION, Endpoint, ModelCard, find, instead, is_plain, open_to
from outrider.openrouter.habits import habits_of
from outrider.openrouter.lists import DAY, kept_endpoints, kept_models
from outrider.openrouter.routing import preferences
from outrider.openrouter.settings import Settings, is_openrouter
from outrider.times import ago

_NEWER = "Newer data: outrider models --refresh"
TOO_OLD = 7 * DAY
"""Seconds after which what is kept refuses nothing any more: there are new models every week."""


def check_model(name: str, settings: Settings, tools: bool) -> None:
    """Raises SetupError when a model or a fallback of ``settings`` is not listed, or takes no tools and needs to.

    Only what is kept is looked at, nothing is fetched; where nothing is known, nothing is refused.
    """
    if settings.catalogue is False:
        return
    if settings.stronger:
        _check_listed(settings.stronger, settings)
    for each in dict.fromkeys((name, *settings.models)):
        _check_listed(each, settings)
        if tools and takes_tools(each, settings) is False:
            where = " as settings.provider has it" if settings.provider else ""
            raise SetupError(f"no provider of {each}{where} takes tools", _hint(each, settings, tools))


def check_inputs(name: str, settings: Settings, inputs: frozenset[str]) -> None:
    """Raises SetupError when a model or a fallback is known to take no images, and some are to be sent.

    Files are none of this: OpenRouter reads them to models that cannot.
    """
    asked = dict.fromkeys((name, *settings.models, *filter(None, (settings.stronger,))))
    for each in asked if "image" in inputs else ():
        if _takes_images(each, settings) is False:
            hint = _hint(each, settings, needs="image")
            raise SetupError(f"{each} takes no images, and the conversation holds some", hint)


def _takes_images(name: str, settings: Settings) -> bool | None:
    """Whether a model takes images; the catalogue knows better than the habits, and None is for what neither knows."""
    card = _card(name, settings)
    if card and card.inputs is not None:
        return "image" in card.inputs
    return False if habits_of(name, settings.habits).text_only else None


def takes_tools(name: str, settings: Settings) -> bool | None:
    """Whether some provider that a request may go to takes tools; None where nobody has said so lately."""
    providers = kept_endpoints(settings, name)
    if providers and providers.age < TOO_OLD:
        left = open_to(providers.rows, {"model": name, "provider": preferences(settings.provider, ())})
        said = [each.takes("tools") for each in left]
        return any(said) if said and (any(said) or None not in said) else None
    card = _card(name, settings)
    return card.takes("tools") if card else None


def must_think(name: str, settings: Settings) -> bool:
    """Whether a model is known to refuse requests with thinking switched off; False where nobody said so lately."""
    card = _card(name, settings)
    return card is not None and card.must_think


def _card(name: str, settings: Settings) -> ModelCard | None:
    """The model as it was listed lately; None where nobody may look, or nobody has."""
    models = None if settings.catalogue is False else kept_models(settings)
    return find(models.rows, name) if models and models.age < TOO_OLD else None


def _check_listed(name: str, settings: Settings) -> None:
    models = kept_models(settings)
    if models is None or models.age > TOO_OLD or not is_plain(name) or find(models.rows, name):
        return
    if all(card.parameters is None for card in models.rows):  # another kind of server: any name may do there
        return
    near = did_you_mean(name, (card.name for card in models.rows))
    told = f"OpenRouter lists no model {name!r}" if is_openrouter(settings.base_url) else f"no model {name!r} is listed"
    raise SetupError(f"{told} (fetched {ago(models.age)})", f"{near} {_NEWER}" if near else _hint(name, settings))


def _hint(name: str, settings: Settings, tools: bool = False, needs: str = "text") -> str:
    models = kept_models(settings)
    able = [card for card in models.rows if needs == "text" or needs in (card.inputs or ())] if models else []
    fit = instead(able, name, tools)
    if not fit and needs != "text":
        return "Choose one that does. Once outrider models --refresh has fetched the list, some are named here."
    if not fit:
        return f"Choose another: outrider models. {_NEWER}"
    return f"These would do: {', '.join(f'{card.name} ({prices(card)})' for card in fit)}. {_NEWER}"


def prices(row: ModelCard | Endpoint) -> str:
    """What a million tokens cost, as in ``$0.06 in, $0.24 out``."""
    both = (("in", row.price.prompt), ("out", row.price.completion))
    return ", ".join(f"{'?' if each is None else f'${(each * MILLION).normalize():f}'} {way}" for way, each in both)
