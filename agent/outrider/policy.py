"""Which calls run: allow, ask a person, or deny; decided by a pure function of the call and the state."""

from collections.abc import Callable
from typing import Any, Literal, cast, get_args

from msgspec import Struct

from outrider.errors import SetupError, did_you_mean
from outrider.messages import Effect
from outrider.state import State


class Proposed(Struct, frozen=True):
    """A call whose arguments fit, about to be judged. ``asks`` is set when its tool always needs consent."""

    id: str
    tool: str
    effect: Effect
    arguments: dict[str, Any]
    asks: bool = False


class Verdict(Struct, frozen=True):
    """What is to become of a call. ``why`` is told to the person asked, or to the model when denied."""

    action: Literal["allow", "ask", "deny"]
    why: str = ""


Policy = Callable[[Proposed, State], Verdict]
"""Judges one call and changes nothing. It sees the state as it was before the calls that run beside this one."""

ALLOW = Verdict("allow")


def default_policy(call: Proposed, state: State) -> Verdict:
    """Allow everything but the tools that were declared with ``approve=True``: for those, ask."""
    return Verdict("ask", "this tool always asks") if call.asks else ALLOW


def allow_all(call: Proposed, state: State) -> Verdict:
    """Allow every call, even of tools that were declared with ``approve=True``."""
    return ALLOW


def ask_before(*effects: Effect) -> Policy:
    """A policy that asks a person before any call with one of these effects: "read", "write", "egress".

    Raises SetupError for anything else, and for none: a policy that never asks would look like one that does.
    """
    known = get_args(Effect)
    for effect in cast("tuple[object, ...]", effects):
        if effect not in known:
            near = did_you_mean(effect, known) if isinstance(effect, str) else ""
            hint = near or 'Give effects, as in ask_before("write", "egress"); a tool asks with @tool(approve=True).'
            raise SetupError(f"ask_before({effect!r}): an effect is {', '.join(known[:-1])} or {known[-1]}", hint)
    if not effects:
        raise SetupError("ask_before() names no effect", 'Name some, as in ask_before("write", "egress").')

    def policy(call: Proposed, state: State) -> Verdict:
        if call.effect in effects:
            return Verdict("ask", f"its effect is {call.effect}")
        return default_policy(call, state)

    policy.__name__ = f"ask before {', '.join(effects)}"
    return policy


def policy_name(policy: Policy) -> str:
    """What the record calls a policy: the name of its function."""
    return getattr(policy, "__name__", type(policy).__name__)
