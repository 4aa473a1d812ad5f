"""What all tests share."""

import asyncio
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import settings

from outrider.cache import cache_home
from outrider.journal.sqlite import SQLiteJournal
from outrider.testing.fake import FakeOpenRouter
from places import Place, PostgresPlace, SQLitePlace
from postgres_kit import Cluster, cluster, programs
from shell import Say, Shell, say_here

settings.register_profile("house", deadline=None)  # no test fails because the machine is slow
settings.load_profile("house")
_schemas = count()


@pytest.fixture(autouse=True)
def closed_network(only_loopback: None) -> None:
    """No test of ours speaks to another machine."""


@pytest.fixture(scope="session")
def weights_only(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with this machine's weights and nothing else."""
    own = tmp_path_factory.mktemp("cache")
    for file in cache_home().glob("*.gguf"):
        (own / file.name).symlink_to(file)
    return own


@pytest.fixture(autouse=True)
def own_catalogue(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, weights_only: Path) -> None:
    """What this machine, or a test before, knows of models decides nothing in a test, nor in its processes."""
    shutil.rmtree(weights_only / "catalogue", ignore_errors=True)
    monkeypatch.setenv("OUTRIDER_CACHE", str(weights_only))
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


@pytest.fixture(scope="session")
def postgres(missing: Callable[[str], NoReturn]) -> Iterator[Cluster]:
    """A PostgreSQL server that all tests of this process share."""
    if not programs():
        missing("PostgreSQL's server is not installed: apt-get install postgresql")
    with cluster() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, home: Path) -> Place:
    """Where a journal's contract is tried: both kinds, one after the other."""
    if request.param == "sqlite":
        return SQLitePlace(home)
    return PostgresPlace(request.getfixturevalue("postgres").address, f"t{next(_schemas)}")


@pytest.fixture
def unused_port() -> int:
    """A port of loopback that nobody listens on now."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        return free.getsockname()[1]


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
