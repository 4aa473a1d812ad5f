"""What other processes may ask of a run. Commands wait in an inbox; only the run's owner turns them into events."""

from functools import cache

import msgspec
from msgspec import Raw, Struct

from outrider.events import NOTHING
from outrider.messages import decoded, decoder_of


class Command(Struct, frozen=True, tag_field="kind", omit_defaults=True):
    """Base of what other processes may ask of a run; the owner turns it into events."""

    by: str


class Answer(Command, frozen=True, tag="answer"):
    """Consent or refusal, bound to call, tool, canonical arguments and the number of the question.

    ``at`` is when it was given, ``expires`` when it is void, in Unix seconds.
    """

    call: str
    tool: str
    arguments: Raw
    question: int
    allowed: bool
    edited: Raw = NOTHING
    reason: str = ""
    expires: float | None = None
    at: float | None = None


class Settle(Command, frozen=True, tag="settle"):
    """What became of a call that entry ``question`` put in doubt: ``result`` is its text, or None to run it again.

    ``at`` is when it was said, in Unix seconds.
    """

    call: str
    question: int
    result: str | None = None
    at: float | None = None


class Say(Command, frozen=True, tag="say"):
    """A further message from the user."""

    text: str


class Cancel(Command, frozen=True, tag="cancel"):
    """Stop the run; it can be resumed."""


class Unreadable(Command, frozen=True, tag="unreadable"):
    """Stands for a command that cannot be read: it is refused with ``why``, and those behind it are heard."""

    why: str


AnyCommand = Answer | Settle | Say | Cancel | Unreadable


@cache
def _decoder() -> msgspec.json.Decoder[AnyCommand]:
    return decoder_of(AnyCommand)


def decode(body: bytes) -> AnyCommand:
    """The command this JSON stands for. Raises msgspec.DecodeError on anything else."""
    return decoded(_decoder(), body)
