"""The bill: OpenRouter's ``usage`` object -> Usage."""

from decimal import Decimal, InvalidOperation
from typing import Any, cast

import msgspec

from outrider.messages import Usage

_ABSURD, _DIGITS = 10**9, 30
"""Dollars that no bill comes to, and more places than sums keep."""

exact: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Decimal)
"""Decodes JSON with numbers as they were written: dollars are exact."""


def usage_from(wire: bytes) -> Usage | None:
    """Tokens and dollars of a reply, or None when ``wire`` is not a usage object.

    ``cost`` is what OpenRouter charged. With the user's own provider key that is only its fee, so what the
    provider charged is added. Fields of a wrong type count as not said.
    """
    try:
        usage = object_of(exact.decode(wire))
    except (msgspec.DecodeError, ValueError, ArithmeticError):
        return None
    if not usage:
        return None
    cost = dollars(usage.get("cost"))
    upstream = dollars(object_of(usage.get("cost_details")).get("upstream_inference_cost"))
    if usage.get("is_byok") is True and upstream is not None:
        cost = (cost or Decimal(0)) + upstream
    return Usage(
        prompt_tokens=count(usage.get("prompt_tokens")),
        completion_tokens=count(usage.get("completion_tokens")),
        reasoning_tokens=count(object_of(usage.get("completion_tokens_details")).get("reasoning_tokens")),
        cached_tokens=count(object_of(usage.get("prompt_tokens_details")).get("cached_tokens")),
        cost=cost,
    )


def object_of(value: Any) -> dict[str, Any]:
    """A JSON object; an empty one for what is none."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def count(value: Any) -> int:
    """A number of tokens; 0 for what is none."""
    return int(value) if isinstance(value, int | Decimal) and 0 < value < 10**15 else 0


def dollars(value: Any) -> Decimal | None:
    """An amount of dollars, or None for what is none."""
    if not isinstance(value, int | Decimal | str) or isinstance(value, bool):
        return None
    try:
        amount = Decimal(value)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and 0 <= amount < _ABSURD and amount.adjusted() > -_DIGITS else None
