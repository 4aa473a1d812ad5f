"""What all tests share."""

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import settings

from outrider.journal.sqlite import SQLiteJournal
from outrider.testing.fake import FakeOpenRouter
from shell import Say, Shell, say_here

settings.register_profile("house", deadline=None)  # no test fails because the machine is slow
settings.load_profile("house")


@pytest.fixture(autouse=True)
def closed_network(only_loopback: None) -> None:
    """No test of ours speaks to another machine."""


@pytest.fixture(autouse=True)
def own_catalogue(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What this machine knows of models decides nothing in a test."""
    monkeypatch.setattr("outrider.openrouter.lists.cache_home", lambda: tmp_path / "catalogue")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def missing() -> Callable[[str], NoReturn]:
    """Call it with what a test lacks: the test is skipped, saying so; with OUTRIDER_ALL=1 it fails."""

    def lacking(reason: str) -> NoReturn:
        if os.environ.get("OUTRIDER_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)

    return lacking


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def journal(home: Path) -> Iterator[SQLiteJournal]:
    journal = SQLiteJournal(home)
    yield journal
    asyncio.run(journal.close())


@pytest.fixture
def server() -> Iterator[FakeOpenRouter]:
    """A server in the place of OpenRouter, with nothing to say yet."""
    with FakeOpenRouter() as server:
        yield server


@pytest.fixture
def outrider(tmp_path: Path, server: FakeOpenRouter) -> Shell:
    """The command line as processes, which ask that server."""
    return Shell(tmp_path, server)


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """The command line inside this process."""
    return say_here(tmp_path, monkeypatch, capsys)
