"""The agent: what is refused before a run, what a preview shows, what history carries over."""

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import UNSET, Raw
from pydantic import SecretStr

from agent_kit import Forecast, look, pay
from outrider import Agent, Context, Limits, NoOutput, Settings, SetupError, ask_before, tool
from outrider import commands as c
from outrider import events as e
from outrider.asking import MOST_REJECTIONS
from outrider.journal.sqlite import SQLiteJournal
from outrider.masking import MASK
from outrider.messages import AssistantMessage, SystemMessage, UserMessage, from_wire, to_wire
from outrider.model import ModelEvent, Request
from outrider.observe.logs import log_events
from outrider.openrouter import OpenRouter
from outrider.testing.scripted import Calls, ScriptedModel

pytestmark = pytest.mark.anyio
WATCHDOG = 60.0


# ----------------------------------------------------------------------------------------- before a run


def test_two_tools_of_one_name_are_refused() -> None:
    def other(city: str) -> str:
        """Look elsewhere."""
        return city

    with pytest.raises(SetupError, match="two tools are named look") as caught:
        Agent(ScriptedModel([]), tools=[look, tool(other, name="look")], journal=None)
    assert "@tool(name=...)" in caught.value.hint
    with pytest.raises(SetupError, match="two tools"):
        Agent(ScriptedModel([]), tools=[look, look], journal=None)


def test_a_plain_function_becomes_a_tool_and_what_cannot_be_one_is_refused() -> None:
    def plain(city: str) -> str:
        """Plain."""
        return city

    assert Agent(ScriptedModel([]), tools=[plain], journal=None).tools[0].name == "plain"
    with pytest.raises(SetupError, match="print"):
        Agent(ScriptedModel([]), tools=[print], journal=None)


async def test_agents_are_shared_between_tasks() -> None:
    agent = Agent(ScriptedModel([Calls(("look", {"city": "Rome"})), "done"]), tools=[look], journal=None)
    results = await asyncio.wait_for(asyncio.gather(*[agent.run(f"task {n}") for n in range(20)]), WATCHDOG)
    assert {result.output for result in results} == {"done"}
    assert [result.state.task for result in results] == [f"task {n}" for n in range(20)]
    assert len({result.run for result in results}) == 20


async def test_a_task_that_is_no_unicode_is_still_a_task(journal: SQLiteJournal) -> None:
    """Arguments of a command line may hold any bytes."""
    agent = Agent(ScriptedModel(["done", "again"]), journal=journal)
    result = await agent.run("caf\udce9")
    assert (result.output, result.state.task) == ("done", "caf\\udce9")
    assert (await agent.resume(result.run, say="caf\udce9")).output == "again"


# --------------------------------------------------------------------------------------------- preview


@pytest.mark.parametrize("output", [None, Forecast])
@pytest.mark.parametrize("tools", [[], [look]])
async def test_a_preview_is_the_first_request(output: Any, tools: list[Any]) -> None:
    model = ScriptedModel([{"city": "Rome", "celsius": 21}])
    agent = Agent(
        model,
        instructions="Be brief; the key is hunter22.",
        output=output,
        tools=tools,
        journal=None,
        secrets=["hunter22"],
    )
    preview = agent.preview("How warm is it? hunter22")
    assert not model.requests, "nothing is sent"
    result = await agent.run("How warm is it? hunter22")
    assert preview.body == model.requests[0].body.replace(result.run.encode(), b"preview")
    assert "hunter22" not in str(preview)
    assert json.loads(str(preview))["messages"][0]["content"] == f"Be brief; the key is {MASK}."


def test_a_preview_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    preview = Agent("some/model", settings=Settings(base_url="http://127.0.0.1:9/v1"), journal=None).preview("go")
    assert preview.url == "http://127.0.0.1:9/v1/chat/completions"
    assert json.loads(preview.body)["model"] == "some/model"


# ---------------------------------------------------------------------------------------- instructions


async def test_instructions_may_be_a_function_of_the_dependencies() -> None:
    model = ScriptedModel(["done"])
    agent = Agent(model, instructions=lambda user: f"You serve {user}.", deps_type=str, journal=None)
    result = await agent.run("go", deps="Ada")
    assert result.messages[0] == SystemMessage("You serve Ada.")
    result = await agent.run("go", deps="Grace")
    assert result.messages[0] == SystemMessage("You serve Grace.")


async def test_without_instructions_there_is_no_system_message() -> None:
    result = await Agent(ScriptedModel(["done"]), journal=None).run("go")
    assert result.messages == (UserMessage("go"), AssistantMessage("done"))


# --------------------------------------------------------------------------------------------- history


async def test_history_brings_the_conversation_without_instructions_and_reasoning() -> None:
    class Thinking(ScriptedModel):
        async def ask(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
            async for event in super().ask(request):
                if isinstance(event, e.Replied):
                    message = from_wire(event.wire)
                    assert isinstance(message, AssistantMessage)
                    thought = msgspec.structs.replace(message, reasoning="hm", reasoning_details=Raw(b"[1]"))
                    event = msgspec.structs.replace(event, wire=to_wire(thought))  # noqa: PLW2901
                yield event

    first = await Agent(
        Thinking([Calls(("look", {"city": "Rome"})), "It is fine."]),
        instructions="Be brief.",
        tools=[look],
        journal=None,
    ).run("How is Rome?")
    assert any(isinstance(m, AssistantMessage) and m.reasoning == "hm" for m in first.messages)
    model = ScriptedModel(["unused", "unused", "Still fine."])
    second = await Agent(model, instructions="Be kind.", journal=None).run("And now?", history=first)
    assert second.output == "Still fine."
    assert second.messages[0] == SystemMessage("Be kind.")
    assert [type(message).__name__ for message in second.messages[1:]] == [
        "UserMessage",
        "AssistantMessage",
        "ToolMessage",
        "AssistantMessage",
        "UserMessage",
        "AssistantMessage",
    ]
    replies = [message for message in second.messages if isinstance(message, AssistantMessage)]
    assert all(reply.reasoning is UNSET and reply.reasoning_details is UNSET for reply in replies)
    assert second.turns == 1, "the bill and the limits are this run's own"


async def test_history_with_calls_that_wait_is_refused_before_anything_is_recorded(journal: SQLiteJournal) -> None:
    agent = Agent(
        ScriptedModel([Calls(("pay", {"amount": 1}))]), tools=[pay], policy=ask_before("write"), journal=journal
    )
    result = await agent.run("go")
    assert result.outcome == "paused"
    with pytest.raises(SetupError, match="has calls without results: pay") as caught:
        await agent.run("and now?", history=result)
    assert f"agent.resume('{result.run}')" in caught.value.hint
    assert len(await journal.runs()) == 1


# ----------------------------------------------------------------------------------------------- results


async def test_every_outcome_but_finished_raises_its_error_and_has_its_code(journal: SQLiteJournal) -> None:
    async def outcome(model: ScriptedModel, **options: Any) -> tuple[str, int]:
        result = await Agent(model, journal=journal, **options).run("go")
        with pytest.raises(NoOutput) as caught:
            _ = result.output
        assert type(caught.value).__name__ == f"{result.outcome.title()}Outcome"
        assert result.run in str(caught.value)
        assert caught.value.hint
        return result.outcome, result.exit_code

    assert await outcome(ScriptedModel([])) == ("provider", 5)
    assert await outcome(ScriptedModel(["x"] * MOST_REJECTIONS), output=int) == ("rejected", 3)
    assert await outcome(ScriptedModel(["x"]), limits=Limits(turns=0)) == ("limit", 4)
    waiting = ScriptedModel([Calls(("pay", {"amount": 1}))])
    assert await outcome(waiting, tools=[pay], policy=ask_before("write")) == ("paused", 6)


async def test_a_result_says_in_one_line_how_it_went(journal: SQLiteJournal) -> None:
    model = ScriptedModel([Calls(("look", {"city": "Rome"})), "done"])
    result = await Agent(model, tools=[look], journal=journal).run("go")
    line = str(result)
    assert line.startswith("finished · 2 requests · 1 tool call · 220 tokens · $0.0020 · ")
    assert line.endswith(f" · outrider show {result.run}")
    unkept = await Agent(model, tools=[look], journal=None).run("go")
    assert "outrider show" not in str(unkept)


async def test_a_secret_in_a_tools_description_is_neither_sent_nor_recorded(tmp_path: Path) -> None:
    @tool(description="Look into the vault with hunter2-hunter2.", effect="read")
    def look() -> str:
        """Look."""
        return "nothing"

    model = ScriptedModel([Calls(("look", {})), "done"])
    journal = SQLiteJournal(tmp_path)
    result = await Agent(model, tools=[look], secrets=["hunter2-hunter2"], journal=journal).run("go")
    bodies = [request.body for request in model.requests]
    assert all(b"hunter2-hunter2" not in body and b"[masked]" in body for body in bodies)
    sent = [entry.event for entry in await journal.read(result.run) if isinstance(entry.event, e.RequestSent)]
    assert [hashlib.sha256(body).hexdigest() for body in bodies] == [event.sha256 for event in sent]
    assert [bool(event.settings) for event in sent] == [True, False]


async def test_a_call_made_up_in_the_answer_phase_is_not_run() -> None:
    ran: list[str] = []

    @tool(effect="read")
    def act() -> str:
        """Act."""
        ran.append("act")
        return "acted"

    model = ScriptedModel([Calls(("act", {})), "in words", Calls(("act", {})), "1"])
    result = await Agent(model, tools=[act], output=int, journal=None).run("go")
    assert result.output == 1
    assert ran == ["act"]
    assert "No tools can be called now" in str(result.messages)


async def test_keys_and_secret_strings_are_masked_however_they_were_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", "a-key-from-the-environment\n")
    said = "a-key-from-the-environment and hunter2-hunter2"
    agent = Agent(ScriptedModel([said]), secrets=[SecretStr("hunter2-hunter2")], journal=None)
    assert (await agent.run("go")).output == f"{MASK} and {MASK}"
    model = OpenRouter("m", Settings(api_key="a-key-of-the-model"))
    assert b"a-key-of-the-model" not in Agent(model, journal=None).preview("is it a-key-of-the-model?").body
    own = Agent("m", settings=Settings(api_key="ollama", base_url="http://127.0.0.1:1/v1"), journal=None)
    assert b"ollama" in own.preview("what is ollama?").body, "a word that servers at home take for a key"


async def test_a_finished_run_hears_a_message_that_waits(journal: SQLiteJournal) -> None:
    model = ScriptedModel(["first", "second"])
    agent = Agent(model, journal=journal)
    result = await agent.run("go")
    await journal.tell(result.run, c.Say("Ada", "and once more"))
    result = await agent.resume(result.run)
    assert result.output == "second"
    assert (await agent.resume(result.run)).output == "second"
    assert len(model.requests) == 2


async def test_a_command_that_cannot_be_read_is_refused_and_those_behind_it_are_heard(tmp_path: Path) -> None:
    journal = SQLiteJournal(tmp_path)
    agent = Agent(ScriptedModel(["first", "second"]), journal=journal)
    result = await agent.run("go")
    await journal.tell(result.run, c.Say("Ada", "raise_budget"))
    with sqlite3.connect(tmp_path / "journal.db") as connection:
        connection.execute("UPDATE inbox SET body = ?", (b'{"kind":"raise_budget"}',))
    connection.close()
    await journal.tell(result.run, c.Say("Ada", "go on"))
    result = await agent.resume(result.run)
    assert result.output == "second"
    refused = [x.event for x in await journal.read(result.run) if isinstance(x.event, e.CommandRefused)]
    assert ["cannot be read" in event.why for event in refused] == [True]


async def test_of_an_answer_nested_too_deeply_there_is_only_its_text() -> None:
    deep = "[" * 100_000
    result = await Agent(ScriptedModel([deep] * MOST_REJECTIONS), output=list[int], journal=None).run("go")
    assert (result.outcome, result.partial, result.text) == ("rejected", None, deep)


async def test_what_waits_for_a_person_is_listed_and_answered_by_result_and_short_name(journal: SQLiteJournal) -> None:
    script = [Calls(("look", {"city": "Rome"}), ("pay", {"amount": 3})), "done"]
    agent = Agent(ScriptedModel(script), tools=[look, pay], policy=ask_before("write"), journal=journal)
    paused = await agent.run("go")
    (waiting,) = paused.waiting
    assert (waiting.call, waiting.tool) == (f"{paused.run}:1:1", "pay")
    assert (waiting.arguments, waiting.in_doubt) == ({"amount": 3}, False)
    await agent.approve(paused, "1:1", arguments={"amount": 2})
    done = await agent.resume(paused)
    assert (done.outcome, done.waiting) == ("finished", ())
    assert "paid 2" in str(done.messages)
    with pytest.raises(SetupError, match="rests already"):
        await agent.cancel(done)


@pytest.mark.parametrize("given", [None, Context[dict[str, int]]])
def test_a_tool_that_wants_dependencies_is_not_called_without_them(given: Any) -> None:
    hint = given or Context[int]

    def stock(item: str, context: Any) -> str:
        return f"{item}: {context.deps}"

    stock.__annotations__["context"] = hint
    agent: Agent[Any] = Agent(ScriptedModel([Calls(("stock", {"item": "lamps"})), "done"]), tools=[stock], journal=None)
    with pytest.raises(SetupError, match="the tool stock wants"):
        agent.run_sync("go")
    assert "lamps: 12" in str(agent.run_sync("go", deps=12).messages)


def test_a_tool_that_can_do_without_dependencies_is_called_without_them() -> None:
    def stock(item: str, context: Context[dict[str, int] | None]) -> str:
        return f"{item}: {context.deps}"

    script = [Calls(("stock", {"item": "lamps"})), "done"]
    result = Agent(ScriptedModel(script), tools=[stock], journal=None).run_sync("go")
    assert "lamps: None" in str(result.messages)


def quiet() -> None:
    """No observer."""


def test_an_observer_takes_an_entry_and_one_that_fails_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SetupError, match="an observer is the function quiet") as caught:
        Agent("local", observers=[quiet])  # pyright: ignore[reportArgumentType]
    assert "quiet()" in caught.value.hint
    Agent(ScriptedModel(["done"]), observers=[log_events], journal=None).run_sync("go")  # pyright: ignore[reportArgumentType]
    assert "did you mean log_events()?" in caplog.text

    def bad(entry: e.Entry) -> None:
        raise ValueError("no")

    Agent(ScriptedModel(["done"]), observers=[bad], journal=None).run_sync("go")
    assert "bad of run" in caplog.text
    assert "ValueError: no" in caplog.text


def test_messages_say_who_speaks() -> None:
    result = Agent(ScriptedModel([Calls(("look", {"city": "Rome"})), "done"]), tools=[look], journal=None).run_sync(
        "go"
    )
    assert [message.role for message in result.messages] == ["user", "assistant", "tool", "assistant"]
