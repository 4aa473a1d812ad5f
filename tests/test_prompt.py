"""Prompt files: slots are filled with what is given, as it is, and every mistake is named with its line."""

from collections.abc import Callable
from pathlib import Path

import pytest

from outrider import SetupError
from outrider.prompt import MOST_BYTES, Filled, Prompt

Write = Callable[[str], Path]

ASK = """+++
about = "Asks a clerk."
instructions = \"\"\"
You are a clerk.
On {{ day }} be {{ mood }}.
\"\"\"

[inputs]
day = "a day of the week"
+++

Do this: {{ task }}

On {{ day }}{% if urgent is defined %}, at once{% endif %}.
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.chdir(tmp_path)

    def written(text: str) -> Path:
        path = Path("ask.md")
        path.write_bytes(text.encode())
        return path

    return written


def test_a_prompt_file_is_filled(write: Write) -> None:
    prompt = Prompt.read(write(ASK))
    assert prompt.about == "Asks a clerk."
    assert prompt.inputs == {"day": "a day of the week"}
    assert prompt.slots == {"day", "mood", "task", "urgent"}
    assert prompt.fill(day="Monday", mood="kind", task="count") == Filled(
        "Do this: count\n\nOn Monday.", "You are a clerk.\nOn Monday be kind."
    )
    assert prompt.fill(day="", mood="", task="", urgent=True).task == "Do this: \n\nOn , at once."


def test_a_front_matter_may_be_left_out_and_lines_may_end_as_on_windows(write: Write) -> None:
    assert Prompt.read(write("\n\n  Count to {{ n }}.\n")).fill(n=3) == Filled("Count to 3.")
    assert (
        Prompt.read(write("\ufeff+++\r\nabout = 'x'\r\n+++\r\nCount\r\nto {{ n }}.")).fill(n=3).task == "Count\nto 3."
    )


@pytest.mark.parametrize("value", ["{{ task }}", "{% include 'ask.md' %}", '<b> & "q"', " \n{# no #}\n", "{{ 1 / 0 }}"])
def test_values_are_put_in_as_they_are(write: Write, value: str) -> None:
    assert Prompt.read(write("a{{ x }}b{{ x }}")).fill(x=value).task == f"a{value}b{value}"


def test_a_template_reaches_nothing_but_its_values(write: Write) -> None:
    for text in ("{{ x.__class__ }}", "{{ x.__class__.__mro__ }}", "{{ x.append(1) }}"):
        with pytest.raises(SetupError, match=r"ask\.md:1: the slot cannot be filled: .*unsafe"):
            Prompt.read(write(text)).fill(x=[0])
    for name in ("range", "lipsum", "cycler", "self"):
        with pytest.raises(SetupError, match=r"ask\.md:1: "):
            Prompt.read(write(f"{{{{ {name}(3) }}}}")).fill()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("---\nabout: x\n---\nHi", "ask.md:1: a front matter stands between two lines of +++"),
        ("+++\nabout = 'x'\nHi", "ask.md:1: the front matter is not closed"),
        ("+++\n\nabout = x\n+++\nHi", "ask.md:3: this is not TOML (Invalid value): about = x\n"),
        ("+++\nabout = 'x'\nabuot = 'x'\n+++\nHi", "ask.md:3: there is no key 'abuot'\nDid you mean about?"),
        ("+++\nabout = 3\n+++\nHi", "ask.md:2: about is 3\nGive a sentence in quotes"),
        ("+++\ninputs = 'x'\n+++\nHi", "ask.md:2: inputs is 'x'\nGive a table"),
        (
            "+++\n[inputs]\nx = 'y'\ndya = 'z'\n+++\nHi {{ day }} {{ x }}",
            "ask.md:4: there is no key 'dya' in [inputs]\nDid",
        ),
        ("+++\n[inputs]\nday = 1\n+++\nHi {{ day }}", "ask.md:3: day is 1\nGive in words"),
        ("+++\n+++\n\n\nHi {{ day", "ask.md:5: the template is broken: unexpected end of template"),
        ("Hi\n{{ day | uper }}", "ask.md:2: the template is broken: No filter named 'uper'\n"),
        ("Hi\n\n{% if %}", "ask.md:3: the template is broken"),
        ("Hi\n{% include 'x.md' %}", "ask.md:2: include is not known here: a prompt stands alone\n"),
        ("Hi\n{% extends 'x.md' %}", "ask.md:2: extends is not known here"),
        ("+++\ninstructions = 'a {{ b'\n+++\nHi", "ask.md:2: the template is broken"),
        ('+++\ninstructions = """\na\n{{ b\n\n"""\n+++\nHi', "ask.md:4: the template is broken"),
        ('+++\ninstructions = """a\nb\n{% if %}"""\n+++\nHi', "ask.md:4: the template is broken"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_its_line(write: Write, text: str, told: str) -> None:
    path = write(text)
    with pytest.raises(SetupError) as raised:
        Prompt.read(path)
    assert told in str(raised.value)
    assert raised.value.hint


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "ask.md:12: nothing was given for {{ task }}\nGive it a value: --var NAME=TEXT. "
             "The slots: day (a day of the week), mood, task, urgent."),
        ({"task": "x"}, "ask.md:14: nothing was given for {{ day }}\n"),
        ({"task": "x", "day": "y"}, "ask.md:5: nothing was given for {{ mood }}\n"),
        ({"taks": "x"}, "ask.md has no slot {{ taks }}\nDid you mean task?"),
        ({"zzz": "x"}, "ask.md has no slot {{ zzz }}\nThe slots: day, mood, task, urgent."),
    ],
)  # fmt: skip
def test_a_value_too_many_or_too_few_is_named(write: Write, values: dict[str, object], told: str) -> None:
    prompt = Prompt.read(write(ASK))
    with pytest.raises(SetupError) as raised:
        prompt.fill(**values)
    assert told in str(raised.value)


def test_what_fails_inside_a_slot_is_named_with_its_line(write: Write) -> None:
    with pytest.raises(SetupError, match=r"ask\.md:2: the slot cannot be filled: 'str object' has no attribute 'name'"):
        Prompt.read(write("Hi\n{{ day.name }}")).fill(day="x")
    with pytest.raises(SetupError, match=r"ask\.md:3: the slot cannot be filled: division by zero"):
        Prompt.read(write("Hi\n\n{{ 1 / n }}")).fill(n=0)


def test_an_empty_task_is_refused(write: Write) -> None:
    for text in ("", "+++\nabout = 'x'\n+++\n\n", "{{ x }}"):
        with pytest.raises(SetupError, match=r"ask\.md says nothing"):
            Prompt.read(write(text)).fill(**({"x": " "} if "x }" in text else {}))


def test_a_file_that_cannot_be_read_is_named(write: Write) -> None:
    write("Hi")
    with pytest.raises(SetupError, match=r"there is no prompt file aks\.md\nDid you mean ask\.md\?"):
        Prompt.read("aks.md")
    with pytest.raises(SetupError, match=r"there is no prompt file no/where\.md\nGive the path from /"):
        Prompt.read("no/where.md")
    with pytest.raises(SetupError, match=r"the prompt file \. cannot be read: Is a directory"):
        Prompt.read(".")
    with pytest.raises(SetupError, match="cannot be read: embedded null byte"):
        Prompt.read("a\0b")
    Path("latin.md").write_bytes("Hi\nsüß".encode("latin-1"))
    with pytest.raises(SetupError, match=r"latin\.md:2: the prompt file is not UTF-8 text"):
        Prompt.read("latin.md")
    Path("large.md").write_text("x" * (MOST_BYTES + 1))
    with pytest.raises(SetupError, match=r"large\.md is larger than 1,000,000 bytes"):
        Prompt.read("large.md")
