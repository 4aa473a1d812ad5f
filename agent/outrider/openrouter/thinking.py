"""Whether a request thinks, and how that is said."""

from typing import Any

from outrider.errors import SetupError
from outrider.model import Ask
from outrider.openrouter.fit import must_think
from outrider.openrouter.habits import Habits, habits_of
from outrider.openrouter.ranges import check_thinking
from outrider.openrouter.settings import Settings, Thinking


def thinking_for(model: str, settings: Settings, ask: Ask) -> Thinking:
    """How this request thinks: off, on, an effort, a budget; None where nothing is said about it.

    Raises SetupError when a function of the settings gives anything else.
    """
    wanted = settings.thinking
    if callable(wanted):
        wanted = wanted(ask)
        check_thinking("what thinking() returned", wanted)
    if wanted is None:
        return None
    name = ask.detour.model or model
    if ask.detour.plain:
        wanted = False
    elif wanted == "auto":
        wanted = _auto(habits_of(name, settings.habits), settings, ask)
    return wanted


def kept_on(thinking: Thinking, model: str, settings: Settings, ask: Ask) -> Thinking:
    """The same, but not switched off where the model refuses that, as the server has just said or a list does."""
    off = thinking is not None and not thinks(thinking)
    return True if off and (ask.detour.think or must_think(model, settings)) else thinking


def _auto(habits: Habits, settings: Settings, ask: Ask) -> bool:
    """On while working, off while answering, and off where this model cannot think with what is set."""
    most = min(known) if (known := [each for each in (ask.most, settings.max_tokens) if each]) else None
    return (
        ask.phase == "work"
        and (habits.greedy or settings.temperature != 0)
        and (habits.thinks_with_format or ask.format is None)
        and (most is None or most >= habits.least_tokens)
    )


def thinks(thinking: Thinking) -> bool:
    """Whether a model that can think does; where nothing is said it is taken to."""
    return thinking not in (False, "none")


def reasoning(thinking: Thinking, thoughts: str, habits: Habits) -> dict[str, Any] | None:
    """The field ``reasoning`` of a body; None leaves it out."""
    if thinking is None:
        return None
    if isinstance(thinking, bool):
        by_effort: dict[str, Any] = {"effort": "medium" if thinking else "none"}
        sent = {"enabled": thinking} if habits.switch == "enabled" else by_effort
    else:
        sent = {"effort": thinking} if isinstance(thinking, str) else {"max_tokens": thinking}
    if not thinks(thinking) or thoughts == "whole":
        return sent
    return sent | ({"exclude": True} if thoughts == "none" else {"summary": thoughts})


def check_greedy(model: str, settings: Settings) -> None:
    """Raises SetupError when the settings ask a model to think at temperature 0 that cannot."""
    said = settings.thinking
    explicit = said is True or (isinstance(said, str | int) and said not in (False, "none", "auto"))
    if settings.temperature == 0 and explicit and not habits_of(model, settings.habits).greedy:
        raise SetupError(
            f"thinking is {said!r} and temperature is 0: {model} then goes round in circles",
            'Leave one of them out; with thinking="auto" (the default) it does not think at temperature 0.',
        )
