"""The pytest plugin, found by pytest when Outrider is installed. It offers fixtures and changes nothing unasked."""

from collections.abc import Generator

import pytest


@pytest.fixture(name="only_loopback")
def only_loopback_fixture() -> Generator[None]:
    """Closes the network for a test: ``pytestmark = pytest.mark.usefixtures("only_loopback")``."""
    from outrider.testing.guard import only_loopback

    with only_loopback():
        yield
