"""The rows of the fact sheet as tests: what comes over the wire, and what the model is to make of it."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec
import pytest
from msgspec import UNSET, Raw, Struct

from outrider.events import Delta, Replied, RequestFailed
from outrider.messages import AssistantMessage, UserMessage, from_wire, to_wire
from outrider.model import Ask, ModelEvent, Request, join_body
from outrider.openrouter import OpenRouter
from outrider.testing import FakeOpenRouter, FakeReply

ROWS: dict[str, dict[str, str]] = tomllib.loads(
    Path(__file__).with_name("openrouter_rows.toml").read_text(encoding="utf-8")
)
COVERED: set[str] = set()
"""The rows that a test is about, filled as the test files are imported."""

TOOLS = Raw(
    b'[{"type":"function","function":{"name":"add","description":"Add.","parameters":{"type":"object",'
    b'"properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"required":["a","b"]}}}]'
)
SUM = {"a": 2, "b": 3}
ASK = Ask("work", "run-1", TOOLS)

Test = TypeVar("Test", bound=Callable[..., Any])


class Case(Struct, frozen=True):
    """One reply and what is to come of it: ``expected`` names fields of ``seen``. ``later`` is a reason to fail yet."""

    row: str
    reply: Callable[[], FakeReply]
    expected: dict[str, Any]
    settings: dict[str, Any] = {}
    later: str = ""


def says(text: str, **more: Any) -> dict[str, Any]:
    """The model's answer is this text."""
    none: list[Any] = []
    return {"event": "replied", "text": text, "calls": none} | more


def calls(*pairs: tuple[str, dict[str, Any]], **more: Any) -> dict[str, Any]:
    """The model calls these tools, with these arguments."""
    return {"event": "replied", "calls": list(pairs)} | more


def fails(reason: str, then: str = "retry", **more: Any) -> dict[str, Any]:
    """The attempt comes to nothing."""
    return {"event": "failed", "reason": reason, "then": then} | more


def row(*names: str) -> Callable[[Test], Test]:
    """Marks a test as that of a row, and puts the row into the test's name."""
    for name in names:
        _known(name)
    return cast("Callable[[Test], Test]", pytest.mark.parametrize((), [pytest.param(id=" ".join(names))]))


def rows(*cases: Case) -> Callable[[Test], Test]:
    """Runs a test for each of these cases."""
    params: list[Any] = []
    for case in cases:
        _known(case.row)
        marks = [pytest.mark.xfail(strict=True, reason=case.later)] if case.later else []
        params.append(pytest.param(case, id=case.row, marks=marks))
    return cast("Callable[[Test], Test]", pytest.mark.parametrize("case", params))


def _known(name: str) -> None:
    section, _, fact = name.partition("/")
    assert fact in ROWS[section], f"there is no row {name} in openrouter_rows.toml"
    COVERED.add(name)


def request_of(model: OpenRouter, ask: Ask = ASK, failures: int = 0) -> Request:
    settings, messages = model.settings(ask), (to_wire(UserMessage("Hello")),)
    return Request(1, failures, ask, messages, settings, join_body(messages, settings), live=True)


async def asked(server: FakeOpenRouter, ask: Ask = ASK, **settings: Any) -> list[ModelEvent]:
    """All that a model makes of the next reply."""
    model = OpenRouter(settings=server.settings(**settings))
    return [event async for event in model.ask(request_of(model, ask))]


async def seen(server: FakeOpenRouter, case: Case) -> dict[str, Any]:
    """What came of a case, under the names that it expects something of."""
    server.add(case.reply())
    found = summary(await asked(server, **case.settings))
    assert len(server.requests) == 1, "an attempt is one request"
    return {name: found.get(name) for name in case.expected}


def summary(events: list[ModelEvent]) -> dict[str, Any]:
    """Every field that a case may expect something of."""
    last = events[-1]
    shown = {kind: "".join(event.text for event in events if type(event).__name__ == kind and isinstance(event, Delta))
             for kind in ("TextDelta", "ReasoningDelta")}  # fmt: skip
    if isinstance(last, RequestFailed):
        fields = {name: getattr(last, name) for name in last.__struct_fields__}
        return fields | {"event": "failed", "waits": last.delay > 0, "shown": shown}
    assert isinstance(last, Replied)
    message = from_wire(last.wire)
    assert isinstance(message, AssistantMessage)
    wanted = message.tool_calls or ()
    details: list[dict[str, Any]] = (
        [] if message.reasoning_details is UNSET else msgspec.json.decode(message.reasoning_details)
    )
    return {
        "event": "replied",
        "text": message.content or "",
        "content": message.content,
        "calls": [(call.function.name, msgspec.json.decode(call.function.arguments)) for call in wanted],
        "ids": [call.id for call in wanted],
        "reasoning": message.reasoning or "".join(detail.get("text", "") for detail in details),
        "details": details,
        "finish": last.finish,
        "cost": last.usage.cost,
        "repaired": bool(last.repairs),
        "shown_text": shown["TextDelta"],
        "shown_thinking": shown["ReasoningDelta"],
    }
