"""Tool calls that go wrong: wrong names, wrong arguments, errors, time-outs, and effects in doubt."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent_kit import outcome_of, recorded, told, weather
from outrider import Agent, Context, Tool, ToolError, tool
from outrider import events as e
from outrider.journal.sqlite import SQLiteJournal
from outrider.model import ModelEvent, Request
from outrider.testing.scripted import Calls, ScriptedModel

pytestmark = pytest.mark.anyio
WATCHDOG = 60.0


# ---------------------------------------------------------------------------------------- what goes wrong


async def test_an_unknown_name_gets_a_suggestion_and_the_list() -> None:
    result = await outcome_of(Calls(("wether", {"city": "Paris"})), weather)
    (text,) = told(result)
    assert text == "There is no tool named wether. Did you mean weather? The tools are: weather."
    assert result.outcome == "finished"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"city": "Paris", "days": "soon"}, "$.days: 'soon' is not an integer"),
        ({"days": 2}, "$.city: is missing"),
        ({"city": "Paris", "town": "x"}, "$.town: there is no such property"),
        ('{"city": "Par', "not valid JSON"),
    ],
)
async def test_bad_arguments_are_told_with_their_paths_and_nothing_runs(arguments: Any, said: str) -> None:
    result = await outcome_of(Calls(("weather", arguments)), weather)
    (text,) = told(result)
    assert said in text
    assert "was not run" in text
    assert result.outcome == "finished"


def _raises(error: BaseException) -> Any:
    def broken() -> str:
        """Break."""
        raise error

    return broken


@pytest.mark.parametrize("kind", [ValueError, RuntimeError, TimeoutError, StopIteration, SystemExit])
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_an_exception_reaches_the_model_as_its_type_and_the_record_in_full(
    journal: SQLiteJournal, kind: type[BaseException], asynchronous: bool
) -> None:
    async def broken_later() -> str:
        """Break."""
        raise kind("/etc/secret/path")

    plain = broken_later if asynchronous else _raises(kind("/etc/secret/path"))
    broken: Tool[..., Any] = tool(plain, name="broken", effect="read")
    agent = Agent(ScriptedModel([Calls(("broken", {})), "done"]), tools=[broken], journal=journal)
    result = await asyncio.wait_for(agent.run("go"), WATCHDOG)
    (text,) = told(result)
    name = "RuntimeError" if kind is StopIteration else kind.__name__  # no coroutine can raise a StopIteration
    assert text == f"The tool broken failed with {name}."
    (finished,) = await recorded(journal, result.run, e.ToolFinished)
    assert not finished.ok
    assert "Traceback" in finished.error
    assert kind is StopIteration or "toolbox.py" not in finished.error  # it begins in the tool
    assert asynchronous or kind is StopIteration or "/etc/secret/path" in finished.error
    assert result.outcome == "finished"


PARIS: dict[str, Any] = {"city": "Paris"}
NOTHING: dict[str, Any] = {}


@pytest.mark.parametrize(
    ("calls", "failures", "line"),
    [
        ([("look", NOTHING)], 1, "1 tool call, 1 failed · "),
        (
            [("weather", PARIS), ("look", NOTHING), ("wether", PARIS), ("weather", NOTHING)],
            3,
            "4 tool calls, 3 failed · ",
        ),
        ([("weather", PARIS)], 0, "1 tool call · "),
    ],
)
async def test_failed_calls_are_counted_whatever_failed(
    calls: list[tuple[str, dict[str, Any]]], failures: int, line: str
) -> None:
    look = tool(_raises(ValueError()), name="look", effect="read")
    result = await outcome_of(Calls(*calls), weather, look)
    assert (result.outcome, result.tool_failures) == ("finished", failures)
    assert line in str(result)


async def test_a_tool_that_cancels_itself_is_a_failed_call() -> None:
    @tool(effect="read")
    async def quits() -> str:
        """Quit."""
        raise asyncio.CancelledError

    result = await outcome_of(Calls(("quits", {})), quits)
    assert told(result) == ["The tool quits failed with CancelledError."]
    assert result.outcome == "finished"


async def test_a_tool_error_speaks_to_the_model() -> None:
    @tool(effect="read")
    def look() -> str:
        """Look."""
        raise ToolError("No such city. Try a capital.")

    result = await outcome_of(Calls(("look", {})), look)
    assert told(result) == ["No such city. Try a capital."]


@pytest.mark.parametrize("how", ["result", "tool error", "exception"])
async def test_text_that_is_no_unicode_harms_nobody(journal: SQLiteJournal, how: str) -> None:
    @tool(effect="read")
    def look() -> str:
        """Look at a file whose name is not UTF-8."""
        name = b"caf\xe9".decode("utf-8", "surrogateescape")
        if how == "tool error":
            raise ToolError(f"no file {name}")
        if how == "exception":
            raise ValueError(f"no file {name}")
        return name

    agent = Agent(ScriptedModel([Calls(("look", {})), "done"]), tools=[look], journal=journal)
    result = await agent.run("go")
    assert result.outcome == "finished", result.detail
    (finished,) = await recorded(journal, result.run, e.ToolFinished)
    assert finished.ok == (how == "result")
    assert "caf\\udce9" in (finished.error or told(result)[0])


async def test_a_long_result_says_how_much_was_cut(journal: SQLiteJournal) -> None:
    @tool(effect="read", max_result=10)
    def long() -> str:
        """Say a lot."""
        return "0123456789" * 5

    agent = Agent(ScriptedModel([Calls(("long", {})), "done"]), tools=[long], journal=journal)
    result = await agent.run("go")
    assert told(result) == ["0123456789\n[cut: the result has 50 characters, 40 of them are left out here]"]
    (finished,) = await recorded(journal, result.run, e.ToolFinished)
    assert (finished.cut, finished.ok) == (40, True)


async def test_results_carry_the_trust_of_their_tool(journal: SQLiteJournal) -> None:
    @tool(effect="read", trust="trusted")
    def ours() -> str:
        """Ours."""
        return "ours"

    @tool(effect="read")
    def theirs() -> str:
        """Theirs."""
        return "theirs"

    calls = Calls(("ours", {}), ("theirs", {}))
    agent = Agent(ScriptedModel([calls, "done"]), tools=[ours, theirs], journal=journal)
    result = await agent.run("go")
    finished = {f.call: f.trust for f in await recorded(journal, result.run, e.ToolFinished)}
    assert finished == {f"{result.run}:1:0": "trusted", f"{result.run}:1:1": "untrusted"}


# -------------------------------------------------------------------------------------- time-outs and doubt


async def test_a_safe_tool_that_times_out_runs_once_more_and_is_then_given_up(journal: SQLiteJournal) -> None:
    attempts: list[int] = []

    @tool(effect="read", timeout=0.01)
    async def slow(context: Context[None]) -> str:
        """Never answer."""
        attempts.append(context.attempt)
        await asyncio.Event().wait()
        return "unreachable"

    agent = Agent(ScriptedModel([Calls(("slow", {})), "done"]), tools=[slow], journal=journal)
    result = await asyncio.wait_for(agent.run("go"), WATCHDOG)
    assert attempts == [1, 2]
    assert told(result) == ["The tool slow did not answer within 0.01 seconds and was given up."]
    doubts = await recorded(journal, result.run, e.ToolInDoubt)
    assert [(doubt.why, doubt.then) for doubt in doubts] == [("timeout", "again")]


async def test_a_keyed_tool_runs_again_with_the_same_key_and_then_asks(journal: SQLiteJournal) -> None:
    keys: list[str] = []

    @tool(effect="write", repeat="with_key", timeout=0.01)
    async def order(context: Context[None]) -> str:
        """Order."""
        keys.append(context.key)
        await asyncio.Event().wait()
        return "unreachable"

    agent = Agent(ScriptedModel([Calls(("order", {})), "done"]), tools=[order], journal=journal)
    result = await asyncio.wait_for(agent.run("go"), WATCHDOG)
    assert len(keys) == 2
    assert keys[0] == keys[1] != ""
    assert (result.outcome, result.state.paused) == ("paused", "doubt")


async def test_a_write_that_times_out_is_asked_about_and_a_person_settles_it(journal: SQLiteJournal) -> None:
    attempts: list[int] = []

    @tool(timeout=0.01)
    async def pay(context: Context[None]) -> str:
        """Pay."""
        attempts.append(context.attempt)
        await asyncio.Event().wait()
        return "unreachable"

    agent = Agent(ScriptedModel([Calls(("pay", {})), "done"]), tools=[pay], journal=journal)
    result = await asyncio.wait_for(agent.run("go"), WATCHDOG)
    assert (result.outcome, result.state.paused, attempts) == ("paused", "doubt", [1])
    call = f"{result.run}:1:0"
    assert call in result.detail

    assert (await agent.resume(result.run)).state.paused == "doubt", "without word it goes on waiting"
    await agent.settle(result.run, call)
    again = await asyncio.wait_for(agent.resume(result.run), WATCHDOG)
    assert (again.outcome, attempts) == ("paused", [1, 2])
    await agent.settle(result.run, call, "paid, I saw it")
    result = await agent.resume(result.run)
    assert (result.outcome, attempts) == ("finished", [1, 2])
    assert told(result) == ["paid, I saw it"]


async def test_a_write_in_doubt_may_be_told_to_the_model_instead() -> None:
    @tool(timeout=0.01, doubt="tell")
    async def pay() -> str:
        """Pay."""
        await asyncio.Event().wait()
        return "unreachable"

    result = await outcome_of(Calls(("pay", {})), pay)
    assert "it may have happened" in told(result)[0]
    assert result.outcome == "finished"


async def test_a_late_result_is_recorded_and_used(journal: SQLiteJournal) -> None:
    given_up, late_is_known = threading.Event(), asyncio.Event()
    attempts: list[int] = []

    @tool(effect="read", timeout=0.01)
    def slow(context: Context[None]) -> str:
        """Answer when it has been given up."""
        attempts.append(context.attempt)
        assert given_up.wait(WATCHDOG)
        return "late but true"

    @tool(effect="read")
    async def keeps_open() -> str:
        """Keep the batch open until the late result is there."""
        await late_is_known.wait()
        return "open"

    def watch(entry: e.Entry) -> None:
        if isinstance(entry.event, e.ToolInDoubt):
            given_up.set()
        if isinstance(entry.event, e.ToolFinished) and entry.event.late:
            late_is_known.set()

    model = ScriptedModel([Calls(("slow", {}), ("keeps_open", {})), "done"])
    agent = Agent(model, tools=[slow, keeps_open], journal=journal, observers=[watch])
    result = await asyncio.wait_for(agent.run("go"), WATCHDOG)
    assert attempts == [1], "the late result made a second attempt needless"
    assert told(result) == ["late but true", "open"]
    finished = await recorded(journal, result.run, e.ToolFinished)
    assert [f.late for f in finished] == [True, False]


async def test_a_resumed_run_without_the_tool_of_a_call_under_way_asks(journal: SQLiteJournal) -> None:
    @tool(timeout=0.01, effect="write", repeat="with_key")
    async def pay() -> str:
        """Pay."""
        await asyncio.Event().wait()
        return "unreachable"

    agent = Agent(ScriptedModel([Calls(("pay", {})), "done"]), tools=[pay], journal=journal)
    result = await asyncio.wait_for(agent.run("go"), WATCHDOG)
    assert result.state.paused == "doubt"
    await agent.settle(result.run, f"{result.run}:1:0")
    poorer = Agent(ScriptedModel([Calls(("pay", {})), "done"]), tools=[weather], journal=journal)
    result = await poorer.resume(result.run)
    assert (result.outcome, result.state.paused) == ("paused", "doubt")


def test_a_tool_that_exits_does_not_end_the_process(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "from outrider import Agent, tool\n"
        "from outrider.testing.scripted import Calls, ScriptedModel\n"
        "@tool(effect='read')\n"
        "def leave() -> str:\n"
        "    '''Leave.'''\n"
        "    sys.exit(3)\n"
        "result = Agent(ScriptedModel([Calls(('leave', {})), 'done']), tools=[leave], journal=None).run_sync('go')\n"
        "print(result.outcome)\n"
    )
    paths = ":".join(entry for entry in sys.path if entry)
    done = subprocess.run(
        [sys.executable, str(script)],
        env={"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=WATCHDOG,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "finished"), done.stderr


class CutOff(ScriptedModel):
    """Every reply with calls breaks off at the length limit."""

    async def ask(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        async for event in super().ask(request):
            if isinstance(event, e.Replied) and event.finish == "tool_calls":
                event = msgspec.structs.replace(event, finish="length")  # noqa: PLW2901
            yield event


async def test_the_call_in_which_a_reply_broke_off_is_not_run_even_if_its_json_closes() -> None:
    calls = Calls(("weather", {"city": "Rome"}), ("weather", {"city": "Os"}))
    result = await Agent(CutOff([calls, "done"]), tools=[weather], journal=None).run("go")
    assert result.output == "done"
    whole, broken = told(result)
    assert whole == "Rome: 1"
    assert broken.startswith("Your reply was cut off at the length limit in the middle of this call of weather")


async def test_replies_that_break_off_again_and_again_end_the_run_which_can_go_on(journal: SQLiteJournal) -> None:
    broken = Calls(("weather", '{"city": "Ro'))
    model = CutOff([broken, broken, broken, "done"])
    agent = Agent(model, tools=[weather], journal=journal)
    result = await agent.run("go")
    assert (result.outcome, result.exit_code, len(model.requests)) == ("truncated", 8, 3)
    assert "cut off" in result.detail
    assert (await agent.resume(result.run)).output == "done"
