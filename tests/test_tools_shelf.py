"""The shelf of tools: arithmetic, and reading files under one folder."""

import operator
import os
import tomllib
from collections.abc import Callable
from decimal import Decimal
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider import Context, Tool, ToolError
from outrider_tools import files
from outrider_tools.calculator import calculator
from outrider_tools.files import file_tools

# ------------------------------------------------------------------------------------------- calculator


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("23*19+7", "444"),
        ("(4 + 5) * 3", "27"),
        ("90 minus 15", "75"),
        ("12 plus 30", "42"),
        ("6 times 7 = ?", "42"),
        ("100 divided by 8", "12.5"),
        ("2 to the power of 10", "1024"),
        ("3 \N{MULTIPLICATION SIGN} (4 \N{MINUS SIGN} 1.5)", "7.5"),
        ("10 \N{DIVISION SIGN} 4", "2.5"),
        ("6 x 7", "42"),
        ("6x(1+2)", "18"),
        ("2^3", "8"),
        ("0.1+0.2", "0.3"),
        ("1.5 * 2", "3"),
        ("1/3*3", "1"),
        ("1234567890123456.78 + 0.01", "1234567890123456.79"),
        ("10/3", "3.333333333333333333333333333"),
        ("-7//2", "-4"),
        ("-7 % 3", "2"),
        ("2**-2", "0.25"),
        ("2**0.5", "1.414213562373095048801688724"),
        ("--5", "5"),
        ("1,234,567 + 1", "1234568"),
        ("1.5e3", "1500"),
        ("1e-50", "1E-50"),
    ],
)
def test_arithmetic(expression: str, value: str) -> None:
    assert calculator(expression) == value


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("3 apples + 2", "Not understood: 'apples'"),
        ("__import__('os').getcwd()", "Not understood"),
        ("1,5 + 2", "Not understood: ','"),
        ("0x10", "Not understood: 'x'"),
        ("10 # - 5", "Not understood: '#'"),
        ("1 < 2", "Not understood: '<'"),
        ("1 +", "Not an expression: '1 +'"),
        ("2(3)", "Not an expression: '2(3)'"),
        ("", "Not an expression"),
        ("(" * 240 + "1" + ")" * 240, "Not an expression"),
        ("1/0", "Division by zero"),
        ("0 ** -1", "Division by zero"),
        ("5 % 0", "Division by zero"),
        ("(-8) ** 0.5", "no real power"),
        ("9**9**9", "too large"),
        ("2 ** -99999", "too large"),
        ("2 ** 1e300", "too large"),
        ("1e999999999", "too large"),
        ("1e-999999999", "too large"),
        ("(10**999) ** 1.5", "too large"),
        ("1" * 501, "at most 500"),
    ],
)
def test_what_it_does_not_calculate_it_names(expression: str, complaint: str) -> None:
    with pytest.raises(ToolError, match=r"^[^\n]+$") as error:
        calculator(expression)
    assert complaint in str(error.value)


@given(st.integers(), st.integers(), st.sampled_from(["+", "-", "*", "//", "%"]))
def test_whole_numbers_are_calculated_as_python_does(a: int, b: int, sign: str) -> None:
    python: dict[str, Callable[[int, int], int]] = {
        "+": operator.add,
        "-": operator.sub,
        "*": operator.mul,
        "//": lambda a, b: a // b,
        "%": operator.mod,
    }
    if b or sign not in ("//", "%"):
        assert calculator(f"{a} {sign} ({b})") == str(python[sign](a, b))


cents = st.decimals(-(10**9), 10**9, places=2)


@given(cents, cents)
def test_sums_of_money_are_exact(a: Decimal, b: Decimal) -> None:
    assert Decimal(calculator(f"{a} + {b}")) == a + b


@given(st.text(alphabet="0123456789.+-*/%()ex ,_'", max_size=30))
def test_any_text_gives_a_number_or_a_tool_error(text: str) -> None:
    try:
        value = calculator(text)
    except ToolError:
        value = "0"
    assert Decimal(value).is_finite()


# ------------------------------------------------------------------------------------------------ files


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "docs").mkdir(parents=True)
    (folder / "readme.md").write_text("Outrider\nrides ahead\n")
    (folder / "docs" / "one.txt").write_text("first\nsecond: Ahead\n")
    (folder / ".env").write_text("KEY=secret")
    (tmp_path / "outside.txt").write_text("not yours: ahead")
    return folder


def reader(root: Path, name: str, *, hidden: bool = False) -> Tool[..., Any]:
    (found,) = (tool for tool in file_tools(root, hidden=hidden) if tool.name == name)
    return found


def test_listing_shows_names_and_sizes(root: Path) -> None:
    listing = reader(root, "list_files")
    assert listing() == "docs/one.txt (20 bytes)\nreadme.md (21 bytes)"
    assert listing("*.md") == "readme.md (21 bytes)"
    assert listing("docs/*") == "docs/one.txt (20 bytes)"
    assert listing("*.py") == "No file matches '*.py'."


def test_reading_a_file(root: Path) -> None:
    read = reader(root, "read_file")
    assert read("docs/one.txt") == "first\nsecond: Ahead\n"
    assert read("./docs/one.txt", 2) == "second: Ahead\n"
    with pytest.raises(ToolError, match="lines 1 to 2; there is no line 3"):
        read("docs/one.txt", 3)
    (root / "empty").touch()
    assert read("empty") == "(the file is empty)"


def test_a_long_file_is_read_in_parts_that_say_how_to_go_on(root: Path) -> None:
    text = "".join(f"line {number}\n" for number in range(1, 9001))
    (root / "long").write_text(text)
    read = reader(root, "read_file")
    parts, first = "", 1
    for _ in range(10):
        part, separator, rest = read("long", first).partition("... lines")
        assert len(part) <= files.MAX_TEXT
        parts += part
        if not separator:
            break
        first = int(rest.rpartition("first_line=")[2])
    assert parts == text
    (root / "wide").write_text("x" * 50_000 + "\nend")
    assert read("wide").endswith("... line 1 is cut here\n... lines 2 to 2 follow: read on with first_line=2")
    assert read("wide", 2) == "end"


def test_searching_gives_name_line_and_text(root: Path) -> None:
    search = reader(root, "search_files")
    assert search("AHEAD") == "docs/one.txt:2: second: Ahead\nreadme.md:2: rides ahead"
    assert search("ahead", "*.md") == "readme.md:2: rides ahead"
    assert search("nowhere") == "No line contains 'nowhere'."
    with pytest.raises(ToolError, match="empty"):
        search("")


def test_many_hits_and_many_names_are_cut_and_say_so(root: Path) -> None:
    (root / "hits").write_text("a needle\n" * 500)
    found = reader(root, "search_files")("needle").splitlines()
    assert len(found) == files.MAX_HITS + 1
    assert found[-1] == "(not all was searched: use a longer text or a narrower pattern)"
    for number in range(600):
        (root / f"many{number}").touch()
    names = reader(root, "list_files")("many*").splitlines()
    assert names[-1] == "... 200 more: use a narrower pattern"


@pytest.mark.parametrize(
    "name", ["../outside.txt", "/etc/passwd", "docs/../../outside.txt", "a\0b", "link", "up/outside.txt"]
)
def test_nothing_outside_the_root_is_read(root: Path, name: str) -> None:
    (root / "link").symlink_to("../outside.txt")
    (root / "up").symlink_to("..")
    with pytest.raises(ToolError, match="refused"):
        reader(root, "read_file")(name)
    assert "outside" not in reader(root, "list_files")()
    assert "not yours" not in reader(root, "search_files")("ahead")


def test_links_inside_the_root_are_followed_when_read(root: Path) -> None:
    (root / "inner").symlink_to("docs/one.txt")
    (root / "loop").symlink_to("loop")
    read = reader(root, "read_file")
    assert read("inner").startswith("first")
    with pytest.raises(ToolError, match="no file 'loop'"):
        read("loop")


def test_devices_pipes_and_folders_are_no_files(root: Path) -> None:
    os.mkfifo(root / "pipe")
    for name in ("pipe", "docs", "."):
        with pytest.raises(ToolError, match="not a plain file"):
            reader(root, "read_file")(name)
    with pytest.raises(ToolError, match="not a plain file"):
        reader(Path("/dev"), "read_file")("zero")
    assert "pipe" not in reader(root, "list_files")()


def test_hidden_files_are_closed_unless_opened(root: Path) -> None:
    (root / "plain").symlink_to(".env")
    for name in (".env", "plain"):
        with pytest.raises(ToolError, match="hidden"):
            reader(root, "read_file")(name)
    assert ".env" not in reader(root, "list_files")()
    assert reader(root, "read_file", hidden=True)(".env") == "KEY=secret"
    assert ".env" in reader(root, "list_files", hidden=True)()


def test_what_is_no_text_is_said(root: Path) -> None:
    (root / "picture").write_bytes(b"ab\xff\xd8 ahead")
    with (root / "huge").open("wb") as file:
        file.truncate(files.MAX_BYTES + 1)
    read = reader(root, "read_file")
    with pytest.raises(ToolError, match="byte 2 cannot be decoded"):
        read("picture")
    with pytest.raises(ToolError, match="too large"):
        read("huge")
    with pytest.raises(ToolError, match="no file 'nothing'"):
        read("nothing")
    assert reader(root, "search_files")("ahead").endswith("(2 files were left out: too large, or no UTF-8 text)")


def test_a_search_through_too_much_stops_and_says_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_SEARCHED", 10)
    found = reader(root, "search_files")("ahead")
    assert found.splitlines()[0] == "docs/one.txt:2: second: Ahead"
    assert "readme.md" not in found
    assert "not all was searched" in found


def test_a_listing_of_too_much_stops_and_says_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_VISITED", 1)
    assert reader(root, "list_files")() == "readme.md (21 bytes)\n(only the first 1 files were looked at)"


def test_names_that_would_break_a_line_are_quoted(root: Path) -> None:
    (root / "two\nlines").touch()
    assert "'two\\nlines' (0 bytes)" in reader(root, "list_files")()


def test_a_missing_root_is_said(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="cannot be read: No such file"):
        reader(tmp_path / "gone", "list_files")()


# ------------------------------------------------------------------------------------------ both


def test_a_call_as_a_model_writes_it(root: Path) -> None:
    context: Context[None] = Context(deps=None)
    assert calculator.invoke('{"expression": "6 times 7"}', context) == "42"
    assert reader(root, "read_file").invoke('{"path": "docs/one.txt", "first_line": 2}', context) == "second: Ahead\n"
    assert reader(root, "list_files").invoke("", context).endswith("readme.md (21 bytes)")


def test_effects_and_labels() -> None:
    shelf = [calculator, *file_tools()]
    assert [tool.name for tool in shelf] == ["calculator", "list_files", "read_file", "search_files"]
    assert {tool.effect for tool in shelf} == {"read"}
    assert [tool.trust for tool in shelf] == ["trusted", "untrusted", "untrusted", "untrusted"]
    assert all(tool.description for tool in shelf)


def test_the_entry_points_lead_to_the_tools() -> None:
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    offered = tomllib.loads(text)["project"]["entry-points"]["outrider.tools"]
    loaded = {name: EntryPoint(name, value, "outrider.tools").load() for name, value in offered.items()}
    assert loaded == {"calculator": calculator, "files": file_tools}
