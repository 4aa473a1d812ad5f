"""What can go wrong with a request, and what comes of it, through a real socket."""

import json
import ssl
from collections.abc import AsyncIterator
from decimal import Decimal
from email.utils import formatdate
from time import time
from typing import Any

import aiohttp
import httpx2
import pytest
from aiohttp.client_reqrep import ConnectionKey

from outrider.events import RequestFailed
from outrider.messages import UserMessage, to_wire
from outrider.model import Ask, Request, join_body
from outrider.openrouter import OpenRouter, Settings
from outrider.openrouter.advice import advice
from outrider.openrouter.failures import Failure, from_exception
from outrider.testing.fake import FakeOpenRouter, FakeReply

pytestmark = pytest.mark.anyio


@pytest.fixture
async def server() -> AsyncIterator[FakeOpenRouter]:
    async with FakeOpenRouter() as server:
        yield server


def model_at(server: FakeOpenRouter, **settings: Any) -> OpenRouter:
    made: dict[str, Any] = {"base_url": server.base_url, "api_key": "sk-test"}
    return OpenRouter(settings=Settings(**made | settings))


async def failed(model: OpenRouter, failures: int = 0) -> RequestFailed:
    ask = Ask("work", "run-1")
    settings, messages = model.settings(ask), (to_wire(UserMessage("Hello")),)
    request = Request(1, failures, ask, messages, settings, join_body(messages, settings))
    event = [event async for event in model.ask(request)][-1]
    assert isinstance(event, RequestFailed)
    return event


@pytest.mark.parametrize(
    ("status", "error", "reason", "then"),
    [
        (400, {"message": "bad"}, "invalid_request", "stop"),
        (401, {"message": "User not found", "code": 401}, "authentication", "stop"),
        (402, {"message": "no credit"}, "payment_required", "stop"),
        (403, {"message": "no"}, "permission_denied", "stop"),
        (404, {"message": "no endpoints"}, "not_found", "stop"),
        (408, {"message": "late"}, "timeout", "retry"),
        (413, {"message": "large"}, "payload_too_large", "stop"),
        (422, {"message": "?"}, "unprocessable", "stop"),
        (429, {"message": "slow"}, "rate_limit_exceeded", "retry"),
        (500, {"message": "oops"}, "server", "retry"),
        (502, {"message": "down"}, "provider_unavailable", "retry"),
        (503, {"message": "busy"}, "provider_overloaded", "retry"),
        (524, {"message": "edge"}, "timeout", "retry"),
        (529, {"message": "busy"}, "provider_overloaded", "retry"),
        (503, {"message": "x", "availability": {"retryable": False}}, "provider_overloaded", "stop"),
        (404, {"message": "x", "availability": {"retryable": True}}, "not_found", "retry"),
        (
            400,
            {"message": "x", "metadata": {"error_type": "provider_overloaded"}},
            "provider_overloaded",
            "retry",
        ),
        (502, {"message": "x", "error_type": "context_length_exceeded"}, "context_length_exceeded", "stop"),
        (502, {"message": "x", "metadata": {"error_type": "brand_new"}}, "brand_new", "retry"),
        (418, {"message": "tea"}, "http_418", "stop"),
    ],
)
async def test_http_errors(server: FakeOpenRouter, status: int, error: dict[str, Any], reason: str, then: str) -> None:
    server.add(FakeReply(status=status, error=error))
    event = await failed(model_at(server))
    assert (event.status, event.reason, event.then, event.billed) == (status, reason, then, "no")
    assert error["message"] in event.message
    assert (event.delay > 0) == (then == "retry")
    assert error["message"] in event.raw


@pytest.mark.parametrize(("status", "hint"), [(401, "openrouter.ai/keys"), (402, "credit"), (404, "model's name")])
async def test_common_errors_say_what_to_do(server: FakeOpenRouter, status: int, hint: str) -> None:
    server.add(FakeReply(status=status, error="No. The key was sk-test"))
    event = await failed(model_at(server))
    assert hint in event.hint
    assert "sk-test" not in event.message + event.raw


@pytest.mark.parametrize(
    ("status", "error", "hint"),
    [
        (400, "qwen3-14b is not a valid model ID", "vendor/name"),
        (404, "No endpoints found that support tool use.", "takes tools"),
        (400, {"message": "too long", "metadata": {"error_type": "context_length_exceeded"}}, "longer context"),
        (400, {"message": "x", "availability": {"code": "model_not_found"}}, "vendor/name"),
        (429, "slow down", "another model"),
        (529, "busy", "later"),
    ],
)
async def test_less_common_errors_do_too(
    server: FakeOpenRouter, status: int, error: dict[str, Any] | str, hint: str
) -> None:
    server.add(FakeReply(status=status, error=error))
    assert hint in (await failed(model_at(server), 9)).hint


def test_a_certificate_that_is_not_trusted_is_said_in_its_own_words() -> None:
    place = ConnectionKey("localhost", 443, True, True, None, None, None)
    cause = ssl.SSLCertVerificationError(1, "self-signed certificate")
    error = httpx2.ConnectError("no")
    error.__cause__ = aiohttp.ClientConnectorCertificateError(place, cause)
    failure = from_exception(error)
    assert (failure.reason, failure.retry, failure.billed) == ("certificate", False, "no")
    assert "self-signed certificate" in failure.message
    assert "SSL_CERT_FILE" in advice(failure, "", "sk-test", "https://localhost/v1")


def test_a_key_of_another_form_is_named_when_openrouter_refuses_it() -> None:
    refused = Failure("authentication", "User not found.", False, 401)
    told = advice(refused, '{"error": 1}', "my-secret", "https://openrouter.ai/api/v1")
    assert "sk-or-" in told
    assert "my-secret" not in told
    assert "sk-or-" not in advice(refused, '{"error": 1}', "my-secret", "http://127.0.0.1:1/v1")
    assert "sk-or-" not in advice(refused, '{"error": 1}', "sk-or-v1-1", "https://openrouter.ai/api/v1")


async def test_html_and_redirects_are_failures(server: FakeOpenRouter) -> None:
    page = b"<html>Bad gateway</html>"
    server.add(FakeReply(status=502, body=page), FakeReply(body=page))
    server.add(FakeReply(status=307, body=b"", headers={"Location": "http://127.0.0.1:9/"}))
    server.add(FakeReply(status=404, body=b"<html>no such page</html>"))
    model = model_at(server)
    event = await failed(model)
    assert (event.reason, event.then, event.raw) == ("provider_unavailable", "retry", page.decode())
    event = await failed(model)
    assert (event.reason, event.then, event.billed) == ("malformed_reply", "retry", "unknown")
    assert "Bad gateway" in event.message
    event = await failed(model)
    assert (event.reason, event.then) == ("redirect", "stop")
    assert "base_url" in (await failed(model)).hint


@pytest.mark.parametrize(
    ("headers", "error", "low", "high"),
    [
        ({"Retry-After": "7"}, {}, 7, 7),
        ({"retry-after-ms": "1500"}, {}, 1.5, 1.5),
        ({"Retry-After": "date"}, {}, 20, 60),
        ({"Retry-After": "soon"}, {}, 0.37, 0.5),
        ({}, {"availability": {"retryable": True, "retry_after": 9}}, 9, 9),
    ],
)
async def test_the_server_says_when_to_come_again(
    server: FakeOpenRouter, headers: dict[str, str], error: dict[str, Any], low: float, high: float
) -> None:
    headers = {
        name: formatdate(time() + 60, usegmt=True) if value == "date" else value for name, value in headers.items()
    }
    server.add(FakeReply(status=429, error={"message": "slow"} | error, headers=headers))
    event = await failed(model_at(server))
    assert event.then == "retry"
    assert low <= event.delay <= high


async def test_a_long_wait_and_too_many_failures_end_it(server: FakeOpenRouter) -> None:
    server.add(FakeReply(status=429, error="slow", headers={"Retry-After": "121"}))
    server.add(*[FakeReply(status=500, error="oops")] * 3)
    model = model_at(server, retries=2)
    event = await failed(model)
    assert (event.then, event.delay) == ("stop", 0)
    assert "121 s" in event.message
    assert [(await failed(model, failures)).then for failures in range(3)] == ["retry", "retry", "stop"]


@pytest.mark.parametrize("stream", [True, False])
async def test_errors_inside_a_200(server: FakeOpenRouter, stream: bool) -> None:
    overloaded = {"code": 503, "message": "busy", "metadata": {"error_type": "provider_overloaded"}}
    part = {"content": "half"}
    choice = {
        "index": 0,
        "delta": part,
        "message": part,
        "finish_reason": "error",
        "error": {"code": "server_error"},
    }
    bodies: list[dict[str, Any]] = [
        {"error": overloaded, "user_id": "u"},
        {"id": "gen-1", "choices": [choice], "usage": {"cost": 0.5}},
        {"id": "gen-1", "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]},
        {"error": {"message": "nope", "code": 400}},
    ]
    for body in bodies:
        text = json.dumps(body)
        server.add(FakeReply(body=(f"data: {text}\n\n" if stream else text).encode()))
    model = model_at(server)
    first, second, third, fourth = [await failed(model) for _ in bodies]
    assert (first.reason, first.then, first.billed, first.status) == (
        "provider_overloaded",
        "retry",
        "unknown",
        503,
    )
    assert (second.reason, second.then, second.billed) == ("provider_error", "retry", "usage")
    assert second.usage.cost == Decimal("0.5")
    assert (third.reason, third.then) == ("provider_error", "retry")
    assert (fourth.reason, fourth.then) == ("invalid_request", "stop")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (FakeReply(), "empty_reply"),
        (FakeReply(reasoning="hm"), "answer_in_reasoning"),
        (FakeReply(text="half an answer", drop_at=2), "connection"),
        (FakeReply(body=b""), "malformed_reply"),
        (FakeReply(body=b"data: {\n\n"), "malformed_reply"),
        (FakeReply(chunks=[{"choices": [{"delta": {"content": "half"}}]}]), "truncated_stream"),
    ],
)
async def test_a_reply_that_is_none_is_tried_again(server: FakeOpenRouter, reply: FakeReply, reason: str) -> None:
    server.add(reply)
    event = await failed(model_at(server))
    assert (event.reason, event.then) == (reason, "retry")
    assert event.billed == ("usage" if reason in ("empty_reply", "answer_in_reasoning") else "unknown")


async def test_a_server_that_is_not_there(server: FakeOpenRouter) -> None:
    event = await failed(model_at(server, base_url="http://127.0.0.1:1/v1"))
    assert (event.reason, event.then, event.billed) == ("connection", "retry", "no")
    assert "127.0.0.1:1: Connect" in event.message
    event = await failed(model_at(server, base_url="http://elsewhere.invalid/v1", proxy="http://127.0.0.1:1"))
    assert (event.reason, event.then, event.billed) == ("proxy", "retry", "no")
    assert "127.0.0.1:1" in event.message
