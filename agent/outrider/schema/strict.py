"""The strict form of a schema, as ``response_format`` with ``strict: true`` wants it."""

from collections.abc import Mapping
from typing import Any, cast

from msgspec import Struct

from outrider.schema.check import Schema

_CONDITIONS = frozenset(("not", "if", "then", "else", "allOf", "dependentRequired", "dependentSchemas"))
_FREE = frozenset(("patternProperties", "propertyNames", "unevaluatedProperties", "unevaluatedItems"))
_NOT_STRICT = _CONDITIONS | _FREE | {"prefixItems", "contains", "dependencies", "$dynamicRef"}
_SAYS_WHAT = frozenset(("type", "$ref", "anyOf", "oneOf", "enum", "const", "properties"))


class StrictForm(Struct, frozen=True):
    """``schema`` is the strict form when ``ok``, else the schema as it was.

    ``changes`` says, a sentence each, what was changed or, when not ``ok``, what cannot be made strict.
    """

    schema: Schema
    ok: bool
    changes: tuple[str, ...] = ()


def strict_form(schema: Mapping[str, Any]) -> StrictForm:
    """Make every property required and forbid all others; defaults go, ``oneOf`` becomes ``anyOf``.

    What fits the strict form fits the schema, but for the overlaps that ``oneOf`` forbids. Objects with free
    keys, tuples, conditions and schemas that allow anything have no strict form.
    """
    form = _Form()
    strict = form.rewrite(dict(schema), "$")
    if strict.get("type") != "object":
        form.refusals.append("$: the top level is not an object")
    if form.refusals:
        return StrictForm(dict(schema), False, tuple(form.refusals))
    return StrictForm(strict, True, tuple(form.changes))


class _Form:
    """One rewriting, with the notes taken on the way."""

    def __init__(self) -> None:
        self.changes: list[str] = []
        self.refusals: list[str] = []

    def rewrite(self, node: Any, path: str) -> Schema:
        if not isinstance(node, dict) or not _SAYS_WHAT & node.keys():
            self.refusals.append(f"{path}: anything is allowed here")
            return {}
        schema = cast(Schema, node)
        self.refusals += [f"{path}: {keyword} is not allowed" for keyword in schema if keyword in _NOT_STRICT]
        strict = self._keywords(schema, path)
        if "properties" in strict or "object" in _types(schema):
            self._close(schema, strict, path)
        if "array" in _types(schema) and "items" not in schema:
            self.refusals.append(f"{path}: the items may be anything")
        if "$ref" in strict and len(strict) > 1:  # a strict reference stands alone
            strict["anyOf"] = [{"$ref": strict.pop("$ref")}]
        return strict

    def _keywords(self, schema: Schema, path: str) -> Schema:
        strict: Schema = {}
        for keyword, value in schema.items():
            match keyword:
                case "default":
                    self.changes.append(f"{path}: the default is dropped")
                case "discriminator":
                    pass  # a remark of OpenAPI that no validator reads
                case "properties":
                    strict[keyword] = {name: self.rewrite(s, f"{path}.{name}") for name, s in value.items()}
                case "$defs" | "definitions":
                    strict[keyword] = {name: self.rewrite(s, f"{path}.{keyword}.{name}") for name, s in value.items()}
                case "items":
                    strict[keyword] = self.rewrite(value, f"{path}[]")
                case "anyOf" | "oneOf":
                    strict["anyOf"] = [self.rewrite(branch, path) for branch in value]
                case _:
                    strict[keyword] = value
        if "oneOf" in schema:
            self.changes.append(f"{path}: oneOf became anyOf")
        return strict

    def _close(self, schema: Schema, strict: Schema, path: str) -> None:
        names: Schema = strict.setdefault("properties", {})
        others = schema.get("additionalProperties", True)
        if isinstance(others, dict) or (others and not names):
            self.refusals.append(f"{path}: the names of its properties are free")
        optional = [name for name in names if name not in schema.get("required", ())]
        self.changes += [f"{path}.{name} became required" for name in optional]
        if others:
            self.changes.append(f"{path}: other properties are forbidden")
        strict["required"] = list(names)
        strict["additionalProperties"] = False


def _types(schema: Schema) -> list[str]:
    kinds: str | list[str] = schema.get("type", [])
    return [kinds] if isinstance(kinds, str) else kinds
