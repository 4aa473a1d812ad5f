"""How Pydantic writes the schemas that models read."""

from typing import Any, cast

from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind

from outrider.schema.check import Schema

_NAMED = frozenset(("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"))
_DATA = frozenset(("default", "const", "enum", "examples", "required", "discriminator"))


class Describing(GenerateJsonSchema):
    """Refuses what Pydantic would leave out with a warning, such as one branch of a union."""

    def emit_warning(self, kind: JsonSchemaWarningKind, detail: str) -> None:
        """Raise, unless it is only about a default that is no JSON: that one stays in Python."""
        if kind != "non-serializable-default":
            raise PydanticInvalidForJsonSchema(detail)


def tidy(schema: Schema) -> Schema:
    """The schema without its titles, which repeat the names, and with a real schema at its top.

    Pydantic's schema of a recursive type is but a reference to one of its own definitions.
    """
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    if name in schema.get("$defs", {}):
        schema = schema["$defs"][name] | {key: value for key, value in schema.items() if key != "$ref"}
    return _without_titles(schema)


def _without_titles(schema: Schema) -> Schema:
    return {key: _below(key, value) for key, value in schema.items() if key != "title"}


def _below(key: str, value: Any) -> Any:
    if key in _DATA:
        return value
    if isinstance(value, dict):
        below = cast(Schema, value)
        if key in _NAMED:
            return {name: _below("", inner) for name, inner in below.items()}
        return _without_titles(below)
    return [_below("", item) for item in cast(list[Any], value)] if isinstance(value, list) else value
