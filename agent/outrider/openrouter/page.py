"""One page of the API, fetched whole and read; or what happened instead."""

import asyncio
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from outrider.openrouter.advice import advice
from outrider.openrouter.failures import Failure, from_exception, from_status
from outrider.openrouter.settings import Settings

if TYPE_CHECKING:
    from outrider.openrouter.transport import Line

T = TypeVar("T")


class Refused(Exception):
    """The question came to nothing. ``failure`` is what happened, ``hint`` what to do."""

    def __init__(self, failure: Failure, hint: str) -> None:
        super().__init__(failure.message)
        self.failure, self.hint = failure, hint


async def asked(
    settings: Settings,
    key: str,
    path: str,
    seconds: float,
    read: Callable[[bytes], T | None],
    line: "Line | None" = None,
) -> T:
    """What ``read`` makes of a page; without a key none is sent. ``line`` is a pool to use, else one is made for it.

    Raises Refused: when there is no page, when ``read`` can make nothing of it, and after so many seconds.
    """
    found = await _fetched(settings, key, path, seconds, line)
    if not isinstance(found, Failure):
        read_as = read(found)
        if read_as is not None:
            return read_as
        page = found.decode("utf-8", "replace")[:200]
        told = f"The server does not answer as OpenRouter does: {page}"
        found = Failure("malformed_reply", told, False, raw=page)
    raise Refused(found, advice(found, found.raw, key, settings.base_url))


async def _fetched(settings: Settings, key: str, path: str, seconds: float, line: "Line | None") -> bytes | Failure:
    transport = await asyncio.to_thread(importlib.import_module, "outrider.openrouter.transport")  # most of a second
    import httpx2

    used: Line = line or transport.Line(settings, key)
    try:
        async with asyncio.timeout(seconds):
            response = await used.get(path)
    except TimeoutError:
        return Failure("timeout", f"There was no answer within {seconds:g} s.", retry=True)
    except httpx2.RequestError as error:
        return from_exception(error)
    finally:
        if line is None:
            await used.close()
    if response.is_success:
        return response.content
    return from_status(response.status_code, response.headers, response.content)
