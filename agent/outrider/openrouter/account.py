"""What the server says of an API key: whether it takes it, and what may still be spent with it."""

import msgspec
from msgspec import Struct

from outrider.openrouter.page import Refused, asked
from outrider.openrouter.settings import Settings

__all__ = ["Account", "Refused", "account"]

ANSWER_SECONDS = 10.0


class Account(Struct, frozen=True):
    """A key as OpenRouter describes it. Dollars are None where there is no limit, or nothing was said."""

    limit: float | None = None
    limit_remaining: float | None = None
    usage: float | None = None


class _Answer(Struct, frozen=True):
    data: Account


async def account(settings: Settings) -> Account:
    """Ask the server about the key. Raises Refused, also after ten seconds, and SetupError when there is no key."""
    return await asked(settings, settings.key(), "/key", ANSWER_SECONDS, _account)


def _account(body: bytes) -> Account | None:
    """What the answer says, or None when it is none: another server than OpenRouter may say anything."""
    try:
        return msgspec.json.decode(body, type=_Answer).data
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
