"""What OpenRouter adds to a request by itself: plugins, which always run, and tools that it works for the model."""

from typing import Any, Literal

from msgspec import Struct

from outrider.errors import SetupError
from outrider.openrouter.ranges import Range, check_number, check_word

Engine = Literal["native", "exa", "firecrawl", "parallel", "perplexity"]
PdfEngine = Literal["mistral-ocr", "cloudflare-ai", "native"]

_ENGINES = ("native", "exa", "firecrawl", "parallel", "perplexity")
_WORDS: dict[str, tuple[str, ...]] = {
    "Web.engine": _ENGINES,
    "FileParser.engine": ("mistral-ocr", "cloudflare-ai", "native", "pdf-text"),
    "ContextCompression.engine": ("middle-out",),
    "WebSearch.engine": ("auto", *_ENGINES),
    "WebSearch.context": ("low", "medium", "high"),
}
_COUNTS = frozenset(("max_results", "max_total_results", "max_uses", "max_content_tokens"))
_AROUND = "Another one is sent when you give a dict instead."


class _Added(Struct, frozen=True, kw_only=True):
    """Base: fields that are None are left out of the request."""

    def __post_init__(self) -> None:
        for name, value in self._given().items():
            whole = f"{type(self).__name__}.{name}"
            if whole in _WORDS:
                check_word(whole, value, _WORDS[whole], _AROUND)
            elif name in _COUNTS:
                check_number(whole, value, Range(1, whole=True))
            elif isinstance(value, str) and name.endswith("domains"):
                raise SetupError(f"{whole} is {value!r}", f"Put it in a list: {name}=({value!r},).")

    def _given(self) -> dict[str, Any]:
        fields = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return {name: value for name, value in fields if value is not None}


class Plugin(_Added, frozen=True, kw_only=True):
    """Base of the plugins."""

    def wire(self) -> dict[str, Any]:
        """What is sent."""
        raise NotImplementedError


class Web(Plugin, frozen=True, kw_only=True):
    """A search of the web before every request; the tool WebSearch leaves it to the model when to search."""

    engine: Engine | None = None
    max_results: int | None = None
    max_uses: int | None = None
    include_domains: tuple[str, ...] | None = None
    exclude_domains: tuple[str, ...] | None = None
    search_prompt: str | None = None

    def wire(self) -> dict[str, Any]:
        """What is sent."""
        return {"id": "web"} | self._given()


class FileParser(Plugin, frozen=True, kw_only=True):
    """Who reads the PDF files of a message."""

    engine: PdfEngine | None = None

    def wire(self) -> dict[str, Any]:
        """What is sent."""
        return {"id": "file-parser"} | ({"pdf": {"engine": self.engine}} if self.engine else {})


class ResponseHealing(Plugin, frozen=True, kw_only=True):
    """OpenRouter mends the JSON of typed answers. It can do so only with whole replies: those are not streamed."""

    def wire(self) -> dict[str, Any]:
        """What is sent."""
        return {"id": "response-healing"}


class ContextCompression(Plugin, frozen=True, kw_only=True):
    """Whether OpenRouter cuts the middle out of conversations that are too long; it does with small contexts."""

    enabled: bool = True
    engine: Literal["middle-out"] | None = None

    def wire(self) -> dict[str, Any]:
        """What is sent."""
        return {"id": "context-compression"} | self._given()


class ServerTool(_Added, frozen=True, kw_only=True):
    """Base of the tools that OpenRouter works within a request. Their calls never come back, nor do they run here."""

    def wire(self) -> dict[str, Any]:
        """What is sent."""
        raise NotImplementedError


class WebSearch(ServerTool, frozen=True, kw_only=True):
    """Searches the web. ``context`` is how much of each page the model gets."""

    engine: Literal["auto"] | Engine | None = None
    max_results: int | None = None
    max_total_results: int | None = None
    max_uses: int | None = None
    context: Literal["low", "medium", "high"] | None = None
    allowed_domains: tuple[str, ...] | None = None
    excluded_domains: tuple[str, ...] | None = None

    def wire(self) -> dict[str, Any]:
        """What is sent."""
        given = self._given()
        if context := given.pop("context", None):
            given["search_context_size"] = context
        return _tool("web_search", given)


class WebFetch(ServerTool, frozen=True, kw_only=True):
    """Reads pages of the web. ``max_content_tokens`` bounds what the model gets of each."""

    max_uses: int | None = None
    max_content_tokens: int | None = None
    allowed_domains: tuple[str, ...] | None = None
    blocked_domains: tuple[str, ...] | None = None

    def wire(self) -> dict[str, Any]:
        """What is sent."""
        return _tool("web_fetch", self._given())


class DateTime(ServerTool, frozen=True, kw_only=True):
    """Says the date and the time, in ``timezone`` as in ``Europe/Oslo``."""

    timezone: str | None = None

    def wire(self) -> dict[str, Any]:
        """What is sent."""
        return _tool("datetime", self._given())


def _tool(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    tool: dict[str, Any] = {"type": f"openrouter:{name}"}
    return tool | {"parameters": parameters} if parameters else tool


def check_added(field: str, given: object, kind: type[Plugin] | type[ServerTool], key: str) -> None:
    """Raises SetupError unless this is a list of such things, or of dicts that name themselves under ``key``."""
    if not isinstance(given, tuple | list):
        raise SetupError(f"{field} is {given!r:.60}", f"Put it in a list: {field}=[...].")
    for each in given:  # pyright: ignore[reportUnknownVariableType]
        if not isinstance(each, kind) and not (isinstance(each, dict) and key in each):
            wanted = ", ".join(sub.__name__ for sub in kind.__subclasses__())
            raise SetupError(
                f"{field} holds {each!r:.60}", f'Give {wanted} of outrider.openrouter, or a dict with "{key}".'
            )


def is_healing(given: Plugin | dict[str, Any]) -> bool:
    """Whether this is ResponseHealing, or the dict that stands for it."""
    return wire_of(given).get("id") == "response-healing"


def wire_of(given: Plugin | ServerTool | dict[str, Any]) -> dict[str, Any]:
    """What is sent for it."""
    return given if isinstance(given, dict) else given.wire()
