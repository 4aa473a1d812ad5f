"""How the arguments of a call are shown to the person who is asked about it."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from outrider.cli.shape import MOST_BYTES, shape


def shown(arguments: dict[str, Any], most: int | None = None) -> list[str]:
    return [line.text for line in shape(msgspec.json.encode(arguments), most)]


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "notes.txt"
    file.write_text("one\ntwo\nthree\n")
    return file


def test_a_change_of_a_file_is_a_diff_against_what_is_there(notes: Path) -> None:
    lines = shape(msgspec.json.encode({"path": "notes.txt", "content": "one\n2\nthree\n", "mode": "w"}))
    texts = [line.text for line in lines]
    assert texts[:2] == ["  --- notes.txt (now)", "  +++ notes.txt (then)"]
    assert {line.text: line.tone for line in lines}["  -two"] == "bad"
    assert {line.text: line.tone for line in lines}["  +2"] == "good"
    assert texts[-3:] == ["  {", '    "mode": "w"', "  }"]  # nothing of a call is left out
    assert shown({"file": "notes.txt", "text": notes.read_text()}) == ["  no difference"]


@pytest.mark.parametrize("path", ["new.txt", "", ".", "binary", "large", "a\0b", "x" * 5000])
def test_where_no_text_is_to_compare_all_of_it_is_new(notes: Path, path: str) -> None:
    notes.with_name("binary").write_bytes(b"\xff\x00")
    notes.with_name("large").write_text("x" * (MOST_BYTES + 1))
    told, *added = shown({"filename": path, "content": "a\nb"})
    assert told == f"  {path}: there is no such text file here"
    assert added == ["  +a", "  +b"]


@pytest.mark.parametrize(("old", "new"), [("old", "new"), ("old_string", "new_string"), ("old_text", "new_text")])
def test_a_replacement_is_a_diff_of_its_two_texts(old: str, new: str) -> None:
    lines = shown({"path": "a.py", old: "x = 1\n", new: "x = 2\n"})
    assert lines == ["  --- a.py (now)", "  +++ a.py (then)", "  @@ -1 +1 @@", "  -x = 1", "  +x = 2"]


@pytest.mark.parametrize("name", ["command", "cmd", "shell", "script"])
def test_a_command_is_one(name: str) -> None:
    assert shown({name: "cd a\nls"}) == ["  $ cd a", "  > ls"]
    assert shown({name: ["ls"]})[0] == "  {"


def test_anything_else_is_json_and_a_long_one_says_what_is_missing() -> None:
    assert shown({}) == ["  {}"]
    assert shown({"n": 1, "text": "a"}) == ["  {", '    "n": 1,', '    "text": "a"', "  }"]
    lines = shown({"items": list(range(500))}, most=200)
    assert (len(lines), lines[-1]) == (201, "  … 304 more lines; e shows them all")
    assert len(shown({"items": list(range(500))})) == 504
