"""Answers whose JSON is written wrongly: read for what they plainly mean, or not at all."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider import Agent, Result
from outrider import events as e
from outrider.syntax import read
from outrider.testing import ScriptedModel

pytestmark = pytest.mark.anyio

VALUES: list[Any] = [
    {"vendor": "Harbor Supplies", "total": 1250.4},
    {"city": "Zürich", "note": 'he said "no"', "ok": True, "none": None},
    {"text": "it's {not} [what], it: seems", "deep": {"list": [1, 2.5, -3e2, "x"], "empty": {}}},
    [{"a": 1}, {"a": 2}],
    {"url": "https://a.example/x?y=1&z=2#f // not a comment", "path": "C:\\Windows\\x"},
    {"answer": [True, False, None]},
    {"lines": "one\ntwo\n\tthree", "emoji": "🙂", "quote": "'"},
    ["a, b", "c: d", "[e]", "{f}"],
    {"big": 12345678901234567890, "small": 0.1, "zero": 0, "neg": -0.5},
    {"nested": {"a": {"b": {"c": [[[]], [{}]]}}}},
    {"code": "if (a) { return [1, 2]; } // done"},
    {"": "an empty key", "key with spaces": 1, "true": "a word"},
]


def unquoted(text: str) -> str:
    return text.replace('"vendor"', "vendor").replace('"a"', "a").replace('"answer"', "answer")


KEPT: dict[str, Callable[[Any], str]] = {
    "a fence": lambda value: f"```json\n{json.dumps(value)}\n```",
    "a fence without a language": lambda value: f"```\n{json.dumps(value, indent=2)}\n```",
    "tildes": lambda value: f"~~~\n{json.dumps(value)}\n~~~",
    "words and a fence": lambda value: f"Sure, here you are:\n\n```json\n{json.dumps(value)}\n```\nAnything else?",
    "words before": lambda value: f"Here is the answer:\n{json.dumps(value)}",
    "words before, in line": lambda value: f"The answer: {json.dumps(value)}",
    "words after": lambda value: f"{json.dumps(value, indent=1)}\n\nI hope this helps.",
    "blanks": lambda value: f"  \n\t{json.dumps(value)}\n ",
    "a byte order mark": lambda value: f"\ufeff{json.dumps(value)}",
    "Python": repr,
    "Python in a fence": lambda value: f"```python\n{value!r}\n```",
    "a comma too many": lambda value: json.dumps(value)[:-1] + "," + json.dumps(value)[-1],
    "a comment": lambda value: f"// the answer\n{json.dumps(value)}",
    "a comment behind": lambda value: f"{json.dumps(value)} /* done */",
    "names without quotes": lambda value: unquoted(json.dumps(value, ensure_ascii=False)),
    "line ends in strings": lambda value: json.dumps(value).replace("\\n", "\n").replace("\\t", "\t"),
}
"""Ways of writing a value that mean that value."""

LOST: dict[str, Callable[[Any], str]] = {
    "cut off": lambda value: json.dumps(value)[:-1],
    "cut off in the middle": lambda value: json.dumps(value)[: len(json.dumps(value)) // 2],
    "cut off in a fence": lambda value: f"```json\n{json.dumps(value)[:-1]}\n```",
    "twice": lambda value: f"{json.dumps(value)}\n{json.dumps([value])}",
    "two fences": lambda value: f"```\n{json.dumps(value)}\n```\nor\n```\n{json.dumps([value])}\n```",
    "no beginning": lambda value: json.dumps(value)[1:],
    "quoted once more": lambda value: f"<answer>{json.dumps(value)[:-2]}</answer>",
}
"""Ways that leave it open what was meant."""


@pytest.mark.parametrize("way", KEPT)
@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_what_is_plainly_meant_is_read(value: Any, way: str) -> None:
    found = read(KEPT[way](value))
    assert found, KEPT[way](value)
    assert json.loads(found.text) == value


@pytest.mark.parametrize("way", LOST)
@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_what_is_not_is_not(value: Any, way: str) -> None:
    found = read(LOST[way](value))
    assert found is None or json.loads(found.text) == value


def test_there_are_enough_of_them() -> None:
    assert len(VALUES) * (len(KEPT) + len(LOST)) >= 200


@pytest.mark.parametrize(
    "text",
    ["", "no", "{'a': 1, 'a': 2}", '{"a": 1, "a": 2} ', "{a: NaN}", "{'a': (1, 2)}", "{'a': {1, 2}}", "{1: 2}",
     "See [1] for more", "{'a': b'x'}", "['a', open('x')]", "[" * 100_000, "{a: Infinity}", "[1 2]", "{'a' 1}",
     "Not {this} but {that}", "a" * 300_000],
)  # fmt: skip
def test_no_guesses_are_made(text: str) -> None:
    assert read(text) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=3) | st.dictionaries(st.text(), JSON, max_size=3), st.sampled_from([*KEPT, *LOST]))
def test_meaning_is_never_changed(value: Any, way: str) -> None:
    found = read((KEPT | LOST)[way](value))
    assert found is None or json.loads(found.text) == value


async def ran(*script: str, output: Any = dict[str, int]) -> tuple[Result[Any], list[tuple[str, ...]]]:
    repairs: list[tuple[str, ...]] = []

    def watch(entry: e.Entry) -> None:
        if isinstance(entry.event, e.OutputAccepted):
            repairs.append(entry.event.repairs)

    return await Agent(ScriptedModel(script), output=output, journal=None, observers=[watch]).run("go"), repairs


async def test_a_repair_saves_the_request_and_is_on_record() -> None:
    result, repairs = await ran("```json\n{'a': 1}\n```")
    assert (result.output, result.receipt.requests, result.receipt.repairs) == ({"a": 1}, 1, 2)
    assert repairs == [("the code fence was left off", "JSON5 was read as JSON")]


async def test_what_is_right_is_not_touched() -> None:
    result, repairs = await ran('{"a": 1}')
    assert (result.receipt.repairs, repairs) == (0, [()])


async def test_what_does_not_fit_when_read_is_asked_again_naming_the_place() -> None:
    result, _ = await ran("```\n{'a': 'x'}\n```", '{"a": 2}')
    assert (result.output, result.receipt.rejections) == ({"a": 2}, 1)
    assert "$.a" in str(result.messages[-2].content)
