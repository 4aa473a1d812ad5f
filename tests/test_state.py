"""The fold: total, deterministic, equal to the live state, and no dearer as a run grows."""

import asyncio
import time
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Raw

from outrider import Agent, Limits, ToolError, Usage, tool
from outrider import events as e
from outrider.journal.sqlite import SQLiteJournal
from outrider.messages import AssistantMessage, ToolMessage, UserMessage, WireCall, WireFunction, to_wire
from outrider.result import Result
from outrider.state import State
from outrider.testing.scripted import Calls, Script, ScriptedModel
from random_events import records

WATCHDOG = 60.0


@given(records())
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_prefix_of_any_record_folds_and_always_to_the_same(entries: list[e.Entry]) -> None:
    state = State()
    for entry in entries:
        state.add(entry)
        assert state.seq == entry.seq
        assert all(call.status != "done" for call in state.owed_calls())
        assert not state.calls or state.owed_calls(), "calls are forgotten when each has its result"
    assert State.fold(entries) == state
    again = [e.Entry(entry.seq, entry.at, e.decode(e.encode(entry.event))) for entry in entries]
    assert State.fold(again) == state


@pytest.mark.parametrize("wire", [b'{"role":"assistant","content":"\xff"}', b"[" * 100_000, b"", b"{}"])
def test_a_damaged_reply_folds(wire: bytes) -> None:
    state = State.fold([e.Entry(1, 1.0, e.Replied(1, Raw(wire), "stop", Usage()))])
    assert state.turns == 1
    assert not state.owed_calls()


def test_what_states_share_is_not_changed_by_one_of_them() -> None:
    one, two = State(), State()
    one.add(e.Entry(1, 1.0, e.MessageAdded(to_wire(UserMessage("hi")), "user")))
    assert (len(one.messages), len(two.messages), len(State().messages)) == (1, 0, 0)


# ----------------------------------------------------------------------------------------- by hand


def reply(*names: str, content: str | None = None) -> Raw:
    calls = tuple(WireCall("call_0", WireFunction(name, "{}")) for name in names)
    return to_wire(AssistantMessage(content, calls or msgspec.UNSET))


def fold(*events: e.Durable, every: float = 1.0) -> State:
    started = e.RunStarted("r", "task", "agent", "model", (to_wire(UserMessage("task")),), Limits())
    return State.fold(e.Entry(seq, 100 + seq * every, event) for seq, event in enumerate([started, *events], 1))


def finished(call: str, text: str, late: bool = False) -> e.ToolFinished:
    return e.ToolFinished(call, to_wire(ToolMessage("call_0", text)), late=late)


def contents(state: State) -> list[Any]:
    return [msgspec.json.decode(wire).get("content") for wire in state.messages]


def test_results_go_back_in_call_order_and_what_was_said_meanwhile_follows() -> None:
    replied = e.Replied(1, reply("a", "b", "c"), "tool_calls", Usage())
    said = e.MessageAdded(to_wire(UserMessage("hurry")), "user")
    state = fold(replied, finished("r:1:2", "C"), said, finished("r:1:0", "A"))
    assert contents(state) == ["task", None], "nothing goes back before every call has its result"
    assert [call.call.id for call in state.owed_calls()] == ["r:1:1"]
    state = fold(replied, finished("r:1:2", "C"), said, finished("r:1:0", "A"), finished("r:1:1", "B"))
    assert contents(state) == ["task", None, "A", "B", "C", "hurry"]
    assert not state.calls


def test_the_first_result_of_a_call_stays() -> None:
    replied = e.Replied(1, reply("a", "b"), "tool_calls", Usage())
    late = finished("r:1:0", "late", late=True)
    state = fold(replied, finished("r:1:0", "first"), late, finished("r:1:1", "B"), late, finished("r:9:9", "?"))
    assert contents(state) == ["task", None, "first", "B"]


def test_active_time_leaves_out_the_waiting() -> None:
    events: list[tuple[float, e.Durable]] = [
        (100, e.RunStarted("r", "task", "agent", "model", (), Limits())),
        (103, e.RunPaused("approval")),
        (90_000, e.RunResumed("api", Limits())),
        (90_002, e.RunFinished("finished")),
        (90_001, e.CommandRefused(1, "a clock that went back")),
    ]
    state = State.fold(e.Entry(seq, at, event) for seq, (at, event) in enumerate(events, 1))
    assert state.seconds == 5


def test_a_request_without_an_answer_is_in_doubt_until_its_bill_comes() -> None:
    sent = [e.RequestSent(number, "work", 1, "") for number in range(1, 4)]
    assert fold(sent[0]).requests_in_doubt == 1
    assert fold(*sent[:2]).requests_in_doubt == 2
    assert fold(*sent, e.Replied(3, reply(content="hi"), "stop", Usage())).requests_in_doubt == 2
    failed = e.RequestFailed(1, "refused", "no", "stop", billed="no")
    assert fold(sent[0], failed).requests_in_doubt == 0
    assert fold(sent[0], msgspec.structs.replace(failed, billed="unknown")).requests_in_doubt == 1
    state = fold(sent[0], sent[1], e.CostSettled(1, Decimal("0.5")))
    assert (state.requests_in_doubt, state.usage.cost) == (1, Decimal("0.5"))


# ------------------------------------------------------------------------------------------ real runs


@tool(effect="read")
def look(city: str) -> str:
    """Look."""
    return f"{city} is fine"


@tool(effect="write", approve=True)
async def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


@tool(alone=True)
def fail(how: str) -> str:
    """Fail."""
    raise ToolError("politely") if how == "politely" else RuntimeError("badly")


@tool(timeout=0.001)
async def hang() -> str:
    """Hang."""
    await asyncio.Event().wait()
    return "unreachable"


call: st.SearchStrategy[tuple[str, dict[str, Any] | str]] = st.sampled_from(
    [
        ("look", {"city": "Rome"}),
        ("look", {"town": "Rome"}),
        ("pay", {"amount": 1}),
        ("pay", '{"amount": "2"'),
        ("fail", {"how": "politely"}),
        ("fail", {"how": "badly"}),
        ("hang", {}),
        ("nobody", {}),
    ]
)
failure = st.builds(
    e.RequestFailed,
    st.just(0),
    st.just("overloaded"),
    st.just("too much to do"),
    st.sampled_from(["retry", "stop"]),
    billed=st.sampled_from(["no", "unknown"]),
)
steps: st.SearchStrategy[Script] = st.one_of(
    st.lists(call, min_size=1, max_size=4).map(lambda calls: Calls(*calls)),
    failure,
    st.sampled_from(["words", "3", {"answer": 4}, {"answer": "x"}]),
)


async def drive(agent: Agent[None, int], word: Iterator[bool]) -> Result[int]:
    """Run, answer what is asked and go on, at most eight times, comparing record and live state at each rest."""
    result = await agent.run("go")
    for _ in range(8):
        assert State.fold(await agent.journal.read(result.run)) == result.state
        if result.outcome == "finished":
            return result
        for owed in result.state.owed_calls():
            if owed.status == "asked" and next(word):
                await agent.approve(result.run, owed.call.id, arguments={"amount": 3} if next(word) else None)
            elif owed.status == "asked":
                await agent.deny(result.run, owed.call.id, "no")
            elif owed.status == "doubt":
                await agent.settle(result.run, owed.call.id, "settled" if next(word) else None)
        result = await agent.resume(result.run, say="go on" if next(word) else "")
    return result


@given(st.lists(steps, max_size=6), st.data())
@settings(max_examples=30, deadline=None)
def test_folding_the_journal_gives_the_live_state(script: list[Script], data: st.DataObject) -> None:
    def words() -> Iterator[bool]:
        while True:
            yield data.draw(st.booleans())

    async def go(folder: str) -> None:
        journal = SQLiteJournal(Path(folder))
        agent = Agent(ScriptedModel(script), output=int, tools=[look, pay, fail, hang], journal=journal)
        result = await asyncio.wait_for(drive(agent, words()), WATCHDOG)
        entries = await journal.read(result.run)
        assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
        assert State.fold(entries) == result.state
        await journal.close()

    with TemporaryDirectory() as folder:
        asyncio.run(go(folder))


# --------------------------------------------------------------------------------------------- cost


def long_record(most: int) -> Iterator[e.Entry]:
    usage = Usage(100, 10, 0, 0, Decimal("0.001"))
    turn, seq = 0, 0
    while seq < most:
        turn += 1
        calls = (f"r:{turn}:0", f"r:{turn}:1")
        intents = tuple(e.Intent(call, "look", Raw(b"{}"), call, "read", "safe") for call in calls)
        for event in (
            e.RequestSent(turn, "work", turn * 3, "", Raw(b"{}")),
            e.RequestAccepted(turn, "gen"),
            e.Replied(turn, reply("look", "look"), "tool_calls", usage),
            e.ToolStarted(intents),
            *[finished(call, "fine") for call in calls],
        ):
            seq += 1
            yield e.Entry(seq, 1e9 + seq, event)


def test_an_event_costs_the_same_late_in_a_long_run() -> None:
    entries = list(long_record(10_000))
    state = State(run="r")
    blocks: list[float] = []
    for start, end in pairwise(range(0, len(entries), 60)):  # whole turns
        began = time.perf_counter()
        for entry in entries[start:end]:
            state.add(entry)
        blocks.append(time.perf_counter() - began)
    early, late = min(blocks[1000 // 60 : 2000 // 60]), min(blocks[9000 // 60 : 10_000 // 60])
    assert len(state.messages) > 4000
    assert late < 5 * early, "the best of many blocks: how busy the machine is does not count"
