"""Raw JSON Schemas: found valid and closed in themselves, or refused. Imports jsonschema."""

from collections.abc import Mapping
from typing import Any, cast

import msgspec
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for  # pyright: ignore[reportUnknownVariableType]
from referencing import Registry, Resource, Specification
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012, specification_with

from outrider.errors import SetupError


def validator(given: Mapping[str, Any]) -> Validator:
    """A validator over a copy of this schema that can fetch nothing. Raises SetupError."""
    try:
        schema: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(dict(given)))
    except (TypeError, ValueError) as error:
        raise SetupError(f"the schema is not JSON: {error}", "Use dicts, lists, strings, numbers only.") from error
    draft = schema.get("$schema", Draft202012Validator.META_SCHEMA["$schema"])
    kind: Any = validator_for({"$schema": draft}, default=cast(Any, None))
    if kind is None:
        raise SetupError(
            f"the schema names a draft that is not known: {draft}",
            "Leave $schema out for Draft 2020-12, or give http://json-schema.org/draft-07/schema#.",
        )
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        raise SetupError(
            f"the schema is not valid at {error.json_path}: {error.message}",
            "Write it as on json-schema.org, or give a Pydantic model.",
        ) from error
    _resolve_all(schema)
    nothing: Registry[Any] = Registry()
    return kind(schema, registry=nothing)


def _resolve_all(schema: dict[str, Any]) -> None:
    specification: Specification[Any] = specification_with(schema["$schema"]) if "$schema" in schema else DRAFT202012
    resource: Resource[Any] = Resource(contents=schema, specification=specification)
    nothing: Registry[Any] = Registry()
    registry = nothing.with_resource(resource.id() or "", resource)
    todo = [(resource, registry.resolver(resource.id() or ""))]
    while todo:
        part, resolver = todo.pop()
        if isinstance(contents := cast(object, part.contents), dict):
            _resolve(cast(dict[str, Any], contents), resolver)
        todo += [(below, resolver.in_subresource(below)) for below in part.subresources()]


def _resolve(contents: dict[str, Any], resolver: Any) -> None:
    for keyword in ("$ref", "$dynamicRef"):
        reference = contents.get(keyword)
        if not isinstance(reference, str):
            continue
        try:
            resolver.lookup(reference)
        except Unresolvable as error:
            raise SetupError(
                f"the schema refers to {reference}, which is not inside it",
                "Nothing is fetched: put what it refers to under $defs and refer to '#/$defs/...'.",
            ) from error
