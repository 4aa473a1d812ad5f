"""What a user may set about the wire, and the part of a body that comes of it."""

import os
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Raw, Struct

from outrider.errors import SetupError
from outrider.model import Ask

if TYPE_CHECKING:
    from httpx2 import AsyncClient
else:
    AsyncClient = object  # the import is heavy, and help() wants a name that is there at run time

DEFAULT_MODEL = "qwen/qwen3-14b"
KEY_VARIABLE = "OPENROUTER_API_KEY"
BASE_URL = "https://openrouter.ai/api/v1"
_OTHERS = {"sk-proj-": "OpenAI", "sk-ant-": "Anthropic", "AIza": "Google", "gsk_": "Groq", "hf_": "Hugging Face"}
_SAMPLING = ("max_tokens", "temperature", "top_p", "top_k", "min_p", "seed", "stop")


class Settings(Struct, frozen=True, kw_only=True):
    """Everything about the wire. None leaves a field out of the request.

    - ``api_key``: else the variable OPENROUTER_API_KEY is read at the first request.
    - ``thinking``: "auto" thinks while working and not while answering; None leaves the field ``reasoning``
      out, for servers that do not know it. Sent explicitly, because Qwen3 thinks unless told not to.
    - ``session``: send the run's id as ``session_id``, so that one provider serves all of a run.
    - ``provider``: OpenRouter's routing preferences. ``extra``: further body fields, merged last.
    - ``mend``: put right what small models get wrong in replies; False takes them as they come.
    - ``referer``, ``title``: how the app is named on openrouter.ai.
    - ``models``: fallbacks for the agent's model, in order; ours after replies that are none, OpenRouter's own before.
    - ``retries``: how often a failed request is tried again before the run lands.
    - ``first_byte_seconds``: until the server begins to answer. ``idle_seconds``: between two pieces of data
      (the server's "still working" comments do not count). ``request_seconds``: for the whole request.
    - ``bill_seconds``: how long OpenRouter is asked for the bill of a reply that broke off; 0: not at all.
    - ``catalogue``: whether the model's providers are looked up, at most once a day and within five seconds, before
      the first request. None: of OpenRouter's own server only. False: nothing is looked up, and nothing refused for it.
    - ``http_client``: an ``httpx2.AsyncClient`` of your own (CA, proxy, pool); you close it.
    - ``proxy``: the URL of an HTTP proxy, else the usual environment variables decide.
    - ``keep_alive``: False makes a connection for each request, for servers that close theirs unannounced.
    """

    api_key: str | None = None
    base_url: str = BASE_URL
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] | None = None
    thinking: bool | Literal["auto"] | None = "auto"
    session: bool = True
    models: tuple[str, ...] = ()
    provider: dict[str, Any] | None = None
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
        whole = url.startswith(("http://", "https://")) and not url.endswith("/chat/completions")
        if not whole or (is_openrouter(url) and not url.endswith("/api/v1")):
            raise SetupError(f"base_url is {self.base_url!r}", f"Give a whole URL; OpenRouter's is {BASE_URL}")
        if "messages" in self.extra:
            raise SetupError("settings.extra holds messages", "Messages belong to the run; leave them out.")

    def __repr__(self) -> str:
        shown = {name: getattr(self, name) for name in self.__struct_fields__}
        shown["api_key"] = "..." if self.api_key else None
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    def key(self) -> str:
        """The API key. Raises SetupError when there is none, or when it cannot be one."""
        key = (self.api_key or os.environ.get(KEY_VARIABLE, "")).strip()
        if not key:
            other = " (OPENAI_API_KEY is set, but OpenRouter takes keys of its own)"
            raise SetupError(
                f"there is no API key for OpenRouter{other if os.environ.get('OPENAI_API_KEY') else ''}",
                f"Put one into the variable {KEY_VARIABLE} (keys are made at openrouter.ai/keys), "
                'or go on without a key: Agent("local"), on the command line --model local',
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


def body_settings(model: str, settings: Settings, ask: Ask) -> bytes:
    """The body of a request as a JSON object, without messages and session."""
    body: dict[str, Any] = {
        "model": ask.detour.model or model,
        "stream": True,
        "stream_options": {"include_usage": True},  # OpenRouter always says; other servers only when asked
    }
    if ask.tools is not None:
        body["tools"] = ask.tools
    if ask.format is not None:
        body["response_format"] = ask.format
    for name in _SAMPLING:
        if (value := getattr(settings, name)) is not None:
            body[name] = value
    if settings.thinking is not None:
        enabled = ask.phase == "work" if settings.thinking == "auto" else settings.thinking
        body["reasoning"] = {"enabled": enabled and not ask.detour.plain}
    if fallbacks := [each for each in settings.models if each != body["model"]]:
        body["models"] = fallbacks
    if settings.provider is not None:
        body["provider"] = settings.provider
    if ask.detour.avoid:
        ignored = (settings.provider or {}).get("ignore") or ()
        body["provider"] = (settings.provider or {}) | {"ignore": [*dict.fromkeys((*ignored, *ask.detour.avoid))]}
    return msgspec.json.encode(body | settings.extra)


def with_session(body: bytes, session: str) -> Raw:
    """The same object with its last field, the run's name (at most 256 characters)."""
    return Raw(body[:-1] + b',"session_id":' + msgspec.json.encode(session[:256]) + b"}")
