"""The answer: an output type, how a request asks for it, and whether a reply is one."""

import re
from collections.abc import Awaitable, Callable
from copy import copy
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

import msgspec
from msgspec import Raw

from outrider import events as e
from outrider.asking import Asking
from outrider.errors import SetupError
from outrider.messages import UserMessage, to_wire
from outrider.model import Ask, Model
from outrider.rungs import STRICT, Ladder
from outrider.schema import WRAP, Answer, Checked, Checker, Mismatch, Nulls, Schema, answer_of
from outrider.state import State
from outrider_prompts import say

if TYPE_CHECKING:
    from outrider.syntax import Read

Out = TypeVar("Out")


class Objects(Protocol):
    """What may have something against an answer that fits its type."""

    async def objection(self, answer: Any, state: State, last: bool) -> e.OutputRejected | None:
        """Why it is not accepted after all, or None; ``last`` is whether the run then ends."""
        ...


class OutputType(Generic[Out]):
    """What a run's answer has to be: plain text, or something that JSON of a schema stands for."""

    def __init__(self, declared: Any = None, model: Model | None = None) -> None:
        self._checker: Checker[Out] | None = None
        self.ladder: Ladder | None = None
        """The ways of asking for the answer; None for plain text."""
        self.asking = Asking(model=model)
        self._checks: Objects | None = None
        if declared is None or declared is str:
            self.name = "text"
            return
        answer: Answer[Out] = answer_of(declared)
        self.name, self._checker = answer.name, answer.checker
        self._schema, self._wrapped, self._nulls = answer.schema, answer.wrapped, Nulls(answer.schema)
        self._inner = _inside(self._schema) if self._wrapped else self._schema
        self.ladder = Ladder(self.name, self._schema)
        self.asking = Asking(self.ladder, self._schema, model)

    # ------------------------------------------------------------------------------------------- asking

    def asked(self, state: State, tools: Raw | None) -> Ask:
        """What the next request asks for: tools to work with, the answer in its form, or both at once."""
        return self.asking.asked(state, tools)

    def change(self, state: State, tools: Raw | None, live: bool = True) -> e.AnswerForm | None:
        """Another way of asking for the answer, where one is due."""
        return self.asking.change(state, tools, live)

    def last_words(self, limit: str) -> Raw:
        """What the model is told when a limit is reached and it may answer once more."""
        schema = msgspec.json.encode(self._schema).decode() if self._checker else ""
        return to_wire(UserMessage(say("answer_at_limit", why=limit, schema=schema)))

    # ------------------------------------------------------------------------------------------ judging

    def under(self, checks: Objects) -> Self:
        """This type, for answers that must pass these checks as well."""
        checked = copy(self)
        checked._checks = checks
        return checked

    async def judge(self, state: State, record: Callable[[e.Durable], Awaitable[None]]) -> None:
        """Put on record whether the reply is the answer: one that fits, and that no check objects to.

        Cancelled in a check, it leaves the reply unjudged.
        """
        verdict: e.OutputAccepted | e.OutputRejected = self._judged(state)
        if self._checks and isinstance(verdict, e.OutputAccepted):
            answer = self.value(verdict.value, state)
            verdict = await self._checks.objection(answer, state, self.asking.last(state)) or verdict
        await record(verdict)

    def _judged(self, state: State) -> e.OutputAccepted | e.OutputRejected:
        reply = state.last_reply
        text = (state.unjudged.content if state.unjudged else None) or ""
        if reply and (reply.refusal or reply.finish == "content_filter"):
            why = reply.refusal or "stopped by a content filter"
            return _reject((why,), say("answer_refused"), "refused")
        cut_off = reply is not None and reply.finish == "length"
        if self._checker is None:
            if cut_off:
                return _reject(("cut off at the length limit",), say("answer_truncated"), "truncated")
            return e.OutputAccepted(Raw(msgspec.json.encode(text)))
        checked, repairs = self._check(self._checker, text, state), ()
        if isinstance(checked, Mismatch) and not cut_off and (plain := _plainly(text, self._inner)):
            checked, repairs = self._check(self._checker, plain.text, state), plain.repairs
        if isinstance(checked, Checked):
            return e.OutputAccepted(checked.canonical, repairs)
        return self._mismatch(state, checked, cut_off)

    def _mismatch(self, state: State, mismatch: Mismatch, cut_off: bool) -> e.OutputRejected:
        schema = msgspec.json.encode(self._schema).decode()
        if state.phase == "work":  # no mistake: the work is done, and its answer is asked for in form
            return _reject(mismatch.problems, say("answer_now", schema=schema))
        if cut_off:
            return _reject(("cut off at the length limit", *mismatch.problems), say("answer_truncated"), "truncated")
        last = self.asking.last(state)
        told = say("answer_rejected", problems=mismatch.problems, schema=schema)
        return _reject(mismatch.problems, told, "rejected" if last else None)

    def _check(self, checker: Checker[Out], text: str, state: State) -> Checked[Out] | Mismatch:
        if state.form == STRICT:
            text = self._nulls.taken_out_of(text)
        inner = _unwrapped(text) if self._wrapped else None
        if inner is None:
            return checker.check(text, sort=False)
        if not state.form:  # nobody had asked for the object around it
            whole = checker.check(text, sort=False)
            if isinstance(whole, Checked):
                return whole
        within = checker.check(inner, sort=False)
        if isinstance(within, Mismatch):  # the model must find the places in what it wrote
            return Mismatch(tuple(re.sub(r"^\$", f"$.{WRAP}", problem) for problem in within.problems))
        return within

    def part(self, text: str, state: State, whole: bool) -> Any:
        """What of this text is an answer so far, as JSON, or None; ``whole`` says that no more of it will come."""
        if self._checker is None:
            return text or None
        from outrider.partial import valid_part

        return valid_part(self._checker, text, whole, self._wrapped, self._nulls if state.form == STRICT else None)

    def read(self, state: State) -> Out:
        """The accepted answer as a value of the declared type. Raises SetupError if the type no longer takes it."""
        return self.value(state.accepted if state.accepted is not None else Raw(b"null"), state)

    def value(self, accepted: Raw, state: State) -> Out:
        """The value that an answer of this run stands for; otherwise as ``read``."""
        if self._checker is None:
            return msgspec.json.decode(accepted)
        checked = self._checker.check(accepted)
        if isinstance(checked, Mismatch):
            raise SetupError(
                f"the recorded answer of run {state.run} does not fit {self.name}: {checked.problems[0]}",
                "The output type has changed since; read result.partial, or ask again with a further message.",
            )
        return checked.value


def _inside(schema: Schema) -> Schema:
    """The schema of what stands in the object around an answer, by itself."""
    inner: Schema = schema["properties"][WRAP]
    name = str(inner.get("$ref", "")).removeprefix("#/$defs/")
    return schema.get("$defs", {}).get(name, inner)


def _unwrapped(text: str) -> Raw | None:
    try:
        inner = msgspec.json.decode(text, type=dict[str, Raw])
    except (msgspec.DecodeError, RecursionError):
        return None
    return inner[WRAP] if list(inner) == [WRAP] else None


def _reject(problems: tuple[str, ...], told: str, outcome: e.Outcome | None = None) -> e.OutputRejected:
    return e.OutputRejected(problems, to_wire(UserMessage(told)), outcome)


def _plainly(text: str, schema: Schema) -> "Read | None":
    """The JSON that a text means which is none; nothing for a text that is JSON and does not fit."""
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        from outrider.syntax import bare, read

        return read(text) or bare(text, schema)
    return None
