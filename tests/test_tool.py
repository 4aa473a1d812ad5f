import enum
import functools
import json
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from pydantic import BaseModel, Field, SecretStr

from outrider.errors import SetupError
from outrider.schema import Checked
from outrider.tool import BadArguments, Context, Tool, ToolError, as_tool, tool

pytestmark = pytest.mark.anyio

AnyTool = Tool[..., Any]
HERE = Context("the deps", "r1", "r1:1:0", "key", 2, "Ada")


class Item(BaseModel):
    name: str
    count: int = 1


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


@tool(effect="read")
def weather(city: str, days: int = 1, *, unit: Literal["C", "F"] = "C") -> str:
    """The weather of a city.

    In a few words.

    Args:
        city: Where.
        days: How many days
            ahead.

    Returns:
        One line.
    """
    return f"{city} {days} {unit}"


def properties(made: AnyTool) -> dict[str, Any]:
    return made.parameters["properties"]


def problems(made: AnyTool, arguments: str) -> tuple[str, ...]:
    checked = made.check(arguments)
    assert isinstance(checked, BadArguments)
    return checked.problems


def refusal(define: Callable[[], object]) -> SetupError:
    with pytest.raises(SetupError) as caught:
        define()
    assert caught.value.hint
    return caught.value


# ----------------------------------------------------------------------------------------- what is offered


def test_signature_and_docstring_become_the_offer() -> None:
    assert json.loads(bytes(weather.wire)) == {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather of a city.\n\nIn a few words.\n\nReturns: One line.",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "Where."},
                    "days": {"type": "integer", "description": "How many days\nahead.", "default": 1},
                    "unit": {"type": "string", "enum": ["C", "F"], "default": "C"},
                },
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }
    assert len(weather.digest) == 16


def test_the_digest_changes_with_what_the_model_sees() -> None:
    def plain(city: str, days: int = 1) -> str:
        return city

    assert tool(plain).digest == tool(plain).digest
    assert tool(plain).digest != tool(plain, name="other").digest
    assert tool(plain).digest == tool(plain, effect="read").digest


def google(a: int, b: str) -> None:
    """Do it.

    Args:
        a (int): first
        b: second
    """


def numpy(a: int, b: str) -> None:
    """Do it.

    Parameters
    ----------
    a : int
        first
    b
        second
    """


def sphinx(a: int, b: str) -> None:
    """Do it.

    :param a: first
    :param str b: second
    """


@pytest.mark.parametrize("function", [google, numpy, sphinx])
def test_docstrings_of_three_styles_describe_parameters(function: Callable[[int, str], None]) -> None:
    made = tool(function)
    assert made.description == "Do it."
    assert {name: schema["description"] for name, schema in properties(made).items()} == {
        "a": "first",
        "b": "second",
    }


def test_what_the_hint_says_wins_over_the_docstring() -> None:
    @tool
    def search(
        words: Annotated[str, "what to look for"],
        most: Annotated[int, Field(ge=1, le=10, description="how many")] = 3,
        near: Annotated[str | None, Field(description="where")] = None,
    ) -> None:
        """Search.

        Args:
            words: no
            most: no
            near: no
        """

    assert properties(search) == {
        "words": {"type": "string", "description": "what to look for"},
        "most": {"type": "integer", "description": "how many", "minimum": 1, "maximum": 10, "default": 3},
        "near": {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "where", "default": None},
    }
    assert problems(search, '{"words": "a", "most": 11}') == ("$.most: 11 should be less than or equal to 10",)


def test_no_docstring_and_no_parameters() -> None:
    @tool
    def now() -> str:
        return "noon"

    assert now.description == ""
    assert now.parameters == {"type": "object", "properties": {}, "additionalProperties": False}
    for nothing in ("", "  ", "{}"):
        assert isinstance(now.check(nothing), Checked)
    assert now.invoke("", HERE) == "noon"


def test_names_and_descriptions_may_be_given_and_names_have_a_wire_form() -> None:
    made = tool(google, name="do.it now", description="Really.")
    assert (made.name, made.description) == ("do.it now", "Really.")
    offered = json.loads(bytes(made.wire))["function"]
    assert offered["name"] == made.wire_name != made.name
    assert offered["description"] == "Really."
    assert weather.wire_name == "weather"


def test_forward_references_and_local_types_resolve() -> None:
    class Local(BaseModel):
        x: int

    @tool
    def take(item: "Item", local: "Local | None" = None) -> "list[Local]":
        """The return type is of no interest."""
        return [local] if local else []

    assert isinstance(take.bind('{"item": {"name": "a"}, "local": {"x": 1}}', HERE)["local"], Local)


def test_defaults_that_are_no_json_stay_in_python() -> None:
    marker = object()

    @tool
    def take(a: int, size: Size = Size.SMALL, other: Any = marker) -> bool:
        return size is Size.SMALL and other is marker

    assert properties(take)["size"]["default"] == "small"
    assert "default" not in properties(take)["other"]
    assert take.parameters["required"] == ["a"]
    assert take.invoke('{"a": 1}', HERE) is True


def test_awkward_parameter_names_are_fine() -> None:
    @tool
    def take(json: int, schema: int, model_config: int, _x: int, self: int) -> int:
        return json + schema + model_config + _x + self

    assert take.invoke('{"json":1,"schema":2,"model_config":3,"_x":4,"self":5}', HERE) == 15


# --------------------------------------------------------------------------------------- what is refused


class Odd:
    """Pydantic knows nothing of this class."""


def test_each_refusal_names_function_and_parameter() -> None:  # noqa: C901
    def no_hint(a: int, b) -> None: ...  # pyright: ignore
    def many(a: int, *rest: int) -> None: ...
    def keywords(a: int, **rest: int) -> None: ...
    def positional(a: int, /) -> None: ...
    def odd(fine: int, strange: Odd) -> None: ...
    def odd_list(fine: int, strange: list[Odd]) -> None: ...
    def callback(fine: int, strange: Callable[[], None]) -> None: ...
    def half(fine: int, strange: int | Callable[[], None]) -> None: ...
    def missing(fine: int, strange: "Nowhere") -> None: ...  # noqa: F821 # pyright: ignore
    def field(fine: int, strange: int = Field(3, ge=1)) -> None: ...
    def inner(fine: int, strange: Annotated[int, Field(default=3)]) -> None: ...
    def alias(fine: int, strange: Annotated[int, Field(alias="other")]) -> None: ...
    def method(self, a: int) -> None: ...  # pyright: ignore

    refused: list[tuple[Callable[..., None], str]] = [
        (no_hint, "b"),
        (many, "*rest: int"),
        (keywords, "**rest: int"),
        (positional, "a"),
        (odd, "strange"),
        (odd_list, "strange"),
        (callback, "strange"),
        (half, "strange"),
        (missing, "strange"),
        (field, "strange"),
        (inner, "strange"),
        (alias, "strange"),
        (method, "self"),
    ]
    for function, parameter in refused:
        error = refusal(lambda function=function: tool(function))
        assert error.message.startswith(f"{function.__name__}: parameter {parameter!r} "), error.message
        assert "site-packages/pydantic" not in "".join(traceback.format_exception(error))


def test_what_is_no_plain_function_is_refused() -> None:
    def yields() -> Iterator[int]:
        yield 1

    async def yields_too() -> AsyncIterator[int]:
        yield 1

    for thing, said in (
        (Item, "Item is a class"),
        (weather, "weather is a tool already"),
        (yields, "yields yields"),
        (yields_too, "yields_too yields"),
        (len, "no Python function"),
        (3, "3 is no plain function"),
        (staticmethod(google), "google is no plain function"),
        (lambda: 1, "a lambda has no name"),
    ):
        assert said in refusal(lambda thing=thing: tool(thing)).message  # pyright: ignore


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"effect": "reed"}, "effect is 'reed'"),
        ({"repeat": "always"}, "repeat is 'always'"),
        ({"trust": True}, "trust is True"),
        ({"doubt": "guess"}, "doubt is 'guess'"),
        ({"timeout": 0}, "timeout is 0"),
        ({"max_result": -1}, "max_result is -1"),
        ({"sinks": ("c",)}, "no parameter 'c'"),
        ({"timout": 3}, "no option 'timout'"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(SetupError, match=r"^google: ") as caught:
        tool(google, **options)
    assert said in caught.value.message


def test_a_misspelt_option_gets_a_suggestion() -> None:
    options: dict[str, Any] = {"timout": 3}
    assert "timeout" in refusal(lambda: tool(google, **options)).hint


# ------------------------------------------------------------------------------------------------ options


def test_defaults_are_the_cautious_ones() -> None:
    made = tool(google)
    assert (made.effect, made.repeat, made.trust, made.doubt) == ("write", "never", "untrusted", "ask")
    assert (made.timeout, made.max_result, made.alone, made.approve) == (60.0, 20_000, False, False)
    assert (made.sinks, made.when) == ((), None)


def test_reads_may_run_again_unless_said_otherwise() -> None:
    assert weather.repeat == "safe"
    assert tool(google, effect="read", repeat="never").repeat == "never"
    assert tool(google, effect="egress").repeat == "never"
    assert tool(google, repeat="with_key").repeat == "with_key"


def test_options_are_kept_and_a_tool_cannot_be_changed() -> None:
    made = tool(google, timeout=None, max_result=5, alone=True, approve=True, sinks=("b",), when=lambda d, s: d == 1)
    assert (made.timeout, made.max_result, made.alone, made.approve, made.sinks) == (
        None,
        5,
        True,
        True,
        ("b",),
    )
    assert made.when is not None
    with pytest.raises(AttributeError):
        made.name = "other"  # pyright: ignore


# ------------------------------------------------------------------------------------------- called plainly


async def test_the_function_stays_callable_as_it_was() -> None:
    @tool
    async def double(n: int) -> int:
        return n * 2

    assert weather("Paris", 2, unit="F") == "Paris 2 F"
    assert await double(4) == 8
    assert double.is_async
    assert not weather.is_async
    assert await double.invoke('{"n": "4"}', HERE) == 8


def test_methods_partials_and_callable_objects() -> None:
    class Shop:
        def __init__(self, name: str) -> None:
            self.name = name

        def buy(self, item: str, count: int = 1) -> str:
            """Buy something."""
            return f"{self.name}: {count} {item}"

        def __call__(self, item: str) -> str:
            """Ask for something."""
            return f"{self.name}? {item}"

        @staticmethod
        def greet(name: str) -> str:
            return f"hello {name}"

    shop = Shop("Corner")
    assert tool(shop.buy).invoke('{"item": "tea"}', HERE) == "Corner: 1 tea"
    assert tool(shop.buy).description == "Buy something."
    assert tool(shop).name == "Shop"
    assert tool(shop).invoke('{"item": "tea"}', HERE) == "Corner? tea"
    assert tool(Shop.greet).invoke('{"name": "you"}', HERE) == "hello you"
    two = tool(functools.partial(shop.buy, count=2))
    assert list(properties(two)) == ["item"]
    assert two.name == "buy"
    assert two.invoke('{"item": "teas"}', HERE) == "Corner: 2 teas"
    assert problems(two, '{"item": "teas", "count": 9}') == ("$.count: there is no such property",)


def test_wrapped_functions_are_described_by_what_they_wrap() -> None:
    def loud(function: Callable[..., str]) -> Callable[..., str]:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> str:
            return function(*args, **kwargs).upper()

        return wrapper

    @tool
    @loud
    def greet(name: str) -> str:
        """Greet."""
        return f"hello {name}"

    assert list(properties(greet)) == ["name"]
    assert greet.invoke('{"name": "you"}', HERE) == "HELLO YOU"


def test_plain_functions_become_tools_once() -> None:
    def plain(a: int) -> int:
        return a

    @functools.wraps(plain)
    def wrapper(a: int) -> int:
        return a + 1

    made = as_tool(plain)
    assert as_tool(plain) is made
    assert as_tool(weather) is weather
    functools.update_wrapper(wrapper, plain)  # copies what was remembered about ``plain``
    assert as_tool(wrapper) is not made
    assert as_tool(wrapper).invoke('{"a": 1}', HERE) == 2


# -------------------------------------------------------------------------------------------- the context


@pytest.mark.parametrize("position", ["first", "last", "bare", "annotated"])
def test_the_context_is_given_to_the_tool_and_hidden_from_the_model(position: str) -> None:
    def first(here: Context[str], a: int) -> tuple[int, str, str, int]:
        return a, here.deps, here.key, here.attempt

    def last(a: int, *, here: "Context[str]") -> tuple[int, str, str, int]:
        return a, here.deps, here.key, here.attempt

    def bare(a: int, here: Context) -> tuple[int, str, str, int]:  # pyright: ignore
        return a, here.deps, here.key, here.attempt  # pyright: ignore

    def annotated(a: int, here: Annotated[Context[str], "never seen"]) -> tuple[int, str, str, int]:
        return a, here.deps, here.key, here.attempt

    forms: dict[str, Callable[..., object]] = {
        "first": first,
        "last": last,
        "bare": bare,
        "annotated": annotated,
    }
    made = tool(forms[position])
    assert list(properties(made)) == ["a"]
    assert b"here" not in bytes(made.wire)
    assert made.invoke('{"a": 3}', HERE) == (3, "the deps", "key", 2)
    assert problems(made, '{"a": 3, "here": {"deps": "mine"}}') == ("$.here: there is no such property",)


# ------------------------------------------------------------------------------------ models and raw schemas


async def test_a_pydantic_model_may_describe_the_parameters() -> None:
    @tool(parameters=Item, name="order")
    async def order(item: Item, here: Context[str]) -> str:
        """Order something."""
        return f"{item.count} {item.name} for {here.deps}"

    assert properties(order) == {"name": {"type": "string"}, "count": {"type": "integer", "default": 1}}
    assert await order.invoke('{"name": "tea", "count": "2"}', HERE) == "2 tea for the deps"
    assert await order(Item(name="x"), HERE) == "1 x for the deps"
    assert problems(order, '{"count": "two"}') == ("$.name: is missing", "$.count: 'two' is not an integer")


def test_a_raw_schema_may_describe_the_parameters() -> None:
    schema = {
        "type": "object",
        "properties": {"to-whom": {"type": "string"}, "n": {"type": "integer"}},
        "required": ["to-whom"],
    }

    @tool(parameters=schema, name="mail.send", description="Send it.", sinks=("to-whom",))
    def send(arguments: dict[str, Any]) -> str:
        return f"sent to {arguments['to-whom']}"

    assert send.parameters == schema
    assert send.invoke('{"to-whom": "you"}', HERE) == "sent to you"
    assert problems(send, '{"n": "1"}') == ("$.n: '1' is not an integer", "$['to-whom']: is missing")
    with pytest.raises(ToolError, match="is missing"):
        send.invoke("{}", HERE)


def test_descriptions_given_as_parameters_are_checked_at_definition() -> None:
    def two(a: int, b: int) -> None: ...
    def one(a: Any) -> None: ...

    assert "two: with parameters=" in refusal(lambda: tool(two, parameters=Item)).message
    assert "no object" in refusal(lambda: tool(one, parameters={"type": "string"})).message
    remote = {"type": "object", "properties": {"a": {"$ref": "https://example.org/a"}}}
    assert "https://example.org/a" in refusal(lambda: tool(one, parameters=remote)).message


# --------------------------------------------------------------------------------------------- arguments


def test_arguments_are_checked_to_canonical_json() -> None:
    checked = weather.check(' {"days": "2", "city": "Paris"} ')
    assert isinstance(checked, Checked)
    assert bytes(checked.canonical) == b'{"city":"Paris","days":2}'
    assert weather.invoke(checked.canonical, HERE) == "Paris 2 C"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("{", "not valid JSON: "),
        ('{"city": "Paris",}', "not valid JSON: "),
        ("[]", "$: [] is not an object"),
        ("null", "$: null is not an object"),
        ("{}", "$.city: is missing"),
        ('{"city": 3}', "$.city: 3 is not a string"),
        ('{"city": "x", "days": 1.5}', "$.days: 1.5 is not an integer"),
        ('{"city": "x", "unit": "K"}', "$.unit: 'K' should be 'C' or 'F'"),
        ('{"city": "x", "town": "y"}', "$.town: there is no such property"),
    ],
)
def test_bad_arguments_are_told_in_short_lines(arguments: str, said: str) -> None:
    (line,) = problems(weather, arguments)
    assert line.startswith(said)
    with pytest.raises(ToolError) as caught:
        weather.bind(arguments, HERE)
    assert said in str(caught.value)


values: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (int, st.integers()),
    (float, st.floats(allow_nan=False, allow_infinity=False)),
    (bool, st.booleans()),
    (str, st.text()),
    (str | None, st.none() | st.text()),
    (list[int], st.lists(st.integers(), max_size=3)),
    (dict[str, float], st.dictionaries(st.text(), st.floats(-1e9, 1e9), max_size=3)),
    (tuple[int, str], st.tuples(st.integers(), st.text())),
    (Literal["a", "b", 3], st.sampled_from(["a", "b", 3])),
    (Size, st.sampled_from(Size)),
    (date, st.dates()),
    (datetime, st.datetimes()),
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    (Item, st.builds(Item, name=st.text(), count=st.integers())),
    (list[Item] | None, st.none() | st.lists(st.builds(Item, name=st.text()), max_size=2)),
]
names = st.from_regex("[a-z][a-z_]{0,6}x", fullmatch=True)  # the x keeps clear of Python's own words


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_random_signatures_round_trip(data: st.DataObject) -> None:
    from pydantic_core import to_json

    parameters = data.draw(st.dictionaries(names, st.sampled_from(values), max_size=4))

    def take(**given: Any) -> dict[str, Any]:
        return given

    make: dict[str, Any] = {"take": take}
    hints = {f"h{i}": kind for i, (kind, _) in enumerate(parameters.values())}
    inside = ", ".join(f"{name}: h{i}" for i, name in enumerate(parameters))
    exec(f"def f({inside}): return take({', '.join(f'{n}={n}' for n in parameters)})", make | hints, make)
    made: AnyTool = tool(make["f"])
    sent = {name: data.draw(strategy) for name, (_, strategy) in parameters.items()}
    checked = made.check(to_json(sent).decode())
    assert isinstance(checked, Checked), checked
    assert made.invoke(checked.canonical, HERE) == sent
    again = made.check(checked.canonical)
    assert isinstance(again, Checked)
    assert bytes(again.canonical) == bytes(checked.canonical)
    raw = tool(lambda_of_one, parameters=made.parameters, name="raw")
    assert isinstance(raw.check(checked.canonical), Checked)


def lambda_of_one(arguments: dict[str, Any]) -> None:
    """Takes whatever the schema allows."""


# ----------------------------------------------------------------------------------------------- results


class Row(msgspec.Struct):
    n: int


@dataclass
class Point:
    x: int
    at: date


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is\n", "as it is\n"),
        (None, "null"),
        ({"é": [1, 2.5, None, True]}, '{"é":[1,2.5,null,true]}'),
        (Item(name="a"), '{"name":"a","count":1}'),
        ([Point(1, date(2026, 11, 22))], '[{"x":1,"at":"2026-11-22"}]'),
        ({"row": Row(3)}, '{"row":{"n":3}}'),
        (datetime(2026, 11, 22, 8), '"2026-11-22T08:00:00"'),
        (Decimal("0.10"), '"0.10"'),
        (Size.LARGE, '"large"'),
        ((1, "a"), '[1,"a"]'),
        (float("inf"), '"Infinity"'),
    ],
)
def test_results_become_text(value: object, text: str) -> None:
    assert weather.render(value) == text


def test_a_tool_that_returns_nothing_says_done() -> None:
    def quoted() -> "None": ...
    def silent(): ...  # pyright: ignore

    assert tool(google).render(None) == "done"
    assert tool(quoted).render(None) == "done"
    assert tool(silent).render(None) == "null"


@pytest.mark.parametrize("value", [Odd(), [Odd()], b"\xff", {"a": lambda: 1}])
def test_results_without_json_are_an_error_that_names_the_type(value: object) -> None:
    with pytest.raises(ToolError, match=f"weather ran, but its result of type {type(value).__name__} "):
        weather.render(value)


def test_raw_is_taken_for_arguments() -> None:
    assert weather.invoke(Raw(b'{"city":"Rome"}'), HERE) == "Rome 1 C"


# -------------------------------------------------------------------------------------- what makes no sense


def default_of(default: Any, hint: Any) -> Callable[..., str]:
    def plan(a: int, b: Any = default) -> str:
        """Plan."""
        return f"{a} {b}"

    plan.__annotations__["b"] = hint
    return plan


MARK = object()


@pytest.mark.parametrize(
    ("default", "hint"),
    [
        ("x", int),
        (None, str),
        (3, Literal["C", "F"]),
        (0, Annotated[int, Field(ge=1)]),
        (["x"], list[int]),
        ({"count": 1}, Item),
    ],
)
def test_a_default_that_does_not_fit_its_hint_is_refused(default: Any, hint: Any) -> None:
    with pytest.raises(SetupError, match="plan: the default of parameter 'b' does not fit its hint: ") as caught:
        tool(default_of(default, hint))
    assert "b: ... | None = None" in caught.value.hint


@pytest.mark.parametrize(
    ("default", "hint"),
    [
        (None, str | None),
        (1, float),
        (True, bool),
        ((), list[int]),
        (frozenset({1}), frozenset[int]),
        ("C", Literal["C", "F"]),
        (Size.SMALL, Size),
        (Item(name="tea"), Item),
        (Decimal("1.50"), Decimal),
        (date(2024, 1, 2), date),
        (float("inf"), float),
        (float("inf"), float | None),
        (SecretStr("hunter2"), SecretStr),
        (b"\xff", bytes),
        (Path("here"), Path),
        (MARK, int),
        ({"a": [1]}, Any),
    ],
)
def test_a_default_that_fits_is_the_functions_own(default: Any, hint: Any) -> None:
    made = tool(default_of(default, hint))
    assert made.bind('{"a": 1}', HERE) == {"a": 1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": ""}, "weather: name is ''"),
        ({"name": "  "}, "weather: name is '  '"),
        ({"name": 3}, "weather: name is 3"),
        ({"parameters": 3}, "weather: with parameters= it must have one parameter"),
        ({"timeout": "5"}, "weather: timeout is '5'"),
        ({"max_result": None}, "weather: max_result is None"),
        ({"approve": "yes"}, "weather: approve is 'yes'"),
        ({"sinks": "city"}, "weather: sinks is 'city'"),
    ],
)
def test_an_option_of_the_wrong_kind_names_the_function(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SetupError) as caught:
        tool(weather.function, **options)
    assert message in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("parameters", [3, "Order", {"type": "nonsense"}, {"type": "object", "$ref": "http://x"}])
def test_parameters_that_are_none_name_the_function(parameters: Any) -> None:
    def order(it: dict[str, Any]) -> str:
        """Order."""
        return str(it)

    with pytest.raises(SetupError, match="order: parameters= cannot be used: "):
        tool(order, parameters=parameters)
