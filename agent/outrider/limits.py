"""Where a run ends at the latest: what has been used, and which limit stands in the way of the next request."""

from decimal import Decimal

from msgspec import Raw

from outrider.events import LimitReached, LoopSteered
from outrider.messages import AssistantMessage, Limits, UserMessage, from_wire, to_wire
from outrider.state import State
from outrider_prompts import say

__all__ = ["LANDS", "Limits", "charged", "may_land", "reached", "steered", "why"]

LANDS = {
    "turns": "of turns for this task is reached",
    "tool_calls": "of tool calls for this task is reached",
    "repeats": "of rounds without anything new is reached",
    "dollars": "of money for this task is reached",
}
"""Limits at which an answer may be had, and how that is told. Seconds and tokens keep nothing back for one."""


def charged(state: State) -> Decimal:
    """Dollars that count against the limit: the bills so far, and what may be owed beside them.

    A request that was sent and never answered may have been billed: it counts with what was put aside for it. Where its
    price was not known it is charged like the dearest request of the run; while there is none to compare with, a tenth
    of the dollar limit it was sent under, so that a run that is killed over and over between sending and hearing still
    stops, and goes on under a higher limit. A reply without a bill counts with its estimate, where there is one.
    """
    owed = [*state.owed.values(), *([state.open] if state.open_request else [])]
    known = state.usage.cost or Decimal(0)
    for each in owed:
        if each.amount is not None:
            known += each.amount
        elif each.replied or state.free:
            continue
        elif state.dearest is not None:
            known += state.dearest
        elif not state.unpriced:  # a server that answers without a price: nothing there is counted in dollars
            known += each.stake
    return known


def steered(state: State) -> LoopSteered | None:
    """What the model is told when its calls have brought nothing new for too long, once for each such loop."""
    if state.limits.repeats is None or state.steered or state.stale < max(1, state.limits.repeats):
        return None
    reply = from_wire(state.last_reply.wire) if state.last_reply else None
    calls = reply.tool_calls or () if isinstance(reply, AssistantMessage) else ()
    names = [*dict.fromkeys(call.function.name for call in calls)]
    return LoopSteered(state.stale, to_wire(UserMessage(say("loop_steered", names=names, times=state.stale + 1))))


def reached(state: State, now: float) -> LimitReached | None:
    """The limit that forbids the next request, or None; dollars apart. ``now`` is the time in Unix seconds."""
    limits = state.limits
    seconds = state.seconds + max(0.0, now - state.last_at)
    if limits.tokens is not None and state.usage.tokens >= limits.tokens:
        return LimitReached("tokens", str(state.usage.tokens), str(limits.tokens))
    if limits.seconds is not None and seconds >= limits.seconds:
        return LimitReached("seconds", f"{seconds:.1f}", f"{limits.seconds:g}")
    if state.landing:  # it was asked for its answer, and made calls instead
        done = state.turns >= state.landing
        return LimitReached("last requests", "1", "1") if done else None
    if limits.turns is not None and state.turns >= limits.turns:
        return LimitReached("turns", str(state.turns), str(limits.turns))
    if limits.tool_calls is not None and state.tool_calls > limits.tool_calls:  # at the limit the model may answer
        return LimitReached("tool_calls", str(limits.tool_calls), str(limits.tool_calls))
    if limits.repeats is not None and state.stale >= 2 * limits.repeats:
        return LimitReached("repeats", str(state.stale), str(2 * limits.repeats))
    return None


def may_land(state: State, limit: LimitReached, tools: Raw | None) -> bool:
    """Whether the run was working with tools, and can be asked for its answer once more at this limit."""
    working = tools is not None and not state.landing and not state.answering
    return working and state.turns > state.landed and bool(why(limit))


def why(limit: LimitReached) -> str:
    """The words for the model on such a limit; "" where it is not asked once more."""
    return LANDS.get("dollars" if limit.limit.startswith("purse ") else limit.limit, "")
