"""The words said to models: every file has a head and a body, every slot is filled, nothing is escaped."""

import ast
import re
from importlib.resources import files
from pathlib import Path

import pytest
from jinja2 import UndefinedError

import outrider
import outrider_prompts
from outrider_prompts import names, say

SLOTS: dict[str, dict[str, str | int | list[str]]] = {
    "answer_now": {"schema": "{}"},
    "answer_refused": {},
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
    head = re.match(r"---\nabout: [A-Z].+\.?\n---\n", text)
    assert head, "a front matter with one line: about"
    assert text[head.end() :].strip()


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
        with pytest.raises(UndefinedError):
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


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        say("call_nobody")


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
