"""The model on this machine: its server, its weights, its adapter, and the three tasks it is good for."""

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import aclosing
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

import pytest
from msgspec import Raw

from outrider import Agent, Limits, SetupError
from outrider.events import Replied, RequestFailed, TextDelta
from outrider.local import LocalModel, server, weights
from outrider.local.asked import read
from outrider.local.scoring import Frame, Scorer, Unanswered
from outrider.messages import (
    AssistantMessage,
    Message,
    Phase,
    SystemMessage,
    ToolMessage,
    UserMessage,
    from_wire,
    to_wire,
)
from outrider.model import Ask, Request, join_body
from outrider.openrouter import OpenRouter, Settings
from outrider.testing.fake import FakeOpenRouter, FakeReply
from outrider_prompts import say

pytestmark = pytest.mark.anyio

WATCHDOG = 60.0
CALCULATOR = {
    "name": "calculator",
    "description": "Work out an arithmetic expression.",
    "parameters": {
        "type": "object",
        "properties": {"expression": {"type": "string"}},
        "required": ["expression"],
        "additionalProperties": False,
    },
}
WEATHER = {
    "name": "weather",
    "description": "Tomorrow's weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def schema(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


TEXT: dict[str, Any] = {"type": "string"}
NUMBER: dict[str, Any] = {"type": "number"}


def request(
    messages: list[Message],
    phase: Phase = "work",
    tools: list[dict[str, Any]] | None = None,
    form: dict[str, Any] | None = None,
    live: bool = False,
) -> Request:
    offered = [{"type": "function", "function": tool} for tool in tools or []]
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": form}}
    ask = Ask(
        phase,
        "run",
        Raw(json.dumps(offered).encode()) if tools else None,
        Raw(json.dumps(wanted).encode()) if form else None,
    )
    wires = tuple(to_wire(message) for message in messages)
    settings = LocalModel().settings(ask)
    return Request(1, 0, ask, wires, settings, join_body(wires, settings), live)


async def answer(model: LocalModel, asked: Request) -> tuple[Replied, AssistantMessage]:
    async with aclosing(model.ask(asked)) as events:
        replies = [event async for event in events if isinstance(event, Replied)]
    message = from_wire(replies[-1].wire)
    assert isinstance(message, AssistantMessage)
    return replies[-1], message


def eventually(met: Callable[[], bool]) -> bool:
    end = time.monotonic() + WATCHDOG
    while not (done := met()) and time.monotonic() < end:
        time.sleep(0.02)
    return done


def ours() -> dict[str, str]:
    """An environment in which a child process finds what this one finds."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}


def listens(url: str) -> bool:
    port = int(url.removesuffix("/v1").rpartition(":")[2])
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def ready(missing: Callable[[str], NoReturn]) -> Iterator[Path]:
    """The embedded weights, with xllamacpp installed; every server is stopped afterwards."""
    if importlib.util.find_spec("xllamacpp") is None:
        missing("xllamacpp is not installed: pip install 'outrider[local]'")
    if not weights.embedded_path().is_file():
        missing(f"the local model's weights are not at {weights.embedded_path()}: outrider local pull")
    yield weights.embedded_path()
    server.stop_all()


# ------------------------------------------------------------------------------------------- the three tasks


async def test_a_sum_is_worked_out_by_a_tool_and_given_as_a_typed_answer(ready: Path) -> None:
    model = LocalModel()
    talk: list[Message] = [SystemMessage("You are careful."), UserMessage("What is 23*19+7?")]
    first, called = await answer(model, request(talk, tools=[CALCULATOR]))
    assert called.tool_calls
    (call,) = called.tool_calls
    assert (call.id, call.function.name) == ("call_1", "calculator")
    assert json.loads(call.function.arguments) == {"expression": "23*19+7"}
    assert first.finish == "tool_calls"
    assert first.usage.cost == Decimal(0)

    talk += [called, ToolMessage("call_1", "444")]
    written, said = await answer(model, request(talk, tools=[CALCULATOR]))
    assert written.usage.completion_tokens > 0
    assert said.content
    assert "444" in said.content
    assert "\n" not in said.content

    form = schema(expression=TEXT, result=NUMBER)
    talk += [said, UserMessage(say("answer_now", schema=json.dumps(form)))]
    _, final = await answer(model, request(talk, "answer", form=form))
    assert json.loads(final.content or "") == {"expression": "23*19+7", "result": 444}


async def test_a_limit_in_dollars_holds_for_a_model_that_costs_nothing(ready: Path) -> None:
    agent = Agent("local", limits=Limits(dollars=Decimal("0.05")), journal=None)
    result = await agent.run("What is 23*19+7?")
    assert (result.outcome, result.cost) == ("finished", Decimal(0))


async def test_fields_are_copied_out_of_a_sentence(ready: Path) -> None:
    codes = {"type": "string", "enum": ["EUR", "USD", "GBP"]}
    form = schema(vendor=TEXT, number=TEXT, total=NUMBER, currency=codes)
    talk: list[Message] = [UserMessage("Invoice INV-1042 from Acme GmbH: total 1,250.00 EUR.")]
    _, final = await answer(LocalModel(), request(talk, "answer", form=form))
    expected = {"vendor": "Acme GmbH", "number": "INV-1042", "total": 1250, "currency": "EUR"}
    assert json.loads(final.content or "") == expected


@pytest.mark.parametrize(
    ("text", "label"),
    [("I love this phone, the camera is superb.", "positive"), ("What a waste of money.", "negative")],
)
async def test_a_text_gets_its_label(ready: Path, text: str, label: str) -> None:
    form = schema(label={"type": "string", "enum": ["positive", "negative"]})
    _, final = await answer(LocalModel(), request([UserMessage(text)], "answer", form=form))
    assert json.loads(final.content or "") == {"label": label}


async def test_one_of_two_tools_is_chosen(ready: Path) -> None:
    talk: list[Message] = [UserMessage("How warm will Paris be tomorrow?")]
    _, called = await answer(LocalModel(), request(talk, tools=[CALCULATOR, WEATHER]))
    assert called.tool_calls
    assert called.tool_calls[0].function.name == "weather"
    assert json.loads(called.tool_calls[0].function.arguments) == {"city": "Paris"}


async def test_labels_of_any_kind_are_weighed_and_names_copied(ready: Path) -> None:
    form = schema(
        category={"type": "string", "enum": ["billing", "technical"]}, urgent={"type": "boolean"}, person=TEXT
    )
    talk: list[Message] = [UserMessage("Ann Miller writes: I was charged twice for my order!")]
    reply, final = await answer(LocalModel(), request(talk, "answer", form=form))
    filled = json.loads(final.content or "")
    assert filled["category"] in ("billing", "technical")
    assert filled["urgent"] in (True, False)
    assert filled["person"] == "Ann Miller"
    assert reply.usage.prompt_tokens > 0


async def test_weighing_gives_the_same_whatever_was_asked_before(ready: Path) -> None:
    """More prompts than the server keeps, in another order, and a new server."""
    forms = [schema(**{name: {"type": "string", "enum": ["red", "blue", "green"]}}) for name in "abcd"]
    asked = [request([UserMessage("The sea in May.")], "answer", form=form) for form in forms]
    model = LocalModel()
    first = [bytes((await answer(model, one))[0].wire) for one in asked]
    again = [bytes((await answer(model, one))[0].wire) for one in reversed(asked)]
    server.stop_all()
    fresh = [bytes((await answer(model, one))[0].wire) for one in asked[::2]]
    assert first == again[::-1]
    assert first[::2] == fresh


async def test_a_likely_piece_of_a_character_is_no_obstacle(ready: Path) -> None:
    """Of a next token that is no whole character, llama.cpp tells no likelihoods."""
    form = schema(vendor=TEXT, number=TEXT, total=NUMBER, currency=TEXT)
    text = "Přijatá faktura 20250114, dodavatel Květinka s.r.o., 4 500 Kč, splatnost 14 dní"
    _, final = await answer(LocalModel(), request([UserMessage(text)], "answer", form=form))
    assert json.loads(final.content or "")["vendor"] == "Květinka s.r.o."


def test_likelihoods_are_equal_bit_by_bit(ready: Path) -> None:
    frame = Frame("Message: I like it.\nFeeling: good\n\nMessage: I hate it.\nFeeling: bad\n\nMessage:", "\nFeeling:")
    other = Frame("Text: one\nLabel: first\n\nText:", "\nLabel:")

    def odds() -> list[float]:
        with Scorer(server.running(ready, embedded=True)) as scorer:
            return scorer.odds(frame, "It broke.", [" good\n", " bad\n"])

    found = [odds()]
    with Scorer(server.running(ready, embedded=True)) as scorer:
        scorer.odds(other, "two", [" first\n", " second\n"])
        scorer.odds(frame, "It broke down on the way.", [" good\n", " bad\n"])
    found.append(odds())
    server.stop_all()
    found.append(odds())
    assert found[0] == found[1] == found[2]


async def test_a_text_that_is_too_long_is_a_failure_that_says_so(ready: Path) -> None:
    form = schema(label={"type": "string", "enum": ["positive", "negative"]})
    asked = request([UserMessage("12345 " * 600)], "answer", form=form)
    async with aclosing(LocalModel().ask(asked)) as events:
        (failed,) = [event async for event in events]
    assert isinstance(failed, RequestFailed)
    assert failed.then == "stop"
    assert "exceeds the available context size" in failed.message
    assert "shorter text" in failed.hint


def test_a_server_that_has_ended_gives_no_answer(ready: Path) -> None:
    ended = server.running(ready, embedded=True)
    server.stop_all()
    with Scorer(ended) as scorer, pytest.raises(Unanswered) as told:
        scorer.odds(Frame("Message:", "\nFeeling:"), "Hm.", [" good\n", " bad\n"])
    assert told.value.status == 0


async def test_equal_requests_get_equal_replies_also_from_a_new_server(ready: Path) -> None:
    model = LocalModel()
    asked = request([UserMessage("What colour is the sky?")])
    replies = [(await answer(model, asked))[0], (await answer(model, asked))[0]]
    server.stop_all()
    replies.append((await answer(model, asked))[0])
    assert bytes(replies[0].wire) == bytes(replies[1].wire) == bytes(replies[2].wire)
    assert replies[0].usage == replies[2].usage


COLOUR = schema(colour={"type": "string", "enum": ["blue"]})


@pytest.mark.parametrize(("task", "form"), [("What colour is the sky?", None), ("The sea.", COLOUR)])
async def test_text_comes_live_when_somebody_watches(ready: Path, task: str, form: dict[str, Any] | None) -> None:
    """Written by the model, or settled by rule: in both cases the pieces joined are the text."""
    asked = request([UserMessage(task)], "answer" if form else "work", form=form, live=True)
    async with aclosing(LocalModel().ask(asked)) as stream:
        events = [event async for event in stream]
    deltas = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert isinstance(events[-1], Replied)
    message = from_wire(events[-1].wire)
    assert isinstance(message, AssistantMessage)
    assert deltas
    assert deltas == message.content


async def test_an_answer_may_be_left_and_the_next_one_comes(ready: Path) -> None:
    model = LocalModel()
    async with aclosing(model.ask(request([UserMessage("Who are you?")], live=True))) as stream:
        assert isinstance(await anext(stream), TextDelta)
    _, message = await answer(model, request([UserMessage("What colour is the sky?")]))
    assert message.content
    await model.close()


async def test_any_gguf_file_answers_through_its_own_chat_template(ready: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.gguf"
    other.symlink_to(ready)
    model = LocalModel(f"local:{other}")
    form = schema(colour={"type": "string", "enum": ["blue", "green"]})
    ask = Ask("answer", "run", None, request([], form=form).ask.format)
    wires, settings = (to_wire(UserMessage("What colour is the sky?")),), model.settings(ask)
    body = join_body(wires, settings)
    reply, message = await answer(model, Request(1, 0, ask, wires, settings, body))
    assert json.loads(message.content or "")["colour"] in ("blue", "green")
    assert reply.usage.prompt_tokens > 20  # the template's own words are in it


async def test_a_reply_that_breaks_off_on_this_machine_is_not_billed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeOpenRouter([FakeReply(text="one two three four", drop_at=2)]) as broken:

        async def breaking(model: LocalModel) -> OpenRouter:
            return OpenRouter(model.name, Settings(base_url=broken.base_url, api_key="key-for-tests"))

        monkeypatch.setattr(LocalModel, "_ready", breaking)
        async with aclosing(LocalModel("local:any.gguf").ask(request([UserMessage("Hi")]))) as events:
            failed = [event async for event in events][-1]
    assert isinstance(failed, RequestFailed)
    assert failed.billed == "no"


# ------------------------------------------------------------------------------------------------ the server


def test_a_server_starts_once_refuses_other_keys_and_stops_at_once(ready: Path) -> None:
    first = server.running(ready, embedded=True)
    assert server.running(ready, embedded=True) is first
    assert listens(first.url)
    asked = urllib.request.Request(f"{first.url}/chat/completions", b"{}", {"Authorization": "Bearer wrong"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(asked, timeout=WATCHDOG)
    refused.value.close()
    assert refused.value.code == 401
    server.stop_all()
    assert not first.alive
    assert eventually(lambda: not listens(first.url))


USE = """
import sys
from outrider.local.server import running
from outrider.local.weights import weights_path
print(running(weights_path("local"), True).url, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("how", ["end", "kill"])
def test_a_server_ends_with_its_process_and_says_nothing(ready: Path, how: str) -> None:
    user = subprocess.Popen(
        [sys.executable, "-c", USE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ours(),
    )
    assert user.stdin
    assert user.stdout
    url = user.stdout.readline().decode().strip()
    assert listens(url)
    if how == "kill":
        user.send_signal(signal.SIGKILL)
    out, errors = user.communicate(timeout=WATCHDOG)
    assert (out, errors) == (b"", b"")
    assert eventually(lambda: not listens(url))


def test_a_file_that_is_no_model_is_a_clear_error(ready: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF but no more")
    with pytest.raises(SetupError, match=r"broken\.gguf") as told:
        server.running(broken, embedded=False)
    assert "GGUF file" in told.value.hint


def test_without_the_package_the_hint_is_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def nothing(name: str) -> None:
        return None

    monkeypatch.setattr(importlib.util, "find_spec", nothing)
    with pytest.raises(SetupError) as told:
        server.running(tmp_path / "some.gguf", embedded=False)
    assert told.value.hint == "Install it: pip install 'outrider[local]'"


# ------------------------------------------------------------------------------------------------ the adapter


def test_outriders_own_reminders_are_not_taken_for_the_task() -> None:
    talk: list[Message] = [
        UserMessage("first"),
        AssistantMessage("done"),
        UserMessage("What is\n 2+2?"),
        AssistantMessage("4"),
        UserMessage(say("answer_now", schema="{}")),
        AssistantMessage("four"),
        UserMessage(say("answer_rejected", problems=["$: no"], schema="{}")),
        UserMessage(say("go_on")),
    ]
    asked = read(request(talk, "answer"))
    assert (asked.task, asked.done) == ("What is 2+2?", ())
