"""TOML whose lines are known: of a key, of a place inside its value, of what is no TOML."""

import random
from decimal import Decimal
from typing import Any

import pytest

from outrider import SetupError
from outrider.toml import Toml

TEXT = '''# a comment
task = """
[limits]
turns = 3
not = "a key" \\
  {{ day }}
"""
tools = [ # "pay"
  "look", # "pay"
  # "pay",
  "pay", "weather"
]
'quo.ted' = 1
a.b."c d" = 2
lim = { turns = 3, x.y = 4 }
odd = '' # """

[limits]  # a table
turns = 3
# [nothing]
[ output . properties ]
city.type = "string"
[[rows]]
cells = [[1],
  [2]]
[[rows]]
last = 1
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("task",), 2),
        (("tools",), 8),
        (("quo.ted",), 13),
        (("a",), 14),
        (("a", "b", "c d"), 14),
        (("lim", "turns"), 15),
        (("lim", "x", "y"), 15),
        (("odd",), 16),
        (("limits",), 18),
        (("limits", "turns"), 19),
        (("limits", "tokens"), 18),
        (("output",), 21),
        (("output", "properties", "city", "type"), 22),
        (("output", "properties", "city", "anything", "below"), 22),
        (("rows",), 23),
        (("rows", "cells"), 24),
        (("rows", "last"), 27),
        ((), 1),
        (("not",), 1),
    ],
)
def test_the_line_of_a_key_is_found(path: tuple[str, ...], line: int) -> None:
    assert Toml(TEXT, "x.toml").line(*path) == line
    assert Toml(TEXT, "x.toml", first=10).line(*path) == line + 9


@pytest.mark.parametrize(
    ("path", "at", "line"),
    [
        (("tools",), 0, 9),
        (("tools",), 1, 11),
        (("tools",), 2, 11),
        (("task",), 0, 3),
        (("task",), len("[limits]\n"), 4),
        (("task",), len("[limits]\nturns = 3\nnot"), 5),
        (("task",), len('[limits]\nturns = 3\nnot = "a key" {{'), 6),
        (("quo.ted",), 0, 13),
        (("odd",), 0, 16),
        (("rows", "cells"), 1, 25),
    ],
)
def test_the_line_inside_a_value_is_found(path: tuple[str, ...], at: int, line: int) -> None:
    assert Toml(TEXT, "x.toml").line_within(*path, at=at) == line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\nb = What\n", 2),
        ("a = 1\nb = 'x\nc = 2\n", 2),
        ('a = 1\nb = """x\n\n', 2),
        ("a = 1\n\nb = [1,\n2\n", 3),
        ("a = 1\na = 2\n", 2),
        ("[t]\nx = 1\n[t]\ny = 1\n", 3),
        ("a = 1\n[t\n", 2),
        ("a = 1\nb", 2),
        ("a = 1\nb =", 2),
    ],
)
def test_what_is_no_toml_is_named_where_it_begins(text: str, line: int) -> None:
    with pytest.raises(SetupError) as raised:
        Toml(text, "x.toml")
    assert raised.value.message.startswith(f"x.toml:{line}: this is not TOML (")
    assert raised.value.message.endswith(f"): {text.splitlines()[line - 1]}")


VALUES = (
    "1", "true", "2026-01-01", "''", '"a#b[{"', "'x\"]'", '"a\\"b"', '"\\\\"', '""""""', '"""a""""', "'''\n'''",
    '"""\n[t]\nk = 1\n"""', '"""a\\\n  b\\"""c"""', "[1, 2]", '[\n "a", # ]"\n "b"\n]', "{ a = 1, b.c = [1] }",
    '[ """x\n]""", ' + "'''y\n''' ]",
)  # fmt: skip
KEYS = {"k": ("k",), '"q #"': ("q #",), "'q\"'": ('q"',), 'd . "f g"': ("d", "f g")}
REMARKS = ("", ' # "x', " # [", ' # """')


@pytest.mark.parametrize("seed", range(200))
def test_the_line_of_a_key_is_found_whatever_stands_around_it(seed: int) -> None:
    chance = random.Random(seed)
    text = ""
    wanted: dict[tuple[str, ...], int] = {}
    for table in ("", "[ a ]", '[ b."c]" ]', "['d\"'] # [x"):
        above = tuple(part for part in ("a", "b", "c]", 'd"') if part in table)
        if table:
            wanted[above] = text.count("\n") + 1
            text += f"{table}\n"
        for key in chance.sample(list(KEYS), 3):
            text += chance.choice(["", "\n", '# c = """\n', "  \n\n"])
            wanted[(*above, *KEYS[key])] = text.count("\n") + 1
            text += f"{key} = {chance.choice(VALUES)}{chance.choice(REMARKS)}\n"
    toml = Toml(text, "x.toml")
    assert {path: toml.line(*path) for path in wanted} == wanted


def test_lines_may_end_as_on_windows() -> None:
    toml = Toml(TEXT.replace("\n", "\r\n"), "x.toml")
    assert toml.values == Toml(TEXT, "x.toml").values
    assert (toml.line("limits", "turns"), toml.line_within("tools", at=1)) == (19, 11)
    with pytest.raises(SetupError, match=r"x\.toml:2: this is not TOML"):
        Toml("a = 1\r\nb = What\r\n", "x.toml")


def test_fractions_are_exact() -> None:
    values: dict[str, Any] = Toml("a = 1.10", "x.toml").values
    assert values == {"a": Decimal("1.10")}
    assert str(values["a"]) == "1.10"
