"""What a user may set about the wire."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct
from msgspec.structs import force_setattr

from outrider.errors import SetupError
from outrider.model import Ask
from outrider.openrouter.checks import check_fields
from outrider.openrouter.plugins import Plugin, ServerTool
from outrider.openrouter.routing import Routing

if TYPE_CHECKING:
    from httpx2 import AsyncClient
else:
    AsyncClient = object  # the import is heavy, and help() wants a name that is there at run time

DEFAULT_MODEL = "qwen/qwen3-14b"
KEY_VARIABLE = "OPENROUTER_API_KEY"
BASE_URL = "https://openrouter.ai/api/v1"
_OTHERS = {"sk-proj-": "OpenAI", "sk-ant-": "Anthropic", "AIza": "Google", "gsk_": "Groq", "hf_": "Hugging Face"}

Effort = Literal["max", "xhigh", "high", "medium", "low", "minimal", "none"]
Thinking = bool | Effort | int | None
"""Whether a request thinks: on, off, how hard, with how many tokens; None says nothing about it."""

Verbosity = Literal["low", "medium", "high", "xhigh", "max"]
ServiceTier = Literal["auto", "default", "fast", "flex", "priority", "scale", "ultrafast"]


class Settings(Struct, frozen=True, kw_only=True):
    """Everything about the wire. None leaves a field out of the request; docs/settings.md has each with its range.

    Raises SetupError for what cannot work, naming the field and what it may be.

    Reaching the server
    - ``api_key``: else the variable OPENROUTER_API_KEY is read at the first request.
    - ``base_url``: OpenRouter's, or that of another server that speaks chat completions.
    - ``referer``, ``title``: how the app is named on openrouter.ai.
    - ``http_client``: an ``httpx2.AsyncClient`` of your own (CA, proxy, pool); you close it.
    - ``proxy``: the URL of an HTTP proxy, else the usual environment variables decide.
    - ``keep_alive``: False makes a connection for each request, for servers that close theirs unannounced.

    Writing the answer
    - ``max_tokens``, ``stop`` (at most 4), ``seed``, ``logit_bias``, ``verbosity``; ``logprobs`` and
      ``top_logprobs`` are asked for, and stay out of the result.
    - ``temperature``, ``top_p``, ``top_k``, ``min_p``, ``top_a``, ``frequency_penalty``, ``presence_penalty``,
      ``repetition_penalty``: where they are None, the model's habits say what its makers recommend.
    - ``habits``: a TOML file of your own about models, beside the one that comes with Outrider.

    Thinking
    - ``thinking``: True, False, an effort ("low"), a budget of tokens, or a function of the Ask that gives one of
      them for each request. "auto" thinks while working and not while answering. Sent explicitly, because Qwen3
      thinks unless told not to; None leaves ``reasoning`` out, for servers that do not know it.
    - ``thoughts``: what comes back of it: "whole", a summary ("auto", "concise", "detailed"), or "none".

    Choosing who answers
    - ``models``: fallbacks for the agent's model, in order; ours after replies that are none, OpenRouter's own before.
    - ``stronger``: a model that is asked for the answer when those of the agent's model were rejected four times.
    - ``provider``: OpenRouter's routing preferences, as a Routing or a dict.
    - ``service_tier``: dearer and faster, or the reverse.
    - ``session``: send the run's name as ``session_id``, so that one provider serves all of a run; or a name of yours.

    What OpenRouter adds
    - ``plugins``: Web, FileParser, ResponseHealing, ContextCompression, or dicts.
    - ``server_tools``: WebSearch, WebFetch, DateTime, or dicts: tools that OpenRouter works itself.
    - ``parallel_tool_calls``: whether a reply may hold several calls.
    - ``cache``: "5m" or "1h": keep the conversation so far in the provider's cache, where it has to be asked.
    - ``prompt_cache_key``, ``user`` (your user, for abuse reports), ``metadata`` and ``trace`` (for your own records).
    - ``extra``: further body fields, merged last; they win.

    When it goes wrong
    - ``mend``: put right what small models get wrong in replies; False takes them as they come.
    - ``retries``: how often a failed request is tried again before the run lands.
    - ``first_byte_seconds``: until the server begins to answer. ``idle_seconds``: between two pieces of data
      (the server's "still working" comments do not count). ``request_seconds``: for the whole request.
    - ``bill_seconds``: how long OpenRouter is asked for the bill of a reply that broke off; 0: not at all.
    - ``catalogue``: whether the model's providers are looked up, at most once a day and within five seconds, before
      the first request. None: of OpenRouter's own server only. False: nothing is looked up, and nothing refused for it.
    """

    api_key: str | None = None
    base_url: str = BASE_URL
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    top_a: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    stop: Sequence[str] | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    verbosity: Verbosity | None = None
    thinking: Thinking | Literal["auto"] | Callable[[Ask], Thinking | Literal["auto"]] = "auto"
    thoughts: Literal["whole", "auto", "concise", "detailed", "none"] = "whole"
    habits: str | Path | None = None
    session: bool | str = True
    models: Sequence[str] = ()
    stronger: str = ""
    provider: Routing | dict[str, Any] | None = None
    service_tier: ServiceTier | None = None
    plugins: Sequence[Plugin | dict[str, Any]] = ()
    server_tools: Sequence[ServerTool | dict[str, Any]] = ()
    parallel_tool_calls: bool | None = None
    cache: Literal["5m", "1h"] | None = None
    prompt_cache_key: str | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None
    trace: dict[str, Any] | None = None
    extra: dict[str, Any] = {}
    mend: bool = True
    referer: str | None = None
    title: str | None = None
    retries: int = 4
    first_byte_seconds: float = 120.0
    idle_seconds: float = 120.0
    request_seconds: float = 600.0
    bill_seconds: float = 3.0
    catalogue: bool | None = None
    http_client: AsyncClient | None = None
    proxy: str | None = None
    keep_alive: bool = True

    def __post_init__(self) -> None:
        url = self.base_url.rstrip("/")
        if "@" in url.partition("://")[2].partition("/")[0]:  # which would end in commands that are shown
            hint = "Take them out of the URL; a key is given as api_key, or in OPENROUTER_API_KEY."
            raise SetupError("base_url holds a name or a password", hint)
        if url.endswith("/chat/completions"):
            raise SetupError(f"base_url is {self.base_url!r}", "Leave /chat/completions out: it is added to it.")
        whole = url.startswith(("http://", "https://"))
        if not whole or (is_openrouter(url) and not url.endswith("/api/v1")):
            raise SetupError(f"base_url is {self.base_url!r}", f"Give a whole URL; OpenRouter's is {BASE_URL}")
        if isinstance(self.stop, str):  # one is as good as a list of one
            force_setattr(self, "stop", (self.stop,))
        check_fields({name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not None})

    def __repr__(self) -> str:
        defaults = zip(self.__struct_fields__, self.__struct_defaults__, strict=True)
        shown = {name: value for name, default in defaults if (value := getattr(self, name)) not in (default, {})}
        if self.api_key:
            shown["api_key"] = "..."
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    def key(self) -> str:
        """The API key. Raises SetupError when there is none, or when it cannot be one."""
        key = (self.api_key or os.environ.get(KEY_VARIABLE, "")).strip()
        if not key:
            other = " (OPENAI_API_KEY is set, but OpenRouter takes keys of its own)"
            raise SetupError(
                f"there is no API key for OpenRouter{other if os.environ.get('OPENAI_API_KEY') else ''}",
                f"Put one into the variable {KEY_VARIABLE} (keys are made at openrouter.ai/keys), "
                'or go on without a key: -m local on the command line, Agent("local") in Python',
            )
        if wrong := _wrong_with(key, is_openrouter(self.base_url)):
            raise SetupError(f"the API key {wrong}", f"Copy it into {KEY_VARIABLE} once more, from openrouter.ai/keys.")
        return key


def is_openrouter(base_url: str) -> bool:
    """Whether this is OpenRouter itself, not another server that speaks like it."""
    host = base_url.partition("://")[2].partition("/")[0].partition(":")[0].lower()
    return host == "openrouter.ai" or host.endswith(".openrouter.ai")


def _wrong_with(key: str, openrouter: bool) -> str:
    """Why this cannot be a key, or nothing. A key of somebody else must not be sent to OpenRouter."""
    if key[0] in "'\"":
        return "has quotes around it"
    if not (key.isascii() and key.isprintable()) or (openrouter and " " in key):
        return "holds characters that no key has"
    owner = next((owner for begin, owner in _OTHERS.items() if key.startswith(begin)), "")
    return f"is one of {owner}, not of OpenRouter (those begin with sk-or-)" if owner and openrouter else ""
