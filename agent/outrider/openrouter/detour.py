"""What the attempt after a failed one does differently: nothing, another provider, another model, no thinking."""

from outrider.events import Detour
from outrider.model import Ask, Request
from outrider.openrouter.failures import PATIENCE, PLAIN, Failure

_SAME_MODEL = 2
"""After so many failures in a row of one model the next one is asked, if there is one."""


def detour_after(failure: Failure, request: Request, provider: str, models: tuple[str, ...]) -> Detour | None:
    """What to do differently after this failure; None when nothing that we could do differently would mend it.

    ``provider`` is who broke off a reply that had begun, or sent one that is none; "" where nobody did: before a
    reply has begun OpenRouter itself goes round providers that fail. It is left out of the next attempt; if that
    fails too, the next of ``models`` is asked.
    """
    now, more = request.ask.detour, _next(models, request.ask.detour.model)
    if failure.status == 404 and now.avoid:  # those left out were the only ones
        return Detour(more or now.model, plain=now.plain)
    if not now.plain and (failure.reason == PLAIN or "enable_thinking" in failure.message):
        return Detour(now.model, now.avoid, plain=True)  # "enable_thinking": some providers think only in streams
    if not failure.retry:
        return Detour(now.model, now.avoid, now.plain, lower=True) if _about_form(failure, request.ask) else None
    impatient = failure.wait is not None and failure.wait > PATIENCE
    if more and (now.avoid or impatient or (request.failures + 1) % _SAME_MODEL == 0):
        return Detour(more)
    if impatient:
        return None
    name = slug(provider)
    return Detour(now.model, (*now.avoid, name) if name and name not in now.avoid else now.avoid, now.plain)


_FORM = ("response_format", "json_schema", "json_object", "structured", "schema", "strict", "grammar", "tool_choice")
_FILTERED = ("no_endpoints", "constraint_filtered", "guardrail", "require_parameters", "No endpoints")
"""What a refusal speaks of when it is the answer's form that is not taken, or that leaves no provider."""


def _about_form(failure: Failure, ask: Ask) -> bool:
    told = failure.message + failure.raw
    if not ask.lower or failure.status not in (400, 404, 422) or "model_not_found" in told:
        return False
    return any(word in told for word in (_FILTERED if failure.status == 404 else _FORM))


def slug(provider: str) -> str:
    """A provider's name as routing preferences have it: "Amazon Bedrock" is amazon-bedrock."""
    return "-".join(provider.lower().replace(".", "-").split())


def _next(models: tuple[str, ...], model: str) -> str:
    """The fallback after this model, "" after the last one. The agent's own model stands before the first."""
    place = models.index(model) + 1 if model in models else 0
    return models[place] if place < len(models) else ""
