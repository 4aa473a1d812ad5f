"""Where a run ends at the latest: what has been used, and which limit stands in the way of the next request."""

from decimal import Decimal

from outrider.events import LimitReached, LoopSteered
from outrider.messages import AssistantMessage, Limits, UserMessage, from_wire, to_wire
from outrider.state import State
from outrider_prompts import say

__all__ = ["Limits", "charged", "reached", "steered"]


def charged(state: State) -> Decimal:
    """Dollars that count against the limit: the bills so far, and a charge for each request in doubt.

    A request that was sent and never answered may have been billed. It is charged like the dearest request of
    the run; while there is none to compare with, half of the dollar limit it was sent under, so that a run that
    is killed over and over between sending and hearing still stops, and goes on under a higher limit.
    """
    known = state.usage.cost or Decimal(0)
    if state.dearest is not None:
        return known + state.requests_in_doubt * state.dearest
    if state.unpriced:  # a server that answers without a price: nothing there is counted in dollars
        return known
    return known + state.guessed + (state.stake if state.open_request else 0)


def steered(state: State) -> LoopSteered | None:
    """What the model is told when its calls have brought nothing new for too long, once for each such loop."""
    if state.limits.repeats is None or state.steered or state.stale < max(1, state.limits.repeats):
        return None
    reply = from_wire(state.last_reply.wire) if state.last_reply else None
    calls = reply.tool_calls or () if isinstance(reply, AssistantMessage) else ()
    names = [*dict.fromkeys(call.function.name for call in calls)]
    return LoopSteered(state.stale, to_wire(UserMessage(say("loop_steered", names=names, times=state.stale + 1))))


def reached(state: State, now: float) -> LimitReached | None:
    """The limit that forbids the next request, or None. ``now`` is the time in Unix seconds."""
    limits = state.limits
    seconds = state.seconds + max(0.0, now - state.last_at)
    if limits.turns is not None and state.turns >= limits.turns:
        return LimitReached("turns", str(state.turns), str(limits.turns))
    if limits.tool_calls is not None and state.tool_calls > limits.tool_calls:  # at the limit the model may answer
        return LimitReached("tool_calls", str(limits.tool_calls), str(limits.tool_calls))
    if limits.tokens is not None and state.usage.tokens >= limits.tokens:
        return LimitReached("tokens", str(state.usage.tokens), str(limits.tokens))
    if limits.seconds is not None and seconds >= limits.seconds:
        return LimitReached("seconds", f"{seconds:.1f}", f"{limits.seconds:g}")
    if limits.repeats is not None and state.stale >= 2 * limits.repeats:
        return LimitReached("repeats", str(state.stale), str(2 * limits.repeats))
    if limits.dollars is not None and (dollars := charged(state)) >= limits.dollars:
        return LimitReached("dollars", f"${dollars}", f"${limits.dollars}")
    return None
