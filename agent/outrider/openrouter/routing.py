"""To which providers a request may go: OpenRouter's ``provider`` object, typed."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Literal

from msgspec import Struct

from outrider.errors import SetupError
from outrider.openrouter.ranges import Range, check_number, check_texts, check_word

Quantization = Literal[
    "int4", "int8", "fp4", "mxfp4", "nvfp4", "fp6", "fp8", "mxfp8", "fp16", "bf16", "fp32", "unknown"
]
BITS: dict[str, int] = {
    "int4": 4, "fp4": 4, "mxfp4": 4, "nvfp4": 4, "fp6": 6, "int8": 8, "fp8": 8, "mxfp8": 8, "fp16": 16, "bf16": 16,
    "fp32": 32,
}  # fmt: skip
"""How many bits a weight has in each quantization."""

_AROUND = "Another one is sent when you give provider as a dict."
_WORDS: dict[str, tuple[str, ...]] = {
    "data_collection": ("allow", "deny"),
    "least_quantization": tuple(BITS),
    "sort": ("price", "throughput", "latency", "exacto"),
}
_LISTS = {"order": '"deepinfra"', "only": '"deepinfra"', "ignore": '"deepinfra"', "quantizations": '"fp8"'}
_PRICES = ("prompt", "completion", "request", "image", "audio")
_PARTS = ("p50", "p75", "p90", "p99")


class Routing(Struct, frozen=True, kw_only=True):
    """Which providers may serve a request, and which are preferred. None leaves a field to OpenRouter.

    - ``order``: these first, in this order (no sticky provider then). ``only``, ignore: names as in ``deepinfra`` or
      ``deepinfra/fp8``. ``allow_fallbacks``: False means none but the first, or those in ``order``.
    - ``require_parameters``: True leaves only providers that take every field sent. "auto" asks for that only where the
      catalogue on this machine knows such a provider: otherwise there might be none left at all.
    - ``data_collection``: "deny" leaves out who may keep or learn from what is sent; ``zdr``: only those who keep
      nothing; ``enforce_distillable_text``: only models whose texts others may learn from.
    - ``quantizations``: only these; ``least_quantization``: all of at least as many bits as this one, and not those
      that do not say.
    - ``sort``: "price", "throughput", "latency" or "exacto", or a dict; ``max_price``: dollars per million tokens of
      "prompt" and "completion", per "request", "image" or "audio".
    - ``preferred_min_throughput`` (tokens a second), ``preferred_max_latency`` (seconds): a number, or a dict of
      "p50" to "p99"; who falls short comes later.
    - ``options``: passed on to a provider, by its name.
    """

    order: tuple[str, ...] | None = None
    only: tuple[str, ...] | None = None
    ignore: tuple[str, ...] | None = None
    allow_fallbacks: bool | None = None
    require_parameters: bool | Literal["auto"] = "auto"
    data_collection: Literal["allow", "deny"] | None = None
    zdr: bool | None = None
    enforce_distillable_text: bool | None = None
    quantizations: tuple[Quantization, ...] | None = None
    least_quantization: Quantization | None = None
    sort: Literal["price", "throughput", "latency", "exacto"] | dict[str, str] | None = None
    max_price: dict[str, Decimal | float | str] | None = None
    preferred_min_throughput: float | dict[str, float] | None = None
    preferred_max_latency: float | dict[str, float] | None = None
    options: dict[str, dict[str, Any]] | None = None

    def __post_init__(self) -> None:
        for name, example in _LISTS.items():
            if (given := getattr(self, name)) is not None:
                check_texts(name, given, example)
        for name in self.quantizations or ():
            check_word("quantizations", name, (*BITS, "unknown"), _AROUND)
        for name, words in _WORDS.items():
            if (word := getattr(self, name)) is not None and not isinstance(word, dict):
                check_word(name, word, words, _AROUND)
        if self.require_parameters not in (True, False, "auto"):
            raise SetupError(f"require_parameters is {self.require_parameters!r}", 'Give True, False or "auto".')
        if self.quantizations is not None and self.least_quantization is not None:
            raise SetupError("quantizations and least_quantization are both given", "Give one of them.")
        self._check_numbers()

    def _check_numbers(self) -> None:
        for kind, price in (self.max_price or {}).items():
            check_word("max_price", kind, _PRICES, _AROUND)
            _check_price(kind, price)
        for name in ("preferred_min_throughput", "preferred_max_latency"):
            wanted: float | dict[str, float] | None = getattr(self, name)
            parts = wanted if isinstance(wanted, dict) else {"p50": wanted}
            for part, number in parts.items():
                check_word(name, part, _PARTS, _AROUND)
                if number is not None:
                    check_number(name, number, Range(0, above=True))

    def wire(self) -> dict[str, Any]:
        """What is sent, "auto" left open."""
        fields = ((name, getattr(self, name)) for name in self.__struct_fields__)
        sent = {name: value for name, value in fields if value is not None and value != "auto"}
        if floor := sent.pop("least_quantization", None):
            sent["quantizations"] = [name for name, bits in BITS.items() if bits >= BITS[floor]]
        if prices := sent.get("max_price"):  # OpenRouter's specification has them as texts
            sent["max_price"] = {kind: f"{Decimal(str(price)):f}" for kind, price in prices.items()}
        return sent


def _check_price(kind: str, price: object) -> None:
    try:
        fine = not isinstance(price, bool) and 0 <= Decimal(str(price)) < Decimal("inf")
    except ArithmeticError:
        fine = False
    if not fine:
        raise SetupError(f"max_price of {kind} is {price!r:.60}", 'Give dollars, as in {"prompt": 0.5}.')


def preferences(provider: Routing | dict[str, Any] | None, avoid: Sequence[str]) -> dict[str, Any]:
    """The preferences as they are sent, and without the providers that the attempt before found wanting."""
    sent = provider.wire() if isinstance(provider, Routing) else dict(provider or {})
    if avoid:
        sent["ignore"] = [*dict.fromkeys((*(sent.get("ignore") or ()), *avoid))]
    return sent


def requires(provider: Routing | dict[str, Any] | None) -> bool | Literal["auto"]:
    """What is said of ``require_parameters``; "auto" where nothing is."""
    if isinstance(provider, Routing):
        return provider.require_parameters
    return provider.get("require_parameters", "auto") if provider else "auto"
