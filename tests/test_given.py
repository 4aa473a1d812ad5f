"""What a newcomer may get wrong in making an agent or a run: refused before anything is sent, saying what is wanted."""

import asyncio
import inspect
import pydoc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import outrider
from outrider import Agent, Entry, Limits, Settings, SetupError, ask_before, tool
from outrider.journal.sqlite import SQLiteJournal
from outrider.model import Request
from outrider.openrouter import OpenRouter
from outrider.testing.scripted import Calls, ScriptedModel

pytestmark = pytest.mark.anyio


def look(city: str) -> str:
    """Look."""
    return city


async def watch(entry: Entry) -> None:
    """Watch."""


class Watcher:
    async def __call__(self, entry: Entry) -> None: ...


class HalfAModel:
    name = "half"

    def ask(self, request: Request) -> None: ...


# --------------------------------------------------------------------------------------------- the agent


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ({"limits": {"turns": 5}}, "limits is {'turns': 5}", "Limits(turns=5"),
        ({"limits": 5}, "limits is 5", "Limits("),
        ({"settings": {"temperature": 0}}, "settings is {'temperature': 0}", "Settings("),
        ({"model": None}, "model is None", "a model's name"),
        ({"model": 3}, "model is 3", "a model's name"),
        ({"model": ""}, "model is ''", "qwen/qwen3-14b"),
        ({"model": HalfAModel()}, "HalfAModel", "settings, ask"),
        ({"model": ScriptedModel}, "model is the class ScriptedModel", "an object with"),
        ({"model": "local:no/such.gguf"}, "no/such.gguf", "local:/path/to"),
        ({"instructions": None}, "instructions is None", "a text, or a function"),
        ({"instructions": ["Be brief."]}, "instructions is ['Be brief.']", "a text, or a function"),
        ({"tools": look}, "tools is the function look", "Put it in a list: tools=[...]"),
        ({"tools": tool(look)}, "tools is <tool look>", "Put it in a list: tools=[...]"),
        ({"tools": 3}, "tools is 3", "Give a list"),
        ({"tools": None}, "tools is None", "Give a list"),
        ({"observers": print}, "observers is the function print", "Put it in a list: observers=[...]"),
        ({"observers": [watch]}, "an observer is the async function watch", "never awaited"),
        ({"observers": [Watcher()]}, "Watcher", "never awaited"),
        ({"observers": [3]}, "an observer is 3", "a plain function"),
        ({"secrets": "hunter2-hunter2"}, "secrets is 'hunter2-hunter2'", "Put it in a list: secrets=[...]"),
        ({"secrets": [3]}, "no text", "SecretStr"),
        ({"policy": ask_before}, "policy is the function ask_before", 'ask_before("write")'),
        ({"policy": watch}, "policy is the async function watch", "plain function"),
        ({"policy": None}, "policy is None", "plain function"),
        ({"output": {"x": 1}}, "output is {'x': 1}", '"type": "object"'),
        ({"output": {}}, "output is {}", '"type": "object"'),
        ({"output": lambda: 1}, "output is the function <lambda>", "the type of the answer"),
        ({"output": (int, 3)}, "output is (<class 'int'>, 3)", "types only"),
        ({"output": ({"type": "object"}, int)}, "output is ({'type'", "types only"),
        ({"output": 3}, "output is 3", "the type of the answer"),
        ({"output": "Forecast"}, "output is 'Forecast'", "the type of the answer"),
        ({"output": tool(look)}, "output is <tool look>", "the type of the answer"),
        ({"model": "qwen3-14b"}, "has no vendor", "qwen/qwen3-14b"),
        ({"model": "Local"}, "there is no model 'Local'", "Did you mean local?"),
        ({"model": "LOCAL:/a/b.gguf"}, "there is no model", "Did you mean local:/a/b.gguf?"),
        ({"model": "locl"}, "has no vendor", "Did you mean local? Write vendor/name"),
        ({"model": "model.gguf"}, "has no vendor", "local:model.gguf"),
        ({"name": ""}, "name is ''", "a text"),
        ({"journal": 3}, "journal is 3", "SQLiteJournal(folder)"),
        ({"journal": ""}, "journal is ''", "SQLiteJournal(folder)"),
        ({"journal": SQLiteJournal}, "journal is the class SQLiteJournal", "SQLiteJournal(folder)"),
        ({"journal": __file__}, "test_given.py", "this is a file"),
    ],
)
def test_an_agent_that_cannot_work_is_refused(given: dict[str, Any], message: str, hint: str) -> None:
    options: dict[str, Any] = {"model": ScriptedModel([]), "journal": None, **given}
    with pytest.raises(SetupError) as caught:
        Agent(**options)
    assert message in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "output",
    [
        str,
        int,
        list[int],
        int | str,
        (int, str),
        (int, None),
        (list[int], str),
        {"enum": [1, 2]},
        {"$ref": "#/$defs/a", "$defs": {"a": {"const": 1}}},
    ],
)
def test_every_kind_of_output_is_taken(output: Any) -> None:
    assert Agent(ScriptedModel([]), output=output, journal=None).preview("go").body


# -------------------------------------------------------------------------------------------- the journal


@pytest.mark.parametrize("kind", [str, Path])
async def test_a_journal_may_be_named_by_its_folder(tmp_path: Path, kind: Callable[[Path], Any]) -> None:
    folder = tmp_path / "runs"
    one = Agent(ScriptedModel(["one", "two"]), journal=kind(folder))
    two = Agent(ScriptedModel(["one", "two"]), journal=folder)
    assert one.journal is one.journal is two.journal, "one writer for each folder"
    assert isinstance(one.journal, SQLiteJournal)
    assert not folder.exists(), "the first run makes it"
    result = await one.run("go")
    assert (await two.resume(result.run, say="more")).output == "two"
    assert [each.run for each in await SQLiteJournal(folder).runs()] == [result.run]


async def test_a_folder_is_where_it_was_when_the_agent_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    agent = Agent(ScriptedModel(["done"]), journal="runs")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    await agent.run("go")
    assert (tmp_path / "runs" / "journal.db").exists()


async def test_only_the_word_default_means_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTRIDER_HOME", str(tmp_path / "home"))
    default = Agent(ScriptedModel([])).journal
    assert isinstance(default, SQLiteJournal)
    assert default.home == tmp_path / "home"
    assert Agent(ScriptedModel([]), journal="default").journal is default
    other = Agent(ScriptedModel([]), journal="Default").journal
    assert isinstance(other, SQLiteJournal)
    assert other.home == Path.cwd() / "Default"


# ------------------------------------------------------------------------------------------------ the run


@pytest.mark.parametrize("task", ["", " \n", None, 3, [], [3], b"go"])
async def test_a_task_that_says_nothing_is_refused(task: Any, tmp_path: Path) -> None:
    agent = Agent(ScriptedModel(["done"]), journal=tmp_path)
    for begin in (partial(asyncio.to_thread, agent.run_sync), partial(asyncio.to_thread, agent.preview)):
        with pytest.raises(SetupError, match="the task is"):
            await begin(task)
    with pytest.raises(SetupError, match="the task is"):
        await agent.run(task)
    assert await agent.journal.runs() == []


async def test_history_is_a_result_not_its_messages() -> None:
    agent = Agent(ScriptedModel(["done"]), journal=None)
    earlier: Any = await agent.run("go")
    for wrong in (earlier.messages, earlier.state, earlier.run):
        with pytest.raises(SetupError, match="history is a") as caught:
            await agent.run("and now?", history=wrong)
        assert "history=result, not its messages" in caught.value.hint


async def test_an_agent_with_dependencies_wants_them(tmp_path: Path) -> None:
    class Shop:
        pass

    agent = Agent(ScriptedModel(["done", "again"]), deps_type=Shop, journal=tmp_path)
    with pytest.raises(SetupError, match="deps_type is Shop"):
        await agent.run("go")
    with pytest.raises(SetupError, match="deps_type is Shop"):
        agent.preview("go")
    result = await agent.run("go", deps=Shop())
    with pytest.raises(SetupError, match="deps_type is Shop"):
        await agent.resume(result.run, say="more")
    assert (await agent.resume(result.run)).output == "done", "what is finished needs nothing"
    assert (await agent.resume(result.run, deps=Shop(), say="more")).output == "again"
    assert (await Agent(ScriptedModel(["done"]), journal=None).run("go")).output == "done"


async def test_a_run_may_be_named_by_its_result(tmp_path: Path) -> None:
    agent = Agent(ScriptedModel(["one", "two"]), journal=tmp_path)
    result = await agent.run("go")
    assert (await agent.resume(result, say="more")).output == "two"
    for wrong in (None, 3, "", b"abc"):
        given: Any = wrong
        with pytest.raises(SetupError, match="run is"):
            await agent.resume(given)
    limits: Any = {"turns": 5}
    with pytest.raises(SetupError, match="limits is"):
        await agent.resume(result, limits=limits)


async def test_words_that_are_no_text_never_reach_the_inbox(tmp_path: Path) -> None:
    pay = tool(look, name="pay", approve=True)
    agent = Agent(ScriptedModel([Calls(("pay", {"city": "Rome"})), "done"]), tools=[pay], journal=tmp_path)
    result = await agent.run("go")
    wrong: Any = 3
    with pytest.raises(SetupError, match="the reason is 3"):
        await agent.deny(result.run, f"{result.run}:1:0", wrong)
    with pytest.raises(SetupError, match="the result is 3"):
        await agent.settle(result.run, f"{result.run}:1:0", wrong)
    with pytest.raises(SetupError, match="say is 3"):
        await agent.resume(result, say=wrong)
    await agent.approve(result.run, f"{result.run}:1:0")
    assert (await agent.resume(result)).output == "done"


def test_instructions_have_to_become_a_text() -> None:
    def forgetful(deps: object) -> Any:
        """Make instructions, and forget to return them."""

    with pytest.raises(SetupError, match="what instructions returned is None"):
        Agent(ScriptedModel([]), instructions=forgetful, journal=None).preview("go")


def test_a_missing_key_names_both_ways_on_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    with pytest.raises(SetupError) as caught:
        Agent(OpenRouter("some/model", Settings()), journal=None).run_sync("go")
    assert 'Agent("local")' in caught.value.hint
    assert "-m local" in caught.value.hint


# --------------------------------------------------------------------------------------------------- help


@pytest.mark.parametrize("name", outrider.__all__)
def test_every_public_name_can_be_looked_up(name: str) -> None:
    public = getattr(outrider, name)
    assert "Python Library Documentation" in pydoc.render_doc(public)
    try:
        assert str(inspect.signature(public)).startswith("(")
    except ValueError:  # Python's word for an alias, or an exception class as it comes
        assert name in ("Policy", "ToolError")


def test_help_on_tool_names_every_option() -> None:
    shown = pydoc.render_doc(tool)
    options = outrider.tool.__globals__["Options"].__annotations__
    assert len(options) == 15
    assert all(f"- ``{option}``: " in shown for option in options)


def test_settings_and_tool_say_what_they_take() -> None:
    assert "http_client" in inspect.signature(Settings).parameters
    assert "when" in inspect.signature(outrider.Tool).parameters
    assert "dollars" in inspect.signature(Limits).parameters
