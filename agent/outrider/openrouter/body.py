"""The body of a request, without its messages."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from outrider.model import Ask
from outrider.openrouter.catalogue import Endpoint, able, longest_asked
from outrider.openrouter.fit import TOO_OLD
from outrider.openrouter.habits import Habits, habits_of
from outrider.openrouter.lists import kept_endpoints
from outrider.openrouter.plugins import ResponseHealing, is_healing, wire_of
from outrider.openrouter.ranges import MOST_SESSION
from outrider.openrouter.routing import preferences, requires
from outrider.openrouter.settings import Settings, Thinking
from outrider.openrouter.thinking import kept_on, reasoning, thinks
from outrider.rungs import ANSWER_TOOL

_PLAIN = (
    "max_tokens", "temperature", "top_p", "top_k", "min_p", "top_a", "frequency_penalty", "presence_penalty",
    "repetition_penalty", "seed", "stop", "logit_bias", "logprobs", "top_logprobs", "user", "metadata", "verbosity",
    "service_tier", "trace", "prompt_cache_key",
)  # fmt: skip
"""The fields that are sent as they are set."""


def body_settings(model: str, settings: Settings, ask: Ask, thinking: Thinking) -> bytes:
    """The body of a request as a JSON object, without messages and session; ``thinking`` is how it thinks."""
    body, model = asked_body(model, settings, ask, thinking), ask.detour.model or model
    habits, thinking = habits_of(model, settings.habits), kept_on(thinking, model, settings, ask)
    sampling = _recommended(habits, thinking, body, settings)
    return msgspec.json.encode(_fitted(body | settings.extra, sampling, settings, ask.detour.loose))


def asked_body(model: str, settings: Settings, ask: Ask, thinking: Thinking) -> dict[str, Any]:
    """The fields that the settings and the ask say, before they are fitted to what the providers take."""
    model = ask.detour.model or model
    habits, thinking = habits_of(model, settings.habits), kept_on(thinking, model, settings, ask)
    body: dict[str, Any] = {
        "model": model,
        "stream": True,
        "stream_options": {"include_usage": True},  # OpenRouter always says; other servers only when asked
    }
    body |= _worked_with(settings, ask)
    if not body["stream"]:
        del body["stream_options"]
    body |= {name: value for name in _PLAIN if (value := getattr(settings, name)) is not None}
    if ask.most and longest_asked(settings.extra) is None:
        body["max_tokens"] = ask.most
    if (sent := reasoning(thinking, settings.thoughts, habits)) is not None:
        body["reasoning"] = sent
    if (fallbacks := [each for each in settings.models if each != model]) and model != settings.stronger:
        body["models"] = fallbacks
    if settings.cache is not None:
        body["cache_control"] = {"type": "ephemeral", "ttl": settings.cache}
    if provider := preferences(settings.provider, ask.detour.avoid):
        body["provider"] = provider
    return body


def with_session(body: bytes, session: str) -> Raw:
    """The same object with its last field, the run's name (at most 256 characters)."""
    return Raw(body[:-1] + b',"session_id":' + msgspec.json.encode(session[:MOST_SESSION]) + b"}")


def with_server_tools(settings: Settings, ask: Ask) -> bool:
    """Whether the tools that OpenRouter works are offered: while working, and to who only answers, at first."""
    return bool(settings.server_tools) and (ask.phase == "work" or ask.turn == 0)


def _worked_with(settings: Settings, ask: Ask) -> dict[str, Any]:
    """Tools, the answer's form, and plugins."""
    body: dict[str, Any] = {}
    if ask.answer_tool is not None:
        body |= {"tools": ask.answer_tool, "tool_choice": {"type": "function", "function": {"name": ANSWER_TOOL}}}
    elif with_server_tools(settings, ask):
        own: list[Any] = msgspec.json.decode(ask.tools, type=list[Raw]) if ask.tools else []
        body["tools"] = [*own, *map(wire_of, settings.server_tools)]
    elif ask.tools is not None:
        body["tools"] = ask.tools
    if settings.parallel_tool_calls is not None and ask.tools is not None:
        body["parallel_tool_calls"] = settings.parallel_tool_calls
    if ask.format is not None:
        body["response_format"] = ask.format
    plugins = [each for each in settings.plugins if ask.format is not None or not is_healing(each)]
    if ask.heal and ask.format is not None:
        plugins.append(ResponseHealing())
    if plugins:
        body["plugins"] = [wire_of(each) for each in plugins]
    if any(map(is_healing, plugins)):  # it needs the whole reply
        body["stream"] = False
    return body


def _recommended(habits: Habits, thinking: Thinking, body: Mapping[str, Any], settings: Settings) -> dict[str, float]:
    """The sampling of the model's habits that the user leaves open."""
    sampling = habits.thinking if thinks(thinking) else habits.plain
    return {name: value for name, value in sampling.items() if name not in body and name not in settings.extra}


def _fitted(body: dict[str, Any], sampling: dict[str, float], settings: Settings, loose: bool) -> dict[str, Any]:
    """The body with the recommended sampling, and with ``require_parameters`` where that leaves providers.

    Where every provider lacks something of the sampling, that is left out: a provider that is sure to take the
    tools is worth more.
    """
    whole = body | sampling
    if loose or "provider" in settings.extra or requires(settings.provider) != "auto":
        return whole
    sure: dict[str, float] = dict(sampling)
    for model in dict.fromkeys((body["model"], *(body.get("models") or ()))):
        lists = listed(str(model), settings)
        fit = able(lists, looked_at(body | sure)) or able(lists, looked_at(body))
        if not fit:
            return whole
        sure = {name: value for name, value in sure.items() if all(each.takes(name) for each in fit)}
    return body | sure | {"provider": (body.get("provider") or {}) | {"require_parameters": True}}


def listed(model: str, settings: Settings) -> tuple[Endpoint, ...]:
    """The providers of a model as they were listed lately; none where nobody may look, or nobody has."""
    kept = None if settings.catalogue is False else kept_endpoints(settings, model)
    return kept.rows if kept and kept.age < TOO_OLD else ()


def looked_at(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body with its form of answer spelled out, as ``able`` reads it."""
    form = body.get("response_format")
    return {**body, "response_format": msgspec.json.decode(form)} if isinstance(form, Raw) else dict(body)
