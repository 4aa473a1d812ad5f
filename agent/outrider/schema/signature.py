"""A function's signature, type hints and docstring -> what a model is told of its parameters."""

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property, partial
from types import FrameType, FunctionType, MethodType, NoneType, SimpleNamespace
from typing import Annotated, Any, NoReturn, NotRequired, TypeVar, cast, get_args, get_origin, get_type_hints

from msgspec import Struct

from outrider.errors import SetupError
from outrider.schema.check import Schema, TypeChecker

Function = Callable[..., Any]


class Signature(Struct, frozen=True):
    """What a function wants to be given, and what its docstring says.

    ``fields`` are the type hints of the parameters a model is told of; ``notes`` what is known of each
    besides its type: description and default. ``hidden`` names the parameters kept from the model.
    ``description`` is the docstring without its sections on parameters and errors.
    """

    name: str
    description: str
    fields: dict[str, Any]
    notes: dict[str, Schema]
    hidden: tuple[str, ...]
    wants: str = ""
    """The type that a hidden parameter's class must be filled with; empty where nothing will do."""


class _Arguments(TypeChecker[dict[str, Any]]):
    """Checks keyword arguments. ``notes`` are the descriptions and defaults that are not in the types."""

    def __init__(self, kind: Any, notes: dict[str, Schema]) -> None:
        super().__init__(kind)
        self._notes = notes

    @cached_property
    def _schema(self) -> Schema:
        plain = super()._schema
        plain.pop("description", None)
        for name, note in self._notes.items():
            plain["properties"][name] = note | plain["properties"][name]
        return plain


def signature_of(function: Function, hidden: type | None = None) -> Signature:
    """Read the signature, hints and docstring (Google, NumPy or Sphinx style) of ``function``.

    Parameters annotated with the class ``hidden`` are kept back, those that ``functools.partial`` has filled
    in are left out. Raises SetupError naming the function and the parameter that cannot be told to a model.
    """
    name, plain = _unwrapped(function)
    description, said = _docstring(plain.__doc__ or "")
    fields: dict[str, Any] = {}
    notes: dict[str, Schema] = {}
    kept_back: list[str] = []
    wants = ""
    for parameter in _visible(function, name):
        hint = _hint(parameter, plain, name)
        if _is(hint, hidden):
            kept_back.append(parameter.name)
            wants = wants or _filling(hint)
        else:
            fields[parameter.name] = _field(parameter, hint, name)
            notes[parameter.name] = _note(parameter, hint, said.get(parameter.name, ""))
    return Signature(name, description, fields, notes, tuple(kept_back), wants)


def parameters_of(signature: Signature) -> TypeChecker[dict[str, Any]]:
    """The checker of a function's arguments, with its schema built: JSON object -> keyword arguments.

    Hints may be anything Pydantic has a JSON Schema for; ``Annotated[int, Field(ge=1)]`` and ``Annotated[int,
    "a description"]`` count. What the model leaves out is not in the value: the function's own default holds.
    Raises SetupError naming the function and the parameter when a hint has no JSON Schema.
    """
    checker = _Arguments(_typed_dict(signature.fields), signature.notes)
    try:
        _ = checker.schema
    except SetupError as error:
        _blame(signature, error)
    return checker


def _unwrapped(function: Function) -> tuple[str, FunctionType]:
    """The name of this callable, and the plain function whose docstring and globals are its own."""
    inner: Any = function
    while not isinstance(inner, FunctionType):
        if isinstance(inner, partial):
            inner = cast("partial[Any]", inner).func
        elif isinstance(inner, MethodType):
            inner = inner.__func__
        elif isinstance(call := inspect.getattr_static(cast(object, inner), "__call__", None), FunctionType):
            inner = call
        else:
            raise SetupError(
                f"{inner!r} cannot be a tool: it is no Python function",
                "Wrap it: def name(...): with type hints and a docstring.",
            )
    name = inner.__name__ if inner.__name__ != "__call__" else type(function).__name__
    return name, cast(FunctionType, inspect.unwrap(inner))


def _visible(function: Function, name: str) -> Iterator[inspect.Parameter]:
    filled = function.keywords if isinstance(function, partial) else {}
    for parameter in inspect.signature(cast(Function, function)).parameters.values():
        if parameter.name in filled:
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            _refuse(
                name,
                str(parameter),
                "takes any number of arguments",
                "Name each one, or take a list or a dict.",
            )
        if parameter.kind is parameter.POSITIONAL_ONLY:
            _refuse(name, parameter.name, "is positional-only", "Arguments come by name: take the '/' away.")
        if parameter.annotation is parameter.empty:
            first = parameter.name in ("self", "cls")
            say = f"Say what it takes, as in {parameter.name}: str."
            hint = "Decorate the bound method: tool(thing.method)." if first else say
            _refuse(name, parameter.name, "has no type hint", hint)
        yield parameter


def _hint(parameter: inspect.Parameter, function: FunctionType, name: str) -> Any:
    holder = SimpleNamespace(__annotations__={"it": parameter.annotation})
    try:
        hints = get_type_hints(holder, function.__globals__, _enclosing(function), include_extras=True)
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        _refuse(
            name,
            parameter.name,
            f"has a hint that means nothing: {error}",
            "Import the type where it is there at run time, not only under TYPE_CHECKING.",
        )
    return hints["it"]


def _enclosing(function: FunctionType) -> dict[str, Any]:
    """The local names of the functions that are being run and in which this one was written."""
    names: dict[str, Any] = {}
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame:
        inside = function.__qualname__.startswith(f"{frame.f_code.co_qualname}.")
        if inside and frame.f_globals is function.__globals__:
            names = {**frame.f_locals, **names}
        frame = frame.f_back
    return names


def _is(hint: Any, hidden: type | None) -> bool:
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    kind = get_origin(hint) or hint
    return hidden is not None and isinstance(kind, type) and issubclass(kind, hidden)


def _filling(hint: Any) -> str:
    """The X of a hint ``Context[X]``, in words; empty for one that may be None."""
    inside = get_args(get_args(hint)[0] if get_origin(hint) is Annotated else hint)
    if not inside or isinstance(inside[0], TypeVar) or inside[0] in (Any, object, None, NoneType):
        return ""
    optional = NoneType in get_args(inside[0])
    return "" if optional else inside[0].__name__ if isinstance(inside[0], type) else str(inside[0])


def _field(parameter: inspect.Parameter, hint: Any, name: str) -> Any:
    from pydantic.fields import FieldInfo

    inside = [extra for extra in _extras(hint) if isinstance(extra, FieldInfo)]
    if any(extra.alias or extra.validation_alias or extra.serialization_alias for extra in inside):
        _refuse(name, parameter.name, "has an alias", "Call the parameter what the model is to call it.")
    if any(not extra.is_required() for extra in inside) or isinstance(parameter.default, FieldInfo):
        better = f"Write {parameter.name}: Annotated[..., Field(...)] = default."
        _refuse(name, parameter.name, "has its default in Field, which a direct call would not see", better)
    return hint if parameter.default is parameter.empty else NotRequired[hint]


def _extras(hint: Any) -> tuple[Any, ...]:
    return get_args(hint)[1:] if get_origin(hint) is Annotated else ()


def _note(parameter: inspect.Parameter, hint: Any, said: str) -> Schema:
    """The description and the default, where they are known and are JSON."""
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    text = next((extra for extra in _extras(hint) if isinstance(extra, str)), said)
    note: Schema = {"description": text} if text else {}
    if parameter.default is not parameter.empty:
        with suppress(PydanticSerializationError, UnicodeDecodeError):  # a marker of the function's own stays its own
            note["default"] = to_jsonable_python(parameter.default, inf_nan_mode="strings")
    return note


def _typed_dict(fields: dict[str, Any]) -> Any:
    """A TypedDict of these fields: unlike a model's, its keys have any name and may be missing."""
    from pydantic import ConfigDict, with_config
    from typing_extensions import TypedDict

    make = cast(Callable[[str, dict[str, Any]], type], TypedDict)
    return with_config(ConfigDict(extra="forbid"))(make("Arguments", fields))


def _blame(signature: Signature, error: SetupError) -> NoReturn:
    for parameter, hint in signature.fields.items():
        try:
            _ = TypeChecker(_typed_dict({parameter: hint})).schema
        except SetupError as own:
            reason = own.message.rpartition(" has no JSON Schema: ")[2]
            what = f"{signature.name}: parameter {parameter!r} has no JSON Schema: {reason}"
            raise SetupError(what, own.hint) from None  # pydantic's way to it would only hide the line
    raise error


def _refuse(name: str, parameter: str, what: str, hint: str) -> NoReturn:
    raise SetupError(f"{name}: parameter {parameter!r} {what}", hint)


def _docstring(text: str) -> tuple[str, dict[str, str]]:
    """The description, with what it returns and examples, and that of each parameter."""
    from docstring_parser import parse

    parsed = parse(text)
    parts = [parsed.description or ""]
    if parsed.returns and parsed.returns.description:
        parts.append(f"Returns: {parsed.returns.description}")
    parts += [f"Example: {example.snippet or example.description}" for example in parsed.examples]
    notes = {parameter.arg_name: parameter.description or "" for parameter in parsed.params}
    return "\n\n".join(part.strip() for part in parts if part.strip()), notes
