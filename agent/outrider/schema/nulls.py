"""Nulls that stand for what was left out: in strict form every property is there, also one that need not be."""

from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import msgspec

from outrider.schema.check import Schema
from outrider.schema.walk import each

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

CHOICES = ("anyOf", "oneOf", "allOf")
"""What a value may or must fit, besides a reference. A strict form knows ``allOf`` of a single schema only."""


def definition(reference: str, root: Schema) -> tuple[str, Any]:
    """The name and the schema of a definition of the root; no name for a reference to anything else."""
    _, _, pointer = reference.partition("#/")
    keyword, _, name = pointer.partition("/")
    if "%" in name:
        from urllib.parse import unquote

        name = unquote(name)
    if reference.startswith("#/") and keyword in ("$defs", "definitions") and "/" not in name:
        name = name.replace("~1", "/").replace("~0", "~")
        if [key for key in ("$defs", "definitions") if name in root.get(key, {})] == [keyword]:
            return name, root[keyword][name]
    return "", {}


def target(schema: Any, root: Schema) -> Schema:
    """The schema, or the one that it refers to; nothing for a schema that is but true or false."""
    node = cast(Schema, schema) if isinstance(schema, dict) else {}
    found = _referred(node["$ref"], root) if "$ref" in node else node
    return cast(Schema, found) if isinstance(found, dict) else {}


def endless(schema: Any, root: Schema, seen: tuple[str, ...]) -> bool:
    """Whether a schema leads back to a reference seen before without a property or an item in between."""
    node = cast(Schema, schema) if isinstance(schema, dict) else {}
    if (reference := node.get("$ref")) is not None and (
        reference in seen or endless(_referred(reference, root), root, (*seen, reference))
    ):
        return True
    return any(endless(branch, root, seen) for keyword in CHOICES for branch in node.get(keyword, ()))


def one_choice(schema: Schema) -> bool:
    """Whether the schema has but one branch, which says it all."""
    return any(len(schema.get(keyword, ())) == 1 for keyword in CHOICES)


def takes_null(schema: Any, root: Schema, seen: tuple[str, ...] = ()) -> bool:
    """Whether null fits a schema that has a strict form."""
    if not isinstance(schema, dict):
        return bool(schema)
    node = cast(Schema, schema)
    kinds = node.get("type", "object" if "properties" in node else "null")  # as the strict form reads it
    if "null" not in ([kinds] if isinstance(kinds, str) else kinds) or None not in node.get("enum", [None]):
        return False
    if node.get("const") is not None:
        return False
    if "$ref" in node:
        reference = node["$ref"]
        if reference in seen or not takes_null(_referred(reference, root), root, (*seen, reference)):
            return False
    fits = {key: [takes_null(branch, root, seen) for branch in node[key]] for key in CHOICES if key in node}
    return any(fits.get("anyOf", [True])) and sum(fits.get("oneOf", [True])) == 1 and all(fits.get("allOf", [True]))


def _referred(reference: str, root: Schema) -> Any:
    return root if reference == "#" else definition(reference, root)[1]


class Nulls:
    """Takes those nulls out of values that a model wrote by the strict form of ``schema``."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    @cached_property
    def _root(self) -> Schema:
        """The schema without its patterns: those of types may be in another dialect than Python's."""
        return each(self._schema, lambda part: {key: value for key, value in part.items() if key != "pattern"})

    def taken_out(self, value: Any) -> Any:
        """The value without properties that are null, may be left out and may not be null; itself where none is."""
        return self._walk(self._root, value, ())

    def taken_out_of(self, text: str) -> str:
        """The same with JSON text; what is no JSON stays as it is."""
        if "null" not in text:
            return text
        try:
            written = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return text
        left = self.taken_out(written)
        return text if left == written else msgspec.json.encode(left).decode()

    def _walk(self, schema: Any, value: Any, seen: tuple[str, ...]) -> Any:
        if not isinstance(schema, dict):
            return value
        node = cast(Schema, schema)
        if (reference := node.get("$ref")) is not None:
            target = _referred(reference, self._root)
            return value if reference in seen else self._walk(target, value, (*seen, reference))
        read = value
        if isinstance(value, list) and "items" in node:
            read = [self._walk(node["items"], item, ()) for item in cast(list[Any], value)]
        elif isinstance(value, dict) and "properties" in node:
            read = self._object(node, cast(dict[str, Any], value))
        for keyword in CHOICES:
            read = self._choose(node[keyword], read, seen) if keyword in node else read
        return read

    def _object(self, schema: Schema, value: dict[str, Any]) -> dict[str, Any]:
        properties, required = cast(Schema, schema["properties"]), schema.get("required", ())
        kept: dict[str, Any] = {}
        for name, inner in value.items():
            known = properties.get(name, True)
            if inner is not None or name in required or takes_null(known, self._root):
                kept[name] = self._walk(known, inner, ())
        return kept

    def _choose(self, branches: list[Any], value: Any, seen: tuple[str, ...]) -> Any:
        """The value as it fits a branch: as it stands if it can, or as the first branch reads it."""
        if len(branches) > 1 and any(self._fits(branch, value) for branch in branches):
            return value
        for branch in branches:
            read = self._walk(branch, value, seen)
            if len(branches) == 1 or self._fits(branch, read):
                return read
        return value

    @cached_property
    def _validator(self) -> "Validator":
        from outrider.schema.raw import validator

        return validator(self._root)

    def _fits(self, branch: Any, value: Any) -> bool:
        try:
            part = self._validator.evolve(schema=branch)  # pyright: ignore[reportUnknownMemberType]
            return part.is_valid(value)
        except RecursionError:
            return False
