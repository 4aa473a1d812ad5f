"""The names and parameters that users rely on: a change here is a change for them."""

import inspect
import re
from pathlib import Path

import outrider
from outrider import Agent, tool

ROOT = Path(__file__).parent.parent


def test_the_public_names_are_these_and_no_more_than_25() -> None:
    assert sorted(outrider.__all__) == [
        "Agent", "Context", "Entry", "JournalError", "Limits", "NoOutput", "OutriderError", "Policy", "Proposed",
        "Purse", "ReasoningDelta", "Result", "Run", "Settings", "SetupError", "TextDelta", "Tool", "ToolCall",
        "ToolError", "ToolFinished", "ToolStarted", "Usage", "Verdict", "ask_before", "tool",
    ]  # fmt: skip
    assert len(outrider.__all__) <= 25
    assert all(hasattr(outrider, name) for name in outrider.__all__)
    assert dir(outrider) == sorted(outrider.__all__)


def test_an_agent_takes_no_more_than_twelve_parameters() -> None:
    names = list(inspect.signature(Agent.__init__).parameters)[1:]
    assert names == [
        "model", "output", "instructions", "tools", "deps_type", "limits", "policy", "settings", "journal",
        "observers", "name", "secrets",
    ]  # fmt: skip


def test_an_agent_shows_itself_in_a_few_words() -> None:
    @tool
    def weather(city: str) -> str:
        """Tomorrow's weather."""
        return city

    assert repr(Agent("local", name="forecast", tools=[weather], output=int)) == (
        "<agent forecast: local, tools: weather, output: int>"
    )
    assert repr(Agent("a/b")) == "<agent agent: a/b, tools: none, output: text>"


def test_the_map_of_the_house_names_every_room() -> None:
    rooms = {path.stem for path in (ROOT / "agent" / "outrider").glob("*") if path.suffix in ("", ".py")}
    named = set(re.findall(r"[a-z]+", outrider.__doc__ or ""))
    assert rooms - {"__init__", "__main__", "__pycache__"} <= named
