"""What the attempt after a failed one does differently: nothing, another provider, another model, no thinking."""

from msgspec.structs import replace

from outrider.events import Detour
from outrider.model import Ask, Request
from outrider.openrouter.failures import PATIENCE, PLAIN, Failure

_SAME_MODEL = 2
"""After so many failures in a row of one model the next one is asked, if there is one."""

_MUST_THINK = "easoning is mandatory"


def detour_after(
    failure: Failure, request: Request, provider: str, models: tuple[str, ...], insists: bool = False
) -> Detour | None:
    """What to do differently after this failure; None when nothing that we could do differently would mend it.

    ``provider`` is who broke off a reply that had begun, or sent one that is none; "" where nobody did: before a
    reply has begun OpenRouter itself goes round providers that fail. It is left out of the next attempt; if that
    fails too, the next of ``models`` is asked. ``insists``: on our own account the request went only to providers
    that take all its parameters, by a list that may be old.
    """
    now, more = request.ask.detour, _next(models, request.ask.detour.model)
    if failure.status == 404 and now.avoid:  # those left out were the only ones
        return replace(now, model=more or now.model, avoid=())
    if failure.status == 404 and insists and not now.loose:
        return replace(now, loose=True)
    if failure.status == 400 and _MUST_THINK in failure.message and not now.think:
        return replace(now, think=True, plain=False)
    if not (now.plain or now.think) and (failure.reason == PLAIN or "enable_thinking" in failure.message):
        return replace(now, plain=True)  # "enable_thinking": some providers think only in streams
    if not failure.retry:
        return replace(now, lower=True) if _about_form(failure, request.ask) else None
    impatient = failure.wait is not None and failure.wait > PATIENCE
    if more and (now.avoid or impatient or (request.failures + 1) % _SAME_MODEL == 0):
        return Detour(more)
    if impatient:
        return None
    name = slug(provider)
    return replace(now, avoid=(*now.avoid, name)) if name and name not in now.avoid else now


_FORM = ("response_format", "json_schema", "json_object", "structured", "schema", "strict", "grammar", "tool_choice")
_BESIDE = (*_FORM, "tool", "Tool", "function", "Function", "mime type", "JSON mode", "json mode")
_FILTERED = ("no_endpoints", "constraint_filtered", "guardrail", "require_parameters", "No endpoints")
"""What a refusal speaks of when it is the answer's form that is not taken, beside tools, or that leaves no provider."""


def _about_form(failure: Failure, ask: Ask) -> bool:
    told = failure.message + failure.raw
    if not ask.lower or failure.status not in (400, 404, 422) or "model_not_found" in told:
        return False
    words = _BESIDE if ask.tools is not None else _FORM
    return any(word in told for word in (_FILTERED if failure.status == 404 else words))


def is_other(then: Detour, now: Detour) -> bool:
    """Whether nobody need wait: another model is asked, or what was refused is asked for in another way."""
    return replace(then, avoid=(), plain=False) != replace(now, avoid=(), plain=False)


def slug(provider: str) -> str:
    """A provider's name as routing preferences have it: "Amazon Bedrock" is amazon-bedrock."""
    return "-".join(provider.lower().replace(".", "-").split())


def _next(models: tuple[str, ...], model: str) -> str:
    """The fallback after this model, "" after the last one. The agent's own model stands before the first.

    A model that is neither is the stronger one, and nobody stands in for that.
    """
    if model and model not in models:
        return ""
    place = models.index(model) + 1 if model in models else 0
    return models[place] if place < len(models) else ""
