"""The faults that Outrider offers for tests, each seen by a whole agent; and the fixture that goes with them."""

import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from outrider import Agent, Result, tool
from outrider.events import RequestFailed
from outrider.journal.sqlite import SQLiteJournal
from outrider.testing import FakeOpenRouter, FakeReply, faults

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_waiting")]


@tool(effect="read")
def add(a: int, b: int) -> int:
    """Add."""
    return a + b


async def run(server: FakeOpenRouter) -> Result[str]:
    return await Agent(tools=[add], settings=server.settings(), journal=None).run("2 and 3?")


@pytest.mark.parametrize("name", faults.PASSING)
async def test_what_passes_is_asked_again(openrouter: FakeOpenRouter, name: str) -> None:
    openrouter.add(faults.PASSING[name](), "Hello.")
    assert (await run(openrouter)).output == "Hello."
    assert len(openrouter.requests) == 2


@pytest.mark.parametrize("name", faults.LASTING)
async def test_what_lasts_ends_the_run(openrouter: FakeOpenRouter, name: str) -> None:
    openrouter.add(faults.LASTING[name](), "Hello.")
    assert (await run(openrouter)).outcome == "provider"
    assert len(openrouter.requests) == 1


@pytest.mark.parametrize("name", faults.ODD)
async def test_an_odd_answer_is_the_answer(openrouter: FakeOpenRouter, name: str) -> None:
    openrouter.add(faults.ODD[name]("Hello."))
    assert (await run(openrouter)).output == "Hello."


@pytest.mark.parametrize("name", faults.CALLS)
async def test_an_odd_call_is_a_call(openrouter: FakeOpenRouter, name: str) -> None:
    openrouter.add(faults.CALLS[name]("add", {"a": 2, "b": 3}), "It is 5.")
    assert (await run(openrouter)).output == "It is 5."
    assert openrouter.requests[1].json["messages"][-1]["content"] == "5"


@pytest.mark.parametrize("make", [faults.stalled, faults.silent, faults.comments_only])
async def test_silence_ends_with_the_clients_patience(
    openrouter: FakeOpenRouter, make: Callable[[], FakeReply]
) -> None:
    openrouter.add(make())
    settings = openrouter.settings(first_byte_seconds=0.3, idle_seconds=0.3, retries=0)
    result = await Agent(settings=settings, journal=None).run("2 and 3?")
    assert result.outcome == "provider"
    assert "timed out" in str(result.detail)


def test_every_fault_says_what_it_is() -> None:
    makers = [getattr(faults, name) for name in faults.__all__ if name.islower()]
    assert len(makers) > 40
    assert [make.__name__ for make in makers if not (make.__doc__ or "").strip()] == []


@pytest.mark.parametrize("after", [0, 1])
async def test_a_server_with_bills_says_what_broke_off(journal: SQLiteJournal, after: int) -> None:
    async with FakeOpenRouter([faults.cut_off(), "Hello."], bills=True, bill_after=after) as server:
        result = await Agent(settings=server.settings(bill_seconds=30.0), journal=journal).run("Hello?")
        asked = [request.path.rpartition("/")[2] for request in server.requests]
    assert asked == ["completions", *["generation?id=gen-1"] * (after + 1), "completions"]
    assert result.cost == Decimal("0.0002")
    [failed] = [entry.event for entry in await journal.read(result.run) if isinstance(entry.event, RequestFailed)]
    assert (failed.billed, failed.usage.cost) == ("usage", Decimal("0.0001"))


async def test_a_server_without_bills_knows_no_generation() -> None:
    async with FakeOpenRouter([faults.cut_off(), "Hello."]) as server:
        result = await Agent(settings=server.settings(bill_seconds=0.1), journal=None).run("Hello?")
    assert result.output == "Hello."
    assert result.state.requests_in_doubt == 1


THEIRS = """
import pytest
from outrider import Agent
from outrider.testing import faults

@pytest.mark.parametrize("fault", ["status_503", "cut_off"])
def test_it_survives(openrouter, only_loopback, fault):
    openrouter.add(faults.PASSING[fault](), "Hello.")
    agent = Agent(settings=openrouter.settings(), journal=None)
    assert agent.run_sync("Say hello.").output == "Hello."
    assert len(openrouter.requests) == 2
"""


def test_the_fixtures_are_found_by_pytest_alone(tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text(THEIRS, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


async def test_settings_reach_the_server_and_take_more(openrouter: FakeOpenRouter) -> None:
    settings = openrouter.settings(api_key="mine", retries=1)
    assert (settings.base_url, settings.api_key, settings.retries) == (openrouter.base_url, "mine", 1)
    assert openrouter.settings().bill_seconds == 0  # there are no bills here
    assert FakeOpenRouter(bills=True).settings().bill_seconds > 0
