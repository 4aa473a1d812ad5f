"""Schemas and types of all kinds, and values that fit them or nearly do, drawn from a Random that hypothesis gives."""

import datetime as dt
import enum
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from random import Random
from typing import Annotated, Any, Literal, cast
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, create_model

from outrider.schema import Schema

NAMES = ("a", "b", "c", "kind")
ANYTHING: list[Any] = [None, True, 0, 1, -7, 2.5, "", "a", "b", "abcdef", [], [1], {}, {"a": None}]
FORMATS = {
    "date": "2024-02-29",
    "date-time": "2024-02-29T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "P1D",
    "uuid": "12345678-1234-5678-1234-567812345678",
    "email": "a@b.de",
    "uri": "https://example.org/",
}
TEXTS = ("", "a", "b", "ab", "abc", "1", "1.5", "xyz", "words and words")

# ------------------------------------------------------------------------------------------- raw schemas

_ON_TEXT: Schema = {
    "minLength": [0, 2, 3], "maxLength": [1, 3], "pattern": ["^[a-c]+$", "b", "^(?!x)"], "format": sorted(FORMATS),
    "description": ["words"], "default": ["a"], "title": ["Title"],
}  # fmt: skip
_ON_NUMBERS: Schema = {
    "minimum": [-5, 0, 1], "maximum": [1, 5], "exclusiveMinimum": [-5, 0], "exclusiveMaximum": [2, 6],
    "multipleOf": [2, 0.5, 0.1], "default": [1], "examples": [[1]],
}  # fmt: skip
_ON_ARRAYS: Schema = {
    "minItems": [0, 1, 2], "maxItems": [1, 3], "uniqueItems": [True], "contains": [{"type": "integer"}],
}  # fmt: skip
_HARD_ON_OBJECTS: list[Schema] = [
    {"minProperties": 2},
    {"maxProperties": 1},
    {"dependentRequired": {"a": ["b"]}},
    {"not": {"required": ["a"]}},
    {"if": {"required": ["a"]}, "then": {"required": ["b"]}},
    {"patternProperties": {"^x": {"type": "integer"}}},
    {"propertyNames": {"maxLength": 2}},
    {"anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
    {"anyOf": [{"type": "object", "properties": {"a": {"type": "integer"}}}]},
    {"allOf": [{"required": ["a"]}]},
    {"required": ["a", "z"]},
]


def raw_schema(random: Random) -> Schema:
    """A schema with an object at its root more often than not, and up to two definitions that it may refer to."""
    refs = random.choice([(), ("One",), ("One", "Two")])
    root: Any = _object(random, 3, refs, least=2) if random.random() < 0.7 else _schema(random, 2, refs)
    defs = {"One": {"type": "string"}, "Two": {"type": "null"}} | {name: _schema(random, 2, refs) for name in refs}
    return cast(Schema, root) | {"$defs": defs} if isinstance(root, dict) else {"anyOf": [root]}


def _schema(random: Random, depth: int, refs: tuple[str, ...]) -> Any:
    match random.choice(["string", "number", "words", "flat", "ref", "object", "array", "choice", "choice", "odd"]):
        case "string":
            return {"type": random.choice(["string", "string", ["string", "null"]]), **_some(random, _ON_TEXT)}
        case "number":
            kind = random.choice(["integer", "number", ["integer", "string"], ["number", "null"]])
            return {"type": kind, **_some(random, _ON_NUMBERS)}
        case "words":
            words = random.sample(["a", "b", 1, 2.5, None], random.randint(1, 3))
            return {"enum": words} if random.random() < 0.6 else {"const": random.choice(ANYTHING)}
        case "ref" if refs:
            return {"$ref": f"#/$defs/{random.choice(refs)}"}
        case "object" if depth:
            return _object(random, depth, refs)
        case "array" if depth:
            return {"type": "array", "items": _schema(random, depth - 1, refs), **_some(random, _ON_ARRAYS)}
        case "choice" if depth:
            return _choice(random, depth, refs)
        case "odd" if depth and random.random() < 0.5:
            return _odd(random, _schema(random, depth - 1, refs), refs)
        case _:
            return {"type": random.choice(["boolean", "null", "string", "integer"])}


def _some(random: Random, rules: Schema) -> Schema:
    return {key: random.choice(rules[key]) for key in random.sample(sorted(rules), random.choice([0, 0, 1, 2]))}


def _object(random: Random, depth: int, refs: tuple[str, ...], least: int = 0) -> Schema:
    names = random.sample(NAMES, random.randint(least, 3))
    schema: Schema = {"type": "object", "properties": {name: _schema(random, depth - 1, refs) for name in names}}
    if required := [name for name in names if random.random() < 0.5]:
        schema["required"] = required
    others: list[Schema] = [{}, {"additionalProperties": False}, {"additionalProperties": True}, {"description": "It."}]
    schema |= random.choice(others)
    if random.random() < 0.03:
        schema["additionalProperties"] = {"type": "integer"}
    return schema | random.choice(_HARD_ON_OBJECTS) if random.random() < 0.08 else schema


def _choice(random: Random, depth: int, refs: tuple[str, ...]) -> Schema:
    keyword = random.choice(["anyOf", "anyOf", "oneOf", "allOf"])
    count = 1 if keyword == "allOf" else random.randint(1, 3)
    branches = [_schema(random, depth - 1, refs) for _ in range(count)]
    return {keyword: branches, **_some(random, {"description": ["words"], "default": ANYTHING})}


def _odd(random: Random, inner: Any, refs: tuple[str, ...]) -> Any:
    beside = {"$ref": f"#/$defs/{refs[0]}", "minLength": 2, "description": "words"} if refs else {"minLength": 2}
    return random.choice(
        [
            {}, True, beside, {"properties": {"a": inner}}, {"type": "array"}, {"not": inner}, {"allOf": [inner, {}]},
            {"type": "array", "prefixItems": [inner], "items": False}, {"type": ["object", "null"]},
            {"type": "object", "additionalProperties": inner}, {"type": "string", "enum": ["a", 1]},
            {"type": "integer", "anyOf": [inner, {"type": "integer"}]}, {"nullable": True, "type": "string"},
        ]
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------- types


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    good: bool


class Node(BaseModel):
    value: int
    below: "list[Node]" = []
    beside: "Node | None" = None


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]
_FLAT: list[Any] = [
    int, float, str, bool, Decimal, dt.date, dt.datetime, dt.timedelta, UUID, Colour, Level, Node, Pet, Cat | Dog, Cat,
    Literal["x", "y"], Literal[1, "a", None], Annotated[int, Field(ge=0, lt=10)], Annotated[str, Field(min_length=2)],
    Annotated[str, Field(pattern="^[a-c]+$")], Annotated[float, Field(multiple_of=0.5)], set[Literal["a", "b"]],
    Annotated[int, Field(strict=True)], Annotated[str, Field(description="words", examples=["a"])], bytes,
]  # fmt: skip
_NEVER_STRICT: list[Any] = [dict[str, int], tuple[int, str], Any]


def a_type(random: Random, depth: int = 2) -> Any:
    """A type that Pydantic understands, more often than not a model made on the spot."""
    match random.choice(["flat", "list", "union", "model", "model", "model"]) if depth else "flat":
        case "flat":
            return random.choice(_NEVER_STRICT if random.random() < 0.03 else _FLAT)
        case "list":
            inner = a_type(random, depth - 1)
            return list[inner] if random.random() < 0.6 else Annotated[list[inner], Field(max_length=2)]
        case "union":
            return a_type(random, depth - 1) | random.choice([a_type(random, depth - 1), None])
        case _:
            return _model(random, depth - 1)


def _model(random: Random, depth: int) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for name in random.sample(NAMES, random.randint(2, 3)):
        kind: Any = a_type(random, depth)
        default: Any = random.choice([..., ..., None, 1, "a"])
        fields[name] = (kind | None if default is None else kind, default)
    extra = random.choice(["forbid", "ignore", "ignore"])
    config = ConfigDict(extra=cast(Literal["forbid", "ignore"], extra))
    make = cast(Callable[..., type[BaseModel]], create_model)
    return make("Made", __config__=config, __doc__=random.choice([None, "Words."]), **fields)


# ------------------------------------------------------------------------------------------------- values


def value_of(random: Random, schema: Any, root: Schema, depth: int = 0) -> Any:
    """A value that fits the schema, as far as can be told without trying."""
    if not isinstance(schema, dict) or depth > 8:
        return random.choice(ANYTHING)
    node = cast(Schema, schema)
    for keyword in ("anyOf", "oneOf", "allOf"):
        if node.get(keyword) and "properties" not in node:
            return value_of(random, random.choice(node[keyword]), root, depth + 1)
    if "$ref" in node:
        return value_of(random, resolved(node["$ref"], root), root, depth + 1)
    if "const" in node or "enum" in node:
        return random.choice(node.get("enum") or [node.get("const")])
    kinds = node.get("type", ["object"] if "properties" in node else ["any"])
    kind = random.choice([kinds] if isinstance(kinds, str) else kinds)
    if kind == "object":
        return _an_object(random, node, root, depth)
    return _a_list(random, node, root, depth) if kind == "array" else _a_scalar(random, kind, node)


def _a_scalar(random: Random, kind: str, node: Schema) -> Any:
    low = node.get("minimum", node.get("exclusiveMinimum", -3))
    high = node.get("maximum", node.get("exclusiveMaximum", 3))
    scalars: dict[str, list[Any]] = {
        "null": [None],
        "boolean": [True, False],
        "integer": [int(low), int(high), int(low) + 1, 0, 1, 2],
        "number": [low, high, 0, 0.5, 1, 1.5, 2],
        "string": [FORMATS.get(node["format"], "a")] if "format" in node else list(TEXTS),
    }
    return random.choice(scalars.get(kind, ANYTHING))


def _a_list(random: Random, node: Schema, root: Schema, depth: int) -> list[Any]:
    first = node.get("prefixItems", [])
    size = random.randint(node.get("minItems", 0), 2 if depth < 5 else max(0, node.get("minItems", 0)))
    shapes = [*first, *[node.get("items", True)] * max(0, size - len(first))]
    return [value_of(random, shape, root, depth + 1) for shape in shapes]


def _an_object(random: Random, node: Schema, root: Schema, depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for name, inner in node.get("properties", {}).items():
        if name in node.get("required", ()) or (depth < 5 and random.random() < 0.5):
            value[name] = value_of(random, inner, root, depth + 1)
    others = node.get("additionalProperties", True)
    if others is not False and random.random() < 0.15:
        value["other"] = value_of(random, others, root, depth + 1)
    return value


def near(random: Random, value: Any) -> Any:
    """The value with one thing in it changed: another value, a key more or less, a null."""
    if isinstance(value, dict) and value and random.random() < 0.8:
        inside = cast(dict[str, Any], value)
        name = random.choice(sorted(inside))
        changed: list[dict[str, Any]] = [
            {key: inner for key, inner in inside.items() if key != name},
            inside | {name: None},
            inside | {random.choice([*NAMES, "other"]): random.choice(ANYTHING)},
            inside | {name: near(random, inside[name])},
        ]
        return random.choice(changed)
    if isinstance(value, list) and value and random.random() < 0.6:
        items = cast(list[Any], value)
        return random.choice([[near(random, items[0]), *items[1:]], [*items, items[0]]])
    return random.choice(ANYTHING)


def resolved(reference: str, root: Schema) -> Any:
    """What a reference within the schema refers to."""
    node: Any = root
    for step in reference.removeprefix("#").split("/")[1:]:
        node = node[step.replace("~1", "/").replace("~0", "~")]
    return node


def inside(schema: Any) -> Iterator[Schema]:
    """A strict schema and every schema in it."""
    assert isinstance(schema, dict), f"{schema} is no schema"
    node = cast(Schema, schema)
    yield node
    for below in (node.get("properties", {}), node.get("$defs", {})):
        for inner in below.values():
            yield from inside(inner)
    for inner in [*node.get("anyOf", []), *([node["items"]] if "items" in node else [])]:
        yield from inside(inner)


def key_of(schema: Schema) -> str:
    """The schema as a text that is the same for equal ones."""
    return json.dumps(schema, sort_keys=True)
