"""Which ways of asking for an answer a model is known not to take: by its habits, and by what its providers list."""

from typing import Any

from outrider.model import Ask
from outrider.openrouter.body import asked_body, listed, looked_at
from outrider.openrouter.catalogue import open_to, takes_all
from outrider.openrouter.habits import Habits, habits_of
from outrider.openrouter.lists import asks
from outrider.openrouter.plugins import is_healing
from outrider.openrouter.settings import Settings
from outrider.openrouter.thinking import thinking_for, thinks
from outrider.rungs import RUNGS

_FORM = ("response_format", "tools", "tool_choice")


def lacking(model: str, settings: Settings, ask: Ask) -> str:
    """Why such a request is known not to be taken, as a clause; "" where it may be.

    What is kept of the model's providers counts, as far as the request may go to them, and the model's habits. That a
    model takes tools and a form at once stands in no list, so only its habits can say so.
    """
    model = ask.detour.model or model
    habits = habits_of(model, settings.habits)
    if ask.heal:
        return _cannot_heal(settings)
    if ask.tools is not None and ask.format is not None and (why := _apart(habits, model, settings, ask)):
        return why
    if habits.rungs and ask.rung not in habits.rungs:
        return f"by its habits {model} is asked in other ways"
    return _unlisted(model, settings, ask) if listed(model, settings) else ""


def _cannot_heal(settings: Settings) -> str:
    if any(is_healing(each) for each in settings.plugins):
        return "it is asked to mend replies anyway"
    return "" if asks(settings) else "the server is not known to mend replies"


def _apart(habits: Habits, model: str, settings: Settings, ask: Ask) -> str:
    if not habits.tools_with_format:
        return f"{model} is not known to take tools and a form in one request"
    working = Ask(ask.phase, ask.session, ask.tools, turn=ask.turn, detour=ask.detour)
    if not habits.thinks_with_format and thinks(thinking_for(model, settings, working)):
        return f"{model} cannot think where it is given a form"
    return ""


def _unlisted(model: str, settings: Settings, ask: Ask) -> str:
    """Why none of the listed providers takes the request, if it is for the way of asking."""
    body = looked_at(asked_body(model, settings, ask, thinking_for(model, settings, ask)) | settings.extra)
    left = open_to(listed(model, settings), body)
    if not left or any(each.parameters is None for each in left):
        return ""
    if any(takes_all(each, body) for each in left):
        return ""
    need = RUNGS[ask.rung].needs
    takers = [each for each in left if not need or each.takes(need)]
    plain: dict[str, Any] = {name: value for name, value in body.items() if name not in _FORM}
    rest = any(takes_all(each, plain) for each in left)
    if takers and not rest:  # it is for something else that none is sure to take the request
        return ""
    return f"no provider of {model} is listed that takes {need}{' with the rest of the request' if takers else ''}"
