"""The answer: an output type, how a request asks for it, and whether a reply is one."""

import re
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

import msgspec
from msgspec import Raw, Struct

from outrider import events as e
from outrider.errors import SetupError
from outrider.messages import Phase, UserMessage, to_wire
from outrider.schema import Checked, Checker, Mismatch, Schema, checker_for, strict_form
from outrider.state import State
from outrider_prompts import say

Out = TypeVar("Out")

MOST_REJECTIONS = 3
"""How many answers may fail to fit before the run ends as rejected."""

_WRAP = "answer"
"""Providers want an object at the root of a schema: any other type travels as the one property of an object."""


class Rung(Struct, frozen=True):
    """One way of asking for the answer's form. ``format`` gives None for a schema that has no such form."""

    name: str
    format: Callable[[str, Schema], dict[str, Any] | None]


def _strict(name: str, schema: Schema) -> dict[str, Any] | None:
    strict = strict_form(schema)
    return _json_schema(name, strict.schema, strict=True) if strict.ok else None


def _json_schema(name: str, schema: Schema, strict: bool = False) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": name, "strict": strict, "schema": schema}}


RUNGS = (Rung("json_schema strict", _strict), Rung("json_schema", _json_schema))
"""The ways of asking, the strongest first. The first that fits the schema is taken."""


class OutputType(Generic[Out]):
    """What a run's answer has to be: plain text, or something that JSON of a schema stands for."""

    def __init__(self, declared: Any = None) -> None:
        self._checker: Checker[Out] | None = None
        self._format: Raw | None = None
        self.rung = "text"
        if declared is None or declared is str:
            self.name = "text"
            return
        self._checker = cast("Checker[Out]", checker_for(_union(declared)))
        self.name = _name_of(declared)
        self._schema, self._wrapped = _object_root(self._checker.schema)
        forms = ((rung.name, rung.format(self.name, self._schema)) for rung in RUNGS)
        self.rung, form = next((name, form) for name, form in forms if form)
        self._format = Raw(msgspec.json.encode(form))

    # ------------------------------------------------------------------------------------------- asking

    def phase(self, state: State, tools: bool) -> Phase:
        """The answer phase, once it has begun, or from the start when there are no tools to work with."""
        return "answer" if self._checker and (state.answering or not tools) else "work"

    def format(self, phase: Phase) -> Raw | None:
        """The response_format of a request, as JSON; None where it carries none."""
        return self._format if phase == "answer" else None

    # ------------------------------------------------------------------------------------------ judging

    def judge(self, state: State) -> e.OutputAccepted | e.OutputRejected:
        """Whether the reply without calls is the answer; if not, what the model is told."""
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
        checked = self._check(self._checker, text)
        if isinstance(checked, Checked):
            return e.OutputAccepted(checked.canonical)
        return self._mismatch(state, checked, cut_off)

    def _mismatch(self, state: State, mismatch: Mismatch, cut_off: bool) -> e.OutputRejected:
        schema = msgspec.json.encode(self._schema).decode()
        if state.phase == "work":  # no mistake: the work is done, and its answer is asked for in form
            return _reject(mismatch.problems, say("answer_now", schema=schema))
        if cut_off:
            return _reject(("cut off at the length limit", *mismatch.problems), say("answer_truncated"), "truncated")
        last = state.rejections + 1 >= MOST_REJECTIONS
        told = say("answer_rejected", problems=mismatch.problems, schema=schema)
        return _reject(mismatch.problems, told, "rejected" if last else None)

    def _check(self, checker: Checker[Out], text: str) -> Checked[Out] | Mismatch:
        checked = checker.check(text, sort=False)
        if isinstance(checked, Checked) or not self._wrapped or not (inner := _unwrapped(text)):
            return checked
        checked = checker.check(inner, sort=False)
        if isinstance(checked, Mismatch):  # the model must find the places in what it wrote
            return Mismatch(tuple(re.sub(r"^\$", f"$.{_WRAP}", problem) for problem in checked.problems))
        return checked

    def read(self, state: State) -> Out:
        """The accepted answer as a value of the declared type. Raises SetupError if the type no longer takes it."""
        accepted = state.accepted if state.accepted is not None else Raw(b"null")
        if self._checker is None:
            return msgspec.json.decode(accepted)
        checked = self._checker.check(accepted)
        if isinstance(checked, Mismatch):
            raise SetupError(
                f"the recorded answer of run {state.run} does not fit {self.name}: {checked.problems[0]}",
                "The output type has changed since; read result.partial, or ask again with a further message.",
            )
        return checked.value


def _unwrapped(text: str) -> Raw | None:
    try:
        inner = msgspec.json.decode(text, type=dict[str, Raw])
    except (msgspec.DecodeError, RecursionError):
        return None
    return inner[_WRAP] if list(inner) == [_WRAP] else None


def _reject(problems: tuple[str, ...], told: str, outcome: e.Outcome | None = None) -> e.OutputRejected:
    return e.OutputRejected(problems, to_wire(UserMessage(told)), outcome)


def _union(declared: Any) -> Any:
    if not isinstance(declared, tuple):
        return declared
    members = cast("tuple[Any, ...]", declared)
    if not members:
        raise SetupError("output is an empty tuple", "Name at least one type, as in output=(Invoice, Refusal).")
    union = members[0]
    for member in members[1:]:
        union = union | member
    return union


def _name_of(declared: Any) -> str:
    if isinstance(declared, tuple):
        name = "_or_".join(_name_of(member) for member in cast("tuple[Any, ...]", declared))
    elif isinstance(declared, dict):
        name = str(cast("dict[str, Any]", declared).get("title", "Answer"))
    elif isinstance(declared, type) and not getattr(declared, "__args__", None):
        name = declared.__name__
    else:
        name = str(declared)
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")[:64] or "Answer"


def _object_root(schema: Schema) -> tuple[Schema, bool]:
    """The schema with an object at its root, and whether it had to be wrapped for that."""
    if schema.get("type") == "object":
        return schema, False
    inner = {key: value for key, value in schema.items() if key not in ("$defs", "definitions", "$schema")}
    kept = {key: value for key, value in schema.items() if key not in inner}
    wrapped = {"type": "object", "properties": {_WRAP: inner}, "required": [_WRAP], "additionalProperties": False}
    return {**wrapped, **kept}, True
