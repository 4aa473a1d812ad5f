"""Reading files under one folder, and nothing outside it."""

import os
from pathlib import Path
from typing import Any

import pytest

from outrider import SetupError, Tool, ToolError
from outrider_tools import files
from outrider_tools.files import file_tools


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


def test_the_whole_disk_is_read_only_where_somebody_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    with pytest.raises(SetupError, match="the current folder is /"):
        file_tools()
    assert len(file_tools("/")) == 3
