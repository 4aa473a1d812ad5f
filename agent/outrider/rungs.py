"""The rungs: the ways of asking for an answer's form, the strongest first, and where one falls to from each.

Which way works depends on the model and on who serves it, and lists of capabilities are not always true. So the first
rung that may work is tried, and the record says when and why another was taken.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct

from outrider.messages import AssistantMessage
from outrider.schema import Schema, strict_form
from outrider_prompts import say

ANSWER_TOOL = "final_answer"

STRICT = "json_schema strict"
"""The rung on which what may be left out has to be there, as null."""


class Form(Struct, frozen=True):
    """How a request asks for the answer, in wire form: a ``response_format``, or tools of which one must be called."""

    rung: str = ""
    format: Raw | None = None
    tool: Raw | None = None


class Rung(Struct, frozen=True):
    """One way of asking.

    ``make`` gives the form for a name and a schema, None where the schema has none. ``needs`` is the parameter that a
    provider must take. ``told``: the model must be told the schema in words as well. ``beside``: the form may go along
    with tools to work with, where the model takes both. ``heals``: the provider may be able to mend the answer's JSON.
    ``refused`` and ``misfit`` are the rungs to fall to when the server refuses the request, or answers do not fit.
    """

    name: str
    make: Callable[[str, Schema], Form | None]
    needs: str = ""
    told: bool = False
    beside: bool = False
    heals: bool = False
    refused: str = ""
    misfit: str = ""


def _schema(name: str, schema: Schema, strict: bool) -> Form:
    rung = STRICT if strict else "json_schema"
    return _format(rung, {"type": "json_schema", "json_schema": {"name": name, "strict": strict, "schema": schema}})


def _strict(name: str, schema: Schema) -> Form | None:
    strict = strict_form(schema)
    return _schema(name, strict.schema, strict=True) if strict.ok else None


def _format(rung: str, wire: dict[str, Any]) -> Form:
    return Form(rung, Raw(msgspec.json.encode(wire)))


def _tool(name: str, schema: Schema) -> Form:
    function = {"name": ANSWER_TOOL, "description": say("answer_tool", name=name), "parameters": schema}
    return Form("final_answer tool", tool=Raw(msgspec.json.encode([{"type": "function", "function": function}])))


RUNGS = {
    rung.name: rung
    for rung in (
        Rung(
            STRICT,
            _strict,
            "structured_outputs",
            beside=True,
            heals=True,
            refused="json_schema",
            misfit="final_answer tool",
        ),
        Rung(
            "json_schema",
            lambda name, schema: _schema(name, schema, strict=False),
            "structured_outputs",
            beside=True,
            heals=True,
            refused="json_object",
            misfit="final_answer tool",
        ),
        Rung(
            "json_object",
            lambda name, schema: _format("json_object", {"type": "json_object"}),
            "response_format",
            told=True,
            heals=True,
            refused="final_answer tool",
            misfit="final_answer tool",
        ),
        Rung("final_answer tool", _tool, "tools", refused="prompted", misfit="prompted"),
        Rung("prompted", lambda name, schema: Form("prompted"), told=True),
    )
}
"""All ways of asking, the strongest first."""


def called(message: AssistantMessage) -> AssistantMessage | None:
    """The reply as if its call of the answer tool were the text that it stands for; None when there is no such call."""
    calls = message.tool_calls or ()
    answer = next((call.function.arguments for call in calls if call.function.name == ANSWER_TOOL), None)
    return None if answer is None else msgspec.structs.replace(message, content=answer, tool_calls=UNSET)


class Ladder:
    """The rungs that one output type has, with the form that each asks for."""

    def __init__(self, name: str, schema: Schema) -> None:
        made = {rung.name: rung.make(name, schema) for rung in RUNGS.values()}
        self._forms = {name: form for name, form in made.items() if form}
        self.rungs = tuple(self._forms)
        """Their names, the strongest first."""
        self.first = self.rungs[0]

    def form(self, rung: str) -> Form:
        """What a request on that rung asks for; "" is the first one."""
        return self._forms[rung or self.first]

    def below(self, rung: str, why: str) -> str:
        """The rung to fall to: ``why`` is "refused" or "misfit". "" when there is none."""
        name = rung or self.first
        while name:
            name = getattr(RUNGS[name], why)
            if name in self._forms:
                return name
        return ""
