import enum
import json
import socket
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, NotRequired
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, Field, SecretStr
from typing_extensions import TypedDict

from outrider.errors import SetupError
from outrider.schema import (
    Checked,
    Checker,
    Mismatch,
    check_schema,
    checker_for,
    explain,
    strict_form,
    wire_name,
    wire_names,
)


class Item(BaseModel):
    title: str
    price: float = 0.0


class Order(BaseModel):
    """What somebody wants."""

    items: list[Item]
    note: str | None = None


class Node(BaseModel):
    value: int
    below: "list[Node]" = []


@dataclass
class Point:
    x: int
    y: int = 0


class Place(TypedDict):
    name: str
    at: NotRequired[Point]


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


def fits(checker: Checker[Any], text: str) -> Checked[Any]:
    checked = checker.check(text)
    assert isinstance(checked, Checked), checked
    return checked


def problems(checker: Checker[Any], text: str | bytes) -> tuple[str, ...]:
    checked = checker.check(text)
    assert isinstance(checked, Mismatch)
    return checked.problems


# ------------------------------------------------------------------------------------------------ types


@pytest.mark.parametrize(
    ("kind", "text", "value", "canonical"),
    [
        (int, " 3 ", 3, "3"),
        (int, '"3"', 3, "3"),
        (bool, "true", True, "true"),
        (str, '"é"', "é", '"é"'),
        (float, "1", 1.0, "1.0"),
        (list[int], '["1", 2]', [1, 2], "[1,2]"),
        (dict[str, int], '{"b": 1, "a": 2}', {"a": 2, "b": 1}, '{"a":2,"b":1}'),
        (int | None, "null", None, "null"),
        (tuple[int, str], '[1, "a"]', (1, "a"), '[1,"a"]'),
        (set[int], "[1]", {1}, "[1]"),
        (Literal["a", "b"], '"b"', "b", '"b"'),
        (Colour, '"red"', Colour.RED, '"red"'),
        (date, '"2026-11-22"', date(2026, 11, 22), '"2026-11-22"'),
        (datetime, '"2026-11-22T08:00:00"', datetime(2026, 11, 22, 8), '"2026-11-22T08:00:00"'),
        (Decimal, '"0.10"', Decimal("0.10"), '"0.10"'),
        (UUID, f'"{UUID(int=7)}"', UUID(int=7), f'"{UUID(int=7)}"'),
        (Point, '{"x": 1}', Point(1), '{"x":1,"y":0}'),
        (Place, '{"name":"a","at":{"x":1}}', Place(name="a", at=Point(1)), '{"at":{"x":1,"y":0},"name":"a"}'),
        (Item, '{"title": "a"}', Item(title="a"), '{"price":0.0,"title":"a"}'),
        (Item | Point, '{"x": 2, "y": 3}', Point(2, 3), '{"x":2,"y":3}'),
        (int, str(2**80), 2**80, str(2**80)),
    ],
)
def test_types_check_to_values(kind: Any, text: str, value: object, canonical: str) -> None:
    checked = fits(checker_for(kind), text)
    assert checked.value == value
    assert bytes(checked.canonical).decode() == canonical
    assert fits(checker_for(kind), canonical).value == value


def test_schemas_have_no_titles_but_keep_properties_of_that_name() -> None:
    schema = checker_for(Order).schema
    assert schema["properties"]["items"] == {"items": {"$ref": "#/$defs/Item"}, "type": "array"}
    assert schema["$defs"]["Item"]["properties"] == {
        "title": {"type": "string"},
        "price": {"default": 0.0, "type": "number"},
    }
    assert "title" not in schema
    assert schema["description"] == "What somebody wants."


def test_a_recursive_type_has_an_object_at_the_top() -> None:
    schema = checker_for(Node).schema
    assert schema["type"] == "object"
    assert schema["properties"]["below"]["items"] == {"$ref": "#/$defs/Node"}
    assert problems(checker_for(Node), '{"value":1,"below":[{"value":2,"below":[{"value":"x"}]}]}') == (
        "$.below[0].below[0].value: 'x' is not an integer",
    )


def test_classes_share_one_checker() -> None:
    assert checker_for(Order) is checker_for(Order)
    assert checker_for(Order).schema is checker_for(Order).schema


@pytest.mark.parametrize("kind", [object.__init__, type("Odd", (), {}), list[type("Odd", (), {})]])
def test_types_without_a_schema_are_refused_at_first_use(kind: Any) -> None:
    checker = checker_for(kind)
    with pytest.raises(SetupError, match="has no JSON Schema") as caught:
        _ = checker.schema
    assert caught.value.hint
    assert caught.value.__suppress_context__, "whoever sees it sees their own line, not those of Pydantic"


def test_problems_name_path_value_and_rule() -> None:
    text = '{"items": [{"title": "a", "price": "abc"}, {"price": 1}, 7], "note": 3}'
    assert problems(checker_for(Order), text) == (
        "$.items[0].price: 'abc' is not a number",
        "$.items[1].title: is missing",
        "$.items[2]: 7 is not an object",
        "$.note: 3 is not a string",
    )


class Choice(BaseModel):
    value: int | list[int]
    odd_name: Annotated[str, Field(alias="odd name", max_length=3)] = ""
    even: Annotated[int, AfterValidator(lambda n: n if n % 2 == 0 else int("odd"))] = 0
    kind: Literal["a", "b"] = "a"


def test_problems_have_json_paths_and_one_line_a_value() -> None:
    text = '{"value": {"deep": 1}, "odd name": "long", "even": 3, "kind": "c"}'
    assert problems(checker_for(Choice), text) == (
        '$.value: {"deep":1} is not an integer or an array',
        "$['odd name']: 'long' should have at most 3 characters",
        "$.even: 3 does not fit: invalid literal for int() with base 10: 'odd'",
        "$.kind: 'c' should be 'a' or 'b'",
    )


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    age: int
    friends: list["Cat | Dog | int"] = []


class Household(BaseModel):
    named: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    pet: Cat | Dog | list[int] | None = None


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('{"pet": {"kind": "cat", "lives": "many"}}', ["$.pet.lives: 'many' is not an integer"]),
        ('{"pet": {"kind": "dog"}}', ["$.pet.age: is missing"]),
        ('{"pet": [1, "x"]}', ["$.pet[1]: 'x' is not an integer"]),
        ('{"pet": 7}', ["$.pet: 7 is not an object or an array"]),
        ('{"named": {"kind": "dog", "age": "old"}}', ["$.named.age: 'old' is not an integer"]),
        (
            '{"pet": {"kind": "dog", "age": 1, "friends": [3, {"kind": "cat", "lives": []}, "x"]}}',
            [
                "$.pet.friends[1].lives: [] is not an integer",
                "$.pet.friends[2]: 'x' is not an object or an integer",
            ],
        ),
    ],
)
def test_of_a_union_the_branch_that_came_nearest_is_explained(text: str, lines: list[str]) -> None:
    assert list(problems(checker_for(Household), text)) == lines


def test_long_values_are_cut_and_long_lists_of_problems_counted() -> None:
    (line,) = problems(checker_for(int), json.dumps("x" * 5000))
    assert len(line) < 120
    assert "is not an integer" in line
    lines = problems(checker_for(list[int]), json.dumps(["x"] * 50))
    assert len(lines) == 21
    assert lines[-1] == "and 30 more problems"


def test_explain_takes_any_pydantic_error() -> None:
    from pydantic import ValidationError

    instance = {"items": [{"price": "much"}]}
    with pytest.raises(ValidationError) as caught:
        Order.model_validate(instance)
    assert explain(caught.value, instance) == (
        "$.items[0].title: is missing",
        "$.items[0].price: 'much' is not a number",
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (" ", "no JSON: nothing at all"),
        ("Nothing is known of it, and I am very sorry.", "no JSON: 'Nothing is known of it, and I am very so...'"),
        ("true enough", "no JSON: 'true enough'"),
        ("NaN", "no JSON: 'NaN'"),
        (b"\xff", "no JSON: '\N{REPLACEMENT CHARACTER}'"),
        ('{"a": "x', 'not valid JSON: it ends too soon; it begins with \'{"a": "x\''),
        ("[1,]", "not valid JSON: "),
        ("{} x", "not valid JSON: "),
        ("1e999", "not valid JSON: "),
        ('"\\ud800"', "not valid JSON: "),
    ],
)
@pytest.mark.parametrize("kind", [Any, float, {"type": "number"}])
def test_what_is_no_json_is_a_problem_and_no_crash(kind: Any, text: str | bytes, told: str) -> None:
    (line,) = problems(checker_for(kind), text)
    assert line.startswith(told)


def test_json_nested_too_deeply_is_a_problem() -> None:
    (line,) = problems(checker_for(Any), "[" * 200_000)
    assert line.startswith("not valid JSON: ")


class Login(BaseModel):
    password: SecretStr
    level: float = 1.0


def twice(n: int) -> int:
    return n * 2


@pytest.mark.parametrize(
    ("kind", "text"),
    [(Login, '{"password":"hunter2"}'), (Annotated[int, AfterValidator(twice)], "3"), (float, '"nan"')],
)
def test_canonical_json_leads_back_to_the_value_whatever_the_type_does(kind: Any, text: str) -> None:
    first = fits(checker_for(kind), text)
    again = fits(checker_for(kind), bytes(first.canonical).decode())
    assert bytes(again.canonical) == bytes(first.canonical)
    assert repr(again.value) == repr(first.value)
    if kind is Login:
        assert again.value.password.get_secret_value() == "hunter2"


# ---------------------------------------------------------------------------------------- raw schemas

FORECAST: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "minLength": 2},
        "celsius": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        "sky": {"enum": ["clear", "grey"]},
        "next": {"$ref": "#"},
    },
    "required": ["city", "sky"],
    "additionalProperties": False,
}


def test_raw_schemas_check_and_explain() -> None:
    checker = check_schema(FORECAST)
    checked = fits(checker, '{"sky": "grey", "city": "Paris"}')
    assert checked.value == {"city": "Paris", "sky": "grey"}
    assert bytes(checked.canonical) == b'{"city":"Paris","sky":"grey"}'
    text = '{"city": "x", "celsius": "hot", "sky": "pink", "next": {"city": 4}, "more": 1}'
    assert set(problems(checker, text)) == {
        "$.city: 'x' is too short",
        "$.celsius: 'hot' is not a number or null",
        "$.sky: 'pink' is not one of ['clear', 'grey']",
        "$.next.city: 4 is not a string",
        "$.next.sky: is missing",
        "$.more: there is no such property",
    }
    assert checker.problems({"city": "Paris", "sky": "clear"}) == ()


def test_a_raw_schema_is_copied() -> None:
    given: dict[str, Any] = {"type": "integer"}
    checker = check_schema(given)
    given["type"] = "string"
    assert problems(checker, '"a"') == ("$: 'a' is not an integer",)


def test_the_draft_is_the_one_that_the_schema_names() -> None:
    pair = {"items": [{"type": "integer"}, {"type": "string"}]}
    seven = check_schema({"$schema": "http://json-schema.org/draft-07/schema#", **pair})
    assert problems(seven, '["a", "b"]') == ("$[0]: 'a' is not an integer",)
    with pytest.raises(SetupError, match=r"not valid at \$\.items"):  # Draft 2020-12 has prefixItems for that
        check_schema(pair)
    tuples = {"$schema": "https://json-schema.org/draft/2020-12/schema", "prefixItems": pair["items"]}
    assert problems(check_schema(tuples), '["a", "b"]') == ("$[0]: 'a' is not an integer",)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "objec"}, r"\$\.type"),
        ({"properties": {"a": {"items": {"minimum": "x"}}}}, r"\$\.properties\.a\.items\.minimum"),
        ({"$schema": "https://example.org/mine"}, "https://example.org/mine"),
        ({"const": object()}, "not JSON"),
        ({"properties": {"a": {"pattern": "("}}}, r"a\.pattern"),
        ({"patternProperties": {"\\p{L}": {}}}, "not valid at"),
        ({"$ref": "#/$defs/nowhere"}, "#/\\$defs/nowhere"),
    ],
)
def test_schemas_that_are_not_valid_are_refused(schema: dict[str, Any], said: str) -> None:
    with pytest.raises(SetupError, match=said):
        check_schema(schema)


@pytest.mark.parametrize("draft", ["http://json-schema.org/draft-07/schema#", None])
def test_remote_references_are_refused_and_no_socket_is_opened(
    draft: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[object] = []

    def spy(*args: object, **kwargs: object) -> None:
        opened.append(args)
        raise OSError

    monkeypatch.setattr(socket, "socket", spy)
    monkeypatch.setattr(socket, "getaddrinfo", spy)
    schema: dict[str, Any] = {"$schema": draft} if draft else {}
    schema["properties"] = {"a": {"items": {"$ref": "https://example.org/a.json"}}}
    with pytest.raises(SetupError, match=r"https://example\.org/a\.json") as caught:
        check_schema(schema)
    assert "$defs" in caught.value.hint
    assert opened == []


def test_local_references_anchors_and_properties_called_ref_work() -> None:
    schema = {
        "$id": "https://example.org/top",
        "$defs": {"n": {"$anchor": "number", "type": "number"}},
        "properties": {"a": {"$ref": "#number"}, "b": {"$ref": "#/$defs/n"}, "$ref": {"type": "string"}},
    }
    assert problems(check_schema(schema), '{"a": "x", "b": "y", "$ref": "https://example.org/"}') == (
        "$.a: 'x' is not a number",
        "$.b: 'y' is not a number",
    )


def test_a_schema_that_refers_to_itself_without_end_is_a_problem_and_no_crash() -> None:
    assert "without end" in problems(check_schema({"$ref": "#"}), "1")[0]


# -------------------------------------------------------------------------------------------- strict form


def test_the_strict_form_requires_everything_and_says_so() -> None:
    form = strict_form(checker_for(Order).schema)
    assert form.ok
    assert form.schema["required"] == ["items", "note"]
    assert form.schema["additionalProperties"] is False
    item = form.schema["$defs"]["Item"]
    assert item["required"] == ["title", "price"]
    assert "default" not in item["properties"]["price"]
    assert "$.note became required" in form.changes
    assert "$.$defs.Item.price: the default is told in the description" in form.changes
    assert item["properties"]["price"]["anyOf"] == [{"type": "number"}, {"type": "null"}]
    fits(checker_for(Order), '{"items": [{"title": "a", "price": 1}], "note": null}')


def test_what_is_strict_already_is_left_alone() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    assert strict_form(schema).schema == schema
    assert strict_form(schema).changes == ()


def test_references_with_company_and_recursion() -> None:
    class Pair(BaseModel):
        left: Annotated[Item, Field(description="the first")]
        right: Node

    form = strict_form(checker_for(Pair).schema)
    assert form.ok
    left = form.schema["properties"]["left"]
    assert left == {"description": "the first", "anyOf": [{"$ref": "#/$defs/Item"}]}
    assert strict_form(checker_for(Node).schema).ok
    check_schema(form.schema)


@pytest.mark.parametrize("kind", [dict[str, int], int, list[Item], Any, tuple[int, str], Item | Point])
def test_what_has_no_strict_form_comes_back_as_it_was(kind: Any) -> None:
    schema = checker_for(kind).schema
    form = strict_form(schema)
    assert not form.ok
    assert form.schema == schema
    assert form.changes


# ------------------------------------------------------------------------------------------------- names


@given(st.text(max_size=100))
def test_wire_names_are_allowed_stable_and_lead_back(name: str) -> None:
    wire = wire_name(name)
    assert 1 <= len(wire) <= 64
    assert all(c.isascii() and (c.isalnum() or c in "_-") for c in wire)
    assert wire_name(name) == wire
    assert wire_name(wire) == wire
    assert wire_names([name]) == {wire: name}


@given(st.lists(st.text(alphabet=".- _aé", max_size=70), unique=True, max_size=30))
def test_different_names_stay_different(names: list[str]) -> None:
    assert list(wire_names(names).values()) == names


def test_plain_names_are_left_alone_and_clashes_refused() -> None:
    assert wire_name("read_file-2") == "read_file-2"
    assert wire_name("shop.buy").startswith("shop_buy_")
    assert wire_name("a\n") != "a\n"
    with pytest.raises(SetupError, match="'a'"):
        wire_names(["a", "b", "a"])
    with pytest.raises(SetupError, match=r"'a\.b'"):
        wire_names(["a.b", wire_name("a.b")])


# -------------------------------------------------------------------------------------------- round trips

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(json_values)
def test_any_json_has_one_canonical_form(value: Any) -> None:
    first = fits(checker_for(Any), json.dumps(value))
    spaced = fits(checker_for({}), json.dumps(value, indent=2, ensure_ascii=False))
    assert first.value == value
    assert bytes(first.canonical) == bytes(spaced.canonical)
    assert json.loads(bytes(first.canonical)) == value


@settings(deadline=None)
@given(st.sampled_from([Order, Household, Choice, Node, Place, Item | Point | None, FORECAST]), json_values)
def test_no_json_crashes_a_checker(kind: Any, value: Any) -> None:
    for text in (json.dumps(value), json.dumps({"pet": value, "items": [value], "city": value, "below": value})):
        checked = checker_for(kind).check(text)
        if isinstance(checked, Mismatch):
            assert checked.problems
            assert all(line.startswith(("$", "and ")) for line in checked.problems)
