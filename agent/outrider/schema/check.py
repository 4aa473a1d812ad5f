"""Checkers: JSON text against a Python type or a raw JSON Schema.

Two checkers with one face: ``TypeChecker`` for anything Pydantic understands, ``SchemaChecker`` for a JSON
Schema that somebody wrote down. Both take JSON text and give the value with its canonical JSON, or lines that
name the path, the value seen and the rule it breaks.
"""

from collections.abc import Collection, Mapping
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast, overload

import msgspec
from msgspec import Raw, Struct

from outrider.errors import SetupError
from outrider.schema.places import Faults, Place, misplaced, violated
from outrider.schema.problems import explain, violations

if TYPE_CHECKING:
    from jsonschema.protocols import Validator
    from pydantic import TypeAdapter

Schema = dict[str, Any]
"""A JSON Schema, as the dict that its JSON decodes to."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Checked(Struct, Generic[T_co], frozen=True):
    """A text that fits. ``canonical`` is its compact JSON, which checks to an equal value."""

    value: T_co
    canonical: Raw


class Mismatch(Struct, frozen=True):
    """A text that does not fit. ``problems`` says why, one line a problem."""

    problems: tuple[str, ...]


class Checker(Protocol[T_co]):
    """What JSON text is checked against."""

    @property
    def schema(self) -> Schema:
        """The JSON Schema. Built at first use; raises SetupError when there is none."""
        ...

    def check(self, text: str | bytes | Raw, sort: bool = True) -> Checked[T_co] | Mismatch:
        """The value this text stands for, or what is wrong with it. Raises SetupError as ``schema`` does.

        The keys of its canonical JSON are sorted, or in the order of the type: people read that one.
        """
        ...

    def read(self, text: str | bytes | Raw) -> T_co | Mismatch:
        """As ``check``, without the canonical JSON: half the work for a text checked before."""
        ...

    def faults(self, instance: object, unfinished: Collection[Place]) -> Faults:
        """The places in a decoded JSON value that may be cut off which do not fit; see ``places``."""
        ...


@overload
def checker_for(kind: type[T]) -> Checker[T]: ...
@overload
def checker_for(kind: Any) -> Checker[Any]: ...
def checker_for(kind: Any) -> Checker[Any]:
    """The checker of a type or of a raw JSON Schema (a dict).

    Types are Pydantic models, dataclasses, TypedDicts, enums, unions, ``list[...]``, primitives and whatever
    else Pydantic describes. Costs nothing: the schema is built at first use, and once for each class.
    """
    if isinstance(kind, Mapping):
        return SchemaChecker(cast(Mapping[str, Any], kind))
    return _checker_of_class(cast(type[Any], kind)) if isinstance(kind, type) else TypeChecker[Any](kind)


@lru_cache(maxsize=256)
def _checker_of_class(kind: type[T]) -> "TypeChecker[T]":
    return TypeChecker(kind)


class TypeChecker(Generic[T]):
    """Checks against a Python type, as Pydantic does in its lax mode.

    Lax means that ``"3"`` passes for the integer 3: models write that. The canonical JSON then says 3.
    """

    def __init__(self, kind: Any) -> None:
        self.kind = kind

    @cached_property
    def _adapter(self) -> "TypeAdapter[T]":
        from pydantic import TypeAdapter
        from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError

        try:
            return TypeAdapter(self.kind)
        except (PydanticUserError, PydanticUndefinedAnnotation, TypeError) as error:
            raise _no_schema(self.kind, error) from None

    @property
    def schema(self) -> Schema:
        """The JSON Schema, without titles. Raises SetupError when the type has none."""
        return self._schema

    @cached_property
    def _schema(self) -> Schema:
        from pydantic.errors import PydanticUserError

        from outrider.schema.generate import Describing, tidy

        try:
            return tidy(self._adapter.json_schema(schema_generator=Describing))
        except PydanticUserError as error:
            raise _no_schema(self.kind, error) from None

    def check(self, text: str | bytes | Raw, sort: bool = True) -> Checked[T] | Mismatch:
        """The value this text stands for with its canonical JSON, or what is wrong with it."""
        instance = _decode(text)
        value = self._validate(text, instance)
        return value if isinstance(value, Mismatch) else Checked(value, self._canonical(value, instance, sort))

    def read(self, text: str | bytes | Raw) -> T | Mismatch:
        """The value this text stands for, or what is wrong with it."""
        return self._validate(text, _decode(text))

    def faults(self, instance: object, unfinished: Collection[Place]) -> Faults:
        """The places in a decoded JSON value that may be cut off which do not fit."""
        from pydantic_core import ValidationError, to_json

        try:
            self._adapter.validate_json(to_json(instance))
        except ValidationError as error:
            return misplaced(error, instance, unfinished)
        except Exception as error:  # noqa: BLE001 - a validator of the user's own that fails on what a model wrote
            return {(): type(error).__name__}
        return {}

    def _validate(self, text: str | bytes | Raw, instance: Any) -> T | Mismatch:
        from pydantic_core import ValidationError

        if isinstance(instance, Mismatch):
            return instance
        try:
            return self._adapter.validate_json(bytes(text) if isinstance(text, Raw) else text)
        except ValidationError as error:
            return Mismatch(explain(error, instance))
        except Exception as error:  # noqa: BLE001 - a validator of the user's own that fails on what a model wrote
            return Mismatch((f"could not be checked: a validator failed with {type(error).__name__}",))

    def _canonical(self, value: T, instance: Any, sort: bool) -> Raw:
        """The JSON of the value or, where that does not lead back to it, of what was written.

        Secrets, NaN and validators that change what they see are such cases.
        """
        try:
            dumped = self._adapter.dump_json(value, by_alias=True, round_trip=True, warnings=False)
            if self._adapter.validate_json(dumped) == value:
                return _compact(msgspec.json.decode(dumped), sort)
        except Exception:  # noqa: BLE001 - the user's serializers and validators may raise anything
            pass
        return _compact(instance, sort)


def _no_schema(kind: Any, error: Exception) -> SetupError:
    name = getattr(kind, "__qualname__", None) or str(kind)
    reason = str(error).partition("\n")[0].partition(". ")[0]
    return SetupError(
        f"{name} has no JSON Schema: {reason}",
        "Use Pydantic models, dataclasses, typing_extensions.TypedDict, enums, lists, dicts or primitives.",
    )


class SchemaChecker:
    """Checks against a raw JSON Schema: Draft 2020-12, or the draft that its ``$schema`` names."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._given = schema

    @property
    def schema(self) -> Schema:
        """A copy of the schema, checked. Raises SetupError when it is not valid, or refers outside itself."""
        return cast(Schema, self._validator.schema)

    @cached_property
    def _validator(self) -> "Validator":
        from outrider.schema.raw import validator

        return validator(self._given)

    def problems(self, instance: object) -> tuple[str, ...]:
        """What is wrong with a decoded JSON value; empty when it fits."""
        errors = self._validator.iter_errors(cast(Any, instance))  # pyright: ignore[reportUnknownMemberType]
        try:
            return violations(errors)
        except RecursionError:
            return ("$: nested too deeply, or the schema refers to itself without end",)

    def faults(self, instance: object, unfinished: Collection[Place]) -> Faults:
        """The places in a decoded JSON value that may be cut off which do not fit."""
        errors = self._validator.iter_errors(cast(Any, instance))  # pyright: ignore[reportUnknownMemberType]
        try:
            return violated(errors, unfinished)
        except RecursionError:
            return {(): "nested too deeply"}

    def check(self, text: str | bytes | Raw, sort: bool = True) -> Checked[Any] | Mismatch:
        """The decoded JSON value with its canonical JSON, or what is wrong with it; unsorted keys stay as written."""
        value = self.read(text)
        return value if isinstance(value, Mismatch) else Checked(value, _compact(value, sort))

    def read(self, text: str | bytes | Raw) -> Any:
        """The decoded JSON value, or a Mismatch."""
        instance = _decode(text)
        if not isinstance(instance, Mismatch) and (problems := self.problems(instance)):
            return Mismatch(problems)
        return instance


def check_schema(schema: Mapping[str, Any]) -> SchemaChecker:
    """The checker of a raw JSON Schema, built now.

    Raises SetupError naming the path when the schema is not valid, and naming the reference when a ``$ref``
    leads outside it: nothing is ever fetched.
    """
    checker = SchemaChecker(schema)
    _ = checker.schema
    return checker


# ------------------------------------------------------------------------------------------------- JSON


def _decode(text: str | bytes | Raw) -> Any:
    """The decoded JSON, or a Mismatch. Stricter than Pydantic's parser: NaN and Infinity are no JSON."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError) as error:
        return Mismatch((_malformed(text, str(error).removeprefix("JSON is malformed: ")),))
    except RecursionError:
        return Mismatch(("not valid JSON: nested too deeply",))


def _malformed(text: str | bytes | Raw, reason: str) -> str:
    whole = (text if isinstance(text, str) else bytes(text).decode("utf-8", "replace")).strip()
    if not whole:
        return "no JSON: nothing at all"
    start = repr(whole if len(whole) <= 40 else f"{whole[:40]}...")
    if whole[0] not in '{["-0123456789':  # words: where in them a parser gave up helps nobody
        return f"no JSON: {start}"
    if reason == "Input data was truncated":
        reason = "it ends too soon"
    return f"not valid JSON: {reason}; it begins with {start}"


def _compact(value: Any, sort: bool) -> Raw:
    return Raw(msgspec.json.encode(value, order="sorted" if sort else None))
