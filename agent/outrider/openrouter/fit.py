"""Whether a model can do what an agent needs, as far as the catalogue on this machine knows."""

from outrider.errors import SetupError, did_you_mean
from outrider.openrouter.catalogue import MILLION, Endpoint, ModelCard, find, instead, is_plain, open_to
from outrider.openrouter.lists import DAY, kept_endpoints, kept_models
from outrider.openrouter.routing import preferences
from outrider.openrouter.settings import Settings, is_openrouter

_NEWER = "Newer data: outrider models --refresh"
TOO_OLD = 7 * DAY
"""Seconds after which what is kept refuses nothing any more: there are new models every week."""


def check_model(name: str, settings: Settings, tools: bool) -> None:
    """Raises SetupError when a model or a fallback of ``settings`` is not listed, or takes no tools and needs to.

    Only what is kept is looked at, nothing is fetched; where nothing is known, nothing is refused.
    """
    if settings.catalogue is False:
        return
    for each in dict.fromkeys((name, *settings.models)):
        _check_listed(each, settings)
        if tools and takes_tools(each, settings) is False:
            where = " as settings.provider has it" if settings.provider else ""
            raise SetupError(f"no provider of {each}{where} takes tools", _hint(each, settings, tools))


def takes_tools(name: str, settings: Settings) -> bool | None:
    """Whether some provider that a request may go to takes tools; None where nobody has said so lately."""
    providers = kept_endpoints(settings, name)
    if providers and providers.age < TOO_OLD:
        left = open_to(providers.rows, {"model": name, "provider": preferences(settings.provider, ())})
        said = [each.takes("tools") for each in left]
        return any(said) if said and (any(said) or None not in said) else None
    models = kept_models(settings)
    card = find(models.rows, name) if models and models.age < TOO_OLD else None
    return card.takes("tools") if card else None


def _check_listed(name: str, settings: Settings) -> None:
    models = kept_models(settings)
    if models is None or models.age > TOO_OLD or not is_plain(name) or find(models.rows, name):
        return
    if all(card.parameters is None for card in models.rows):  # another kind of server: any name may do there
        return
    near = did_you_mean(name, (card.name for card in models.rows))
    told = f"OpenRouter lists no model {name!r}" if is_openrouter(settings.base_url) else f"no model {name!r} is listed"
    raise SetupError(f"{told} (fetched {ago(models.age)})", f"{near} {_NEWER}" if near else _hint(name, settings))


def _hint(name: str, settings: Settings, tools: bool = False) -> str:
    models = kept_models(settings)
    fit = instead(models.rows, name, tools) if models else ()
    if not fit:
        return f"Choose another: outrider models. {_NEWER}"
    return f"These would do: {', '.join(f'{card.name} ({prices(card)})' for card in fit)}. {_NEWER}"


def prices(row: ModelCard | Endpoint) -> str:
    """What a million tokens cost, as in ``$0.06 in, $0.24 out``."""
    both = (("in", row.price.prompt), ("out", row.price.completion))
    return ", ".join(f"{'?' if each is None else f'${(each * MILLION).normalize():f}'} {way}" for way, each in both)


def ago(seconds: float) -> str:
    """An age in words: "just now", "3 h ago"."""
    for size, unit in ((DAY, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"
