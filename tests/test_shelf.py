"""The shelf as a whole: what is on it, by which names, with which labels."""

import tomllib
from importlib.metadata import EntryPoint
from inspect import isfunction
from pathlib import Path
from typing import Any

import pytest

from outrider import Tool
from outrider.cli.names import tools_by_name

OFFERED: dict[str, str] = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]["entry-points"]["outrider.tools"]

SHELF = {
    "calculator": [("calculator", "read", "trusted")],
    "clock": [("now", "read", "trusted"), ("add_days", "read", "trusted"), ("days_between", "read", "trusted")],
    "files": [
        ("list_files", "read", "untrusted"),
        ("read_file", "read", "untrusted"),
        ("search_files", "read", "untrusted"),
    ],
    "http_json": [("http_json", "egress", "untrusted")],
    "search": [("web_search", "egress", "untrusted")],
}


def tools_of(name: str) -> list[Tool[..., Any]]:
    found = EntryPoint(name, OFFERED[name], "outrider.tools").load()
    made = found() if isfunction(found) else found
    return [made] if isinstance(made, Tool) else made


def test_each_family_is_offered_under_the_name_of_its_file() -> None:
    files = {path.stem for path in (Path(__file__).parents[1] / "tools/outrider_tools").glob("[!_]*.py")}
    assert OFFERED.keys() == SHELF.keys() == files
    assert {name: [(tool.name, tool.effect, tool.trust) for tool in tools_of(name)] for name in OFFERED} == SHELF


@pytest.mark.parametrize("name", OFFERED)
def test_each_tool_says_what_it_does_and_what_each_argument_is(name: str) -> None:
    for tool in tools_of(name):
        assert tool.description.endswith(".")
        assert all(field.get("description") for field in tool.parameters["properties"].values())
        assert tool.repeat == "safe"


@pytest.mark.parametrize("name", OFFERED)
def test_each_is_found_by_its_installed_name(name: str) -> None:
    assert [tool.name for tool in tools_by_name(name)] == [tool for tool, _, _ in SHELF[name]]
