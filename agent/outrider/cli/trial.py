"""One call of a tool without a model: the same checks, time limit and size bound as in a run; nothing is recorded."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from outrider import events as e
from outrider.agent import Agent
from outrider.cli.names import AnyTool
from outrider.cli.text import note, out
from outrider.errors import OUTCOMES, SetupError, did_you_mean
from outrider.observe.terminal import result_text
from outrider.policy import allow_all
from outrider.schema import Mismatch

_MAY = {
    "write": "What it had changed by then stays changed.",
    "egress": "The arguments may have left this machine.",
}


def arguments_of(called: str, tool: AnyTool, given: Sequence[str]) -> dict[str, Any]:
    """The arguments written as ``name=value``: text where the tool takes text, else JSON.

    ``called`` is the name by which a person asked for the tool. Raises SetupError for what is not so
    written, for names that the tool does not have and for what does not fit.
    """
    fields: dict[str, Any] = tool.parameters.get("properties", {})
    found: dict[str, Any] = {}
    for each in given:
        name, equals, text = each.partition("=")
        if not equals:
            last = next(reversed(found), "")
            first = next((field for field in fields if field not in found), "ARGUMENT")
            perhaps = f'{last}="{found[last]} {each}"' if last else f"{first}={each}"
            raise SetupError(f"{each!r} is not written as ARGUMENT=VALUE", f"Perhaps: {perhaps}")
        if name in found:
            raise SetupError(f"{name} is given twice", 'A list is written as JSON, as in names=\'["a", "b"]\'.')
        if name not in fields and tool.parameters.get("additionalProperties") is False:
            left = fields.keys() - {word.partition("=")[0] for word in given}
            takes = f"It takes {', '.join(fields)}." if fields else "It takes none."
            raise SetupError(f"{tool.name} has no argument {name!r}", did_you_mean(name, left) or takes)
        found[name] = text if _takes_text(fields.get(name, {}), tool.parameters) else _json_or_text(text)
    checked = tool.check(msgspec.json.encode(found))
    if isinstance(checked, Mismatch):
        problems = [problem.removeprefix("$.") for problem in checked.problems]
        written = [
            f"{name}='{example}'"
            for name, value in found.items()
            if isinstance(value, str) and (example := _example(fields.get(name, {}), tool.parameters))
        ]
        as_json = f"Lists and objects are written as JSON: {', '.join(written)}. " if written else ""
        raise SetupError(
            f"{tool.name} cannot be called so: {'; '.join(problems)}",
            f"{as_json}What it takes: outrider tools show {called}",
        )
    return found


def attempt(tool: AnyTool, arguments: Mapping[str, Any]) -> int:
    """Call it, print what a model would get, and say on stderr what else there is to know. Returns the exit code."""
    from outrider.testing.scripted import Calls, ScriptedModel

    seen: list[e.ToolFinished | e.ToolInDoubt] = []

    def watch(entry: e.Entry) -> None:
        if isinstance(entry.event, e.ToolFinished | e.ToolInDoubt):
            seen.append(entry.event)

    model = ScriptedModel([Calls((tool.wire_name, dict(arguments))), "done"])
    agent = Agent(model, tools=[replace(tool, wants="")], policy=allow_all, journal=None, observers=[watch])
    try:
        result = agent.run_sync("outrider tools try")
    except KeyboardInterrupt:
        note(f"{tool.name} was stopped before it had a result")
        return OUTCOMES["interrupted"][0]
    match seen:
        case [*_, e.ToolFinished() as done]:
            if not done.ok:
                _explain(tool, done)
            out(result_text(done.wire))
            return 0 if done.ok else 1
        case [*_, e.ToolInDoubt(why="timeout")]:
            note(f"{tool.name} was given up after {tool.timeout:g} s, and may have had its effect; a run would ask you")
        case _:
            note(f"{tool.name} has no result: {result.detail}")
    return 1


def _explain(tool: AnyTool, done: e.ToolFinished) -> None:
    """What happened, before what a model would be told of it."""
    last = done.error.strip().splitlines()[-1:] or [""]
    own = done.error.startswith("Traceback") and "ToolError: " not in done.error
    note(f"{tool.name} failed{f': {last[0]}' if own else ''}")
    if os.environ.get("OUTRIDER_DEBUG"):
        note(done.error)
    elif own:
        note("  The traceback: OUTRIDER_DEBUG=1 and the same command.")
        if tool.context:
            note("  It wants a Context, and its deps are None here.")
    if tool.effect in _MAY:
        note(f"  {_MAY[tool.effect]}")
    note("what a model would be told of it:")


def _example(field: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """How an array or an object is written; an empty text for an argument that is neither."""
    match field:
        case {"type": "array", "items": {"type": "integer" | "number"}}:
            return "[1, 2]"
        case {"type": "array"}:
            return '["a", "b"]'
        case {"type": "object"}:
            return '{"a": "b"}'
        case _:
            return next(filter(None, (_example(part, schema) for part in _parts(field, schema))), "")


def _parts(field: Mapping[str, Any], schema: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """What an argument may be, one or the other, or what it refers to."""
    if isinstance(ref := field.get("$ref"), str):
        return [schema.get("$defs", {}).get(ref.rpartition("/")[2], {})]
    return field.get("anyOf") or field.get("oneOf") or ()


def _takes_text(field: Mapping[str, Any], schema: Mapping[str, Any]) -> bool:
    """Whether a text may stand for this argument."""
    values = [*field.get("enum", ()), field.get("const")]
    kinds = field.get("type", ())
    return (
        "string" in ([kinds] if isinstance(kinds, str) else kinds)
        or any(isinstance(value, str) for value in values)
        or any(_takes_text(part, schema) for part in _parts(field, schema))
    )


def _json_or_text(text: str) -> Any:
    """What the text says as JSON; what is no JSON stays a text, and the check says what was wanted."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text
