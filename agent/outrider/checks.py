"""Checks: what an answer must pass besides fitting its type; functions of the user's own, which may send it back."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NoReturn, TypeVar, get_type_hints

from msgspec import Struct

from outrider import events as e
from outrider.errors import SetupError
from outrider.messages import UserMessage, printable, to_wire
from outrider.state import State
from outrider.threads import slots, start_in_thread
from outrider.tool import Context, Tool, ToolError, is_async
from outrider_prompts import say

Deps = TypeVar("Deps")
Out = TypeVar("Out")
T = TypeVar("T")

Maybe = T | None | Awaitable[T | None]
Check = Callable[[Out], Maybe[Out]] | Callable[[Out, Context[Deps]], Maybe[Out]]
"""Takes an answer, and a Context if it wants one; raises ValueError, AssertionError or ToolError to say no."""


class Named(Struct, frozen=True):
    """A check, the name it has in the record, and whether it is handed a Context."""

    name: str
    function: Callable[..., Any]
    context: bool


def check_from(function: object) -> Named:
    """The check that this function is. Raises SetupError when it cannot be one."""
    if not callable(function) or isinstance(function, type | Tool):
        kind = "class" if isinstance(function, type) else "tool"
        shown = f"the {kind} {function.__name__}" if isinstance(function, type) else f"{function!r:.60}"
        raise SetupError(f"a check is {shown}", "Give a function that takes the answer: agent.checked(function).")
    name = _name(function)
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        raise SetupError(f"the check {name} does not say what it takes", "Wrap it: def check(answer): ...") from None
    wanted = [each for each in parameters if each.default is each.empty and each.kind is not each.VAR_KEYWORD]
    places = [each for each in wanted if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    some = any(each.kind is each.VAR_POSITIONAL for each in wanted)
    if any(each.kind is each.KEYWORD_ONLY for each in wanted) or len(places) > 2 or not (places or some):
        raise SetupError(
            f"the check {name} takes {', '.join(map(str, wanted)) or 'nothing'}",
            "A check takes the answer, and a Context if it wants one: def check(answer, context): ...",
        )
    if len(places) == 2:
        _check_hint(name, function, places[1].name)
    return Named(name, function, len(places) == 2)


def _check_hint(name: str, function: Callable[..., Any], parameter: str) -> None:
    plain = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004
    try:
        hint = get_type_hints(plain).get(parameter, Context)
    except (NameError, TypeError, AttributeError, SyntaxError):  # it has none, or names what is there for checkers only
        return
    kind = getattr(hint, "__origin__", hint)
    if isinstance(kind, type) and kind is not object and not issubclass(kind, Context):
        raise SetupError(
            f"the check {name} takes {parameter}: {kind.__name__}",
            f"What comes after the answer is a Context: {parameter}: Context[...], whose deps are those of the run.",
        )


def _name(function: object) -> str:
    inner = getattr(function, "func", function)  # of functools.partial
    return getattr(inner, "__name__", type(inner).__name__)


class Checks:
    """An agent's checks as one run has them, with what they are handed."""

    def __init__(self, checks: Sequence[Named], deps: Any, agent: str) -> None:
        self._checks = checks
        self._deps = deps
        self._agent = agent

    async def objection(self, answer: Any, state: State, last: bool) -> e.OutputRejected | None:
        """The first no of a check; ``last`` is whether the run then ends. Raises whatever else a check raises."""
        context = Context(self._deps, state.run, attempt=state.rejections + 1, agent=self._agent)
        for check in self._checks:
            if (reason := await _reason(check, answer, context)) is not None:
                return _rejected(check.name, reason, last)
        return None


async def _reason(check: Named, answer: Any, context: Context[Any]) -> str | None:
    """Why the check says no, in its own words, which may be none; None when it has nothing against the answer."""
    try:
        value = await _call(check, answer, context)
    except (ValueError, AssertionError, ToolError) as no:
        return printable(str(no)).strip()
    except (asyncio.CancelledError, KeyboardInterrupt, SystemExit) as error:
        if isinstance(error, asyncio.CancelledError) and (task := asyncio.current_task()) and task.cancelling():
            raise
        raise RuntimeError(f"the check {check.name} raised {type(error).__name__}") from error  # of its own accord
    except Exception as error:
        error.add_note(f"raised by the check {check.name}")
        raise
    if value is not None and value is not answer:
        _no_value(check.name, value)
    return None


async def _call(check: Named, answer: Any, context: Context[Any]) -> Any:
    given = (answer, context) if check.context else (answer,)
    if is_async(check.function):
        return await check.function(*given)
    async with slots():
        value = await start_in_thread(lambda: check.function(*given))
    return await value if inspect.isawaitable(value) else value


def _no_value(name: str, value: object) -> NoReturn:
    raise TypeError(
        f"the check {name} returned {value!r:.60}: it has to return None, or the answer as it was given; "
        "to say no it raises ValueError with the reason"
    )


def _rejected(check: str, reason: str, last: bool) -> e.OutputRejected:
    told = to_wire(UserMessage(say("answer_checked", check=check, reason=reason)))
    return e.OutputRejected((reason or "it gave no reason",), told, "rejected" if last else None, check)
