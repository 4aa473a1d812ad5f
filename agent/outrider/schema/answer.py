"""What an answer has to be: a declared type, its name, and its schema as it is sent, with an object at the root."""

import re
from typing import Any, Generic, TypeVar, cast

from msgspec import Struct

from outrider.errors import SetupError
from outrider.schema.check import Checker, Schema, checker_for
from outrider.schema.walk import each

Out = TypeVar("Out")

WRAP = "answer"
"""Providers want an object at the root of a schema: any other type travels as the one property of an object."""


class Answer(Struct, Generic[Out], frozen=True):
    """A declared type: its ``name`` on the wire, its ``checker``, and the ``schema`` that is sent.

    ``wrapped``: the schema is that of an object whose property ``answer`` is the value.
    """

    name: str
    checker: Checker[Out]
    schema: Schema
    wrapped: bool


def answer_of(declared: Any) -> Answer[Any]:
    """Read a type, a tuple of types (a union) or a raw JSON Schema. Raises SetupError where it has no schema."""
    checker = checker_for(_union(declared))
    schema, wrapped = _object_root(checker.schema)
    return Answer(_name_of(declared), checker, schema, wrapped)


def _union(declared: Any) -> Any:
    if not isinstance(declared, tuple):
        return declared
    members = cast("tuple[Any, ...]", declared)
    if not members:
        raise SetupError("output is an empty tuple", "Name at least one type, as in output=(Invoice, Refusal).")
    union = members[0]
    for member in members[1:]:
        union = union | member
    return union


def _name_of(declared: Any) -> str:
    if isinstance(declared, tuple):
        name = "_or_".join(_name_of(member) for member in cast("tuple[Any, ...]", declared))
    elif isinstance(declared, dict):
        name = str(cast("dict[str, Any]", declared).get("title", "Answer"))
    elif isinstance(declared, type) and not getattr(declared, "__args__", None):
        name = declared.__name__
    else:
        name = str(declared)
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")[:64] or "Answer"


def _object_root(schema: Schema) -> tuple[Schema, bool]:
    """The schema with an object at its root, and whether it had to be wrapped for that."""
    if schema.get("type") == "object":
        return schema, False
    schema = each(schema, _moved)
    inner = {key: value for key, value in schema.items() if key not in ("$defs", "definitions", "$schema", "$id")}
    kept = {key: value for key, value in schema.items() if key not in inner}
    wrapped = {"type": "object", "properties": {WRAP: inner}, "required": [WRAP], "additionalProperties": False}
    return {**wrapped, **kept}, True


def _moved(schema: Schema) -> Schema:
    """The schema with its reference into the whole as that has to be once the whole is below another's root."""
    reference = schema.get("$ref")
    if not isinstance(reference, str) or not re.match(r"#(?!/(\$defs|definitions)/)(/|$)", reference):
        return schema
    return schema | {"$ref": f"#/properties/{WRAP}{reference[1:]}"}
