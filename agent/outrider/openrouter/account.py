"""What the server says of an API key: whether it takes it, and what may still be spent with it."""

import asyncio

import msgspec
from msgspec import Struct

from outrider.openrouter.advice import advice
from outrider.openrouter.failures import Failure, from_exception, from_status
from outrider.openrouter.settings import Settings

ANSWER_SECONDS = 10.0


class Account(Struct, frozen=True):
    """A key as OpenRouter describes it. Dollars are None where there is no limit, or nothing was said."""

    limit: float | None = None
    limit_remaining: float | None = None
    usage: float | None = None


class _Answer(Struct, frozen=True):
    data: Account


class Refused(Exception):
    """The question came to nothing. ``failure`` is what happened, ``hint`` what to do."""

    def __init__(self, failure: Failure, hint: str) -> None:
        super().__init__(failure.message)
        self.failure, self.hint = failure, hint


async def account(settings: Settings) -> Account:
    """Ask the server about the key. Raises Refused, also after ten seconds, and SetupError when there is no key."""
    import httpx2

    from outrider.openrouter import transport

    key = settings.key()
    line = transport.Line(settings, key)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            response = await line.get("/key")
    except TimeoutError:
        failure = Failure("timeout", f"There was no answer within {ANSWER_SECONDS:g} s.", retry=True)
    except httpx2.RequestError as error:
        failure = from_exception(error)
    else:
        if not response.is_success:
            failure = from_status(response.status_code, response.headers, response.content)
        elif told := _account(response.content):
            return told
        else:
            page = response.text[:200]
            failure = Failure(
                "malformed_reply", f"The server does not answer as OpenRouter does: {page}", False, raw=page
            )
    finally:
        await line.close()
    raise Refused(failure, advice(failure, failure.raw, key, settings.base_url))


def _account(body: bytes) -> Account | None:
    """What the answer says, or None when it is none: another server than OpenRouter may say anything."""
    try:
        return msgspec.json.decode(body, type=_Answer).data
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
