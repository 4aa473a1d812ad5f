"""Of each kind of request that the embedded model is good for, three; make eval-local asks all of them."""

import importlib.util
from collections.abc import Callable, Iterator
from typing import NoReturn

import pytest

from local.evaluate import cases, evaluate, is_right, kinds
from outrider.local import server, weights

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", autouse=True)
def ready(missing: Callable[[str], NoReturn]) -> Iterator[None]:
    """One server for all of them."""
    if importlib.util.find_spec("xllamacpp") is None:
        missing("xllamacpp is not installed: pip install 'outrider[local]'")
    if not weights.embedded_path().is_file():
        missing(f"the local model's weights are not at {weights.embedded_path()}: outrider local pull")
    yield
    server.stop_all()


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("kind", ["arithmetic", "invoice", "invoice_dated", "sentiment", "two_tools"])
async def test_a_request_of_each_kind_is_answered_rightly(kind: str, number: int) -> None:
    case = cases(kind, "dev")[number - 1]
    got = await evaluate(kinds()[kind], case)
    assert is_right(got, case.expected), (case.text, got)
