"""The strict form of a schema, as ``response_format`` with ``strict: true`` wants it.

Strict mode takes objects that name all their properties, and few keywords. What it has no words for goes into the
description, where the model reads it, and is checked here.
"""

from collections.abc import Iterable, Mapping
from typing import Any, cast

import msgspec
from msgspec import Struct

from outrider.schema.check import Schema
from outrider.schema.nulls import CHOICES, definition, endless, one_choice, takes_null, target


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


KEYWORDS = _words("type enum const format description properties required additionalProperties items anyOf $ref $defs")
"""All that a strict form is made of: what the strict modes of OpenAI and Anthropic both take, as of October 2026.

OpenAI's takes bounds and patterns too. Anthropic's refuses them, OpenRouter hands schemas on as they are, and who will
serve a request is not known when its form is made.
"""

FORMATS = _words("date-time time date duration email hostname ipv4 ipv6 uuid")
"""The formats that both know."""

_RULES = _words(
    "minLength maxLength pattern minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minItems maxItems"
    " uniqueItems"
)
"""Rules on single values and lists: told in the description, checked here."""

_SHAPES = _words(
    "not if then else dependentRequired dependentSchemas dependencies patternProperties propertyNames minProperties"
    " maxProperties unevaluatedProperties unevaluatedItems prefixItems additionalItems contains minContains"
    " maxContains $dynamicRef $recursiveRef $anchor $dynamicAnchor"
)
"""Rules on which properties and items there are: without them a model could keep to the form and never be right."""

_SILENT = _words("title discriminator definitions $defs $id $schema $comment $vocabulary")
"""What no answer depends on, and needs no mention."""

_OF_OBJECTS = _words("properties required additionalProperties")


class StrictForm(Struct, frozen=True):
    """``schema`` is the strict form when ``ok``, else the schema as it was.

    ``changes`` says, a sentence each, what was changed or, when not ``ok``, what cannot be made strict. ``loosened``
    says which rules of the schema the form does not have: what breaks them fits the form and is refused here.
    """

    schema: Schema
    ok: bool
    changes: tuple[str, ...] = ()
    loosened: tuple[str, ...] = ()


def strict_form(schema: Mapping[str, Any]) -> StrictForm:
    """Make every property required and forbid all others.

    A property that may be left out may be null instead; ``outrider.schema.nulls`` takes such a null away again. But
    for that and for what ``loosened`` says, what fits the strict form fits the schema. Objects with free keys,
    tuples, conditions and schemas that allow anything have no strict form.
    """
    form = _Form(dict(schema))
    strict = form.whole()
    if form.refusals:
        return StrictForm(dict(schema), False, tuple(form.refusals))
    return StrictForm(strict, True, tuple(form.changes), tuple(form.loosened))


class _Form:
    """One rewriting, with the notes taken on the way."""

    def __init__(self, root: Schema) -> None:
        self.changes: list[str] = []
        self.loosened: list[str] = []
        self.refusals: list[str] = []
        self._root = root
        self._defs: Schema = {}
        self._tags = set(_tags(root, root))

    def whole(self) -> Schema:
        if self._root.get("type") != "object":
            self.refusals.append("$: the top level is not an object")
        strict = self._rewrite(self._root, "$")
        if "anyOf" in strict:
            self.refusals.append("$: the top level is a choice")
        names = [name for name in self._root.get("$defs", {}) if name in self._defs]
        defs = {name: self._defs[name] for name in [*names, *(self._defs.keys() - set(names))]}
        return strict | {"$defs": defs} if defs else strict

    def _rewrite(self, node: Any, path: str) -> Schema:
        schema = cast(Schema, node) if isinstance(node, dict) else {}
        self.refusals += [f"{path}: {keyword} is not allowed" for keyword in schema if keyword in _SHAPES]
        if "$id" in schema and path != "$":
            self.refusals.append(f"{path}: $id is not allowed")
        choices = [keyword for keyword in ("$ref", *CHOICES) if keyword in schema]
        kinds = _kinds(schema)
        if not choices and not kinds:
            self.refusals.append(f"{path}: anything is allowed here")
            return {}
        strict: Schema = self._choice(schema, choices, path) if choices else self._plain(schema, kinds, path)
        return self._told(schema, strict, path)

    # ------------------------------------------------------------------------------------------ choices

    def _choice(self, schema: Schema, choices: list[str], path: str) -> Schema:
        beside = [*choices[1:], *(key for key in schema if key in _OF_OBJECTS or key == "items")]
        if beside:
            self.refusals.append(f"{path}: {' and '.join([choices[0], *beside])} stand side by side")
        if choices[0] == "$ref":
            reference = self._refer(schema["$ref"], path)
            alone = not any(key in schema for key in ("description", "default", *_RULES))
            return {"$ref": reference} if alone else {"anyOf": [{"$ref": reference}]}
        branches: list[Any] = schema[choices[0]]
        if choices[0] == "allOf" and not one_choice(schema):
            self.refusals.append(f"{path}: allOf is not allowed")
        if choices[0] == "oneOf":
            self.loosened.append(f"{path}: oneOf became anyOf; that no more than one fits is checked here")
        return {"anyOf": [self._rewrite(branch, path) for branch in branches]}

    def _refer(self, reference: str, path: str) -> str:
        """The reference as it stands in the strict form, to a definition that is rewritten when first met."""
        if reference == "#":
            return reference
        name, found = definition(reference, self._root)
        if not name:
            self.refusals.append(f"{path}: refers to {reference}, which is not under $defs")
        elif endless(found, self._root, (reference,)):
            self.refusals.append(f"{path}: {reference} refers to itself without end")
        elif name not in self._defs:
            self._defs[name] = {}  # it may refer to itself
            self._defs[name] = self._rewrite(found, f"$.$defs.{name}")
        return "#/$defs/" + name.replace("~", "~0").replace("/", "~1").replace("%", "%25")

    # ----------------------------------------------------------------------------------- values, objects, lists

    def _plain(self, schema: Schema, kinds: list[str], path: str) -> Schema:
        strict: Schema = {"type": schema.get("type", kinds[0] if len(kinds) == 1 else kinds)}
        if "properties" in schema and "type" not in schema:
            self.changes.append(f"{path}: only objects are allowed")
        for keyword in ("enum", "const"):
            if keyword in schema:
                strict[keyword] = schema[keyword]
                self._scalars(schema[keyword] if keyword == "enum" else [schema[keyword]], keyword, path)
        if schema.get("format") in FORMATS:
            strict["format"] = schema["format"]
        if "array" in kinds and "prefixItems" not in schema:  # which is refused as it is
            strict["items"] = self._rewrite(schema.get("items"), f"{path}[]")
        if "object" in kinds:
            self._object(schema, strict, path)
        return strict

    def _scalars(self, values: list[Any], keyword: str, path: str) -> None:
        if not values or any(isinstance(value, list | dict) for value in values):
            self.refusals.append(f"{path}: {keyword} may list strings, numbers, true, false and null only")

    def _object(self, schema: Schema, strict: Schema, path: str) -> None:
        given: Schema = schema.get("properties", {})
        required: list[str] = schema.get("required", [])
        others = schema.get("additionalProperties", True)
        if isinstance(others, dict) or (others and not given):
            self.refusals.append(f"{path}: the names of its properties are free")
        elif others:
            self.changes.append(f"{path}: other properties are forbidden")
        self.refusals += [f"{path}: {name} is required and not described" for name in required if name not in given]
        names: Schema = {}
        for name, inner in given.items():
            names[name] = self._rewrite(inner, f"{path}.{name}")
            if name not in required:
                names[name] = self._optional(inner, names[name], f"{path}.{name}")
        strict |= {"properties": names, "required": list(names), "additionalProperties": False}

    def _optional(self, schema: Any, strict: Schema, path: str) -> Schema:
        """The schema of a property that may be left out: in strict form it is there, and null where it would not be."""
        node = cast(Schema, schema) if isinstance(schema, dict) else {}
        always = "const" in node and node.get("default") == node["const"]  # to leave it out says the same
        if always or id(node) in self._tags or takes_null(schema, self._root):
            self.changes.append(f"{path} became required")
            return strict
        self.changes.append(f"{path} became required; null there is read as left out")
        description = {"description": strict.pop("description")} if "description" in strict else {}
        branches = strict["anyOf"] if strict.keys() == {"anyOf"} else [strict]
        return {"anyOf": [*branches, {"type": "null"}], **description}

    # ------------------------------------------------------------------------------------------- words

    def _told(self, schema: Schema, strict: Schema, path: str) -> Schema:
        """The strict schema with a description, which tells the rules and the default that it cannot have itself."""
        done = strict.keys() | _SILENT | _SHAPES | _OF_OBJECTS | {"items", "description", "$ref", *CHOICES}
        left: Schema = {}
        for keyword, value in schema.items():
            if keyword in done or (keyword == "default" and value is None):
                continue
            if keyword in _RULES or keyword in ("type", "enum", "const"):
                left[keyword] = value
                shown = msgspec.json.encode(value).decode()
                self.loosened.append(f"{path}: {keyword} {shown} is not expressible in strict form; checked here")
            elif keyword in ("default", "format"):
                left[keyword] = value
                self.changes.append(f"{path}: the {keyword} is told in the description")
            else:
                self.changes.append(f"{path}: {keyword} is left out")
        words = [str(schema["description"])] if "description" in schema else []
        words += [msgspec.json.encode(left).decode()] if left else []
        return strict | {"description": " ".join(words)} if words else strict


def _kinds(schema: Schema) -> list[str]:
    """The types that a schema speaks of; none when it allows anything."""
    kinds: str | list[str] = schema.get("type", [])
    if kinds:
        return [kinds] if isinstance(kinds, str) else kinds
    if "enum" in schema or "const" in schema:
        return sorted({_kind(value) for value in schema.get("enum", [schema.get("const")])})
    return ["object"] if "properties" in schema else []


def _kind(value: object) -> str:
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string"}
    return next((name for kind, name in kinds.items() if isinstance(value, kind)), "null")


def _tags(node: Any, root: Schema) -> Iterable[int]:
    """The ids of the schemas of those properties that tell branches of a union apart: null cannot stand there."""
    if isinstance(node, list):
        for item in cast(list[Any], node):
            yield from _tags(item, root)
    if isinstance(node, dict):
        schema = cast(Schema, node)
        for inner in schema.values():
            yield from _tags(inner, root)
        if isinstance(tag := schema.get("discriminator"), dict):
            name = cast(Schema, tag).get("propertyName")
            branches = [target(branch, root) for branch in schema.get("oneOf", schema.get("anyOf", []))]
            yield from (id(branch["properties"][name]) for branch in branches if name in branch.get("properties", {}))
