"""Walking a JSON Schema: where in it the schemas are, and where data that may only look like one."""

from collections.abc import Callable
from typing import Any, cast

from outrider.schema.check import Schema

_NAMED = frozenset(("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"))
_DATA = frozenset(("default", "const", "enum", "examples", "required", "discriminator"))


def each(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """A copy of the schema in which every schema, from the innermost outwards, is what ``change`` made of it."""
    return change({key: _below(key, value, change) for key, value in schema.items()})


def _below(key: str, value: Any, change: Callable[[Schema], Schema]) -> Any:
    if key in _DATA:
        return value
    if isinstance(value, dict):
        below = cast(Schema, value)
        if key in _NAMED:
            return {name: _below("", inner, change) for name, inner in below.items()}
        return each(below, change)
    return [_below("", item, change) for item in cast(list[Any], value)] if isinstance(value, list) else value
