"""What the live checks share, and what they saw, told at the end."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from live.wire import Live
from outrider import Agent, Limits
from outrider.openrouter.settings import DEFAULT_MODEL, KEY_VARIABLE

SEEN: list[str] = []


@pytest.fixture
def closed_network() -> None:
    """These tests are the ones that leave the machine."""


@pytest.fixture(scope="session")
def live() -> Iterator[Live]:
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not key:
        pytest.skip(f"{KEY_VARIABLE} is not set: nothing is asked of the live OpenRouter")
    live = Live(key)
    yield live
    SEEN.extend([*live.seen, f"spent: {live.spent} dollars"])


@pytest.fixture
def agent(live: Live, tmp_path: Path) -> Callable[..., Agent[None, Any]]:
    """Makes an agent with the purse's limits; ``wire`` are fields of its settings."""

    def made(
        *,
        wire: dict[str, Any] | None = None,
        model: str = DEFAULT_MODEL,
        limits: Limits = live.limits,
        **given: Any,
    ) -> Agent[None, Any]:
        settings = replace(live.settings, **wire or {})
        return Agent(model, settings=settings, limits=limits, journal=tmp_path / "runs", **given)

    return made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if SEEN:
        terminalreporter.section("seen")
        terminalreporter.write("\n".join(SEEN) + "\n")
