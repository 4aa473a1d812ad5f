"""How a run is told: its figures, its bill, what it waits for, what to type, and texts that cannot steer a terminal."""

import os
import shlex
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Raw

from outrider.bills import Owed
from outrider.state import State


def figures(state: State, live: bool = False) -> str:
    """Requests, calls, tokens, bill and seconds of a run, in one line; no tokens where none were counted."""
    failed = f", {state.tool_failures} failed" if state.tool_failures else ""
    parts = [
        counted(state.requests, "request"),
        f"{counted(state.tool_calls, 'tool call')}{failed}",
        counted(state.usage.tokens, "token") if state.usage.tokens else "",
        bill(state, live),
        f"{state.seconds:.1f} s",
    ]
    return " · ".join(part for part in parts if part)


def ending(state: State, otherwise: str) -> str:
    """How a run ended in a word, and two more where it waits for nobody: "finished", "paused: its reader left".

    ``otherwise`` stands for a run without an end.
    """
    stopped = {"stopped": ": stopped", "left": ": its reader left"}.get(state.paused, "")
    return f"{state.outcome or otherwise}{stopped}"


def bill(state: State, live: bool = False) -> str:
    """What was billed, and what may be owed besides: "$0.0012 + 1 request in doubt".

    Of a ``live`` run the request under way is not in doubt.
    """
    cost, owed = cost_of(state), list(state.owed.values())
    doubts = [each for each in owed if not each.replied]
    if state.open_request and not live and not state.free:
        doubts.append(state.open)
    unpriced = [each for each in owed if each.replied]
    more: list[str] = []
    if doubts:
        more.append(counted(len(doubts), "request in doubt", "requests in doubt") + _amount("at most", doubts))
    if unpriced and (cost is not None or any(each.amount for each in unpriced)):
        more.append(
            counted(len(unpriced), "reply without a price", "replies without a price") + _amount("about", unpriced)
        )
    return (": " if cost is None else " + ").join([dollars(cost), *more])


def _amount(how: str, owed: Sequence[Owed]) -> str:
    """What may be owed for these, where that is known."""
    amounts = [each.amount for each in owed if each.amount is not None]
    return f" ({how} {dollars(sum(amounts, Decimal(0)))})" if amounts and len(amounts) == len(owed) else ""


def cost_of(state: State) -> Decimal | None:
    """US dollars billed so far: 0 when nothing can have been billed, None when something can and no bill has come."""
    unbilled = not (state.turns or state.requests_in_doubt or state.usage.tokens)
    return Decimal(0) if state.usage.cost is None and unbilled else state.usage.cost


def climb_of(state: State) -> Decimal | None:
    """US dollars that asking for the answer again has cost; None when a bill of that has not come."""
    costs = [Decimal(0) if state.free and cost is None else cost for cost in state.climb.values()]
    known = [cost for cost in costs if cost is not None]
    return sum(known, Decimal(0)) if len(known) == len(costs) else None


def how_answered(state: State) -> str:
    """How a typed answer came about, in one line; nothing where there is none, or the work brought it."""
    if state.accepted is None or not state.form:
        return ""
    parts = [
        f"answer by {state.form}",
        *([counted(state.tries, "try", "tries")] if state.tries else []),
        *([counted(state.repairs, "repair")] if state.repairs else []),
        *([f"{dollars(climb_of(state))} for asking again"] if state.tries > 1 else []),
    ]
    return " · ".join(parts)


def dollars(cost: Decimal | None) -> str:
    """A cost for people: at least two digits that are not zero; "cost unknown" when nobody said."""
    if cost is None:
        return "cost unknown"
    places = 2 if not cost or cost >= 1 else min(10, 1 - cost.adjusted())
    return f"${cost:.{max(2, places)}f}"


def counted(number: int, noun: str, nouns: str = "") -> str:
    """A number of things: "1 call", "2 calls"."""
    return f"{number} {noun if number == 1 else nouns or f'{noun}s'}"


def why_paused(state: State, reason: str) -> str:
    """What a run waits for that pauses in this state, as a sentence; ``reason`` is that of its RunPaused."""
    if reason in ("stopped", "interrupted"):
        return "it was stopped and can be resumed"
    if reason == "left":
        return "it was stopped because its reader left, and can be resumed"
    waits: list[str] = []
    for status, what in (("asked", "consent to"), ("doubt", "word on what became of")):
        calls = [f"{call.call.name} ({call.call.id})" for call in state.owed_calls() if call.status == status]
        waits += [f"{what} {', '.join(calls)}"] if calls else []
    return f"it waits for {' and for '.join(waits)}"


def pretty(value: Any) -> str:
    """JSON, given as bytes or values, on several lines; a mere text as it reads; bytes that are no JSON as they are."""
    raw = bytes(value) if isinstance(value, Raw | bytes) else msgspec.json.encode(value)
    try:
        decoded = msgspec.json.decode(raw)
        if b"\\u" in raw:  # written so by a provider, for no reader
            raw = msgspec.json.encode(decoded)
        return decoded if isinstance(decoded, str) else msgspec.json.format(raw, indent=2).decode()
    except (msgspec.DecodeError, RecursionError):
        return raw.decode("utf-8", "replace")


def typed(verb: str, *words: str) -> str:
    """The command ``outrider VERB ...`` for a shell that knows nothing of this process's variables, as after cron.

    In front of it stands where the runs are kept, and where requests are sent, to what server and by what habits,
    as far as that was set.
    """
    front = {"OUTRIDER_HOME": _whole(os.environ.get("OUTRIDER_HOME", ""))}
    if address := os.environ.get("OUTRIDER_JOURNAL"):
        front = {"OUTRIDER_JOURNAL": "" if _tells_password(address) else address}
    if verb == "resume":
        front["OUTRIDER_BASE_URL"] = os.environ.get("OUTRIDER_BASE_URL", "")  # else its key would go to another one
        front["OUTRIDER_HABITS"] = _whole(os.environ.get("OUTRIDER_HABITS", ""))
    said = [f"{name}={shlex.quote(value)}" for name, value in front.items() if value]
    return " ".join([*said, shlex.join(["outrider", verb, *words])])


def _tells_password(address: str) -> bool:
    user, at, _ = address.partition("://")[2].partition("@")
    return bool(at and ":" in user) or "password=" in address


def _whole(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path)) if path else ""


_HARMLESS = "\n\t\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"


def clean(text: str) -> str:
    """The text without anything that could steer a terminal: only what prints or joins, line ends and tabs."""
    return "".join(c if c.isprintable() or c in _HARMLESS else "\N{REPLACEMENT CHARACTER}" for c in text)
