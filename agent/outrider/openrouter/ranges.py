"""What the fields of Settings and Routing may be, as data, and the one check for all of them.

OpenRouter adds words and widens ranges without notice: each refusal names the way round it.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Any, cast

from msgspec import Struct

from outrider.errors import SetupError, did_you_mean


class Range(Struct, frozen=True):
    """Numbers from ``least`` to ``most``, both included unless ``above``; a bound that is None is not there."""

    least: float | None = None
    most: float | None = None
    whole: bool = False
    above: bool = False

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        if self.least is None:
            return kind
        if self.most is not None:
            return f"{kind} from {self.least:g} to {self.most:g}"
        return f"{kind} {f'above {self.least:g}' if self.above else f'from {self.least:g} up'}"

    def holds(self, value: object) -> bool:
        """Whether this is such a number; True and False are none."""
        if isinstance(value, bool) or not isinstance(value, int if self.whole else (int, float)):
            return False
        if not isinstance(value, int) and not isfinite(value):
            return False
        low = self.least is None or (value > self.least if self.above else value >= self.least)
        return low and (self.most is None or value <= self.most)


_SECONDS = Range(0, above=True)

RANGES: Mapping[str, Range] = {
    "max_tokens": Range(1, whole=True),
    "temperature": Range(0, 2),
    "top_p": Range(0, 1),
    "top_k": Range(0, whole=True),
    "min_p": Range(0, 1),
    "top_a": Range(0, 1),
    "frequency_penalty": Range(-2, 2),
    "presence_penalty": Range(-2, 2),
    "repetition_penalty": Range(0, 2),
    "seed": Range(whole=True),
    "top_logprobs": Range(0, 20, whole=True),
    "thinking": Range(1, whole=True),
    "retries": Range(0, whole=True),
    "first_byte_seconds": _SECONDS,
    "idle_seconds": _SECONDS,
    "request_seconds": _SECONDS,
    "bill_seconds": Range(0),
}
"""The numbers of Settings. ``thinking`` is its budget of tokens."""

EFFORTS = ("max", "xhigh", "high", "medium", "low", "minimal", "none")

WORDS: Mapping[str, tuple[str, ...]] = {
    "thinking": (*EFFORTS, "auto"),
    "thoughts": ("whole", "auto", "concise", "detailed", "none"),
    "cache": ("5m", "1h"),
    "verbosity": ("low", "medium", "high", "xhigh", "max"),
    "service_tier": ("auto", "default", "fast", "flex", "priority", "scale", "ultrafast"),
}
"""The words that fields of Settings know."""

MOST_STOPS = 4
MOST_SESSION = 256
_MOST_PAIRS, _MOST_KEY, _MOST_VALUE = 16, 64, 512
_ROUND = "What OpenRouter takes beyond that goes through extra={{{name!r}: ...}}"


def check_number(name: str, value: object, allowed: Range, optional: bool = True, beside: str = "") -> None:
    """Raises SetupError when this is no such number. ``beside`` is what else may be given."""
    if not allowed.holds(value):
        more = beside or (", or None to leave it out" if optional else "")
        raise SetupError(f"{name} is {value!r:.60}", f"Give {allowed}{more}.")


def check_word(name: str, value: object, words: tuple[str, ...], around: str = "") -> None:
    """Raises SetupError when this is not one of the words. ``around`` says how another one can be sent all the same."""
    if value not in words:
        near = did_you_mean(value, words) if isinstance(value, str) else ""
        told = f"{near} Known are {', '.join(words)}.".strip()
        raise SetupError(f"{name} is {value!r:.60}", f"{told} {around or _ROUND.format(name=name)}")


def check_texts(name: str, value: object, example: str, most: int | None = None) -> None:
    """Raises SetupError unless this is a list of texts that say something, at most so many."""
    if not isinstance(value, tuple | list):
        raise SetupError(f"{name} is {value!r:.60}", f"Give a list of texts: {name}=({example},).")
    texts = cast("tuple[object, ...]", value)
    for text in texts:
        if not isinstance(text, str) or not text:
            raise SetupError(f"{name} holds {text!r:.60}", f"Give texts: {name}=({example},).")
    if most is not None and len(texts) > most:
        raise SetupError(f"{name} holds {len(texts)} texts", f"Give at most {most}.")


def check_metadata(metadata: object) -> None:
    """Raises SetupError for more than OpenRouter keeps: 16 pairs, names of 64 and texts of 512 characters."""
    if not isinstance(metadata, dict):
        raise SetupError(f"metadata is {metadata!r:.60}", 'Give a dict of texts: metadata={"team": "search"}.')
    pairs = cast("dict[object, object]", metadata)
    if len(pairs) > _MOST_PAIRS:
        raise SetupError(f"metadata holds {len(pairs)} pairs", f"Give at most {_MOST_PAIRS}.")
    for name, value in pairs.items():
        for what, text, most in (("name", name, _MOST_KEY), ("value", value, _MOST_VALUE)):
            if not isinstance(text, str) or len(text) > most:
                told = f"has {len(text)} characters" if isinstance(text, str) else "is no text"
                raise SetupError(
                    f"metadata: the {what} {text!r:.40} {told}", f"Give texts of at most {most} characters."
                )


def check_bias(bias: object) -> None:
    """Raises SetupError unless this maps tokens to numbers from -100 to 100."""
    if not isinstance(bias, dict):
        raise SetupError(f"logit_bias is {bias!r:.60}", 'Give a dict of token numbers: logit_bias={"50256": -100}.')
    for token, value in cast("dict[Any, object]", bias).items():
        check_number(f"logit_bias of token {token}", value, Range(-100, 100), False)


def check_thinking(name: str, value: object) -> None:
    """Raises SetupError for what is no way to think."""
    if isinstance(value, str):
        check_word(name, value, WORDS["thinking"], "Another one is sent with extra={'reasoning': {'effort': ...}}.")
    elif value is not None and not isinstance(value, bool):
        check_number(
            name, value, RANGES["thinking"], beside=' of tokens, True, False, an effort such as "low", or "auto"'
        )
