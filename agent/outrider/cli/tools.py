"""outrider tools: what is installed, what each takes and does, and one call of one of them."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

from outrider.cli.names import AnyTool, installed, loaded, offered, tools_by_name, tools_of
from outrider.cli.text import fitted, out, out_row, stdout, stdout_for_answers, tell
from outrider.cli.trial import arguments_of, attempt
from outrider.errors import SetupError, did_you_mean
from outrider.observe.line import Line, toned

_AGAIN = {"safe": "may be repeated", "with_key": "may be repeated with its key", "never": "is never repeated unasked"}


class Verbs(click.Group):
    """``outrider tools NAME`` is ``outrider tools show NAME``."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb, and what is left for it."""
        return super().resolve_command(ctx, args if args[0] in self.commands else ["show", *args])


@click.group("tools", cls=Verbs, invoke_without_command=True)
@click.pass_context
@stdout_for_answers()
def command(ctx: click.Context) -> int:
    """List the tools that are installed, by the name for --tool.

    \b
      outrider tools show read_file
      outrider tools try calculator expression="23 * 19"
    """
    return _say_all() if ctx.invoked_subcommand is None else 0


@command.command("list")
def list_tools() -> int:
    """List the tools that are installed, as outrider tools does."""
    return _say_all()


def _say_all() -> int:
    for row in fitted(toned(_list(), "cut"), stdout()):
        out_row(row)
    more = "more about one: outrider tools show NAME; one call of it: outrider tools try NAME ARGUMENT=VALUE ..."
    tell(Line(more, fit="wrap"))
    return 0


@command.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="What a model is told of it, as JSON.")
@stdout_for_answers()
def show(name: str, as_json: bool) -> int:
    """Say all about NAME: a tool, a name for --tool, or module:name."""
    for number, tool in enumerate(_named(name)):
        if as_json:
            out(bytes(tool.wire))
            continue
        for row in fitted(toned([*([""] if number else []), *_whole(tool)], "wrap"), stdout()):
            out_row(row)
    return 0


@command.command("try")
@click.argument("name")
@click.argument("arguments", nargs=-1, metavar="[ARGUMENT=VALUE]...")
@stdout_for_answers()
def try_tool(name: str, arguments: tuple[str, ...]) -> int:
    """Call the tool NAME once, as a run would, and print what a model would get.

    Nothing is recorded and no model is asked. What the tool does, it does. Exit code 1 when the call failed.

    \b
      outrider tools try days_between start=2026-01-01 end=2026-12-31
      outrider tools try app:weather city=Paris
    """
    tool = _one(name)
    return attempt(tool, arguments_of(name, tool, arguments))


# -------------------------------------------------------------------------------------------- the list


def _list() -> Iterator[Line | str]:
    entries = offered()
    if not entries:
        yield "no package here offers a tool"
    used = {entry.name: entry for entry in entries}
    for entry in entries:
        package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unnamed package"
        yield Line(f"{entry.name}  ({package})", "bold")
        if used[entry.name] is not entry:
            yield Line("  not used: another package offers this name", "bad")
            continue
        try:
            yield from map(_row, tools_of(entry))
        except SetupError as error:
            yield Line(f"  broken: {error.message}", "bad", "wrap")
            yield Line(f"  {error.hint}", "plain", "wrap")


def _row(tool: AnyTool) -> Line:
    labels = f"  {tool.name:<15} {tool.effect:<6} {tool.trust:<9}  "
    first, _, _ = tool.description.strip().partition("\n")
    return Line(f"{labels}{first}", fit="wrap", hang=len(labels))


# --------------------------------------------------------------------------------------------- by name


def _named(name: str) -> list[AnyTool]:
    """The tools of that name. Raises SetupError with close names when there is none."""
    if set(name) & set(":.=") or name in installed():
        return tools_by_name(name)
    found: dict[str, AnyTool] = {}
    faults: list[str] = []
    for entry, tools, fault in loaded():
        for tool in tools:
            found.setdefault(tool.name, tool)
        if fault:
            faults.append(f"{entry.name} cannot be used here: {fault.message}. {fault.hint}")
    if name in found:
        return [found[name]]
    near = did_you_mean(name, {*found, *installed()})
    if near or faults:
        hint = " ".join(filter(None, (near, "What there is: outrider tools.", *faults)))
        raise SetupError(f"there is no tool {name!r}", hint)
    return tools_by_name(name)  # raises, and knows the modules of this folder


def _one(name: str) -> AnyTool:
    tools = _named(name)
    if len(tools) != 1:
        names = [tool.name for tool in tools]
        raise SetupError(f"{name} holds {len(tools)} tools", f"Name one of them: {', '.join(names) or 'there is none'}")
    return tools[0]


# ----------------------------------------------------------------------------------------- all about one


def _whole(tool: AnyTool) -> Iterator[Line | str]:
    yield Line(f"{tool.name}  {tool.effect} · {tool.trust} results", "bold")
    for line in tool.description.strip().splitlines():
        yield f"  {line}".rstrip()
    yield ""
    yield from _arguments(tool.parameters)
    yield ""
    yield Line(f"  {' · '.join(_bounds(tool))}", "dim", "wrap")


def _bounds(tool: AnyTool) -> Iterator[str]:
    yield "no time limit" if tool.timeout is None else f"at most {tool.timeout:g} s"
    yield f"at most {tool.max_result} characters to the model"
    yield _AGAIN[tool.repeat]
    if tool.alone:
        yield "never runs beside others"
    if tool.approve:
        yield "asks a person before each call"
    if tool.sinks:
        yield f"data leaves through {', '.join(tool.sinks)}"


def _arguments(schema: Mapping[str, Any]) -> Iterator[Line | str]:
    """A row for each argument: name, type, whether it must be given, what it means."""
    fields: dict[str, Any] = schema.get("properties", {})
    if not fields:
        yield "  takes no arguments"
        return
    definitions = schema.get("$defs", {})
    rows = [
        (name, _kind(field, definitions), _default(name, field, schema), str(field.get("description", "")))
        for name, field in fields.items()
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for *row, meaning in rows:
        cells = [text.ljust(width) for text, width in zip(row, widths, strict=True)]
        before = f"  {'  '.join(cells)}  "
        yield Line(f"{before}{meaning}".rstrip(), fit="wrap", hang=len(before))


def _default(name: str, field: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    if name in schema.get("required", ()):
        return "required"
    return f"default {_json(field['default'])}" if "default" in field else "optional"


def _kind(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """The type in few words: ``integer``, ``list of string``, ``"a" or "b"``."""
    match field:
        case {"$ref": str(ref)}:
            name = ref.rpartition("/")[2]
            found = definitions.get(name, {})
            return _kind(found, definitions) if "enum" in found else name
        case {"enum": [*values]}:
            return " or ".join(map(_json, values))
        case {"const": value}:
            return _json(value)
        case {"anyOf": [*parts]} | {"oneOf": [*parts]}:
            return " or ".join(dict.fromkeys(_kind(part, definitions) for part in parts))
        case {"type": "array", "items": {**items}}:
            return f"list of {_kind(items, definitions)}"
        case {"type": "array"}:
            return "list"
        case {"type": [*kinds]}:
            return " or ".join(map(str, kinds))
        case {"type": kind}:
            return str(kind)
        case _:
            return "anything"


def _json(value: Any) -> str:
    import msgspec

    return msgspec.json.encode(value).decode()
