"""Tools: plain functions, with what a model is told of them and what the framework must know about them."""

import inspect
from collections.abc import Callable, Mapping
from types import FunctionType, ModuleType
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    ParamSpec,
    TypeVar,
    Unpack,
    cast,
    get_args,
    overload,
)

import msgspec
from msgspec import Raw, Struct

from outrider.errors import Mistaken, SetupError, put_off
from outrider.messages import Effect, Repeat, Trust
from outrider.options import Options, check_options
from outrider.schema import (
    Checked,
    Checker,
    Mismatch,
    Schema,
    Signature,
    check_schema,
    checker_for,
    parameters_of,
    signature_of,
    wire_name,
)
from outrider.state import State

if TYPE_CHECKING:
    from pydantic import BaseModel

P = ParamSpec("P")
R = TypeVar("R")
Deps = TypeVar("Deps")

BadArguments = Mismatch
"""Arguments that do not fit; ``problems`` says why, one line a problem."""


class ToolError(Exception):
    """Raised by a tool to say something to the model; its text is the result of the call."""


class Context(Struct, Generic[Deps], frozen=True):
    """What a tool may ask for and the model never sees: a parameter with the hint ``Context[X]`` receives it.

    ``deps`` are the dependencies given to the run. ``key`` names the effect of this call and stays the same
    over retries and resumes: hand it on as an idempotency key. ``attempt`` counts from 1. A check of an answer gets
    one without ``call`` and ``key``; its ``attempt`` is one more than the answers rejected so far.
    """

    deps: Deps
    run: str = ""
    call: str = ""
    key: str = ""
    attempt: int = 1
    agent: str = ""


class Tool(Struct, Generic[P, R], frozen=True, kw_only=True, eq=False):
    """A function that a model may call. Make one with ``@tool``; calling it calls the function itself."""

    function: Callable[P, R]
    name: str
    """What people call it: the function's name unless another is given. Any characters will do."""
    description: str
    """What the model is told it does: the docstring unless another is given."""
    parameters: Schema
    """The JSON Schema of its arguments."""
    wire: Raw
    """The JSON that offers it to a model."""
    digest: str
    """Sixteen digits that change when ``wire`` does."""
    is_async: bool
    effect: Effect = "write"
    """What it does to the world. "read" only looks; one that takes a URL sends data out: "egress"."""
    repeat: Repeat = "never"
    """Whether a call whose outcome is unknown may run again. "safe" for reads unless said otherwise."""
    trust: Trust = "untrusted"
    """Whether its results may be followed as instructions."""
    timeout: float | None = 60.0
    """Seconds one call may take."""
    max_result: int = 20_000
    """Characters of a result that the model gets to see."""
    alone: bool = False
    """Whether its calls never run beside others."""
    polls: bool = False
    """Whether it is there to be asked again and again: equal calls with equal results are then no loop."""
    approve: bool = False
    """Whether each call needs a person's consent."""
    doubt: Literal["ask", "tell"] = "ask"
    """What to do when a call that may not be repeated is in doubt: ask a person, or tell the model."""
    sinks: tuple[str, ...] = ()
    """The parameters through which data would leave or do harm."""
    place: str = ""
    """Where it works, such as a folder: a run that goes on with a tool of another place is told so."""
    when: Callable[[Any, State], bool] | None = None
    """Whether it is on offer, given the run's dependencies and state; None: always."""
    checker: Checker[Any]
    """What arguments are checked against."""
    whole: str = ""
    """The one parameter that takes all arguments together, for tools made with ``parameters=``."""
    context: tuple[str, ...] = ()
    """The parameters that get the Context."""
    wants: str = ""
    """The type of the dependencies that it cannot do without, as its Context has it; empty where there is none."""

    def __repr__(self) -> str:
        return f"<tool {self.name}>"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself: nothing is checked, bounded or recorded."""
        return self.function(*args, **kwargs)

    @property
    def wire_name(self) -> str:
        """The name the model calls it by; ``name`` itself where the wire allows it."""
        return wire_name(self.name)

    @property
    def __wrapped__(self) -> Callable[P, R]:
        return self.function

    def check(self, arguments: str | bytes | Raw) -> Checked[Any] | BadArguments:
        """Check the arguments as the model wrote them; an empty text stands for no arguments.

        Numbers given as strings pass where the type asks for numbers; ``canonical`` has them as numbers.
        """
        return self.checker.check(_or_none(arguments))

    def bind(self, arguments: str | bytes | Raw, context: Context[Any]) -> dict[str, Any]:
        """The keyword arguments of one call. Raises ToolError when the arguments do not fit."""
        value = self.checker.read(_or_none(arguments))
        if isinstance(value, BadArguments):
            raise ToolError("; ".join(value.problems))
        given: dict[str, Any] = {self.whole: value} if self.whole else value
        return given | dict.fromkeys(self.context, context)

    def invoke(self, arguments: str | bytes | Raw, context: Context[Any]) -> R:
        """Call the function with arguments in JSON; the result is awaitable when ``is_async``.

        Raises ToolError when the arguments do not fit, and whatever the function raises.
        """
        call = cast(Callable[..., R], self.function)
        return call(**self.bind(arguments, context))

    def render(self, value: object) -> str:
        """A result as the model reads it: text as it is, anything else as compact JSON.

        None is "null", or "done" when the function is declared to return nothing. Raises ToolError naming the
        type when there is no JSON for it.
        """
        if isinstance(value, str):
            return str(value)
        if value is None:
            hints = getattr(inspect.unwrap(self.function), "__annotations__", {})
            return "done" if hints.get("return", "") in (None, "None") else "null"
        from pydantic_core import PydanticSerializationError, to_json

        try:
            return to_json(value, by_alias=True, fallback=msgspec.to_builtins, inf_nan_mode="strings").decode()
        except (PydanticSerializationError, RecursionError, ValueError) as error:
            kind = type(value).__qualname__
            reason = str(error).removeprefix("Error serializing to JSON: ")
            raise ToolError(f"{self.name} ran, but its result of type {kind} cannot be shown: {reason}") from error


def _or_none(arguments: str | bytes | Raw) -> str | bytes:
    text = bytes(arguments) if isinstance(arguments, Raw) else arguments
    return text if text.strip() else "{}"


@overload
def tool(function: Callable[P, R], /, **options: Unpack[Options]) -> Tool[P, R]: ...
@overload
def tool(**options: Unpack[Options]) -> Callable[[Callable[P, R]], Tool[P, R]]: ...
def tool(
    function: Callable[P, R] | None = None, /, **options: Unpack[Options]
) -> Tool[P, R] | Callable[[Callable[P, R]], Tool[P, R]]:
    """Make a tool of a function, sync or async; it stays callable as it was.

        @tool
        def weather(city: str) -> str:
            \"\"\"Tomorrow's weather for a city.\"\"\"

        @tool(effect="read", timeout=5)
        async def look_up(word: str, context: Context[Dictionary]) -> list[str]: ...

    The model is told what signature and docstring say. ``parameters`` says it instead, as a Pydantic model or
    as a raw JSON Schema of an object; the function then has one parameter (besides a Context), which gets the
    instance of the model, or the dict:

        @tool(parameters=Order)
        def buy(order: Order) -> str: ...

        @tool(parameters={"type": "object", "properties": {"city": {"type": "string"}}})
        def weather(arguments: dict[str, Any]) -> str: ...

    Bound methods and ``functools.partial`` objects work: ``tool(shop.buy)``. The options:

    - ``name``: what it is called; default: the function's name.
    - ``description``: what the model is told it does; default: the docstring.
    - ``parameters``: a Pydantic model or a JSON Schema, instead of the signature.
    - ``effect``: "read" only looks, "write" (default) changes something, "egress" sends data out.
    - ``repeat``: may a call run again whose outcome is unknown? "safe" (default for reads), "with_key", or "never".
    - ``trust``: "untrusted" (default): its results are data; "trusted": they may be followed as instructions.
    - ``timeout``: seconds one call may take, default 60; None: any time.
    - ``max_result``: characters of a result that the model gets to see, default 20000.
    - ``alone``: its calls never run beside others; default False.
    - ``polls``: it is there to be asked again and again, and equal results are no loop; default False.
    - ``approve``: each call needs a person's consent; default False.
    - ``doubt``: a call that may not be repeated is in doubt: "ask" (default) a person, or "tell" the model.
    - ``sinks``: the parameters through which data would leave or do harm; default ().
    - ``place``: where it works, such as a folder's whole path, for the record; default "".
    - ``when``: whether it is on offer, a function of the run's dependencies and state; default: always.

    Raises SetupError naming the function and parameter when something has no JSON Schema, a default does not fit
    its hint, or an option makes no sense.
    """
    if function is None:
        return lambda function: _made(function, options)
    return _made(function, options)


def as_tool(function: Callable[P, R]) -> Tool[P, R]:
    """This tool, or the tool that ``@tool`` makes of this function: made once for each function."""
    if isinstance(function, Tool):
        return cast(Tool[P, R], function)
    if isinstance(function, Mistaken):
        raise function.error
    if not isinstance(function, FunctionType):
        return tool(function)
    made = function.__dict__.get("__outrider_tool__")
    if made is None or made.function is not function:  # functools.wraps copies the dict
        made = function.__dict__["__outrider_tool__"] = tool(function)
    return made


def _made(function: Callable[P, R], options: Options) -> Tool[P, R]:
    try:
        return _make(function, options)
    except SetupError as error:
        if not put_off.get():
            raise
        return cast(Tool[P, R], Mistaken(error))


def _make(function: Callable[P, R], options: Options) -> Tool[P, R]:
    from hashlib import sha256

    _check_kind(function)
    signature = signature_of(function, hidden=Context)
    checker, whole = _checker(signature, options.get("parameters"))
    if not whole:
        _check_defaults(function, signature)
    name = options.get("name", signature.name)
    if name == "<lambda>":
        raise SetupError("a lambda has no name to call it by", "Give one: tool(..., name=...), or write a def.")
    if not isinstance(name, str) or not name.strip():  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SetupError(f"{signature.name}: name is {name!r}", "Leave it out, or give a text.")
    rest = {key: value for key, value in options.items() if key not in ("name", "description", "parameters")}
    rest.setdefault("repeat", "safe" if rest.get("effect") == "read" else "never")
    check_options(name, checker.schema, rest)
    description = options.get("description", signature.description)
    offer = {"name": wire_name(name), "description": description, "parameters": checker.schema}
    wire = Raw(msgspec.json.encode({"type": "function", "function": offer}))
    return Tool(
        function=function,
        name=name,
        description=description,
        parameters=checker.schema,
        wire=wire,
        digest=sha256(wire).hexdigest()[:16],
        is_async=is_async(function),
        checker=checker,
        whole=whole,
        context=signature.hidden,
        wants=signature.wants,
        **cast(dict[str, Any], rest),
    )


def _checker(signature: Signature, given: "type[BaseModel] | Mapping[str, Any] | None") -> tuple[Checker[Any], str]:
    """What checks the arguments, and the parameter that takes all of them, if there is one."""
    if given is None:
        return parameters_of(signature), ""
    if len(signature.fields) != 1:
        raise SetupError(
            f"{signature.name}: with parameters= it must have one parameter, and has {len(signature.fields)}",
            "Let it take the model's instance, or the dict, and a Context if it needs one.",
        )
    try:
        checker = check_schema(given) if isinstance(given, Mapping) else checker_for(given)
        kind = checker.schema.get("type")
    except SetupError as error:
        raise SetupError(f"{signature.name}: parameters= cannot be used: {error.message}", error.hint) from error
    if kind != "object":
        raise SetupError(
            f"{signature.name}: parameters= describes no object",
            'Tools take objects: {"type": "object", ...}.',
        )
    return checker, next(iter(signature.fields))


def _check_defaults(function: Callable[..., Any], signature: Signature) -> None:
    """A default must fit its hint as a model's argument must, unless it is no JSON: a marker of the function's own."""
    given = inspect.signature(function).parameters
    for name, note in signature.notes.items():
        if "default" not in note:
            continue
        kind = get_args(signature.fields[name])[0]  # of NotRequired[kind]
        if type(given[name].default) is kind:
            continue
        wrong = checker_for(kind).read(msgspec.json.encode(note["default"]))
        if isinstance(wrong, Mismatch):
            what = f"the default of parameter {name!r} does not fit its hint"
            hint = f"Change the hint or the default; where nothing is a choice, {name}: ... | None = None."
            raise SetupError(f"{signature.name}: {what}: {wrong.problems[0].removeprefix('$: ')}", hint)


def _check_kind(function: object) -> None:
    if isinstance(function, Tool):
        raise SetupError(f"{function.name} is a tool already", "Make another: tool(it.function, ...).")
    name = getattr(function, "__name__", repr(function))
    if isinstance(function, ModuleType):
        inside = [each for each, value in vars(function).items() if isinstance(value, Tool)]
        hint = f"from {name} import {inside[0]}" if inside else f"from {name} import NAME, a function in it"
        raise SetupError(f"{name} is a module", f"Give a tool in it: {hint}")
    if isinstance(function, type):
        raise SetupError(f"{name} is a class", f"Make a function that takes it: @tool(parameters={name}).")
    if not callable(function) or isinstance(function, staticmethod):
        raise SetupError(f"{name} is no plain function", "Decorate functions; for methods: tool(thing.method).")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise SetupError(f"{name} yields, and a tool returns one result", "Return a list.")


def is_async(function: object) -> bool:
    """Whether calling it gives something to await."""
    call = getattr(function, "__call__", None)  # noqa: B004 - of an object that is called like a function
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)
