"""What becomes of a tool call: found, checked, judged, run, bounded; and what the model and the record are told."""

import asyncio
import contextvars
import threading
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from agent_kit import outcome_of, recorded, told, weather
from outrider import Agent, Context, Limits, Proposed, Verdict, tool
from outrider import events as e
from outrider.journal.sqlite import SQLiteJournal
from outrider.messages import AssistantMessage
from outrider.model import ModelEvent, Request
from outrider.state import State
from outrider.testing.scripted import Calls, ScriptedModel

pytestmark = pytest.mark.anyio
WATCHDOG = 60.0


# ------------------------------------------------------------------------------------------- together


async def test_sync_and_async_tools_run_together_and_answer_in_call_order(journal: SQLiteJournal) -> None:
    last_is_known, loop_knows = threading.Event(), asyncio.Event()

    @tool(effect="read")
    def first() -> str:
        """Wait for the last."""
        assert last_is_known.wait(WATCHDOG)
        return "first"

    @tool(effect="read")
    async def second() -> str:
        """Wait for the last, too."""
        await loop_knows.wait()
        return "second"

    @tool(effect="read")
    def last() -> str:
        """Return at once."""
        return "last"

    def watch(entry: e.Entry) -> None:
        if isinstance(entry.event, e.ToolFinished):
            last_is_known.set()
            loop_knows.set()

    calls = Calls(("first", {}), ("second", {}), ("last", {}))
    model = ScriptedModel([calls, "done"])
    agent = Agent(model, tools=[first, second, last], journal=journal, observers=[watch])
    result = await asyncio.wait_for(agent.run("go"), WATCHDOG)

    assert told(result) == ["first", "second", "last"]
    (started,) = await recorded(journal, result.run, e.ToolStarted)
    assert [intent.tool for intent in started.calls] == ["first", "second", "last"]
    finished = await recorded(journal, result.run, e.ToolFinished)
    assert finished[0].call == started.calls[2].call, "the last call was the first to finish"
    assert len(model.requests) == 2


async def test_a_tool_marked_alone_is_a_barrier(journal: SQLiteJournal) -> None:
    running = 0
    beside: dict[str, int] = {}

    def seen(name: str) -> None:
        beside[name] = max(beside.get(name, 0), running)

    @tool(effect="read")
    async def look(name: str) -> str:
        """Look."""
        nonlocal running
        running += 1
        for _ in range(5):
            await asyncio.sleep(0)
            seen(name)
        running -= 1
        return name

    @tool(alone=True)
    async def change() -> str:
        """Change."""
        nonlocal running
        running += 1
        for _ in range(5):
            await asyncio.sleep(0)
            seen("change")
        running -= 1
        return "changed"

    names: list[tuple[str, dict[str, Any] | str]] = [
        ("look", {"name": "a"}),
        ("look", {"name": "b"}),
        ("change", {}),
        ("look", {"name": "c"}),
    ]
    agent = Agent(ScriptedModel([Calls(*names), "done"]), tools=[look, change], journal=journal)
    result = await agent.run("go")

    assert beside == {"a": 2, "b": 2, "change": 1, "c": 1}
    assert told(result) == ["a", "b", "changed", "c"]
    batches = await recorded(journal, result.run, e.ToolStarted)
    assert [[intent.tool for intent in batch.calls] for batch in batches] == [["look", "look"], ["change"], ["look"]]


async def test_calls_that_need_no_consent_run_and_then_the_run_pauses(journal: SQLiteJournal) -> None:
    done: list[str] = []

    @tool(effect="read")
    def look() -> str:
        """Look."""
        done.append("look")
        return "seen"

    @tool(approve=True)
    def pay(amount: int) -> str:
        """Pay."""
        done.append(f"pay {amount}")
        return "paid"

    model = ScriptedModel([Calls(("pay", {"amount": 1}), ("look", {})), "done"])
    agent = Agent(model, tools=[look, pay], journal=journal)
    result = await agent.run("go")
    assert (result.outcome, result.exit_code, done) == ("paused", 6, ["look"])
    assert "pay" in result.detail
    assert len(model.requests) == 1, "no request before every call has a result"

    await agent.approve(result.run, f"{result.run}:1:0")
    result = await agent.resume(result.run)
    assert (result.outcome, done) == ("finished", ["look", "pay 1"])
    assert told(result) == ["paid", "seen"]


async def test_a_call_denied_by_a_person_brings_the_reason_and_is_not_run(journal: SQLiteJournal) -> None:
    paid: list[int] = []

    @tool(approve=True)
    def pay(amount: int) -> str:
        """Pay."""
        paid.append(amount)
        return "paid"

    agent = Agent(ScriptedModel([Calls(("pay", {"amount": 1})), "done"]), tools=[pay], journal=journal)
    result = await agent.run("go")
    await agent.deny(result.run, f"{result.run}:1:0", "we are broke")
    result = await agent.resume(result.run)
    assert result.outcome == "finished"
    assert told(result) == ["The call of pay was not allowed: we are broke. It was not run."]
    assert not paid


async def test_an_edited_call_runs_with_the_new_arguments_and_says_so(journal: SQLiteJournal) -> None:
    paid: list[int] = []

    @tool(approve=True)
    def pay(amount: int) -> str:
        """Pay."""
        paid.append(amount)
        return f"paid {amount}"

    agent = Agent(ScriptedModel([Calls(("pay", {"amount": 1000})), "done"]), tools=[pay], journal=journal)
    result = await agent.run("go")
    await agent.approve(result.run, f"{result.run}:1:0", arguments={"amount": 10})
    result = await agent.resume(result.run)
    assert paid == [10]
    assert told(result) == [
        'A person changed the arguments of this call to {"amount":10}. Its result:\n\npaid 10',
    ]
    calls = [m.tool_calls for m in result.messages if isinstance(m, AssistantMessage) and m.tool_calls]
    assert calls[0][0].function.arguments == '{"amount":1000}', "the model's own message is never altered"


async def test_policy_allows_asks_and_denies(journal: SQLiteJournal) -> None:
    done: list[str] = []
    seen: list[tuple[str, dict[str, Any], int]] = []

    @tool(effect="write")
    def act(what: str) -> str:
        """Act."""
        done.append(what)
        return what

    def policy(call: Proposed, state: State) -> Verdict:
        finished = sum(known.status == "done" for known in state.calls.values())
        seen.append((call.tool, call.arguments, finished))
        what = str(call.arguments["what"])
        return Verdict("allow") if what == "fine" else Verdict("ask" if what == "risky" else "deny", f"it is {what}")

    calls = Calls(*[("act", {"what": what}) for what in ("fine", "bad", "risky")])
    agent = Agent(ScriptedModel([calls, "done"]), tools=[act], policy=policy, journal=journal)
    result = await agent.run("go")
    assert (result.outcome, done) == ("paused", ["fine"])
    assert [arguments["what"] for _, arguments, _ in seen] == ["fine", "bad", "risky"]
    assert {finished for _, _, finished in seen} == {0}, "the policy reads the state before the batch"
    (asked,) = await recorded(journal, result.run, e.ApprovalAsked)
    assert (asked.tool, bytes(asked.arguments), asked.why) == ("act", b'{"what":"risky"}', "it is risky")

    await agent.approve(result.run, asked.call)
    result = await agent.resume(result.run)
    assert told(result) == ["fine", "The call of act was not allowed: it is bad. It was not run.", "risky"]


# -------------------------------------------------------------------------------------------- on offer


async def test_a_tool_whose_predicate_says_no_is_neither_offered_nor_run() -> None:
    @tool(when=lambda deps, state: deps == "admin")
    def erase() -> str:
        """Erase everything."""
        raise AssertionError("never")

    def agent(model: ScriptedModel) -> Agent[str, str]:
        return Agent(model, tools=[weather, erase], deps_type=str, journal=None)

    model = ScriptedModel([Calls(("erase", {})), "done"])
    result = await agent(model).run("go", deps="guest")
    assert b"erase" not in model.requests[0].body
    assert b"weather" in model.requests[0].body
    assert told(result) == ["There is no tool named erase. The tools are: weather."]

    model = ScriptedModel([Calls(("erase", {})), "done"])
    result = await agent(model).run("go", deps="admin")
    assert b"erase" in model.requests[0].body
    assert told(result) == ["The tool erase failed with AssertionError."]


async def test_a_predicate_on_the_state_is_asked_before_each_request_and_holds_for_its_reply() -> None:
    @tool(effect="read", when=lambda deps, state: state.turns == 0)
    def begin() -> str:
        """Only at the beginning."""
        return "begun"

    model = ScriptedModel([Calls(("begin", {})), "done"])
    result = await Agent(model, tools=[weather, begin], journal=None).run("go")
    assert told(result) == ["begun"]
    assert b"begin" in bytes(model.requests[0].settings)
    assert b"begin" not in bytes(model.requests[1].settings)


# ----------------------------------------------------------------------------------------------- ids


async def test_equal_ids_of_the_provider_never_share_an_approval(journal: SQLiteJournal) -> None:
    paid: list[int] = []

    @tool(approve=True)
    def pay(amount: int) -> str:
        """Pay."""
        paid.append(amount)
        return "paid"

    class Repeating(ScriptedModel):
        """A provider that calls every call call_0."""

        async def ask(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
            async for event in super().ask(request):
                if isinstance(event, e.Replied):
                    wire = Raw(bytes(event.wire).replace(b"call_1_0", b"call_0_0"))
                    event = msgspec.structs.replace(event, wire=wire)  # noqa: PLW2901
                yield event

    script = [Calls(("pay", {"amount": 1})), Calls(("pay", {"amount": 1_000_000})), "done"]
    agent = Agent(Repeating(script), tools=[pay], journal=journal)
    result = await agent.run("go")
    first = f"{result.run}:1:0"
    await agent.approve(result.run, first)
    result = await agent.resume(result.run)
    assert (result.outcome, paid) == ("paused", [1])
    (waiting,) = result.state.owed_calls()
    assert waiting.call.wire_id == "call_0_0"
    assert waiting.call.id == f"{result.run}:2:0" != first


# ------------------------------------------------------------------------------------------ context, threads


caller: contextvars.ContextVar[str] = contextvars.ContextVar("caller", default="nobody")


async def test_sync_and_async_tools_see_the_callers_context_variables() -> None:
    threads: list[threading.Thread] = []

    @tool(effect="read")
    def who() -> str:
        """Who calls?"""
        threads.append(threading.current_thread())
        return caller.get()

    @tool(effect="read")
    async def who_later() -> str:
        """Who calls?"""
        return caller.get()

    caller.set("Ada")
    result = await outcome_of(Calls(("who", {}), ("who_later", {})), who, who_later)
    assert told(result) == ["Ada", "Ada"]
    assert threads[0].daemon
    assert threads[0] is not threading.main_thread()


async def test_a_context_says_where_a_tool_is(journal: SQLiteJournal) -> None:
    seen: list[Context[int]] = []

    @tool
    def note(context: Context[int]) -> str:
        """Note."""
        seen.append(context)
        return "noted"

    model = ScriptedModel([Calls(("note", {})), Calls(("note", {})), "done"])
    agent = Agent(model, tools=[note], deps_type=int, journal=journal, name="scribe")
    result = await agent.run("go", deps=7)
    assert [(c.deps, c.run, c.agent, c.attempt) for c in seen] == [(7, result.run, "scribe", 1)] * 2
    assert [c.call for c in seen] == [f"{result.run}:1:0", f"{result.run}:2:0"]
    assert len({c.key for c in seen}) == 2


async def test_a_stuck_sync_tool_delays_no_other_run() -> None:
    release = threading.Event()

    @tool(effect="read", timeout=None)
    def stuck() -> str:
        """Hang."""
        release.wait(WATCHDOG)
        return "free"

    hanging = [asyncio.create_task(outcome_of(Calls(("stuck", {})), stuck)) for _ in range(4)]
    results = await asyncio.gather(*[outcome_of(Calls(("weather", {"city": "Rome"})), weather) for _ in range(8)])
    assert {result.outcome for result in results} == {"finished"}
    assert not any(task.done() for task in hanging)
    release.set()
    assert {(await task).outcome for task in hanging} == {"finished"}


async def test_limits_on_calls_still_give_every_call_its_result() -> None:
    calls = Calls(*[("weather", {"city": city}) for city in ("Rome", "Oslo", "Lima")])
    result = await outcome_of(calls, weather, limits=Limits(tool_calls=2))
    assert result.outcome == "limit"
    assert told(result)[:2] == ["Rome: 1", "Oslo: 1"]
    assert told(result)[2].startswith("This call was not run: the limit of 2 tool calls is reached")
