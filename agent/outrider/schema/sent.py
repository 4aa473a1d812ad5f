"""What is sent for a type or a tool, and what was changed for that: for people who want to see it."""

from typing import Any, Protocol, runtime_checkable

import msgspec
from msgspec import Raw, Struct

from outrider.schema.answer import answer_of
from outrider.schema.check import Schema
from outrider.schema.strict import strict_form


@runtime_checkable
class _Tool(Protocol):
    """A Tool, as this room knows it."""

    @property
    def wire_name(self) -> str: ...
    @property
    def parameters(self) -> Schema: ...
    @property
    def wire(self) -> Raw: ...


_HOW = {
    "json_schema strict": "response_format: the schema in strict form",
    "json_schema": "response_format: the type's own schema",
    "json_object": "response_format: any JSON object; the type's own schema in a message",
    "final_answer tool": "a tool that must be called: the type's own schema",
    "prompted": "the type's own schema in a message",
}


class Sent(Struct, frozen=True):
    """One way of asking, the strongest first. ``wire`` is the JSON that a request carries for it, if any.

    ``how`` says it in words: where the JSON stands, and whether the model is told the schema in a message.
    """

    rung: str
    how: str
    wire: Raw | None = None


class Report(Struct, frozen=True):
    """What is sent for a type or a tool. Print it.

    ``schema`` is the schema as it goes out first: in strict form where there is one, empty for plain text.
    ``why_not`` says why there is no strict form, ``changed`` what differs from the type's own schema,
    ``checked_here`` which rules a provider is not told as rules: the type itself refuses an answer that breaks them.
    """

    name: str
    schema: Schema
    sent: tuple[Sent, ...]
    why_not: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    checked_here: tuple[str, ...] = ()

    def __str__(self) -> str:
        width = max((len(sent.rung) for sent in self.sent), default=0)
        ways = [f"{sent.rung:{width}}  {sent.how}" for sent in self.sent]
        parts = [
            _part("Asked for in the first of these ways that the server takes" if len(ways) > 1 else "Sent", ways),
            _part("No strict form", self.why_not),
            _part("Changed", self.changed),
            _part("Checked here only", self.checked_here),
        ]
        shown = msgspec.json.format(msgspec.json.encode(self.schema), indent=2).decode()
        parts += [f"The schema, as it is sent first:\n{shown}"] if self.schema else []
        return "\n\n".join([self.name, *filter(None, parts)])


def _part(title: str, lines: tuple[str, ...] | list[str]) -> str:
    return "\n".join([f"{title}:", *(f"  {line}" for line in lines)]) if lines else ""


def report(kind: Any) -> Report:
    """What will be sent for an output type, a tuple of types, a raw JSON Schema or a tool.

    Raises SetupError where the type has no JSON Schema; plain text (None, ``str``) has nothing to send but words.
    """
    if isinstance(kind, _Tool) and not isinstance(kind, type):
        offered = Sent("tool", "its parameters are sent as they are; arguments are checked here", kind.wire)
        return Report(kind.wire_name, kind.parameters, (offered,))
    if kind is None or kind is str:
        return Report("text", {}, (Sent("text", "no schema: any reply is an answer"),))
    answer = answer_of(kind)
    form = strict_form(answer.schema)
    wrapped = ("$: the answer is sent as the property 'answer' of an object",) if answer.wrapped else ()
    sent = _ways(answer.name, answer.schema)
    if not form.ok:
        return Report(answer.name, answer.schema, sent, why_not=form.changes, changed=wrapped)
    return Report(answer.name, form.schema, sent, (), wrapped + form.changes, form.loosened)


def _ways(name: str, schema: Schema) -> tuple[Sent, ...]:
    from outrider.rungs import RUNGS  # above this room: what is made there of a schema is shown as it is

    made = ((rung.name, rung.make(name, schema)) for rung in RUNGS.values())
    return tuple(Sent(rung, _HOW[rung], form.format or form.tool) for rung, form in made if form)
