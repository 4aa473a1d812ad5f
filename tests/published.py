"""What is published about the record and the reports, made from the structs themselves: JSON Schemas, and a page."""

import inspect
import re
from collections.abc import Callable
from typing import Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Raw, Struct
from msgspec.structs import FieldInfo, fields

from outrider import events as e
from outrider.cli.checks import Check
from outrider.cli.costs import CostLine
from outrider.cli.doctor import Diagnosis
from outrider.cli.live import Report
from outrider.cli.models import ModelLine, ProviderLine
from outrider.cli.prune import Pruned
from outrider.cli.runs import RunLine
from outrider.journal.lines import EventLine
from outrider.messages import Limits, Usage
from outrider.purse import Purse

Json = dict[str, Any]

# ---------------------------------------------------------------------------------------------- the schemas


def _made(factory: object) -> Any:
    """What msgspec leaves out of the JSON when a field holds it, or NODEFAULT: it is always written."""
    return {} if factory is dict else NODEFAULT


def _field(field: FieldInfo) -> tuple[Any, ...]:
    if field.default is e.NOTHING:  # msgspec cannot write it into a schema
        return field.name, field.type, msgspec.field(default_factory=Raw)
    default = _made(field.default_factory) if field.default is NODEFAULT else field.default
    return (field.name, field.type) if default is NODEFAULT else (field.name, field.type, default)


def _like(kind: type[Struct], doc: str = "", **types: Any) -> type[Struct]:
    """A copy of a struct that has a schema; with ``types``, one whose JSON holds every field, these of another type."""
    config = kind.__struct_config__
    parts = [(field.name, types.get(field.name, field.type)) if types else _field(field) for field in fields(kind)]
    copy = msgspec.defstruct(kind.__name__, parts, tag=config.tag, tag_field=config.tag_field, kw_only=True)
    copy.__doc__ = doc or kind.__doc__
    return copy


def _schema(kind: Any, title: str, whole: tuple[str, ...]) -> bytes:
    schema = msgspec.json.schema(kind)
    for name, definition in schema["$defs"].items():
        definition["description"] = _plain(definition.get("description", ""))
        if name in whole:
            definition["required"] = list(definition["properties"])
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title}
    return msgspec.json.format(msgspec.json.encode(head | schema), indent=2) + b"\n"


def _plain(doc: str) -> str:
    """A docstring for readers of JSON: nothing of Python."""
    kept = [part for part in inspect.cleandoc(doc).replace("``", "`").split("\n\n") if "Raises " not in part]
    return re.sub(r"\bNone\b", "null", "\n\n".join(kept))


_USAGE = _like(Usage, **{field.name: field.type for field in fields(Usage)})


def report_schema() -> bytes:
    """The schema of what ``outrider run --json`` writes."""
    report = _like(Report, outcome=e.Outcome | Literal["usage"], usage=_USAGE)
    return _schema(report, "outrider run --json", ("Report", "Usage"))


def events_schema() -> bytes:
    """The schema of a line of ``outrider run --events`` and ``outrider show RUN --json``."""
    kinds = tuple(_like(kind) for kind in get_args(e.Durable))
    line = _like(EventLine, event=Union[kinds])  # noqa: UP007 -- a union made of a tuple
    return _schema(line, "outrider run --events, outrider show --json", ("EventLine", "Limits", "Purse"))


def runs_schema() -> bytes:
    """The schema of a line of ``outrider runs --json``."""
    line = _like(RunLine, outcome=e.Outcome | None, usage=_USAGE)
    return _schema(line, "outrider runs --json", ("RunLine", "Usage"))


def costs_schema() -> bytes:
    """The schema of a line of ``outrider runs --cost --json``."""
    return _schema(_like(CostLine), "outrider runs --cost --json", ("CostLine",))


def pruned_schema() -> bytes:
    """The schema of what ``outrider runs --prune --json`` writes."""
    return _schema(_like(Pruned), "outrider runs --prune --json", ("Pruned",))


def doctor_schema() -> bytes:
    """The schema of what ``outrider doctor --json`` writes."""
    return _schema(_like(Diagnosis, checks=list[_like(Check)]), "outrider doctor --json", ("Diagnosis",))


def models_schema() -> bytes:
    """The schema of a line of ``outrider models --json``."""
    return _schema(_like(ModelLine), "outrider models --json", ("ModelLine",))


def providers_schema() -> bytes:
    """The schema of a line of ``outrider models MODEL --json``."""
    return _schema(_like(ProviderLine), "outrider models MODEL --json", ("ProviderLine",))


SCHEMAS: dict[str, Callable[[], bytes]] = {
    "report": report_schema,
    "events": events_schema,
    "runs": runs_schema,
    "costs": costs_schema,
    "pruned": pruned_schema,
    "doctor": doctor_schema,
    "models": models_schema,
    "providers": providers_schema,
}
"""The files of docs/schemas, without ``.json``."""

# ---------------------------------------------------------------------------------------------- the page


def events_page() -> str:
    """Every kind of event and what it is made of, as Markdown."""
    parts = [_section(f"`{kind.__struct_config__.tag}`", kind) for kind in get_args(e.Durable)]
    nouns = (e.Detour, e.Intent, Limits, Purse, Usage)
    return "\n\n".join([*parts, *(_section(kind.__name__, kind) for kind in nouns)])


def _section(title: str, kind: type[Struct]) -> str:
    sparse = kind.__struct_config__.omit_defaults
    rows = [_row(field, sparse) for field in fields(kind)]
    return "\n".join(
        [
            f"### {title}",
            "",
            _plain(kind.__doc__ or ""),
            "",
            "| field | what it is | when left out |",
            "|---|---|---|",
            *rows,
        ]
    )


def _row(field: FieldInfo, sparse: bool) -> str:
    default = _made(field.default_factory) if field.default is NODEFAULT else field.default
    absent = sparse and default is not NODEFAULT
    return f"| `{field.encode_name}` | {_type(field.type)} | {_shown(default) if absent else 'always there'} |"


def _shown(value: Any) -> str:
    if value in ("", {}, (), None, e.NOTHING):
        return "nothing"
    return "all zero" if isinstance(value, Struct) else f"`{msgspec.json.encode(value).decode()}`"


_WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false", Raw: "JSON", type(None): "null"}


def _type(kind: Any) -> str:
    if kind in _WORDS:
        return _WORDS[kind]
    if isinstance(kind, type) and issubclass(kind, Struct):
        return f"[{kind.__name__}](#{kind.__name__.lower()})"
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return ", ".join(f"`{name}`" for name in arguments)
    if origin is tuple:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"object of {_type(arguments[1])}"
    return " or ".join(map(_type, arguments)) if arguments else "decimal number, as text"
