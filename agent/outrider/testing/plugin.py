"""The pytest plugin, found by pytest when Outrider is installed. It offers fixtures and changes nothing unasked."""

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from outrider.testing.fake import FakeOpenRouter


@pytest.fixture(name="only_loopback")
def only_loopback_fixture() -> Generator[None]:
    """Closes the network for a test: ``pytestmark = pytest.mark.usefixtures("only_loopback")``."""
    from outrider.testing.guard import only_loopback

    with only_loopback():
        yield


@pytest.fixture
def openrouter() -> "Generator[FakeOpenRouter]":
    """A FakeOpenRouter that runs and has nothing to say yet.

    ``openrouter.add("Hello.")`` gives it a reply, ``Agent(settings=openrouter.settings())`` asks it.
    """
    from outrider.testing.fake import FakeOpenRouter

    with FakeOpenRouter() as server:
        yield server


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed requests are tried again at once, unless the server says after how many seconds."""
    from outrider.openrouter import client

    def at_once(failures: int) -> float:
        del failures
        return 0.0

    monkeypatch.setattr(client, "delay", at_once)
