"""What a run comes back with, whatever became of it."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from outrider.errors import OUTCOMES, NoOutput, OutriderError
from outrider.events import Outcome
from outrider.messages import AssistantMessage, Message, Usage, from_wire
from outrider.state import Call, State
from outrider.telling import climb_of, cost_of, ending, figures, typed, why_paused

Out = TypeVar("Out")

_HINTS = {
    "error": "The traceback is in the record: {show}",
    "rejected": "See what the model answered: {show}",
    "limit": "Go on with more: agent.resume({run!r}, limits=...)",
    "provider": "When the cause is mended: agent.resume({run!r})",
    "paused": "Answer with agent.approve, deny or settle, then agent.resume({run!r})",
    "refused": "See what was said: {show}",
    "truncated": "Raise max_tokens, or ask for less; then agent.resume({run!r})",
    "interrupted": "Go on: agent.resume({run!r})",
}
"""What to do, in Python, where a result is looked at; the command line says it in its own words."""

_UNKEPT = "With journal=None nothing is kept: run it again, or with a journal, to be able to show and resume it."


class Receipt(Struct, frozen=True):
    """How the answer came about: the way the output was enforced, and what went wrong on the way.

    ``rung`` is the way in which the last request asked for it. ``tries`` are the requests for the answer once the work
    was done, failed ones included; 0 where the work brought it. ``climb`` is what those after the first one cost, in
    dollars: None when no bill of one of them has come. ``repairs`` counts what was put right, here and at no cost.
    """

    output: str
    rung: str
    turns: int
    requests: int
    rejections: int
    repairs: int
    requests_in_doubt: int
    unpriced: int
    tries: int
    climb: Decimal | None


class Waiting(Struct, frozen=True):
    """A call that waits for a person: for consent, or, ``in_doubt``, for word on what became of it."""

    call: str
    """Its id, for ``agent.approve``, ``deny`` and ``settle``."""
    tool: str
    arguments: dict[str, Any]
    in_doubt: bool


Part = Callable[[str, State, bool], Any]
"""What of a text is valid so far, given the state and whether the text is whole."""


def part_of(state: State, part: Part | None) -> Any:
    """What there is of an answer in the replies that are on record, as JSON, or None."""
    if state.accepted is not None:
        return msgspec.json.decode(state.accepted)
    text, reply = _text_of(state), state.last_reply
    if not text or not reply or part is None:
        return text or None
    return part(text, state, reply.finish != "length")


def _arguments(call: Call) -> dict[str, Any]:
    return msgspec.json.decode(call.checked or call.call.arguments, type=dict[str, Any])


def _text_of(state: State) -> str | None:
    if state.last_reply is None:
        return None
    message = from_wire(state.last_reply.wire)
    return message.content if isinstance(message, AssistantMessage) else None


class Result(Generic[Out]):
    """How a run ended. Every outcome gives one; only ``output`` raises, when there is none."""

    def __init__(
        self,
        state: State,
        read: Callable[[State], Out],
        problem: Exception | None = None,
        kept: bool = True,
        part: Part | None = None,
    ) -> None:
        self._state = state
        self._read = read
        self._part = part
        self.problem = problem
        """The exception behind the outcome "error", when there is one."""
        self.kept = kept
        """Whether the run is in a journal, and so can be shown and resumed."""

    @property
    def run(self) -> str:
        """The run's name in the journal."""
        return self._state.run

    @property
    def outcome(self) -> Outcome:
        """One word for how it ended; it always agrees with the exit code."""
        return self._state.outcome or "error"

    @property
    def exit_code(self) -> int:
        """The process exit code that stands for this outcome."""
        return OUTCOMES[self.outcome][0]

    @property
    def output(self) -> Out:
        """The validated answer. Raises the NoOutput error of the outcome when there is none."""
        _, error = OUTCOMES[self.outcome]
        if error is None:
            return self._read(self._state)
        raise self._no_output(error)

    def _no_output(self, error: type[NoOutput]) -> NoOutput:
        return error(f"run {self.run} has no output: {self.outcome}: {self.detail}", self._hint(), self)

    def _hint(self) -> str:
        way = "interrupted" if self._state.paused in ("stopped", "left") else self.outcome
        hint = _HINTS[way].format(run=self.run, show=typed("show", self.run)) if self.kept else _UNKEPT
        if isinstance(self.problem, OutriderError) and self.problem.hint:
            return self.problem.hint
        return f"{self._state.hint} {hint}" if self._state.hint else hint

    @property
    def detail(self) -> str:
        """A sentence on why it ended so; empty when it finished."""
        if self._state.paused:
            return why_paused(self._state, self._state.paused)
        told = self.problem.message if isinstance(self.problem, OutriderError) else str(self.problem or "")
        return self._state.detail or told

    @property
    def partial(self) -> Any:
        """What there is of an answer: the output as JSON, else what of the last reply is valid so far, or None.

        No value in it is one that the type refuses at its place; what is required may be missing. Without a type it
        is the text of the last reply.
        """
        return part_of(self._state, self._part)

    @property
    def text(self) -> str | None:
        """The text of the last reply, or None when it had none."""
        return _text_of(self._state)

    @property
    def messages(self) -> tuple[Message, ...]:
        """The whole conversation as it went over the wire."""
        return tuple(from_wire(wire) for wire in self._state.messages)

    @property
    def usage(self) -> Usage:
        """Tokens and dollars of all replies together."""
        return self._state.usage

    @property
    def cost(self) -> Decimal | None:
        """US dollars billed so far: 0 when nothing can have been billed, None when something can and no bill has come.

        Not in it: requests in doubt (sent, and never answered) and replies without a price; ``receipt`` counts both.
        """
        return cost_of(self._state)

    @property
    def turns(self) -> int:
        """Replies received."""
        return self._state.turns

    @property
    def tool_calls(self) -> int:
        """Tool calls the model asked for."""
        return self._state.tool_calls

    @property
    def tool_failures(self) -> int:
        """Calls whose result is an error: the tool failed or could not be called, or the call was not allowed."""
        return self._state.tool_failures

    @property
    def waiting(self) -> tuple[Waiting, ...]:
        """The calls that wait for a person, in call order; none unless the outcome is "paused"."""
        waiting = [call for call in self._state.owed_calls() if call.waiting]
        return tuple(
            Waiting(call.call.id, call.call.name, _arguments(call), call.status == "doubt") for call in waiting
        )

    @property
    def seconds(self) -> float:
        """Active time; waiting for a person does not count."""
        return self._state.seconds

    @property
    def state(self) -> State:
        """Everything the record says of the run, folded."""
        return self._state

    @property
    def receipt(self) -> Receipt:
        """How the answer came about."""
        state = self._state
        return Receipt(
            state.output_type,
            state.form,
            state.turns,
            state.requests,
            state.rejections,
            state.repairs,
            state.requests_in_doubt,
            state.unpriced,
            state.tries,
            climb_of(state),
        )

    def __str__(self) -> str:
        line = f"{ending(self._state, self.outcome)} · {figures(self._state)}"
        return f"{line} · {typed('show', self.run)}" if self.kept else line

    def __repr__(self) -> str:
        return f"<Result {self}>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from outrider.card import card

        return card(self._state, self.outcome, self.detail, "" if self.outcome == "finished" else self._hint())
