"""OpenRouter as a model, through a real socket."""

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from outrider.errors import SetupError
from outrider.events import Replied, RequestAccepted, RequestFailed, TextDelta
from outrider.messages import AssistantMessage, UserMessage, from_wire, to_wire
from outrider.model import Ask, ModelEvent, Request, join_body
from outrider.openrouter import OpenRouter, Settings
from outrider.openrouter.deadline import Deadline, TimedOut
from outrider.openrouter.settings import BASE_URL
from outrider.testing.fake import FakeOpenRouter, FakeReply

pytestmark = pytest.mark.anyio


@pytest.fixture
async def server() -> AsyncIterator[FakeOpenRouter]:
    async with FakeOpenRouter() as server:
        yield server


def model_at(server: FakeOpenRouter, **settings: Any) -> OpenRouter:
    made: dict[str, Any] = {"base_url": server.base_url, "api_key": "sk-test"}
    return OpenRouter(settings=Settings(**made | settings))


def request_of(model: OpenRouter, number: int = 1, failures: int = 0, live: bool = True) -> Request:
    ask = Ask("work", "run-1")
    settings, messages = model.settings(ask), (to_wire(UserMessage("Hello")),)
    return Request(number, failures, ask, messages, settings, join_body(messages, settings), live)


async def ask(model: OpenRouter, failures: int = 0) -> list[ModelEvent]:
    return [event async for event in model.ask(request_of(model, failures=failures))]


async def failed(model: OpenRouter, failures: int = 0) -> RequestFailed:
    event = (await ask(model, failures))[-1]
    assert isinstance(event, RequestFailed)
    return event


async def replied(model: OpenRouter) -> tuple[Replied, AssistantMessage]:
    event = (await ask(model))[-1]
    assert isinstance(event, Replied)
    message = from_wire(event.wire)
    assert isinstance(message, AssistantMessage)
    return event, message


# ------------------------------------------------------------------------------------------- good replies


async def test_a_stream_gives_deltas_then_the_reply(server: FakeOpenRouter) -> None:
    server.add(FakeReply(text="Hello, you there.", headers={"X-Generation-Id": "gen-head"}))
    events = await ask(model_at(server))
    assert events[0] == RequestAccepted(1, "gen-head")
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "Hello, you there."
    last = events[-1]
    assert isinstance(last, Replied)
    assert (last.finish, last.provider, last.model) == ("stop", "Fake", "qwen/qwen3-14b-04-28")
    assert last.usage.cost == Decimal("0.0001")
    assert [type(event) for event in events].count(RequestAccepted) == 1


@pytest.mark.parametrize("stream", [True, False])
async def test_calls_and_thinking_come_whole_streamed_or_not(server: FakeOpenRouter, stream: bool) -> None:
    server.add(FakeReply(reasoning="Let me see.", calls=[("f", {"a": 1}), ("g", {})], stream=stream))
    event, message = await replied(model_at(server))
    assert event.finish == "tool_calls"
    assert message.content is None
    assert message.reasoning == "Let me see."
    assert [call.function.arguments for call in message.tool_calls or ()] == ['{"a": 1}', "{}"]


async def test_one_connection_serves_turn_after_turn(server: FakeOpenRouter) -> None:
    server.add("one", FakeReply(status=429, error="slow"), FakeReply(text="two", stream=False), "three")
    model, other = model_at(server), model_at(server)
    for each in (model, model, other, other):
        await ask(each)
    assert (server.opened, len(server.requests)) == (1, 4)


async def test_nobody_watching_means_no_deltas(server: FakeOpenRouter) -> None:
    server.add("text")
    model = model_at(server)
    events = [event async for event in model.ask(request_of(model, live=False))]
    assert [type(event) for event in events] == [RequestAccepted, Replied]


async def test_a_stream_without_done_but_finished_is_a_reply(server: FakeOpenRouter) -> None:
    chunk = {"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]}
    server.add(FakeReply(body=f"data: {json.dumps(chunk)}\n\n".encode(), drop=True))
    event, message = await replied(model_at(server))
    assert (message.content, event.usage.cost) == ("Hi", None)


async def test_done_ends_a_reply_even_if_the_server_dawdles(server: FakeOpenRouter) -> None:
    never = threading.Event()
    chunk = {"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]}
    body = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode()
    server.add(FakeReply(body=[body, b": still here\n\n"], hold=never, hold_at=1))
    _, message = await replied(model_at(server, idle_seconds=300))
    assert message.content == "Hi"


# ------------------------------------------------------------------------------------------ what is sent


async def test_the_body_is_sent_as_it_was_made(server: FakeOpenRouter) -> None:
    server.add("ok")
    model = model_at(server)
    request = request_of(model)
    _ = [event async for event in model.ask(request)]
    sent = server.requests[0]
    assert (sent.method, sent.path, sent.body) == ("POST", "/api/v1/chat/completions", request.body)


async def test_headers(server: FakeOpenRouter) -> None:
    server.add("ok")
    await ask(model_at(server, referer="https://app.example", title="App"))
    headers = server.requests[0].headers
    assert headers["authorization"] == "Bearer sk-test"
    assert headers["http-referer"] == "https://app.example"
    assert headers["x-openrouter-title"] == headers["x-title"] == "App"
    assert headers["accept-encoding"] == "identity"
    assert headers["content-type"] == "application/json"


def test_settings_make_the_body() -> None:
    made = Settings(temperature=0.6, stop=("END",), provider={"sort": "price"}, extra={"top_a": 1, "stream": False})
    model = OpenRouter("some/model", made)
    tools, form = Raw(b'[{"type":"function"}]'), Raw(b'{"type":"json_object"}')
    assert json.loads(bytes(model.settings(Ask("work", "run-1", tools=tools)))) == {
        "model": "some/model",
        "stream": False,
        "stream_options": {"include_usage": True},
        "tools": [{"type": "function"}],
        "temperature": 0.6,
        "stop": ["END"],
        "reasoning": {"enabled": True},
        "provider": {"sort": "price"},
        "top_a": 1,
        "session_id": "run-1",
    }
    answer = json.loads(bytes(model.settings(Ask("answer", "run-1", format=form))))
    assert answer["reasoning"] == {"enabled": False}
    assert answer["response_format"] == {"type": "json_object"}
    plain = OpenRouter(settings=Settings(thinking=None, session=False)).settings(Ask("work", "run-1"))
    assert not {"reasoning", "session_id"} & set(json.loads(bytes(plain)))
    assert model.settings(Ask("work", "r", tools=tools)) == model.settings(Ask("work", "r", tools=Raw(bytes(tools))))


def test_settings_are_checked_and_keep_the_key_to_themselves() -> None:
    assert "sk-secret" not in repr(Settings(api_key="sk-secret"))
    for wrong, why in (
        ("openrouter.ai", "whole URL"),
        ("https://openrouter.ai", "whole URL"),
        ("https://openrouter.ai/v1", "whole URL"),
        (f"{BASE_URL}/chat/completions", "Leave /chat/completions out"),
        ("https://me:secret-word@openrouter.ai/api/v1", "holds a name or a password"),
    ):
        with pytest.raises(SetupError, match=why) as caught:
            Settings(base_url=wrong)
        assert "secret-word" not in str(caught.value)
    for key, told in (('"sk-or-1"', "quotes"), ("sk-or 1", "no key has"), ("sk-proj-1", "OpenAI"), ("hf_1", "Hugging")):
        with pytest.raises(SetupError, match=told) as caught:
            Settings(api_key=key).key()
        assert key not in str(caught.value)
    assert Settings(api_key="hf_1", base_url="http://127.0.0.1/v1").key() == "hf_1"
    with pytest.raises(SetupError, match="messages"):
        Settings(extra={"messages": []})


async def test_without_a_key_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-this-one")
    with pytest.raises(SetupError, match=r"OPENROUTER_API_KEY .*openrouter.ai/keys.*-m local"):
        await ask(OpenRouter())


ENVIRONMENT = {
    "OPENAI_API_KEY": "sk-openai",
    "OPENAI_ADMIN_KEY": "sk-admin",
    "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
    "OPENAI_ORG_ID": "org-1",
    "OPENAI_PROJECT_ID": "proj-1",
    "OPENAI_CUSTOM_HEADERS": "X-Spy: 1\nAuthorization: Bearer spy\nUser-Agent: spy\nAccept: spy",
    "OPENAI_WEBHOOK_SECRET": "w",
    "OPENAI_LOG": "debug",
    "OPENAI_API_TYPE": "azure",
    "OPENAI_API_VERSION": "1",
    "AZURE_OPENAI_ENDPOINT": "http://127.0.0.1:9",
    "AZURE_OPENAI_API_KEY": "azure",
}

SCRIPT = """
import asyncio, sys
from outrider.messages import UserMessage, to_wire
from outrider.model import Ask, Request, join_body
from outrider.openrouter import OpenRouter, Settings

async def main():
    model = OpenRouter(settings=Settings(base_url=sys.argv[1]))
    ask = Ask("work", "run-1")
    settings, messages = model.settings(ask), (to_wire(UserMessage("Hello")),)
    request = Request(1, 0, ask, messages, settings, join_body(messages, settings))
    print([type(event).__name__ async for event in model.ask(request)][-1])

heavy = {"openai", "httpx2", "aiohttp", "pydantic"} & set(sys.modules)
assert not heavy, heavy
for _ in range(2):  # a second event loop in one process
    asyncio.run(main())
"""


def run_script(server: FakeOpenRouter, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    paths = {"PYTHONPATH": os.pathsep.join(sys.path), "OPENROUTER_API_KEY": " sk-env\n"}
    return subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", SCRIPT, server.base_url],
        env=os.environ | paths | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def variables_of_the_sdk() -> dict[str, str]:
    """Every variable that the installed SDK names, with something in it that would show."""
    import openai

    sources = Path(openai.__file__).parent.rglob("*.py")
    names = {name for source in sources for name in re.findall(r"\bOPENAI_[A-Z_]+\b", source.read_text("utf-8"))}
    assert {"OPENAI_API_KEY", "OPENAI_BASE_URL"} <= names
    return dict.fromkeys(names, "1") | ENVIRONMENT


def test_no_variable_of_openai_changes_a_request_and_loops_end_in_silence() -> None:
    with FakeOpenRouter(["a", "b", "c", "d"]) as server:
        plain, spied = run_script(server, {}), run_script(server, variables_of_the_sdk())
        assert (plain.stdout, plain.stderr) == ("Replied\nReplied\n", "")
        assert spied.stdout == plain.stdout
        first, *others = server.requests
        assert first.headers["authorization"] == "Bearer sk-env"
        assert all((other.headers, other.body) == (first.headers, first.body) for other in others)
        server.wait(lambda: server.closed == server.opened)


# --------------------------------------------------------------------------------- time and closing


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"first_byte_seconds": 300, "idle_seconds": 0.2}, "no data came for 0.2 s"),
        ({"request_seconds": 0.2}, "took more than 0.2 s"),
    ],
)
async def test_comments_do_not_keep_a_dead_stream_alive(
    server: FakeOpenRouter, settings: dict[str, float], words: str
) -> None:
    never = threading.Event()
    comments = [b": OPENROUTER PROCESSING\n\n"] * 3000
    server.add(FakeReply(body=comments, delay=0.01, hold=never, hold_at=2999))
    event = await failed(model_at(server, **settings))
    assert (event.reason, event.then, event.billed) == ("timeout", "retry", "unknown")
    assert words in event.message
    await server.until(lambda: server.closed == 1)


async def test_the_first_byte_is_awaited_only_so_long(server: FakeOpenRouter) -> None:
    server.add(FakeReply(hold=threading.Event(), hold_at=-1))
    event = await failed(model_at(server, first_byte_seconds=0.1))
    assert (event.reason, event.billed) == ("timeout", "unknown")
    assert "no answer began within 0.1 s" in event.message


async def test_a_slow_reader_is_not_cut_off() -> None:
    deadline = Deadline(Settings(idle_seconds=0.02))
    deadline.data()
    done = asyncio.Event()  # a reader of events takes longer than the server may
    asyncio.get_running_loop().call_later(0.1, done.set)
    await done.wait()
    assert await deadline.wait(asyncio.sleep(0, "data")) == "data"
    with pytest.raises(TimedOut):
        await deadline.wait(asyncio.sleep(300))
    deadline.close()


async def test_closing_the_generator_closes_the_connection(server: FakeOpenRouter) -> None:
    release = threading.Event()
    server.add(FakeReply(text="Hello there", hold=release, hold_at=2))
    model = model_at(server)
    events = model.ask(request_of(model))
    assert isinstance(await anext(events), RequestAccepted)
    await events.aclose()
    await server.until(lambda: server.closed == 1)
    assert not release.is_set()


async def test_cancelling_the_task_closes_the_connection(server: FakeOpenRouter) -> None:
    server.add(FakeReply(body=[b""] * 2, hold=threading.Event()))
    model = model_at(server)
    task = asyncio.create_task(ask(model))
    await server.until(lambda: len(server.requests) == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await server.until(lambda: server.closed == 1)


async def test_close_gives_connections_back_when_the_last_user_leaves(server: FakeOpenRouter) -> None:
    server.add("one", "two", "three")
    first, second = model_at(server), model_at(server)
    await ask(first)
    await ask(second)
    await first.close()
    await ask(second)
    assert (server.opened, server.closed) == (1, 0)
    await second.close()
    await server.until(lambda: server.closed == 1)


async def test_an_http_client_of_the_users_own(server: FakeOpenRouter) -> None:
    import httpx2

    server.add("one", FakeReply(text="two", hold=threading.Event(), hold_at=2))
    async with httpx2.AsyncClient(headers={"X-Team": "blue"}, trust_env=False) as client:
        model = model_at(server, http_client=client)
        _, message = await replied(model)
        assert message.content == "one"
        assert server.requests[0].headers["x-team"] == "blue"
        assert (await failed(model_at(server, http_client=client, idle_seconds=0.1))).reason == "timeout"
        await model.close()
        assert not client.is_closed


async def test_a_proxy_is_asked(server: FakeOpenRouter) -> None:
    server.add("through the proxy")
    proxy = server.base_url.removesuffix("/api/v1")
    _, message = await replied(model_at(server, base_url="http://openrouter.invalid/api/v1", proxy=proxy))
    assert message.content == "through the proxy"
    assert server.requests[0].path == "http://openrouter.invalid/api/v1/chat/completions"
    with pytest.raises(SetupError, match="not an HTTP proxy"):
        await ask(model_at(server, proxy="socks5://127.0.0.1:1"))
