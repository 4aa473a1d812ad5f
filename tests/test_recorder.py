"""The recorder: a model asked once, then replayed from a file."""

from decimal import Decimal
from pathlib import Path

import pytest

from agent_kit import weather
from outrider import Agent, Settings, SetupError, TextDelta
from outrider.openrouter import OpenRouter
from outrider.testing import Calls, FakeOpenRouter, FakeReply, Recorder, ScriptedModel

pytestmark = pytest.mark.anyio

CALL = FakeReply(calls=[("weather", {"city": "Paris"})], reasoning="Let me look.")
BUSY = FakeReply(status=503, error="busy", headers={"Retry-After": "0"})


def openrouter(server: FakeOpenRouter) -> OpenRouter:
    return OpenRouter(settings=Settings(base_url=server.base_url, api_key="sk-test"))


def nobody() -> OpenRouter:
    """The same model where nothing answers and no key is needed."""
    return OpenRouter(settings=Settings(base_url="http://127.0.0.1:9/api/v1"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recorded" / "weather.jsonl"


async def test_what_was_asked_once_is_replayed_without_a_server_or_a_key(path: Path) -> None:
    async with FakeOpenRouter([BUSY, CALL, "It is fine."]) as server:
        recorded = await Agent(Recorder(path, openrouter(server)), tools=[weather], journal=None).run("Weather?")
    replayed = await Agent(Recorder(path, nobody()), tools=[weather], journal=None).run("Weather?")
    assert recorded.output == replayed.output == "It is fine."
    assert replayed.cost == recorded.cost == Decimal("0.0002")
    assert list(replayed.messages) == list(recorded.messages)
    assert replayed.state.requests == 3


async def test_those_who_watch_a_replay_see_the_text(path: Path) -> None:
    await Agent(Recorder(path, ScriptedModel(["Hello."])), journal=None).run("Hi")
    async with Agent(Recorder(path, ScriptedModel([])), journal=None).stream("Hi") as run:
        shown = [event.text async for event in run if isinstance(event, TextDelta)]
    assert "".join(shown) == "Hello."


async def test_another_request_than_the_recorded_one_is_told_apart(path: Path) -> None:
    await Agent(Recorder(path, ScriptedModel(["Hello."])), journal=None).run("Hi")
    result = await Agent(Recorder(path, ScriptedModel([])), journal=None).run("Ho")
    assert result.outcome == "provider"
    assert "differs at $.messages[0].content: it was 'Hi' and is 'Ho'" in result.detail
    assert f"Delete {path}" in result.state.hint


async def test_a_tool_that_changed_is_found(path: Path) -> None:
    script = [Calls(("weather", {"city": "Paris"})), "Fine."]
    await Agent(Recorder(path, ScriptedModel(script)), tools=[weather], journal=None).run("Weather?")
    result = await Agent(Recorder(path, ScriptedModel([])), journal=None).run("Weather?")
    assert "differs at $.tools" in result.detail


async def test_equal_requests_are_replayed_in_order_then_the_last_again(path: Path) -> None:
    agent = Agent(Recorder(path, ScriptedModel(["One."])), journal=None)
    await agent.run("Hi")
    recorder = Recorder(path, ScriptedModel([]))
    outputs = [(await Agent(recorder, journal=None).run("Hi")).output for _ in range(2)]
    assert outputs == ["One.", "One."]


@pytest.mark.parametrize("text", ["{}", "nonsense", '{"request":{},"events":[{"kind":"unknown"}]}', "\xff"])
def test_a_file_that_is_no_recording_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file.jsonl"
    path.write_text(text, "latin-1")
    with pytest.raises(SetupError, match=r"file\.jsonl:1"):
        Recorder(path)
