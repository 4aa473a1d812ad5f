"""How Pydantic writes the schemas that models read."""

from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind

from outrider.schema.check import Schema
from outrider.schema.walk import each


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
    return each(schema, _without_title)


def _without_title(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key != "title"}
