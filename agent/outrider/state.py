"""The state of a run: the fold of its events, and the answers to "what is owed now?".

Folding is deterministic, total (any prefix of any list of events folds) and O(1) per event, but for the few that change
messages that had been sent. The live run and the resumed one are the same code, because both ask only this.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Self

from msgspec import Raw, Struct

from outrider import events as e
from outrider.bills import Counted, Owed
from outrider.calls import Call, CallStatus
from outrider.fold import FOLD
from outrider.messages import AssistantMessage, Limits, Phase, Usage

__all__ = ["Call", "CallStatus", "State"]


class State(Struct):
    """What a run has come to. Read it freely; only ``add`` changes it."""

    run: str = ""
    agent: str = ""
    task: str = ""
    model: str = ""
    limits: Limits = Limits()
    tools: dict[str, str] = {}
    places: dict[str, str] = {}
    """Where the tools work that work in some place, such as a folder."""
    output_type: str = "text"
    policy: str = ""
    checks: tuple[str, ...] = ()
    """The names of what an answer must pass besides fitting its type."""
    schema: int = e.SCHEMA
    """Version of the events on record."""

    seq: int = 0
    started_at: float = 0.0
    last_at: float = 0.0
    seconds: float = 0.0
    """Active time: gaps before a RunResumed do not count."""

    messages: list[Raw] = []
    """The conversation, each message in wire form. Thinking is of its round and its family of models: see
    ``_forget_reasoning`` in fold.py."""
    rewrites: int = 0
    """How often messages that had been sent were changed."""
    thinker: str = ""
    """The family of models whose thinking ``messages`` holds."""
    calls: dict[str, Call] = {}
    """The calls of the last reply, by id, in call order; empty once every one has its result."""
    held: list[Raw] = []
    """Messages that came while calls were owed; they follow the results."""
    unjudged: AssistantMessage | None = None
    """A reply without calls that nobody has accepted or rejected yet."""
    last_reply: e.Replied | None = None

    turns: int = 0
    requests: int = 0
    sent: int = 0
    """Messages of the last request."""
    tool_calls: int = 0
    tool_failures: int = 0
    """Calls whose result is an error: the tool failed or could not be called, or the call was not allowed."""
    usage: Usage = Usage()
    dearest: Decimal | None = None
    """The highest bill of one request so far, in dollars."""
    open_request: int = 0
    """Number of a request on record that has neither reply nor failure."""
    open: Owed = Owed()
    """What may be owed for it."""
    owed: dict[int, Owed] = {}
    """What may be owed for requests that nobody has sent a bill for, by number."""
    factor: Decimal = Decimal(1)
    """By how much bills were above what had been put aside for them, at most; below 1 counts as 1."""
    above: Decimal = Decimal(0)
    """Dollars billed beyond what had been put aside, of all requests together."""
    basis: str = ""
    """Where the prices come from by which money is put aside, or why there are none."""
    counted: Counted | None = None
    """The prompt whose tokens a reply has counted."""
    settings: Raw | None = None
    phase: Phase = "work"
    """The phase of the last request."""

    seen: set[bytes] = set()
    """Digests of all calls so far with their results, but for those of tools that poll."""
    stale: int = 0
    """Rounds of calls in a row in which nothing new was seen."""
    steered: bool = False
    """Whether the model has been told of these."""
    cut_offs: int = 0
    """Replies in a row that were cut off at the model's length limit in the middle of their calls."""
    failures: int = 0
    """Failed requests in a row."""
    trouble: str = ""
    """What the last of them came to, as a sentence."""
    delay: float = 0.0
    detour: e.Detour = e.NO_DETOUR
    """What the next request does differently from the run's own."""
    landing: int = 0
    """The number of the reply that is to be the last, since a limit has been met; 0 before that."""
    landed: int = 0
    """The replies there were when the run went on after a limit; without one more there is nothing to land from."""
    answering: bool = False
    """The answer phase: the model has been told to give its answer in the declared form."""
    rejections: int = 0
    rung: str = ""
    """The way in which the answer is asked for, once it is another than the first one."""
    misfits: int = 0
    """Answers in a row that did not fit, asked for in this way."""
    form: str = ""
    """The way in which the last request asked for the answer."""
    apart: bool = False
    """Whether tools and the answer's form must not go together in a request, though they might have."""
    heal: bool = False
    """Whether the provider may mend the JSON of the answer."""
    stronger: str = ""
    """The stronger model, once it is asked for the answer."""
    tries: int = 0
    """Requests for the answer, once the work was done."""
    climb: dict[int, Decimal | None] = {}
    """Dollars that each of them after the first one cost, by number; None where no bill has come."""
    repairs: int = 0
    """What was put right in replies and in the answer's syntax."""
    accepted: Raw | None = None
    ending: e.Outcome | None = None
    """How the run is about to end."""
    detail: str = ""
    hint: str = ""
    """What a person can do about the failure that ends the run, where that is known."""
    outcome: e.Outcome | None = None
    """How the run has ended or why it rests; None while it is under way."""
    paused: str = ""

    @property
    def over(self) -> bool:
        """Whether the run rests: finished, paused or landed."""
        return self.outcome is not None

    @property
    def free(self) -> bool:
        """Whether it asks a model on this machine, which bills nothing."""
        return self.model == "local" or self.model.startswith("local:")

    @property
    def requests_in_doubt(self) -> int:
        """Requests that may have been billed without our hearing it, an unanswered one included."""
        return 0 if self.free else self.doubts + bool(self.open_request)

    @property
    def doubts(self) -> int:
        """Requests that may have been billed without our hearing it, without the one under way."""
        return sum(not owed.replied for owed in self.owed.values())

    @property
    def unpriced(self) -> int:
        """Replies that came without a price."""
        return sum(owed.replied for owed in self.owed.values())

    def owed_calls(self) -> tuple[Call, ...]:
        """The calls that have no result yet, in call order."""
        return tuple(call for call in self.calls.values() if call.status != "done")

    @classmethod
    def fold(cls, entries: Iterable[e.Entry]) -> Self:
        """The state these entries lead to."""
        state = cls()
        for entry in entries:
            state.add(entry)
        return state

    def add(self, entry: e.Entry) -> None:
        """Take one more entry into account."""
        event = entry.event
        self.seq = entry.seq
        if self.last_at and type(event) is not e.RunResumed:
            self.seconds += max(0.0, entry.at - self.last_at)
        self.last_at = entry.at
        if step := FOLD.get(type(event)):
            step(self, event, entry)
