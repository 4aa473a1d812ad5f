"""Section 4: streams."""

import asyncio
import threading
from functools import partial
from typing import Any

import pytest

from outrider import Agent, tool
from outrider.events import RequestAccepted, RequestFailed, TextDelta
from outrider.openrouter import OpenRouter
from outrider.testing import FakeOpenRouter, FakeReply, faults
from rows_kit import SUM, Case, asked, calls, fails, request_of, row, rows, says, seen, summary

pytestmark = pytest.mark.anyio

ADDED = calls(("add", SUM))
SIGNED = {"type": "reasoning.text", "text": "Hm.", "signature": "s2", "format": "f", "id": "r", "index": 0}


def text(piece: str | None, index: int | None = 0, **more: Any) -> dict[str, Any]:
    numbered = {} if index is None else {"index": index}
    return {"type": "reasoning.text", "text": piece} | numbered | more


def thinking(*pieces: list[dict[str, Any]], content_first: bool = False) -> FakeReply:
    """A reply whose thinking comes as these details."""
    details = [faults.chunk(reasoning_details=each) for each in pieces]
    return FakeReply(chunks=[*details, faults.chunk(content="Hello."), faults.chunk("stop")])


def call(index: int | None, id: str | None, name: str | None, arguments: str) -> dict[str, Any]:
    return {"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def calling(*pieces: list[dict[str, Any]]) -> FakeReply:
    return FakeReply(chunks=[*(faults.chunk(tool_calls=each) for each in pieces), faults.chunk("tool_calls")])


@rows(
    Case("4/order", lambda: FakeReply(text="Hello."), says("Hello.", shown_text="Hello.", finish="stop")),
    Case("4/comments", faults.comments_between, says("Hello.", shown_text="Hello.")),
    Case("4/usage-with-choice", faults.usage_with_choice, says("Hello.", cost=FakeReply().cost)),
    Case("4/usage-own-chunk", lambda: FakeReply(text="Hello."), says("Hello.", cost=FakeReply().cost)),
    Case("4/leading-empty-choices", faults.leading_empty_choices, says("Hello.")),
    Case("4/leading-empty-choices", faults.choices_null, says("Hello.")),
    Case("4/role-repeats", lambda: FakeReply(text="Hello.", reasoning="Hm.", piece=1), says("Hello.", reasoning="Hm.")),
    Case("4/unknown-fields", faults.unknown_fields, says("Hello.")),
    Case("4/unknown-fields", lambda: FakeReply(text="Hello.", finish="novel"), says("Hello.", finish="novel")),
    Case(
        "4/reasoning-shown-once",
        faults.reasoning_twice,
        says("Hello.", reasoning="Let me greet.", shown_thinking="Let me greet."),
    ),
)
async def test_streams(openrouter: FakeOpenRouter, case: Case) -> None:
    found = await seen(openrouter, case)
    if "cost" in found:
        found["cost"] = float(found["cost"])
    assert found == case.expected


@rows(
    Case(
        "4/details-merge",
        lambda: thinking([text("Let ")], [text("me. "), text("Then", 1)], [text("So.")]),
        {"details": [text("Let me. So."), text("Then", 1)]},
    ),
    Case(
        "4/details-without-index",
        lambda: thinking([text("Let ", None)], [text("me.", None)]),
        {"details": [text("Let me.", None)]},
    ),
    Case(
        "4/details-without-index",
        lambda: thinking(
            [{"type": "reasoning.summary", "summary": "It "}], [{"type": "reasoning.summary", "summary": "did."}]
        ),
        {"details": [{"type": "reasoning.summary", "summary": "It did."}]},
    ),
    Case(
        "4/details-late-signature",
        lambda: thinking(
            [text("Hm.", id="r", format="f", signature="s1")], [text(None, signature="s2", format=None, id=None)]
        ),
        {"details": [SIGNED]},
    ),
    Case(
        "4/details-late-signature",
        lambda: FakeReply(
            chunks=[
                faults.chunk(reasoning_details=[text("Hm.")]),
                faults.chunk(content="Hello."),
                faults.chunk("stop", reasoning_details=[text("", signature="s")]),
            ]
        ),
        {"details": [text("Hm.", signature="s")], "text": "Hello."},
    ),
    Case(
        "4/details-encrypted",
        lambda: thinking(
            [{"type": "reasoning.encrypted", "data": "a", "index": 0}],
            [{"type": "reasoning.novel", "x": [1]}],
            [{"type": "reasoning.encrypted", "data": "b", "index": 1}],
        ),
        {
            "details": [
                {"type": "reasoning.encrypted", "data": "a", "index": 0},
                {"type": "reasoning.novel", "x": [1]},
                {"type": "reasoning.encrypted", "data": "b", "index": 1},
            ]
        },
    ),
)
async def test_details(openrouter: FakeOpenRouter, case: Case) -> None:
    assert await seen(openrouter, case) == case.expected


@row("4/details-empty-list")
async def test_an_empty_list_of_details_goes_back(openrouter: FakeOpenRouter) -> None:
    openrouter.add(thinking([]))
    last = (await asked(openrouter))[-1]
    assert b'"reasoning_details":[]' in bytes(getattr(last, "wire", b""))


@rows(
    Case(
        "4/calls-by-index",
        lambda: FakeReply(calls=[("add", SUM), ("add", {"a": 1})]),
        calls(("add", SUM), ("add", {"a": 1})),
    ),
    Case(
        "4/calls-by-index",
        lambda: calling(
            [call(0, "x", "add", '{"a":'), call(1, "y", "add", "{")],
            [call(1, None, None, "}")],
            [call(0, None, None, "1}")],
        ),
        calls(("add", {"a": 1}), ("add", {}), ids=["x", "y"]),
    ),
    Case("4/calls-index-missing", partial(faults.call_without_index, "add", SUM), ADDED),
    Case(
        "4/calls-index-missing",
        lambda: calling([call(None, "x", "add", '{"a":1}')], [call(None, "y", "add", '{"a":2}')]),
        calls(("add", {"a": 1}), ("add", {"a": 2})),
    ),
    Case("4/calls-in-one-chunk", partial(faults.call_in_one_chunk, "add", SUM), ADDED),
    Case("4/calls-in-one-chunk", partial(faults.call_finished_as_stop, "add", SUM), ADDED),
    Case("4/calls-repeat-themselves", partial(faults.call_repeats_itself, "add", SUM), ADDED | {"ids": ["call_1"]}),
    Case("4/calls-id-missing", partial(faults.call_without_id, "add", SUM), ADDED | {"ids": ["call_1_0"]}),
    Case("4/calls-id-missing", partial(faults.call_without_id, "add", SUM, ""), ADDED | {"ids": ["call_1_0"]}),
    Case(
        "4/calls-ids-equal",
        partial(faults.calls_with_one_id, ("add", SUM), ("add", {"a": 1})),
        calls(("add", SUM), ("add", {"a": 1}), ids=["call_1", "call_1_1"]),
    ),
    Case("4/calls-then-blanks", partial(faults.call_then_blanks, "add", SUM), ADDED),
    Case("4/calls-without-arguments", lambda: FakeReply(calls=[("add", "")]), calls(("add", {}))),
)
async def test_calls(openrouter: FakeOpenRouter, case: Case) -> None:
    assert await seen(openrouter, case) == case.expected


@rows(
    Case(
        "4/error-before-token", partial(faults.status, 400), fails("invalid_request", "stop", status=400, billed="no")
    ),
    Case(
        "4/error-after-token",
        faults.error_mid_stream,
        fails("provider_unavailable", status=502, billed="unknown", provider="Fake", waits=True),
    ),
    Case(
        "4/error-code-text",
        partial(faults.error_mid_stream, code="server_error"),
        fails("provider_unavailable", status=0),
    ),
)
async def test_errors(openrouter: FakeOpenRouter, case: Case) -> None:
    assert await seen(openrouter, case) == case.expected


@row("4/calls-after-the-end")
async def test_a_call_waits_for_the_end_of_the_stream(openrouter: FakeOpenRouter) -> None:
    release, ran = threading.Event(), list[bool]()

    @tool(effect="read")
    def add(a: int, b: int) -> int:
        """Add."""
        ran.append(release.is_set())
        return a + b

    held = FakeReply(calls=[("add", SUM)], piece=100, hold=release, hold_at=3)  # all of the call, not its end
    openrouter.add(held, "It is 5.")
    agent = Agent(tools=[add], settings=openrouter.settings(), journal=None)
    async with agent.stream("2 and 3?") as run:
        async for event in run:
            if type(event).__name__ == "ArgumentsDelta":
                assert not ran
                release.set()
        result = await run.result()
    assert result.output == "It is 5."
    assert ran == [True]


@row("4/no-way-back")
async def test_what_was_shown_of_a_reply_that_broke_off_is_void(openrouter: FakeOpenRouter) -> None:
    openrouter.add(faults.error_mid_stream("Good"), "Hello.")
    agent = Agent(settings=openrouter.settings(), journal=None)
    shown: dict[int, str] = {}
    async with agent.stream("Hello?") as run:
        async for event in run:
            if isinstance(event, TextDelta):
                shown[event.number] = shown.get(event.number, "") + event.text
            elif isinstance(event, RequestFailed):
                assert event.number == 1
        result = await run.result()
    assert result.output == "Hello."
    assert shown == {1: "Good", 2: "Hello."}
    first, second = (request.json["messages"] for request in openrouter.requests)
    assert first == second


@row("4/cancellation")
async def test_leaving_closes_the_connection(openrouter: FakeOpenRouter) -> None:
    openrouter.add(faults.stalled())
    model = OpenRouter(settings=openrouter.settings())
    events = model.ask(request_of(model))
    assert isinstance(await anext(events), RequestAccepted)
    await events.aclose()
    await openrouter.until(lambda: openrouter.closed == 1)
    assert openrouter.opened == 1


@row("4/error-before-token")
async def test_a_busy_server_is_asked_again(openrouter: FakeOpenRouter) -> None:
    openrouter.add(faults.status(429, retry_after=0), "Hello.")
    async with asyncio.timeout(60):
        result = await Agent(settings=openrouter.settings(), journal=None).run("Hello?")
    assert result.output == "Hello."
    assert summary(await asked(openrouter))["reason"] == "invalid_request"  # the script is over
