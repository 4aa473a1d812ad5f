"""The strict form: over hundreds of schemas the verdict of the type or schema itself holds in the end."""

import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

import schema_kit as kit
from outrider import events as e
from outrider.messages import AssistantMessage
from outrider.output import OutputType
from outrider.rungs import RUNGS, STRICT
from outrider.schema import WRAP, Nulls, Schema, StrictForm, answer_of, strict_form
from outrider.schema.strict import FORMATS, KEYWORDS
from outrider.state import State

BOUNDED = settings(
    max_examples=175,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
RANDOMS = st.randoms(use_true_random=True)
INEXPRESSIBLE = object()


def verdict_of(output: OutputType[Any], state: State) -> e.Durable:
    """What is put on record about a reply. Without checks nothing is waited for, so that no loop is needed."""
    found: list[e.Durable] = []

    async def record(event: e.Durable) -> None:
        found.append(event)

    with suppress(StopIteration):
        output.judge(state, record).send(None)
    return found[0]


@dataclass
class Case:
    """A type or a schema with the judge of its own, and what is sent for it."""

    declared: Any
    sent: Schema
    wrapped: bool
    form: StrictForm
    output: OutputType[Any]
    own: Schema

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.declared)

    def takes(self, value: Any) -> bool:
        """The verdict of the original: of Pydantic for types, of jsonschema for schemas."""
        if isinstance(self.declared, dict):
            return fits(self.own, value)
        try:
            self.adapter.validate_json(json.dumps(value))
        except ValidationError:
            return False
        return True

    def accepts(self, value: Any, rung: str) -> bool:
        """The verdict on a reply to a request on that rung, the whole way."""
        text = json.dumps({WRAP: value} if self.wrapped else value)
        state = State(phase="answer", form=rung, answering=True, unjudged=AssistantMessage(text))
        verdict = verdict_of(self.output, state)
        if isinstance(verdict, e.OutputAccepted):
            state.accepted = verdict.value
            self.output.read(state)
            return True
        return False


def fits(schema: Any, value: Any, root: Schema | None = None) -> bool:
    """Whether jsonschema takes the value, of a schema that is whole or a part of ``root``."""
    judge: Any = Draft202012Validator(schema if root is None else root)
    try:
        return judge.evolve(schema=schema).is_valid(value)
    except RecursionError:  # a schema that refers to itself and nothing else: no value can be shown to fit
        return False


def case_of(declared: Any) -> Case:
    answer = answer_of(declared)
    form = strict_form(answer.schema)
    return Case(declared, answer.schema, answer.wrapped, form, OutputType(declared), answer.checker.schema)


def without_some_nulls(value: Any) -> list[Any]:
    """The value, and the value without some of the properties that are null in it, in every combination."""
    if isinstance(value, dict):
        found: list[dict[str, Any]] = [{}]
        for name, inner in cast(dict[str, Any], value).items():
            kept = [one | {name: each} for one in found for each in without_some_nulls(inner)]
            found = kept + found if inner is None else kept
        return found
    if isinstance(value, list):
        lists: list[list[Any]] = [[]]
        for item in cast(list[Any], value):
            lists = [[*one, each] for one in lists for each in without_some_nulls(item)]
        return lists
    return [value]


def expressed(schema: Any, value: Any, root: Schema) -> Any:
    """A value as a model that keeps to the strict form has to write it; null for what is not there."""
    node = cast(Schema, schema) if isinstance(schema, dict) else {}
    if "$ref" in node:
        return expressed(kit.resolved(node["$ref"], root), value, root)
    for keyword in ("anyOf", "oneOf", "allOf"):
        if keyword in node:
            return _as_a_branch(node[keyword], value, root)
    if isinstance(value, list):
        items = [expressed(node.get("items"), item, root) for item in cast(list[Any], value)]
        return INEXPRESSIBLE if INEXPRESSIBLE in items else items
    return _object(node, cast(dict[str, Any], value), root) if isinstance(value, dict) else value


def _object(node: Schema, value: dict[str, Any], root: Schema) -> Any:
    written: dict[str, Any] = {}
    for name, inner in node.get("properties", {}).items():
        written[name] = expressed(inner, value[name], root) if name in value else None
        if name not in value and "const" in inner and inner.get("default") == inner["const"]:
            written[name] = inner["const"]
    lost = value.keys() - written.keys() or INEXPRESSIBLE in written.values()
    return INEXPRESSIBLE if lost else written


def _as_a_branch(branches: list[Any], value: Any, root: Schema) -> Any:
    written = (expressed(branch, value, root) for branch in branches if fits(branch, value, root))
    return next((one for one in written if one is not INEXPRESSIBLE), INEXPRESSIBLE)


def check_rules(form: StrictForm) -> None:
    """The rules of strict mode, schema by schema."""
    assert form.schema["type"] == "object"
    assert "anyOf" not in form.schema
    for node in kit.inside(form.schema):
        assert node.keys() <= KEYWORDS
        assert node.keys() == {"$ref"} or "$ref" not in node
        assert {"type", "anyOf", "$ref"} & node.keys(), "every schema says of what type it is"
        kinds = [node["type"]] if isinstance(node.get("type"), str) else node.get("type", [])
        if "object" in kinds:
            assert node["additionalProperties"] is False
            assert node["required"] == list(node["properties"])
        assert "array" not in kinds or "items" in node
        assert node.get("format", "date") in FORMATS
        if "$ref" in node:
            kit.resolved(node["$ref"], form.schema)
    Draft202012Validator.check_schema(form.schema)


def check_case(case: Case, random: Random, count: Counter[str]) -> None:
    rungs = [STRICT, "json_schema"] if case.form.ok else ["json_schema"]
    for _ in range(4):
        value = kit.value_of(random, case.own, case.own)
        value = kit.near(random, value) if random.random() < 0.5 else value
        right = case.takes(value)
        count["fits" if right else "does not"] += 1
        for rung in rungs:
            accepted = case.accepts(value, rung)
            may_fit = rung == STRICT and any(case.takes(one) for one in without_some_nulls(value))
            assert accepted if right else not accepted or may_fit, f"{rung}: {value} fits: {right}"
    if not case.form.ok:
        count["not strict"] += 1
        assert case.form.changes
        assert case.form.schema == case.sent
        return
    count["strict"] += 1
    check_rules(case.form)
    for _ in range(3):
        _no_wall(case, random, count)
        _nothing_wrong_unsaid(case, random, count)


def _no_wall(case: Case, random: Random, count: Counter[str]) -> None:
    """What is right can be written in strict form, and is then taken."""
    value = kit.value_of(random, case.own, case.own)
    if not (case.takes(value) and fits(case.own, value)):
        return
    written = expressed(case.own, value, case.own)
    if written is INEXPRESSIBLE:
        return
    count["expressed"] += 1
    assert fits(case.form.schema, {WRAP: written} if case.wrapped else written), f"{value}, written as {written}"
    assert case.accepts(written, STRICT), f"{value}, written as {written}"


def _nothing_wrong_unsaid(case: Case, random: Random, count: Counter[str]) -> None:
    """What fits the strict form fits the schema itself, or it is said why not."""
    written = kit.value_of(random, case.form.schema, case.form.schema)
    if not fits(case.form.schema, written):
        return
    count["loosened" if case.form.loosened else "exact"] += 1
    read = Nulls(case.sent).taken_out(written)
    assert case.form.loosened or fits(case.sent, read), f"{written}, read as {read}"


@pytest.mark.parametrize("draw", [kit.raw_schema, kit.a_type], ids=["schemas", "types"])
def test_over_hundreds_of_schemas_the_original_verdict_holds(draw: Callable[[Random], Any]) -> None:
    seen: set[str] = set()
    count = Counter[str]()

    @BOUNDED
    @given(RANDOMS)
    def one(random: Random) -> None:
        declared = draw(random)
        if declared is str:
            return
        case = case_of(declared)
        seen.add(kit.key_of(case.own))
        check_case(case, random, count)

    one()
    assert len(seen) >= 150
    assert min(count[name] for name in ("fits", "does not", "strict", "expressed", "exact", "loosened")) > 50


# ------------------------------------------------------------------------------------- one by one, by hand

STRING: Schema = {"type": "string"}
HARD: dict[str, tuple[Any, list[Any], list[Any]]] = {
    "recursion": (kit.Node, [{"value": 1, "below": [{"value": 2, "beside": None}]}], [{"value": "x"}, {}]),
    "mutual recursion": (
        {
            "$ref": "#/$defs/A",
            "$defs": {
                "A": {"type": "object", "properties": {"b": {"$ref": "#/$defs/B"}}},
                "B": {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "required": ["a"]},
            },
        },
        [{}, {"b": {"a": {}}}],
        [{"b": {}}, {"b": 1}],
    ),
    "a reference to the root, wrapped": (
        {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"$ref": "#"}}]}, [1, [1, [2]]], ["x", [["x"]]]
    ),
    "a reference with company": (
        {
            "type": "object",
            "properties": {"a": {"$ref": "#/definitions/Code", "minLength": 3, "description": "A code."}},
            "required": ["a"],
            "definitions": {"Code": {"type": "string", "pattern": "^[A-Z]+$"}},
        },
        [{"a": "ABC"}], [{"a": "AB"}, {"a": "abc"}],
    ),
    "a discriminator": (list[kit.Pet], [[{"kind": "dog", "good": True}, {"kind": "cat"}]], [[{"kind": "cow"}], [{}]]),
    "oneOf that overlaps": (
        {"type": "object", "properties": {"n": {"oneOf": [{"type": "integer"}, {"type": "number"}]}}}, [{"n": 1.5}, {}],
        [{"n": 1}],
    ),
    "optional, next to a branch that takes null": (
        {
            "type": "object",
            "properties": {
                "it": {
                    "anyOf": [
                        {"type": "object", "properties": {"x": {"type": "integer"}, "y": STRING}, "required": ["x"]},
                        {"type": "object", "properties": {"x": {"type": "null"}, "z": STRING}, "required": ["x"]},
                    ]
                }
            },
        },
        [{"it": {"x": 1}}, {"it": {"x": None}}, {}], [{"it": {}}, {"it": {"x": "1"}}],
    ),
    "allOf of one": (
        {"type": "object", "properties": {"a": {"allOf": [STRING], "default": "x"}}}, [{}, {"a": "b"}], [{"a": 1}]
    ),
    "an enum of mixed types": ({"enum": ["a", 1, None, 2.5]}, ["a", 1, None, 2.5], ["b", 2, True]),
    "a const that is optional": (
        {"type": "object", "properties": {"a": {"const": True}}}, [{}, {"a": True}], [{"a": 1}]
    ),
    "only objects are looked into": (
        {"type": "object", "properties": {"a": {"properties": {"b": STRING}}}}, [{}, {"a": {}}], [{"a": {"b": 1}}]
    ),
    "const with its default": (kit.Cat, [{}, {"kind": "cat", "lives": 3}], [{"kind": "dog"}]),
    "bounds": (
        {"type": "object", "properties": {"n": {"type": "number", "exclusiveMinimum": 0, "multipleOf": 0.5}}},
        [{"n": 0.5}, {}], [{"n": 0}, {"n": 0.3}],
    ),
    "lists": (
        {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 2, "uniqueItems": True},
        [[1], [1, 2]], [[], [1, 1], [1, 2, 3]],
    ),
    "null in a list stays": ({"type": "array", "items": {"type": ["integer", "null"]}}, [[1, None]], [["x"]]),
    "strange names": (
        {"type": "object", "properties": {"a/b~c": {"$ref": "#/$defs/x~1y"}, "$ref": STRING}, "$defs": {"x/y": STRING}},
        [{"a/b~c": "x", "$ref": "#"}, {}], [{"a/b~c": 1}, {"$ref": 1}],
    ),
    "dict of integers": (dict[str, int], [{}, {"a": 1}], [{"a": "x"}, []]),
    "a tuple": (tuple[int, str], [[1, "a"]], [[1], ["a", 1]]),
    "patternProperties": (
        {"type": "object", "patternProperties": {"^n": {"type": "integer"}}, "additionalProperties": False},
        [{"n1": 1}], [{"x": 1}],
    ),
    "dependentRequired": (
        {"type": "object", "properties": {"a": STRING, "b": STRING}, "dependentRequired": {"a": ["b"]}},
        [{}, {"b": "x"}, {"a": "x", "b": "y"}], [{"a": "x"}],
    ),
    "not": ({"type": "object", "properties": {"a": STRING}, "not": {"required": ["a"]}}, [{}], [{"a": "x"}]),
    "if and then": (
        {
            "type": "object",
            "properties": {"a": STRING, "b": STRING},
            "if": {"required": ["a"]},
            "then": {"required": ["b"]},
        },
        [{}, {"a": "x", "b": "y"}], [{"a": "x"}],
    ),
    "required and not described": (
        {"type": "object", "properties": {"a": STRING}, "required": ["a", "z"]}, [{"a": "x", "z": 1}], [{"a": "x"}]
    ),
    "a definition that is only itself": (
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"$ref": "#/$defs/A"}}}, [{}], []
    ),
    "an older draft": (
        {
            "$schema": "http://json-schema.org/draft-04/schema#",
            "type": "object",
            "properties": {"n": {"type": "integer", "minimum": 0, "exclusiveMinimum": True}},
        },
        [{"n": 1}, {}], [{"n": 0}],
    ),
    "an object called answer": (
        {"anyOf": [{"type": "array", "items": STRING}, {"type": "object"}]}, [["x"], {"answer": ["x"]}], [1]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HARD)
def test_hard_ones(name: str) -> None:
    declared, right, wrong = HARD[name]
    case = case_of(declared)
    rungs = [STRICT, *RUNGS] if case.form.ok else ["json_schema", "json_object", "final_answer tool", "prompted"]
    for rung in rungs:
        assert [value for value in right if not case.accepts(value, rung)] == []
        assert [value for value in wrong if case.accepts(value, rung)] == []
    if not case.form.ok:
        assert case.form.schema == case.sent
        return
    check_rules(case.form)
    for value in right:
        written = expressed(case.own, value, case.own)
        assert fits(case.form.schema, {WRAP: written} if case.wrapped else written)
        assert case.accepts(written, STRICT)


def test_which_of_the_hard_ones_have_no_strict_form_and_why() -> None:
    forms = {name: case_of(declared).form for name, (declared, _, _) in HARD.items()}
    assert {name: form.changes[0] for name, form in forms.items() if not form.ok} == snapshot(
        {
            "a reference to the root, wrapped": "$.answer[]: refers to #/properties/answer, which is not under $defs",
            "dict of integers": "$: the names of its properties are free",
            "a tuple": "$.answer: prefixItems is not allowed",
            "patternProperties": "$: patternProperties is not allowed",
            "dependentRequired": "$: dependentRequired is not allowed",
            "not": "$: not is not allowed",
            "if and then": "$: if is not allowed",
            "required and not described": "$: z is required and not described",
            "a definition that is only itself": "$.a: #/$defs/A refers to itself without end",
            "an object called answer": "$.answer: the names of its properties are free",
        }
    )


def test_the_answer_is_what_is_within_the_object_that_was_asked_for() -> None:
    case = case_of(HARD["an object called answer"][0])
    state = State(phase="answer", form="json_schema", unjudged=AssistantMessage('{"answer": ["x"]}'))
    verdict = verdict_of(case.output, state)
    assert isinstance(verdict, e.OutputAccepted)
    assert bytes(verdict.value) == b'["x"]'


def test_a_pattern_that_python_cannot_read_does_not_stand_in_the_way() -> None:
    class Word(BaseModel):
        text: str = Field(pattern=r"^\p{L}+$")
        note: str = "none"

    class Number(BaseModel):
        value: int
        unit: str = "m"

    case = case_of(list[Word | Number])
    assert case.accepts([{"text": "Straße", "note": None}, {"value": 1, "unit": None}], STRICT)
    assert not case.accepts([{"text": "1", "note": None}], STRICT)
    assert not case.accepts([{"value": 1, "unit": None}], "json_schema")
