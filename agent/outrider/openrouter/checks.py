"""The one look at all fields of Settings before anything is sent."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from outrider.errors import SetupError
from outrider.openrouter.plugins import Plugin, ServerTool, check_added
from outrider.openrouter.ranges import (
    MOST_SESSION,
    MOST_STOPS,
    RANGES,
    WORDS,
    check_bias,
    check_metadata,
    check_number,
    check_texts,
    check_thinking,
    check_word,
)
from outrider.openrouter.routing import Routing

_FLAGS = ("logprobs", "parallel_tool_calls", "mend", "catalogue", "keep_alive")
_TEXTS = ("user", "prompt_cache_key", "referer", "title", "proxy", "api_key", "stronger")
_TIMES = ("retries", "first_byte_seconds", "idle_seconds", "request_seconds", "bill_seconds")

_KINDS: Mapping[str, Callable[[Any], None]] = {
    "stop": lambda value: check_texts("stop", value, '"END"', MOST_STOPS),
    "models": lambda value: check_texts("models", value, '"mistralai/mistral-nemo"'),
    "metadata": check_metadata,
    "logit_bias": check_bias,
    "plugins": lambda value: check_added("plugins", value, Plugin, "id"),
    "server_tools": lambda value: check_added("server_tools", value, ServerTool, "type"),
}
"""Fields with a check of their own."""


def check_fields(fields: Mapping[str, Any]) -> None:
    """Raises SetupError for the first field that cannot work. ``fields`` are those that are not None."""
    for name, value in fields.items():
        if check := _KINDS.get(name):
            check(value)
        elif name == "thinking":
            if not callable(value):
                check_thinking(name, value)
        elif name in WORDS:
            check_word(name, value, WORDS[name])
        elif name in RANGES:
            check_number(name, value, RANGES[name], name not in _TIMES)
        elif name in _FLAGS and not isinstance(value, bool):
            raise SetupError(f"{name} is {value!r:.60}", "Give True or False.")
        elif name in _TEXTS and not isinstance(value, str):
            raise SetupError(f"{name} is {value!r:.60}", "Give a text.")
    _check_together(fields)


def _check_together(fields: Mapping[str, Any]) -> None:
    """What depends on more than one field."""
    if "top_logprobs" in fields and not fields.get("logprobs"):
        raise SetupError("top_logprobs is given without logprobs", "Give logprobs=True as well.")
    budget, longest = fields.get("thinking"), fields.get("max_tokens")
    if isinstance(budget, int) and not isinstance(budget, bool) and longest is not None and budget >= longest:
        raise SetupError(
            f"thinking is {budget} tokens and max_tokens {longest}",
            "max_tokens is thinking and answer together: give more, or think less.",
        )
    session, provider = fields.get("session", True), fields.get("provider")
    if not isinstance(session, bool) and not (isinstance(session, str) and 0 < len(session) <= MOST_SESSION):
        raise SetupError(
            f"session is {session!r:.60}", f"Give True, False, or a name of at most {MOST_SESSION} characters."
        )
    if provider is not None and not isinstance(provider, Routing | dict):
        raise SetupError(
            f"provider is {provider!r:.60}", 'Give a Routing, as in Routing(only=("deepinfra",)), or a dict.'
        )
    _check_extra(fields.get("extra"))


def _check_extra(extra: object) -> None:
    if not isinstance(extra, dict):
        raise SetupError(f"extra is {extra!r:.60}", 'Give a dict of body fields: extra={"top_k": 20}.')
    fields = cast("dict[str, Any]", extra)
    if "messages" in fields:
        raise SetupError("settings.extra holds messages", "Messages belong to the run; leave them out.")
    thinking = fields.get("reasoning")
    if isinstance(thinking, dict) and {"effort", "max_tokens"} <= cast("dict[str, Any]", thinking).keys():
        raise SetupError("extra: reasoning has both effort and max_tokens", "Give one of them.")
    if isinstance(session := fields.get("session_id"), str) and len(session) > MOST_SESSION:
        raise SetupError(f"extra: session_id has {len(session)} characters", f"Give at most {MOST_SESSION}.")
