"""The words said to models: every file has a head and a body, every slot is filled, nothing is escaped."""

import ast
import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

import outrider
import outrider_prompts
from outrider_prompts import PromptError, names, parts, say

SLOTS: dict[str, dict[str, str | int | list[str]]] = {
    "answer_at_limit": {"why": "of turns is reached", "schema": "{}"},
    "answer_now": {"schema": "{}"},
    "answer_tool": {"name": "Forecast"},
    "go_on": {},
    "loop_steered": {"names": ["look"], "times": 4},
    "answer_refused": {},
    "answer_checked": {"check": "adds_up", "reason": "The items do not add up."},
    "answer_rejected": {"problems": ["$.a: is missing"], "schema": "{}"},
    "answer_truncated": {},
    "call_bad_arguments": {"name": "look", "problems": ["$.a: is missing", "$.b: is missing"]},
    "call_cut": {"result": "abc", "total": 10, "cut": 7},
    "call_denied": {"name": "look", "reason": "no money"},
    "call_edited": {"arguments": '{"a":1}', "result": "done"},
    "call_failed": {"name": "look", "type": "ValueError"},
    "call_cut_off": {"name": "pay"},
    "call_over_limit": {"limit": 7},
    "call_in_doubt": {"name": "look"},
    "call_timed_out": {"name": "look", "seconds": "5"},
    "call_unknown": {"name": "lok", "names": ["look", "pay"], "hint": "Did you mean look?"},
}


def test_these_are_the_words_of_the_frame() -> None:
    assert {name for name in names() if not name.startswith("local_")} == set(SLOTS)


@pytest.mark.parametrize("name", names())
def test_every_file_says_when_it_is_used(name: str) -> None:
    text = (files(outrider_prompts) / f"{name}.md").read_text("utf-8")
    head, body, _ = parts(text)
    assert tomllib.loads(head).keys() == {"about"}
    assert re.match(r'about = "[A-Z].+\."$', head)
    assert body.strip()


@pytest.mark.parametrize("name", SLOTS)
def test_every_slot_is_filled_and_none_may_be_left_out(name: str) -> None:
    slots = SLOTS[name]
    text = say(name, **slots)
    assert text == text.strip()
    assert not re.search(r"[{}%]{2}", text.replace("{}", ""))
    for value in slots.values():
        for word in value if isinstance(value, list) else [value]:
            assert str(word) in text
    for slot in slots:
        with pytest.raises(PromptError, match=f"the prompt {name} got no value for its slot '{slot}'"):
            say(name, **{other: value for other, value in slots.items() if other != slot})


def test_lists_have_a_line_for_each_problem() -> None:
    text = say("call_bad_arguments", **SLOTS["call_bad_arguments"])
    assert text.splitlines() == [
        "The arguments do not fit the tool look, so it was not run:",
        "",
        "- $.a: is missing",
        "- $.b: is missing",
        "",
        "Call it again with corrected arguments.",
    ]


def test_what_may_be_empty_leaves_no_hole() -> None:
    assert say("call_denied", name="pay", reason="") == "The call of pay was not allowed. It was not run."
    unknown = say("call_unknown", name="x", names=["look"], hint="")
    assert unknown == "There is no tool named x. The tools are: look."


def test_values_are_put_in_as_they_are() -> None:
    text = '<b> & "q" {{ name }} {% raw %}'
    assert text in say("call_edited", arguments="{}", result=text)


@pytest.mark.parametrize(
    ("name", "values", "told"),
    [
        ("call_unknwn", {}, "there is no prompt 'call_unknwn'\nDid you mean call_unknown"),
        ("nothing", {}, "there is no prompt 'nothing'\nThe prompts: answer_at_limit, answer_checked, "),
        ("call_in_doubt", {"nmae": "pay"}, "the prompt call_in_doubt has no slot 'nmae'\nDid you mean name?"),
        ("call_in_doubt", {"name": "pay", "x": 1}, "has no slot 'x'\nThe slots: name."),
        ("answer_refused", {"name": "pay"}, "has no slot 'name'\nThe slots: none."),
    ],
)
def test_a_name_or_slot_that_is_not_there_is_an_error_that_names_what_is(
    name: str, values: dict[str, object], told: str
) -> None:
    with pytest.raises(PromptError) as raised:
        say(name, **values)
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Hi\nthere", ("", "Hi\nthere", 1)),
        ("+++\na = 1\n\nb = 2\n+++\n\nHi\n", ("a = 1\n\nb = 2", "\nHi\n", 6)),
        ("+++ \r\n+++\r\nHi", ("", "Hi", 3)),
    ],
)
def test_a_file_has_a_head_and_a_body(text: str, found: tuple[str, str, int]) -> None:
    assert parts(text) == found


@pytest.mark.parametrize(
    ("text", "told"), [("---\nabout: x\n---\nHi", "begins with ---"), ("+++\nabout = 1\nHi", "is not closed")]
)
def test_a_head_that_is_none_is_named(text: str, told: str) -> None:
    with pytest.raises(PromptError, match=told) as raised:
        parts(text)
    assert raised.value.line == 1


def test_the_code_says_only_words_that_are_there() -> None:
    root = Path(outrider.__file__).parent
    said: set[str] = set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="say"), args=[ast.Constant(value=str(name)), *_]):
                    said.add(name)
                case _:
                    pass
    assert said <= set(names())
    assert set(SLOTS) <= said, "words that nobody says"
