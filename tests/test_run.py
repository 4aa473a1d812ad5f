"""A live run: stopping it, watching it, what it costs on disk."""

import asyncio
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import AfterValidator, BaseModel

from outrider import Agent, Limits, NoOutput, Run, Settings, TextDelta, tool
from outrider import events as e
from outrider.journal.sqlite import SQLiteJournal
from outrider.run import Reader
from outrider.state import State
from outrider.testing.fake import FakeOpenRouter, FakeReply
from outrider.testing.scripted import Calls, ScriptedModel

pytestmark = pytest.mark.anyio
WATCHDOG = 60.0


class Sum(BaseModel):
    total: int


def agent_on(server: FakeOpenRouter, journal: SQLiteJournal, **more: object) -> Agent[None, str]:
    settings = Settings(base_url=server.base_url, api_key="a-key-for-tests")
    return Agent("qwen/qwen3-14b", settings=settings, journal=journal, **more)  # type: ignore[arg-type]


async def test_cancel_while_one_of_three_parallel_calls_has_finished_keeps_its_result(
    journal: SQLiteJournal,
) -> None:
    begun, never = asyncio.Event(), asyncio.Event()

    @tool(effect="read")
    async def quick() -> str:
        """Answer at once."""
        return "here"

    @tool(effect="write")
    async def slow(which: int) -> str:
        """Never answer."""
        if which == 2:
            begun.set()
        await never.wait()
        return "unreachable"

    model = ScriptedModel([Calls(("slow", {"which": 1}), ("quick", {}), ("slow", {"which": 2}))])
    agent = Agent(model, tools=[quick, slow], journal=journal)
    async with agent.stream("go") as run:
        finished = asyncio.Event()

        async def watch() -> None:
            async for event in run:
                if isinstance(event, e.ToolFinished):
                    finished.set()

        watching = asyncio.create_task(watch())
        await asyncio.wait_for(asyncio.gather(begun.wait(), finished.wait()), WATCHDOG)
    await watching
    result = await run.result()
    assert (result.outcome, result.state.paused) == ("paused", "left")

    entries = await journal.read(run.id)
    results = [entry.event for entry in entries if isinstance(entry.event, e.ToolFinished)]
    assert [done.call for done in results] == [f"{run.id}:1:1"]
    doubts = [entry.event for entry in entries if isinstance(entry.event, e.ToolInDoubt)]
    assert {(doubt.call, doubt.why, doubt.then) for doubt in doubts} == {
        (f"{run.id}:1:0", "stopped", "ask"),
        (f"{run.id}:1:2", "stopped", "ask"),
    }
    assert State.fold(entries) == result.state


async def test_consumer_leaves_after_the_first_delta_run_is_paused_and_connection_closed(
    journal: SQLiteJournal,
) -> None:
    hold = threading.Event()
    async with FakeOpenRouter([FakeReply(text="one two three four", hold=hold, hold_at=3)]) as server:
        agent = agent_on(server, journal)
        async with agent.stream("talk") as run:
            async for event in run:
                if isinstance(event, TextDelta):
                    break
        await server.until(lambda: server.opened == 1 and server.closed == 1)
        hold.set()
    result = await run.result()
    assert result.outcome == "paused"
    assert result.exit_code == 6
    assert str(result).startswith("paused: its reader left · 1 request · ")
    assert result.detail == "it was stopped because its reader left, and can be resumed"
    with pytest.raises(NoOutput) as caught:
        _ = result.output
    assert caught.value.hint == f"Go on: agent.resume({run.id!r})", "nobody has to answer anything"
    assert result.state.requests_in_doubt == 1
    entries = await journal.read(run.id)
    assert entries[-1].event == e.RunPaused("left")
    await agent.close()


async def test_deadline_fires_while_the_consumer_is_slow_and_the_consumer_is_not_cancelled(
    journal: SQLiteJournal,
) -> None:
    hold = threading.Event()
    seen: list[str] = []
    async with FakeOpenRouter([FakeReply(text="one two three four", hold=hold, hold_at=3)]) as server:
        agent = agent_on(server, journal, limits=Limits(seconds=0.3))
        async with agent.stream("talk") as run:
            async for event in run:
                seen.append(type(event).__name__)
                if isinstance(event, TextDelta):
                    # the consumer is busy while the deadline passes
                    early = await asyncio.wait_for(run.result(), WATCHDOG)
                    assert early.outcome == "limit"
        hold.set()
    result = await run.result()
    assert seen[-2:] == ["LimitReached", "RunFinished"]
    assert (await journal.read(run.id))[-1].event == e.RunFinished("limit", detail=result.detail)
    assert result.detail.startswith("limit seconds reached")
    await agent.close()


async def test_a_usual_turn_costs_two_commits_at_most(journal: SQLiteJournal) -> None:
    turns = 10

    @tool(effect="write")
    async def add(a: int) -> int:
        """Add one."""
        return a + 1

    script = [*(Calls(("add", {"a": n})) for n in range(turns)), "done"]
    result = await Agent(ScriptedModel(script), tools=[add], journal=journal).run("count")
    assert result.outcome == "finished"
    start_and_end = 4  # the start, the first request, the end, and giving the run up
    assert journal.commits <= 2 * turns + start_and_end


async def test_reading_tools_cost_one_commit_a_turn(journal: SQLiteJournal) -> None:
    turns = 10

    @tool(effect="read")
    async def look(a: int) -> int:
        """Look."""
        return a

    script = [*(Calls(("look", {"a": n})) for n in range(turns)), "done"]
    result = await Agent(ScriptedModel(script), tools=[look], journal=journal).run("count")
    assert result.outcome == "finished"
    assert journal.commits <= turns + 4


async def test_nothing_leaves_before_it_is_on_disk(tmp_path: Path) -> None:
    """At each request and each effect, what announces it can already be read by another connection."""
    journal = SQLiteJournal(tmp_path)
    seen: list[str] = []

    class Watching(ScriptedModel):
        async def ask(self, request):  # type: ignore[no-untyped-def]
            run = request.ask.session
            entries = await SQLiteJournal(tmp_path).read(run)
            assert isinstance(entries[-1].event, e.RequestSent)
            assert entries[-1].event.number == request.number
            seen.append("request")
            async for event in super().ask(request):
                yield event

    @tool(effect="write")
    async def pay(amount: int) -> str:
        """Pay."""
        (run,) = [summary.run for summary in await journal.runs()]
        assert isinstance((await SQLiteJournal(tmp_path).read(run))[-1].event, e.ToolStarted)
        seen.append("effect")
        return "paid"

    model = Watching([Calls(("pay", {"amount": 1})), "done"])
    result = await Agent(model, tools=[pay], journal=journal).run("pay")
    assert result.output == "done"
    assert seen == ["request", "effect", "request"]


def test_a_stuck_sync_tool_does_not_delay_exit(tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import sys, threading
        from outrider import Agent, Limits, tool
        from outrider.testing.scripted import Calls, ScriptedModel

        @tool(effect="write", timeout=0.2)
        def stuck() -> str:
            "Never come back."
            threading.Event().wait()
            return ""

        result = Agent(ScriptedModel([Calls(("stuck", {}))]), tools=[stuck], journal=None).run_sync("go")
        print(result.outcome, result.state.paused)
    """)
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=WATCHDOG,
        check=False,
    )
    assert done.stdout.split() == ["paused", "doubt"]
    assert done.returncode == 0
    assert done.stderr == ""


async def test_an_observer_that_fails_is_left_out_and_the_run_goes_on(journal: SQLiteJournal) -> None:
    told: list[int] = []

    def good(entry: e.Entry) -> None:
        told.append(entry.seq)

    def bad(entry: e.Entry) -> None:
        raise RuntimeError("no")

    agent = Agent(ScriptedModel(["done"]), journal=journal, observers=[bad, good])
    result = await agent.run("go")
    assert result.output == "done"
    entries = await journal.read(result.run)
    assert told == [entry.seq for entry in entries]
    failed = [entry.event for entry in entries if isinstance(entry.event, e.ReaderFailed)]
    assert [event.error for event in failed] == ["RuntimeError: no"]
    assert failed[0].reader.endswith("bad")


async def test_a_reader_that_is_slow_gets_every_durable_event_and_all_text(journal: SQLiteJournal) -> None:
    text = "word " * 200
    async with FakeOpenRouter([FakeReply(text=text, piece=5)]) as server:
        agent = agent_on(server, journal)
        async with agent.stream("talk") as run:
            result = await run.result()  # nobody reads until it is all over
            events = [event async for event in run]
        await agent.close()
    assert result.output == text
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == text
    durable = [event for event in events if not isinstance(event, e.Delta)]
    assert durable == [entry.event for entry in await journal.read(run.id)]


async def test_an_error_of_the_program_ends_in_a_result_with_its_traceback_on_record(
    journal: SQLiteJournal,
) -> None:
    def policy(call: object, state: object) -> None:
        raise ZeroDivisionError("a bug in the policy")

    @tool
    def act() -> str:
        """Act."""
        return ""

    agent = Agent(ScriptedModel([Calls(("act", {}))]), tools=[act], journal=journal, policy=policy)  # type: ignore[arg-type]
    result = await agent.run("go")
    assert (result.outcome, result.exit_code) == ("error", 1)
    assert "a bug in the policy" in result.detail
    last = (await journal.read(result.run))[-1].event
    assert isinstance(last, e.RunFinished)
    assert "ZeroDivisionError" in last.error


async def test_a_host_that_cancels_finds_the_run_paused_on_record(journal: SQLiteJournal) -> None:
    begun = asyncio.Event()

    @tool(effect="read")
    async def wait() -> str:
        """Wait."""
        begun.set()
        await asyncio.Event().wait()
        return ""

    agent = Agent(ScriptedModel([Calls(("wait", {})), "done"]), tools=[wait], journal=journal)
    task = asyncio.create_task(agent.run("go"))
    await asyncio.wait_for(begun.wait(), WATCHDOG)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (summary,) = await journal.runs()
    assert summary.totals.outcome == "paused"
    assert not summary.live


async def test_retries_are_events_with_reason_and_delay_and_end_in_the_answer(journal: SQLiteJournal) -> None:
    busy = FakeReply(status=429, error="slow down", headers={"Retry-After": "0"})
    async with FakeOpenRouter([busy, busy, "done"]) as server:
        agent = agent_on(server, journal)
        result = await agent.run("go")
        await agent.close()
    assert result.output == "done"
    failed = [x.event for x in await journal.read(result.run) if isinstance(x.event, e.RequestFailed)]
    assert [(event.status, event.then) for event in failed] == [(429, "retry"), (429, "retry")]
    assert (result.receipt.requests, result.receipt.turns) == (3, 1)


async def test_a_typed_answer_over_the_wire_takes_the_answer_phase(journal: SQLiteJournal) -> None:
    @tool(effect="read")
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    script = [FakeReply(calls=[("add", {"a": 2, "b": 3})]), "It is five.", '{"total": 5}']
    async with FakeOpenRouter(script) as server:
        settings = Settings(base_url=server.base_url, api_key="a-key-for-tests")
        agent = Agent(settings=settings, tools=[add], output=Sum, journal=journal)
        result = await agent.run("2 and 3")
        await agent.close()
        bodies = [request.json for request in server.requests]
    assert result.output == Sum(total=5)
    assert ["tools" in body for body in bodies] == [True, True, False]
    assert ["response_format" in body for body in bodies] == [False, False, True]
    assert [body["reasoning"]["enabled"] for body in bodies] == [True, True, False]
    assert str(result.cost) == "0.0003"


@pytest.mark.parametrize("repeat", ["with_key", "never"])
async def test_a_stop_before_the_first_step_of_a_call_leaves_no_doubt(
    journal: SQLiteJournal, repeat: Literal["with_key", "never"]
) -> None:
    ran: list[str] = []

    @tool(effect="write", repeat=repeat)
    async def pay() -> str:
        """Pay."""
        ran.append("paid")
        return "paid"

    agent = Agent(ScriptedModel([Calls(("pay", {})), "done"]), tools=[pay], journal=journal)
    async with agent.stream("go") as run:
        async for event in run:
            if isinstance(event, e.ToolStarted):
                break  # its flush is under way: nothing has begun
    assert (await run.result()).outcome == "paused"
    resumed = await agent.resume(run.id)
    assert (resumed.output, ran) == ("done", ["paid"])


async def test_a_stop_before_a_request_has_left_costs_nothing(journal: SQLiteJournal) -> None:
    model = ScriptedModel(["done"])
    agent = Agent(model, journal=journal)
    async with agent.stream("go") as run:
        async for event in run:
            if isinstance(event, e.RequestSent):
                break
    paused = await run.result()
    assert (paused.outcome, paused.state.requests_in_doubt, len(model.requests)) == ("paused", 0, 0)
    assert (await agent.resume(run.id)).output == "done"


async def test_a_sync_write_that_ends_just_after_the_stop_is_on_record(journal: SQLiteJournal) -> None:
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    @tool(effect="write")
    def pay() -> str:
        """Pay."""
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(WATCHDOG)
        return "paid"

    agent = Agent(ScriptedModel([Calls(("pay", {})), "done"]), tools=[pay], journal=journal)
    async with agent.stream("go") as run:
        await asyncio.wait_for(begun.wait(), WATCHDOG)
        run.stop()
        go_on.set()
        result = await asyncio.wait_for(run.result(), WATCHDOG)
    done = [entry.event for entry in await journal.read(run.id) if isinstance(entry.event, e.ToolFinished)]
    assert (result.state.paused, [event.ok for event in done]) == ("stopped", [True])
    assert (await agent.resume(run.id)).output == "done"


async def test_a_stop_does_not_lose_an_accepted_answer(journal: SQLiteJournal) -> None:
    going: list[Run[str]] = []

    def stop(entry: e.Entry) -> None:
        if isinstance(entry.event, e.OutputAccepted):
            going[0].stop()

    agent = Agent(ScriptedModel(["done"]), journal=journal, observers=[stop])
    async with agent.stream("go") as run:
        going.append(run)
        result = await run.result()
    assert (result.outcome, result.output) == ("finished", "done")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, BaseException, asyncio.CancelledError])
async def test_nothing_that_a_tool_raises_ends_the_run(error: type[BaseException], journal: SQLiteJournal) -> None:
    @tool(effect="read")
    def in_thread() -> str:
        """Raise."""
        raise error

    @tool(effect="read")
    async def on_loop() -> str:
        """Raise."""
        raise error

    @tool(effect="read")
    async def cancels_itself() -> str:
        """Cancel."""
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)
        return ""

    calls = Calls(("in_thread", {}), ("on_loop", {}), ("cancels_itself", {}))
    agent = Agent(ScriptedModel([calls, "done"]), tools=[in_thread, on_loop, cancels_itself], journal=journal)
    result = await asyncio.wait_for(agent.run("go"), WATCHDOG)
    assert result.output == "done"
    assert str(result.messages).count("failed with") == 3


async def test_a_validator_that_fails_is_told_to_the_model_and_does_not_end_the_run() -> None:
    def strange(value: int) -> int:
        return {1: 1}[value]

    @tool(effect="read")
    def act(number: Annotated[int, AfterValidator(strange)]) -> str:
        """Act."""
        return "acted"

    model = ScriptedModel([Calls(("act", {"number": 5})), "done"])
    result = await Agent(model, tools=[act], journal=None).run("go")
    assert result.output == "done"
    assert "a validator failed with KeyError" in str(result.messages)


async def test_text_that_nobody_reads_is_kept_once() -> None:
    """Each delta that waits is kept as it is; joining them when they are read costs one pass."""
    pieces = 20_000
    reader = Reader()
    for number in range(pieces):
        reader.put(e.TextDelta(1, f"{number} "))
    reader.end()
    (event,) = [event async for event in reader]
    assert isinstance(event, e.TextDelta)
    assert event.text.split() == [str(number) for number in range(pieces)]
