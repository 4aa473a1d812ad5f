"""Section 6.5: what Qwen3 and the servers that run it get wrong."""

from functools import partial

import pytest

from outrider import Agent, tool
from outrider.model import Ask
from outrider.openrouter.settings import DEFAULT_MODEL
from outrider.testing import FakeOpenRouter, FakeReply, faults
from rows_kit import SUM, Case, asked, calls, row, rows, says, seen, summary

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_waiting")]

MENDED = calls(("add", SUM), repaired=True, finish="tool_calls")
LEAK = '<tool_call>\n{"name": "rm", "arguments": {}}\n</tool_call>'


@tool(effect="read")
def add(a: int, b: int) -> int:
    """Add."""
    return a + b


@rows(
    Case(
        "6.5/1-think-in-content",
        faults.think_in_content,
        says("Hello.", reasoning="Let me greet.", repaired=True, shown_text="Hello.", shown_thinking="Let me greet."),
    ),
    Case(
        "6.5/1-think-unopened",
        partial(faults.think_in_content, opened=False),
        says("Hello.", reasoning="Let me greet.", repaired=True),
    ),
    Case("6.5/1-think-empty", faults.think_empty, says("Hello.", shown_text="Hello.")),
    Case("6.5/3-hermes", partial(faults.call_hermes, "add", SUM), MENDED | {"content": None}),
    Case("6.5/3-hermes-in-reasoning", partial(faults.call_hermes, "add", SUM, "reasoning"), MENDED),
    Case("6.5/3-xml", partial(faults.call_xml, "add", SUM), MENDED),
    Case("6.5/3-xml-unopened", partial(faults.call_xml, "add", SUM, opened=False), MENDED),
    Case("6.5/3-not-on-offer", lambda: FakeReply(text=LEAK), says(LEAK, repaired=False)),
    Case("6.5/4-encoded-twice", partial(faults.call_encoded_twice, "add", SUM), calls(("add", SUM), repaired=True)),
    Case("6.5/4-object", partial(faults.call_with_object, "add", SUM), calls(("add", SUM), repaired=True)),
    Case("6.5/6-unknown-name", partial(faults.call_almost_named, "add", SUM), calls(("add", SUM), repaired=True)),
)
async def test_one_reading_is_possible(openrouter: FakeOpenRouter, case: Case) -> None:
    found = await seen(openrouter, case)
    for name in ("shown_text", "shown_thinking"):  # of what is shown, white space may stay
        if name in found:
            found[name] = found[name].strip()
    assert found == case.expected


@row("6.5/2-answer-in-reasoning")
async def test_it_is_asked_again_without_thinking(openrouter: FakeOpenRouter) -> None:
    openrouter.add(faults.answer_in_reasoning("It is 5."), "It is 5.")
    result = await Agent(settings=openrouter.settings(), journal=None).run("2 and 3?")
    assert result.output == "It is 5."
    assert [request.json["reasoning"]["enabled"] for request in openrouter.requests] == [True, False]


@row("6.5/2-reasoning-as-last-resort")
async def test_then_the_thinking_is_the_answer(openrouter: FakeOpenRouter) -> None:
    openrouter.add(*[faults.answer_in_reasoning("It is 5.")] * 2)
    result = await Agent(settings=openrouter.settings(), journal=None).run("2 and 3?")
    assert result.output == "It is 5."
    assert len(openrouter.requests) == 2


@row("6.5/4-invalid-json")
async def test_broken_arguments_are_told_to_the_model(openrouter: FakeOpenRouter) -> None:
    openrouter.add(FakeReply(calls=[("add", '{"a": 2, "b"')]), FakeReply(calls=[("add", SUM)]), "It is 5.")
    result = await Agent(tools=[add], settings=openrouter.settings(), journal=None).run("2 and 3?")
    assert result.output == "It is 5."
    told = openrouter.requests[1].json["messages"][-1]
    assert told["role"] == "tool"
    assert "JSON" in told["content"]


@row("6.5/6-unknown-name")
async def test_a_tool_that_does_not_exist_is_told_to_the_model(openrouter: FakeOpenRouter) -> None:
    openrouter.add(FakeReply(calls=[("subtract", SUM)]), "It is 5.")
    result = await Agent(tools=[add], settings=openrouter.settings(), journal=None).run("2 and 3?")
    assert result.output == "It is 5."
    assert "subtract" in openrouter.requests[1].json["messages"][-1]["content"]


@row("6.5/6-call-unasked")
async def test_a_call_without_an_offer_is_not_run(openrouter: FakeOpenRouter) -> None:
    openrouter.add(FakeReply(calls=[("add", SUM)]), "It is 5.")
    result = await Agent(settings=openrouter.settings(), journal=None).run("2 and 3?")
    assert result.output == "It is 5."
    assert "tools" not in openrouter.requests[0].json
    openrouter.add(faults.call_hermes("add", SUM))
    found = summary(await asked(openrouter, Ask("work", "run-1")))
    assert found["calls"] == []


@row("6.5/5-no-stop-words", "6.5/7-text-only")
async def test_what_is_sent_is_text_without_stop_words(openrouter: FakeOpenRouter) -> None:
    openrouter.add(FakeReply(calls=[("add", SUM)]), "It is 5.")
    await Agent(tools=[add], settings=openrouter.settings(), journal=None).run("2 and 3?")
    for request in openrouter.requests:
        assert request.json["model"] == DEFAULT_MODEL
        assert "stop" not in request.json
        assert all(isinstance(message["content"], str | None) for message in request.json["messages"])
