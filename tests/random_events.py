"""Random events and commands, for tests that say something of all of them."""

from decimal import Decimal
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import msgspec
from hypothesis import strategies as st
from msgspec import Raw

from outrider import commands as c
from outrider import events as e
from outrider.messages import AssistantMessage, Limits, ToolMessage, UserMessage, WireCall, WireFunction, to_wire

CALLS = [f"r:{reply}:{index}" for reply in range(3) for index in range(3)]


def _reply(*names: str) -> Raw:
    return to_wire(AssistantMessage(None, tuple(WireCall("call_0", WireFunction(name, "{}")) for name in names)))


RAWS = [
    to_wire(UserMessage("hi")),
    to_wire(AssistantMessage("done")),
    to_wire(ToolMessage("call_0", "21")),
    _reply("look"),
    _reply("look", "pay", "look"),
    Raw(b'{"role":"assistant","content":[["damaged"]]}'),
    Raw(b"null"),
    Raw(b"1e999"),
]

_SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    str: st.sampled_from(["r", *CALLS, "look", ""]) | st.text(max_size=5),
    int: st.integers(0, 12),
    bool: st.booleans(),
    float: st.floats(0, 1e6),
    Decimal: st.decimals(0, 10, allow_nan=False, places=4),
    Raw: st.sampled_from(RAWS),
}


def of(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a type that events are made of."""
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple:
        return st.lists(of(arguments[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(of(arguments[0]), of(arguments[1]), max_size=3)
    if origin in (UnionType, Union):
        return st.one_of(*[st.none() if part is type(None) else of(part) for part in arguments])
    return structs(kind)


def structs(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Structs of this kind; a field that may be absent often is."""
    fields: dict[str, st.SearchStrategy[Any]] = {}
    for field in msgspec.structs.fields(kind):
        made = of(field.type)
        fields[field.name] = made | st.just(e.NOTHING) if field.default == e.NOTHING else made
    if kind is Limits:
        return st.sampled_from([Limits(), Limits(3, 3, 300, 3.0, Decimal("0.3")), Limits(None, None, None, None, None)])
    return st.builds(kind, **fields)


events: st.SearchStrategy[e.Durable] = st.one_of(*[structs(kind) for kind in get_args(e.Durable)])
live: st.SearchStrategy[e.Live] = st.one_of(*[structs(kind) for kind in get_args(e.Live)])
commands: st.SearchStrategy[c.AnyCommand] = st.one_of(*[structs(kind) for kind in get_args(c.AnyCommand)])


@st.composite
def records(draw: st.DrawFn, most: int = 40) -> list[e.Entry]:
    """Records of a run: numbered from 1, in any order that events could or could not come in."""
    found = draw(st.lists(events, max_size=most))
    gaps = draw(st.lists(st.floats(-5, 100), min_size=len(found), max_size=len(found)))
    at, entries = 1e9, list[e.Entry]()
    for seq, (event, gap) in enumerate(zip(found, gaps, strict=True), 1):
        at += gap  # clocks may go back
        entries.append(e.Entry(seq, at, event))
    return entries
