"""What Outrider offers for tests, tested."""

import socket

import pytest

from outrider import Agent
from outrider.testing import Calls, NetworkBlocked, ScriptedModel, only_loopback

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
