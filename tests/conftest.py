"""What all tests share."""

import os
from collections.abc import Callable
from typing import NoReturn

import pytest
from hypothesis import settings

settings.register_profile("house", deadline=None)  # no test fails because the machine is slow
settings.load_profile("house")


@pytest.fixture(autouse=True)
def closed_network(only_loopback: None) -> None:
    """No test of ours speaks to another machine."""


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
