"""What Outrider offers for tests, tested."""

import socket
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from outrider import Agent, Settings, SetupError, testing, tool
from outrider.testing import Calls, FakeOpenRouter, NetworkBlocked, ScriptedModel, only_loopback

pytestmark = pytest.mark.anyio


def test_only_this_machine_can_be_reached() -> None:
    with only_loopback():
        with pytest.raises(NetworkBlocked, match=r"192\.0\.2\.1"), socket.socket() as sock:
            sock.connect(("192.0.2.1", 80))
        with pytest.raises(NetworkBlocked, match=r"example\.org"):
            socket.getaddrinfo("example.org", 80)
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.create_connection(server.getsockname(), timeout=60) as sock,
        ):
            assert sock.getpeername() == server.getsockname()


async def test_a_script_that_is_over_fails_the_run_and_says_so() -> None:
    result = await Agent(ScriptedModel([]), journal=None).run("go")
    assert result.outcome == "provider"
    assert "script" in result.detail


async def test_scripted_calls_may_be_wrong_on_purpose() -> None:
    model = ScriptedModel([Calls(("nothing", "{broken")), "so be it"])
    result = await Agent(model, journal=None).run("go")
    assert result.output == "so be it"
    assert result.tool_calls == 1
    assert len(model.requests) == 2


def test_every_test_runs_behind_the_guard() -> None:
    with pytest.raises(NetworkBlocked):
        socket.getaddrinfo("example.org", 80)


async def test_the_bodies_of_a_scripted_model_are_what_was_asked() -> None:
    model = ScriptedModel(["Hello."])
    await Agent(model, instructions="Be brief.", journal=None).run("go")
    (body,) = model.bodies
    assert [message["content"] for message in body["messages"]] == ["Be brief.", "go"]


wrong: Any = "hello"


@pytest.mark.parametrize(
    ("make", "hint"),
    [
        (lambda: ScriptedModel(wrong), "ScriptedModel([...])"),
        (lambda: ScriptedModel(Calls(("add", {}))), "ScriptedModel([...])"),  # type: ignore[arg-type]
        (lambda: FakeOpenRouter(wrong), "FakeOpenRouter([...])"),
        (lambda: FakeOpenRouter(testing.FakeReply()), "FakeOpenRouter([...])"),  # type: ignore[arg-type]
        (lambda: Calls("add", {"a": 1}), 'Calls(("add", {"a": 1})'),  # type: ignore[arg-type]
        (lambda: Calls("ab"), 'Calls(("add", {"a": 1})'),  # type: ignore[arg-type]
    ],
)
def test_a_script_that_is_none_is_refused(make: Callable[[], object], hint: str) -> None:
    with pytest.raises(SetupError) as caught:
        make()
    assert hint in caught.value.hint


def test_the_examples_in_the_docstring_are_tests_that_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @tool(effect="read")
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    text = testing.__doc__ or ""
    code = "\n".join(line for line in text.splitlines() if line.startswith("    "))
    monkeypatch.chdir(tmp_path)
    agent = Agent(ScriptedModel([Calls(("add", {"a": 2, "b": 3})), "It is 5."]), tools=[add], journal=tmp_path)
    testing.record(agent.run_sync("2 and 3?"), "tests/runs/sum.jsonl", agent)
    names: dict[str, Any] = {**vars(testing), "Agent": Agent, "Settings": Settings, "add": add, "agent": agent}
    exec(textwrap.dedent(code), names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert len(tests) == 3
    for each in tests:
        each()


def test_a_script_takes_pydantic_models_and_refuses_what_has_no_json() -> None:
    class Point(BaseModel):
        x: int

    assert Agent(ScriptedModel([Point(x=1)]), output=Point, journal=None).run_sync("go").output == Point(x=1)
    assert Agent(ScriptedModel([[Point(x=1)]]), output=list[Point], journal=None).run_sync("go").output == [Point(x=1)]
    with pytest.raises(SetupError, match="the script holds <object"):
        ScriptedModel([object()])
