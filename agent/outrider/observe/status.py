"""The one line that says where a run is: what it does now, and what it has used of its limits."""

from decimal import Decimal

from msgspec import Struct

from outrider.messages import Limits
from outrider.state import State
from outrider.telling import dollars


class Now(Struct, frozen=True):
    """Where a run is. ``seconds`` were used at the time ``at`` (Unix seconds); ``again`` is when it asks again.

    ``doing`` is what it does in a few words, ``thought`` the end of what the model thinks or answers.
    """

    limits: Limits = Limits()
    turn: int = 0
    tokens: int = 0
    cost: Decimal | None = Decimal(0)
    seconds: float = 0.0
    at: float = 0.0
    again: float = 0.0
    doing: str = "getting ready"
    thought: str = ""


def now_of(state: State) -> Now:
    """Where the run of this state is."""
    replying = not state.calls and not state.over
    return Now(
        state.limits,
        state.turns + replying,
        state.usage.tokens,
        None if state.unpriced and state.usage.cost is None else state.usage.cost or Decimal(0),
        state.seconds,
        state.last_at,
        state.last_at + state.delay if state.delay and not state.open_request else 0.0,
        _doing(state),
    )


def _doing(state: State) -> str:
    if state.open_request:
        return "asking the model"
    running = [call.call.name for call in state.calls.values() if call.status == "started"]
    if len(running) == 1:
        return f"{running[0]} runs"
    return f"{len(running)} tools run: {', '.join(running)}" if running else ""


def status(now: Now, at: float) -> tuple[str, str]:
    """The line at the time ``at``, in full and in few words."""
    if not now.at:
        return now.doing, now.doing
    limits = now.limits
    seconds = int(now.seconds + max(0.0, at - now.at))
    doing = f"waiting {max(0.0, now.again - at):.1f} s to ask again" if now.again else now.doing
    full = [
        f"turn {_of(now.turn, limits.turns)}",
        f"{_of(f'{now.tokens:,}', _grouped(limits.tokens))} tokens",
        _of(dollars(now.cost), None if limits.dollars is None else dollars(limits.dollars)),
        f"{seconds} s{'' if limits.seconds is None else f' of {limits.seconds:g} s'}",
    ]
    few = [
        f"turn {_of(now.turn, limits.turns, '/')}",
        f"{now.tokens} tok",
        _of(dollars(now.cost), None if limits.dollars is None else f"{limits.dollars.normalize():f}", "/"),
        f"{_of(seconds, None if limits.seconds is None else f'{limits.seconds:g}', '/')} s",
    ]
    return _joined([*full, doing]), _joined([*few, doing])


def _of(used: object, allowed: object, word: str = " of ") -> str:
    return f"{used}" if allowed is None else f"{used}{word}{allowed}"


def _grouped(number: int | None) -> str | None:
    return None if number is None else f"{number:,}"


def _joined(parts: list[str]) -> str:
    return " · ".join(part for part in parts if part)
