"""What happens in a run, as one tagged union of small immutable events, and its JSON.

Durable events are numbered, kept in the journal and folded into the state. Live events (the deltas) are only for
those who watch; the state never needs them. Time and number are stamped once, in the ``Entry`` around an event.
"""

from decimal import Decimal
from functools import cache
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from outrider.deltas import ArgumentsDelta as ArgumentsDelta
from outrider.deltas import Delta as Delta
from outrider.deltas import Event as Event
from outrider.deltas import ReasoningDelta as ReasoningDelta
from outrider.deltas import TextDelta as TextDelta
from outrider.messages import NO_DETOUR, Detour, Intent, Limits, Phase, Trust, Usage, decoded, decoder_of

SCHEMA = 1
"""Version of the events' JSON. A journal with a higher one was written by a newer Outrider."""

NOTHING = Raw()
"""Stands where an optional piece of JSON is absent; false, and left out of the JSON."""

Outcome = Literal["finished", "error", "rejected", "limit", "provider", "paused", "refused", "truncated", "interrupted"]


# ---------------------------------------------------------------------------------------------- the run


class RunStarted(Event, frozen=True, tag="run_started"):
    """A run began. ``messages`` are the first wire messages; ``tools`` maps names to a digest of each schema.

    ``run`` is its name, ``agent`` that of the agent; ``output`` and ``policy`` name the answer's type and the policy.
    ``checks`` names what an answer must pass, ``places`` where those tools work that work in some place. ``version`` is
    Outrider's, ``schema`` that of the events. ``forked`` is the run that this one goes on from, and the turn, as in
    7f3k@2.
    """

    run: str
    task: str
    agent: str
    model: str
    messages: tuple[Raw, ...]
    limits: Limits
    tools: dict[str, str] = {}
    output: str = "text"
    policy: str = ""
    version: str = ""
    schema: int = msgspec.field(default_factory=lambda: SCHEMA)  # a plain default would be left out of the JSON
    checks: tuple[str, ...] = ()
    forked: str = ""
    places: dict[str, str] = {}

    flush = True


class RunResumed(Event, frozen=True, tag="run_resumed"):
    """A run went on, under these limits, with this model. ``changed`` says what differs from the recorded run."""

    by: str
    limits: Limits
    changed: tuple[str, ...] = ()
    version: str = ""
    model: str = ""

    flush = True


class RunPaused(Event, frozen=True, tag="run_paused"):
    """The run rests: it waits for an approval or for word on a call in doubt, or it was stopped.

    ``reason`` "left" is a stop, too: whoever read the run's events left before its end.
    """

    reason: Literal["approval", "doubt", "stopped", "left", "interrupted"]

    flush = True


class RunFinished(Event, frozen=True, tag="run_finished"):
    """The run ended. ``output`` is the accepted answer as JSON, ``detail`` a sentence on any other ending.

    ``error`` is the traceback of an error of the program.
    """

    outcome: Outcome
    output: Raw = NOTHING
    detail: str = ""
    error: str = ""

    flush = True


class MessageAdded(Event, frozen=True, tag="message_added"):
    """A message joined the conversation from outside: the user said something more. ``wire`` is the message."""

    wire: Raw
    by: str
    trust: Trust = "trusted"
    command: int = 0


# ------------------------------------------------------------------------------------------ the requests


class RequestSent(Event, frozen=True, tag="request_sent"):
    """A request is about to leave: the first ``messages`` messages and ``settings``.

    ``number`` counts requests of the run from 1, failed ones included. ``settings`` is the body without its
    messages, given when it differs from the last one recorded. ``sha256`` is that of the whole body.
    ``rung`` is the way in which it asks for a typed answer.
    ``reserved`` are the dollars put aside for it, None when its price is not known; ``basis`` is where that price comes
    from, or why there is none, given when it differs from the last one. ``held`` is the number of tokens its answer is
    held to, when that is less than usual because money is short.
    """

    number: int
    phase: Phase
    messages: int
    sha256: str
    settings: Raw = NOTHING
    rung: str = ""
    reserved: Decimal | None = None
    basis: str = ""
    held: int = 0

    flush = True


class RequestAccepted(Event, frozen=True, tag="request_accepted"):
    """The provider began to answer. ``generation`` is the id under which it knows the reply."""

    number: int
    generation: str


class RequestFailed(Event, frozen=True, tag="request_failed"):
    """A request came to nothing. ``then`` says what happens next, ``delay`` after how many seconds.

    ``reason`` is a word for programs, ``message`` a sentence for people, ``status`` the HTTP status if there was one.
    ``hint`` says what a person can do, where that is known. ``billed`` is "no" when the provider refused before
    working, "unknown" when it may have charged, and "usage" when it said what it charged. ``raw`` is the beginning of
    what was received, ``detour`` what the next attempt does differently.
    """

    number: int
    reason: str
    message: str
    then: Literal["retry", "stop"]
    status: int = 0
    delay: float = 0.0
    billed: Literal["no", "unknown", "usage"] = "no"
    usage: Usage = Usage()
    provider: str = ""
    raw: str = ""
    hint: str = ""
    detour: Detour = NO_DETOUR


class Replied(Event, frozen=True, tag="replied"):
    """The model answered. ``wire`` is the message as it goes back in later requests.

    ``finish`` is the provider's word for why the reply ended. ``model`` and ``provider`` are who answered,
    ``generation`` is the id under which they know the reply, ``refusal`` why the model declined.
    ``repairs`` says, a sentence each, what was put right in the reply; ``raw`` is the message before that.
    ``estimate`` is what it may have cost, in dollars, when no bill came with it.
    """

    number: int
    wire: Raw
    finish: str
    usage: Usage
    model: str = ""
    provider: str = ""
    generation: str = ""
    refusal: str = ""
    repairs: tuple[str, ...] = ()
    raw: Raw = NOTHING
    estimate: Decimal | None = None


# -------------------------------------------------------------------------------------------- the tools


class ToolStarted(Event, frozen=True, tag="tool_started"):
    """These calls start now, together."""

    calls: tuple[Intent, ...]

    @property
    def flush(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """An effect that is not on record before it happens could be done twice."""
        return any(intent.effect != "read" for intent in self.calls)


class ToolFinished(Event, frozen=True, tag="tool_finished"):
    """A call has its result. ``wire`` is the message the model gets; ``error`` is all of it, for people.

    ``cut`` counts the characters that the size bound took away. ``late`` marks a result that came after the
    call had been given up.
    """

    call: str
    wire: Raw
    ok: bool = True
    trust: Trust = "trusted"
    cut: int = 0
    error: str = ""
    late: bool = False


class ToolInDoubt(Event, frozen=True, tag="tool_in_doubt"):
    """Nobody knows whether this call had its effect. ``then``: run it again, or ask a person."""

    call: str
    why: Literal["crash", "timeout", "stopped"]
    then: Literal["again", "ask"]


class ToolSettled(Event, frozen=True, tag="tool_settled"):
    """A person said what became of a call in doubt: run it again, or here is its result."""

    call: str
    how: Literal["again", "result"]
    by: str
    wire: Raw = NOTHING
    command: int = 0


class ApprovalAsked(Event, frozen=True, tag="approval_asked"):
    """A call needs a person's consent. The entry's number binds the answer to this very question.

    ``tool`` is the name the model called, ``arguments`` are canonical JSON.
    """

    call: str
    tool: str
    arguments: Raw
    why: str = ""


class ApprovalGiven(Event, frozen=True, tag="approval_given"):
    """The answer to a question. ``arguments``, when present, replace those of the model."""

    call: str
    question: int
    allowed: bool
    by: str
    arguments: Raw = NOTHING
    reason: str = ""
    command: int = 0


class StopAsked(Event, frozen=True, tag="stop_asked"):
    """Somebody outside asked the run to stop."""

    by: str
    command: int = 0


class CommandRefused(Event, frozen=True, tag="command_refused"):
    """A command from outside did not fit the run: a second answer, changed arguments, a wrong call."""

    command: int
    why: str


class OutputAccepted(Event, frozen=True, tag="output_accepted"):
    """The reply is an answer, ``value`` as JSON. ``repairs`` says, a phrase each, what of its syntax was put right."""

    value: Raw
    repairs: tuple[str, ...] = ()


class OutputRejected(Event, frozen=True, tag="output_rejected"):
    """The reply is no answer of the declared type: ``problems`` name the failing paths, or give a ``check``'s reason.

    ``wire`` is what the model is told. It is asked again, or the run ends with ``outcome``; resumed, it goes on there.
    """

    problems: tuple[str, ...]
    wire: Raw
    outcome: Outcome | None = None
    check: str = ""


class AnswerForm(Event, frozen=True, tag="answer_form"):
    """From now on the answer is asked for in another way, ``rung``. ``wire`` is what the model is told, if anything.

    ``model`` is a stronger one, which is asked from now on. ``apart``: after the work with tools, no longer beside it.
    ``heal``: the provider mends the JSON of replies, which come whole for that.
    """

    rung: str
    why: str
    wire: Raw = NOTHING
    model: str = ""
    apart: bool = False
    heal: bool = False


class LoopSteered(Event, frozen=True, tag="loop_steered"):
    """The same calls brought the same results for so many ``rounds`` in a row. ``wire`` is what the model is told."""

    rounds: int
    wire: Raw


class LimitReached(Event, frozen=True, tag="limit_reached"):
    """A limit stands in the way of the next step. ``needed`` is what that step may take, where it is known.

    ``wire`` is what the model is told when it is asked for its answer once more; without it the run ends.
    """

    limit: str
    used: str
    allowed: str
    needed: str = ""
    wire: Raw = NOTHING


class CostSettled(Event, frozen=True, tag="cost_settled"):
    """The bill of a request whose cost was unknown has arrived."""

    number: int
    cost: Decimal


class BillAbove(Event, frozen=True, tag="bill_above"):
    """A request was billed more than was put aside for it. For those after it more is, by ``factor``."""

    number: int
    reserved: Decimal
    billed: Decimal
    factor: Decimal


class ReaderFailed(Event, frozen=True, tag="reader_failed"):
    """An observer raised; it gets no more events and the run goes on."""

    reader: str
    error: str


class JournalWaited(Event, frozen=True, tag="journal_waited"):
    """The record could not be written for so many ``seconds``, and the run waited.

    ``why`` is what the database said; without it, another process may have kept it locked, or the disk is slow.
    """

    seconds: float
    why: str = ""


Durable = (
    RunStarted | RunResumed | RunPaused | RunFinished | MessageAdded
    | RequestSent | RequestAccepted | RequestFailed | Replied
    | ToolStarted | ToolFinished | ToolInDoubt | ToolSettled | ApprovalAsked | ApprovalGiven
    | StopAsked | CommandRefused | OutputAccepted | OutputRejected | AnswerForm
    | LoopSteered | LimitReached | CostSettled | BillAbove | ReaderFailed | JournalWaited
)  # fmt: skip
Live = TextDelta | ReasoningDelta | ArgumentsDelta


class Entry(Struct, frozen=True):
    """A durable event with its number in the run (from 1), its time (Unix seconds) and the run's name."""

    seq: int
    at: float
    event: Durable
    run: str = ""


_encoder = msgspec.json.Encoder()


@cache  # made at first use: it looks at every field of every event
def _decoder() -> msgspec.json.Decoder[Durable]:
    return decoder_of(Durable)


def encode(event: Durable | Live) -> bytes:
    """The event as JSON."""
    return _encoder.encode(event)


def decode(body: bytes) -> Durable:
    """The durable event this JSON stands for. Raises msgspec.DecodeError on anything else."""
    return decoded(_decoder(), body)
