"""What ``@tool`` may be told, and what of it makes no sense."""

from collections.abc import Callable, Mapping
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, TypedDict, get_args

from outrider.errors import SetupError, did_you_mean
from outrider.messages import Effect, Repeat, Trust
from outrider.schema import Schema
from outrider.state import State

if TYPE_CHECKING:
    from pydantic import BaseModel


class Options(TypedDict, total=False):
    """What ``@tool`` may be told; each is described at the field of ``Tool`` that has its name."""

    name: str
    description: str
    parameters: "type[BaseModel] | Mapping[str, Any]"
    effect: Effect
    repeat: Repeat
    trust: Trust
    timeout: float | None
    max_result: int
    alone: bool
    polls: bool
    approve: bool
    doubt: Literal["ask", "tell"]
    sinks: tuple[str, ...]
    place: str
    when: Callable[[Any, State], bool] | None


_CHOICES = {
    "effect": get_args(Effect),
    "repeat": get_args(Repeat),
    "trust": get_args(Trust),
    "doubt": ("ask", "tell"),
}


_NUMBERS = ("timeout", "max_result")
_KINDS: dict[str, tuple[type, ...]] = {
    "timeout": (int, float, NoneType),
    "max_result": (int,),
    "alone": (bool,),
    "polls": (bool,),
    "approve": (bool,),
    "sinks": (tuple, list),
    "place": (str,),
}


def check_options(name: str, schema: Schema, options: Mapping[str, Any]) -> None:
    """Raises SetupError for options of the tool ``name`` that there are not, or that cannot be."""
    for option, value in options.items():
        if option not in Options.__annotations__:
            raise SetupError(f"{name}: @tool has no option {option!r}", did_you_mean(option, Options.__annotations__))
        if option in _CHOICES and value not in _CHOICES[option]:
            raise SetupError(f"{name}: {option} is {value!r}", f"It can be {' or '.join(_CHOICES[option])}.")
        if option in _KINDS and not isinstance(value, _KINDS[option]):
            wanted = " or ".join(kind.__name__.removesuffix("Type") for kind in _KINDS[option])
            raise SetupError(f"{name}: {option} is {value!r}", f"It has to be {wanted}.")
        if option in _NUMBERS and value is not None and not value > 0:
            raise SetupError(f"{name}: {option} is {value}", "Give a number above 0.")
    known = schema.get("properties", {})
    for sink in options.get("sinks", ()):
        if sink not in known:
            raise SetupError(f"{name}: there is no parameter {sink!r} to be a sink", did_you_mean(sink, known))
