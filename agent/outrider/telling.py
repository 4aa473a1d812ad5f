"""How a run is told: its figures, its bill, what it waits for, and texts that cannot steer a terminal."""

from decimal import Decimal

from outrider.state import State


def figures(state: State) -> str:
    """Requests, calls, tokens, dollars and seconds of a run, in one line."""
    parts = [
        _count(state.requests, "request"),
        _count(state.tool_calls, "tool call"),
        f"{state.usage.tokens} tokens",
        dollars(cost_of(state)),
        f"{state.seconds:.1f} s",
    ]
    if state.requests_in_doubt:
        parts.insert(1, f"{state.requests_in_doubt} in doubt")
    return " · ".join(parts)


def cost_of(state: State) -> Decimal | None:
    """US dollars as billed: 0 when no reply and no doubt could have a bill, None when nobody said."""
    unbilled = not (state.turns or state.requests_in_doubt or state.usage.tokens)
    return Decimal(0) if state.usage.cost is None and unbilled else state.usage.cost


def dollars(cost: Decimal | None) -> str:
    """A cost for people: at least two digits that are not zero; "cost unknown" when nobody said."""
    if cost is None:
        return "cost unknown"
    places = 2 if not cost or cost >= 1 else min(10, 1 - cost.adjusted())
    return f"${cost:.{max(2, places)}f}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def why_paused(state: State, reason: str) -> str:
    """What a run waits for that pauses in this state, as a sentence; ``reason`` is that of its RunPaused."""
    if reason in ("stopped", "interrupted"):
        return "it was stopped and can be resumed"
    waits: list[str] = []
    for status, what in (("asked", "consent to"), ("doubt", "word on what became of")):
        calls = [f"{call.call.name} ({call.call.id})" for call in state.owed_calls() if call.status == status]
        waits += [f"{what} {', '.join(calls)}"] if calls else []
    return f"it waits for {' and for '.join(waits)}"


_HARMLESS = "\n\t\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"


def clean(text: str) -> str:
    """The text without anything that could steer a terminal: only what prints or joins, line ends and tabs."""
    return "".join(c if c.isprintable() or c in _HARMLESS else "\N{REPLACEMENT CHARACTER}" for c in text)
