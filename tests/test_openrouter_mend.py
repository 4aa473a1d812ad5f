"""What is put right in replies, what is left as it came, and that nothing is made up."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent_kit import recorded, told, weather
from outrider import Agent, Limits
from outrider.events import Entry, Replied, RequestFailed
from outrider.journal.sqlite import SQLiteJournal
from outrider.messages import UNSET, AssistantMessage, WireCall, WireFunction
from outrider.observe.story import story
from outrider.observe.terminal import lines
from outrider.openrouter import Settings
from outrider.openrouter.mend import mend, offered_in
from outrider.openrouter.merge import Merger
from outrider.state import State
from outrider.testing import FakeOpenRouter, FakeReply
from replies_gone_wrong import CASES, HERMES, TOOLS, XML, Call, Case


def message(content: str | None, reasoning: str, calls: Sequence[Call]) -> AssistantMessage:
    wire = tuple(
        WireCall(f"call_1_{place}", WireFunction(name, arguments)) for place, (name, arguments) in enumerate(calls)
    )
    return AssistantMessage(content, wire or UNSET, reasoning or UNSET)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_reply_gone_wrong(case: Case) -> None:
    given = message(case.content, case.reasoning, case.calls)
    mended = mend(given, case.finish, TOOLS, 1, case.plain)
    if not case.told:
        assert (mended.message, mended.finish, mended.repairs) == (given, case.finish, ())
        return
    assert mended.message == message(case.to_content, case.to_reasoning, case.to_calls)
    assert mended.finish == ("tool_calls" if case.to_calls else case.finish)
    assert case.told in " ".join(mended.repairs)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_mending_twice_changes_nothing(case: Case) -> None:
    once = mend(message(case.content, case.reasoning, case.calls), case.finish, TOOLS, 1, case.plain)
    twice = mend(once.message, once.finish, TOOLS, 1, case.plain)
    assert (twice.message, twice.finish, twice.repairs) == (once.message, once.finish, ())


def test_there_are_enough_of_them() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 60


TAGS = (
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "<function=",
    "</function>",
    "<parameter=",
    "</parameter>",
)
PIECES = st.sampled_from(
    (
        *TAGS,
        HERMES,
        XML,
        "<function=now>",
        "```\n",
        "\n",
        " ",
        "Hm.",
        "{",
        "}",
        '"',
        '{"name": "now", "arguments": {}}',
        HERMES.replace("get_weather", "gone"),
        "`",
        "名",
    )
)
MESSY = st.lists(PIECES | st.text(max_size=5), max_size=12).map("".join)
FINISHES = st.sampled_from(("stop", "length", "tool_calls", "content_filter", "odd", ""))


@settings(deadline=None, derandomize=True)
@given(st.text(), FINISHES)
def test_plain_text_is_never_changed(text: str, finish: str) -> None:
    for tag in ("<think>", "</think>", "<tool_call>", "<function="):
        text = text.replace(tag, "")
    given = message(text, "", ())
    assert mend(given, finish, TOOLS).message is given


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | MESSY,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MESSY, inner, max_size=3),
)


@settings(deadline=None, derandomize=True)
@given(st.dictionaries(MESSY, JSON) | st.lists(JSON), FINISHES, st.sampled_from((None, 1, 2)))
def test_a_typed_answer_is_never_changed(value: Any, finish: str, indent: int | None) -> None:
    text = msgspec.json.encode(value)
    given = message((msgspec.json.format(text, indent=indent) if indent else text).decode(), "", ())
    assert mend(given, finish, TOOLS).message is given


@settings(deadline=None, derandomize=True, max_examples=400)
@example("<think>a</think></think>\nb.\n</think>\nc", "", "stop")
@example(f"{HERMES}\n<think>\nx\n</think>\ny", "", "stop")
@given(MESSY, MESSY, FINISHES)
def test_whatever_comes_is_mended_once_and_only_with_what_was_given(text: str, thought: str, finish: str) -> None:
    once = mend(message(text, thought, ()), finish, TOOLS)
    twice = mend(once.message, once.finish, TOOLS)
    assert (twice.message, twice.finish, twice.repairs) == (once.message, once.finish, ())
    assert (once.message == message(text, thought, ())) == (not once.repairs)
    calls = () if once.message.tool_calls is UNSET else once.message.tool_calls
    assert all(call.function.name in TOOLS for call in calls)
    assert not (calls and finish in ("length", "content_filter", ""))
    assert all(line in text for line in (once.message.content or "").split("\n"))


@settings(deadline=None, derandomize=True)
@given(MESSY, st.text(max_size=20), MESSY, FINISHES)
def test_no_tools_no_calls(text: str, name: str, arguments: str, finish: str) -> None:
    assert mend(message(text, text, ()), finish).message.tool_calls is UNSET
    given = message(None, "", ((f"gone_{name}", "{}" if arguments == "null" else arguments),))
    mended = mend(given, finish, TOOLS).message.tool_calls
    assert mended is not UNSET
    assert mended[0].function.name == f"gone_{name}"


@pytest.mark.parametrize(
    "text",
    [
        f"{begin * 100_000}{end}"
        for begin in ("<think></think>", "<function=now>\n", "<tool_call>\n")
        for end in ("", "x")
    ],
)
def test_a_model_that_repeats_itself_holds_nothing_up(text: str) -> None:
    assert mend(message(text, "", ()), "stop", TOOLS).message.tool_calls is UNSET
    merger = Merger(1, live=True)
    merger.feed(msgspec.json.encode({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}))
    merger.end()
    assert len("".join(delta.text for delta in merger.deltas())) > len(text) - 200 * len("<think></think>") - 1


def test_two_tools_that_differ_only_in_their_separators_are_not_taken_for_one_another() -> None:
    offered: dict[str, dict[str, Any]] = {"get_weather": {}, "getweather": {}}
    given = message(None, "", (("Get-Weather", "{}"),))
    assert mend(given, "tool_calls", offered).message == given


def test_what_is_on_offer_is_read_from_the_request() -> None:
    tools = [
        {"type": "openrouter:web_search"},
        {"type": "function", "function": {"name": "f", "parameters": {"properties": {"x": {"type": "integer"}}}}},
        {"type": "function", "function": {"name": "g"}},
    ]
    assert offered_in(msgspec.json.encode(tools)) == {"f": {"x": {"type": "integer"}}, "g": {}}


# ------------------------------------------------------------------------------------------- over a socket


FREE = Limits(dollars=None)


def at(server: FakeOpenRouter, **more: Any) -> Settings:
    return Settings(base_url=server.base_url, api_key="sk-test", bill_seconds=0.0, **more)


@pytest.fixture
def journal(tmp_path: Path) -> SQLiteJournal:
    return SQLiteJournal(tmp_path)


@pytest.mark.anyio
async def test_a_call_in_the_text_is_made_and_put_on_record(journal: SQLiteJournal) -> None:
    leaked = '<think>\nI look.\n</think>\n<tool_call>\n{"name": "Weather", "arguments": {"city": "Rome"}}\n</tool_call>'
    async with FakeOpenRouter([leaked, "Fine."]) as server:
        result = await Agent(tools=[weather], settings=at(server), journal=journal).run("Weather?")
    assert (result.output, told(result)) == ("Fine.", ["Rome: 1"])
    [first, last] = await recorded(journal, result.run, Replied)
    assert (first.finish, len(first.repairs)) == ("tool_calls", 2)
    assert msgspec.json.decode(first.raw)["content"] == leaked
    assert (last.repairs, bytes(last.raw)) == ((), b"")
    shown = lines(Entry(1, 0.0, first), State())
    assert shown[1:] == [f"  put right: {repair}" for repair in first.repairs]
    back = server.requests[1].json["messages"][-2]
    assert (back["content"], back["reasoning"]) == (None, "I look.")
    assert back["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"city": "Rome"}'}


@pytest.mark.anyio
async def test_the_story_tells_repairs_and_all_thinking(journal: SQLiteJournal) -> None:
    detail = {"type": "reasoning.text", "text": "It greets."}
    delta = {"content": "<think>\nTwice.\n</think>\nHello!", "reasoning_details": [detail]}
    reply = FakeReply(chunks=[{"choices": [{"index": 0, "delta": delta, "finish_reason": "stop"}]}])
    async with FakeOpenRouter([reply]) as server:
        result = await Agent(settings=at(server), journal=journal).run("Hello?")
    assert result.output == "Hello!"
    assert "It greets." in result._repr_html_()  # pyright: ignore[reportPrivateUsage] (notebooks call it)
    whole = "\n".join(line.text for line in story(await journal.read(result.run)))
    assert "put right: thinking stood in the text" in whole
    assert "It greets." in whole
    assert "Twice." in whole


@pytest.mark.anyio
async def test_who_wants_replies_as_they_come_gets_them(journal: SQLiteJournal) -> None:
    text = "<think>\nHm.\n</think>\n\nHello!"
    async with FakeOpenRouter([text]) as server:
        result = await Agent(settings=at(server, mend=False), journal=journal).run("Hello?")
    assert result.output == text


@pytest.mark.anyio
async def test_an_answer_in_the_thinking_is_asked_for_again_without_thinking(journal: SQLiteJournal) -> None:
    async with FakeOpenRouter([FakeReply(reasoning="It is 42."), "42"]) as server:
        result = await Agent(settings=at(server), journal=journal, limits=FREE).run("What?")
    assert result.output == "42"
    assert [request.json["reasoning"]["enabled"] for request in server.requests] == [True, False]
    [failed] = await recorded(journal, result.run, RequestFailed)
    assert (failed.reason, failed.detour.plain, failed.delay) == ("answer_in_reasoning", True, 0.0)


@pytest.mark.anyio
async def test_a_model_that_answers_in_its_thinking_anyway_is_understood(journal: SQLiteJournal) -> None:
    async with FakeOpenRouter([FakeReply(reasoning="Hm, 42?"), FakeReply(reasoning="42")]) as server:
        result = await Agent(settings=at(server), journal=journal, limits=FREE).run("What?")
    assert result.output == "42"
    [reply] = await recorded(journal, result.run, Replied)
    assert "no text came" in reply.repairs[0]


@pytest.mark.anyio
async def test_unless_replies_are_wanted_as_they_come(journal: SQLiteJournal) -> None:
    async with FakeOpenRouter([FakeReply(reasoning="42")] * 3) as server:
        agent = Agent(settings=at(server, mend=False, retries=2), journal=journal, limits=FREE)
        result = await agent.run("What?")
    assert (result.outcome, len(server.requests)) == ("provider", 3)


@pytest.mark.anyio
async def test_a_call_that_was_cut_off_is_not_mended(journal: SQLiteJournal) -> None:
    cut = FakeReply(calls=[("Weather", '"{\\"city\\":')], finish="length")
    async with FakeOpenRouter([cut, "Fine."]) as server:
        result = await Agent(tools=[weather], settings=at(server), journal=journal).run("Weather?")
    assert "cut off" in told(result)[0]
