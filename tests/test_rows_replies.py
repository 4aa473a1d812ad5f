"""Sections 5.3 and 9.4: a 200 that is no answer, and what the connection does, streamed and not."""

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from outrider import Agent
from outrider.testing import FakeOpenRouter, FakeReply, faults
from rows_kit import Case, asked, fails, row, rows, says, seen, summary

pytestmark = pytest.mark.anyio

WHOLE = {"extra": {"stream": False}}
"""Settings that ask for one JSON object."""

QUICK = {"first_byte_seconds": 300.0, "idle_seconds": 0.1}


def both(row: str, reply: Callable[[], FakeReply], expected: dict[str, Any]) -> list[Case]:
    """The case streamed and not."""
    return [Case(row, reply, expected), Case(row, reply, expected, WHOLE)]


@rows(
    *both("5.3/body-is-error", faults.error_in_200, fails("provider_unavailable", status=502, billed="unknown")),
    *both("5.3/body-is-error", partial(faults.error_in_200, stream=True), fails("provider_unavailable", waits=True)),
    *both(
        "5.3/body-is-error",
        lambda: FakeReply(body=b'{"id":"gen-1","error":{"code":502,"message":"x"}}'),
        fails("provider_unavailable", message="x."),
    ),
    Case(
        "5.3/error-in-choice", faults.error_in_choice, fails("provider_unavailable", status=502, billed="usage"), WHOLE
    ),
    Case("5.3/error-in-stream", faults.error_mid_stream, fails("provider_unavailable", status=502, billed="unknown")),
    Case("5.3/error-in-stream", faults.finish_error, fails("provider_error", billed="usage")),
    Case("5.3/empty-completion", faults.empty_completion, fails("empty_reply", waits=True)),
    Case("5.3/empty-completion", partial(faults.empty_completion, ""), fails("empty_reply")),
    Case("5.3/empty-completion", partial(faults.empty_completion, "stop"), fails("empty_reply")),
    Case("5.3/empty-completion", lambda: FakeReply(text=" \n"), fails("empty_reply")),
    *both("5.3/padding", faults.padded_json, says("Hello.")),
    *[
        Case(
            "5.3/any-error",
            partial(faults.error_in_200, code=http, message="x", metadata={"error_type": kind}),
            fails(kind, "retry" if http in (429, 500, 502, 503, 504) else "stop", status=http),
        )
        for kind, http in faults.ERROR_TYPES.items()
    ],
)
async def test_no_answer_in_a_200(openrouter: FakeOpenRouter, case: Case) -> None:
    assert await seen(openrouter, case) == case.expected


@row("5.3/empty-not-billed")
async def test_an_empty_reply_that_costs_nothing_is_not_in_doubt(openrouter: FakeOpenRouter) -> None:
    chunks: list[dict[str, Any]] = [
        faults.chunk(content=""),
        {"choices": [], "usage": {"completion_tokens": 0, "cost": 0}},
    ]
    openrouter.add(FakeReply(chunks=chunks), "Hello.")
    result = await Agent(settings=openrouter.settings(), journal=None).run("Hello?")
    assert result.output == "Hello."
    assert (result.cost, result.state.requests_in_doubt) == (Decimal("0.0001"), 0)


@row("5.3/resending-is-safe")
async def test_the_same_bytes_go_again(openrouter: FakeOpenRouter) -> None:
    openrouter.add(faults.error_in_200(availability={"retryable": True, "retry_after": 0}), "Hello.")
    result = await Agent(settings=openrouter.settings(), journal=None).run("Hello?")
    assert result.output == "Hello."
    first, second = (request.body for request in openrouter.requests)
    assert first == second


# --------------------------------------------------------------------------------------------- section 9.4

STATUSES = {400: "stop", 401: "stop", 403: "stop", 404: "stop", 409: "stop", 422: "stop", 429: "retry"}


@rows(
    Case("9.4/json-error", faults.error_in_200, fails("provider_unavailable"), WHOLE),
    Case("9.4/json-error-streamed", faults.error_in_200, fails("provider_unavailable")),
    Case("9.4/choice-error", faults.error_in_choice, fails("provider_unavailable"), WHOLE),
    Case("9.4/choice-error-streamed", faults.error_in_chunk, fails("provider_unavailable", billed="unknown")),
    Case("9.4/error-event", faults.error_mid_stream, fails("provider_unavailable", status=502)),
    Case("9.4/error-event", partial(faults.error_mid_stream, code="502"), fails("provider_unavailable", status=502)),
    Case("9.4/comments", faults.comments_between, says("Hello.")),
    Case("9.4/no-done", faults.no_done, says("Hello.")),
    Case("9.4/no-done", faults.cut_off, fails("truncated_stream", billed="unknown", waits=True)),
    Case("9.4/drop", lambda: FakeReply(text="Hello.", drop_at=0), fails("connection", billed="unknown"), WHOLE),
    Case("9.4/drop", faults.dropped_unanswered, fails("connection", billed="unknown"), WHOLE),
    Case("9.4/drop-streamed", faults.dropped, fails("connection", billed="unknown", waits=True)),
    Case("9.4/drop-streamed", faults.dropped_unanswered, fails("connection", billed="unknown")),
    Case("9.4/stall", faults.stalled, fails("timeout", billed="unknown"), QUICK),
    Case("9.4/stall", faults.comments_only, fails("timeout", billed="unknown"), QUICK),
    Case("9.4/malformed-chunk", faults.malformed_chunk, fails("malformed_reply", billed="unknown")),
    Case("9.4/html", faults.html_200, fails("malformed_reply"), WHOLE),
    Case("9.4/html-streamed", faults.html_200, fails("malformed_reply", billed="unknown")),
    *both("9.4/truncated-json", faults.truncated_json, fails("malformed_reply")),
    *both("9.4/empty-json", faults.empty_body, fails("malformed_reply")),
    *[
        case
        for code, then in STATUSES.items()
        for case in both("9.4/status-4xx", partial(faults.status, code), {"status": code, "then": then})
    ],
    *both("9.4/status-402-408-413", partial(faults.status, 402), fails("payment_required", "stop")),
    *both("9.4/status-402-408-413", partial(faults.status, 408), fails("timeout")),
    *both("9.4/status-402-408-413", partial(faults.status, 413), fails("payload_too_large", "stop")),
    *both("9.4/status-5xx", partial(faults.status, 524), fails("timeout")),
    *both("9.4/status-5xx", partial(faults.status, 529), fails("provider_overloaded")),
    *both("9.4/status-5xx", faults.html_error, fails("provider_unavailable", status=502)),
    Case("9.4/timeout-before-head", faults.silent, fails("timeout", billed="unknown"), {"first_byte_seconds": 0.1}),
)
async def test_what_the_sdk_would_do_otherwise(openrouter: FakeOpenRouter, case: Case) -> None:
    assert await seen(openrouter, case) == case.expected


@row("9.4/connect")
async def test_nobody_is_there(openrouter: FakeOpenRouter) -> None:
    found = summary(await asked(openrouter, base_url="http://127.0.0.1:1/api/v1"))
    assert (found["reason"], found["then"], found["billed"]) == ("connection", "retry", "no")
    assert openrouter.requests == []


@row("9.4/no-retry-of-the-sdk")
@pytest.mark.parametrize("headers", [{}, {"x-should-retry": "true"}])
async def test_one_attempt_is_one_request(openrouter: FakeOpenRouter, headers: dict[str, str]) -> None:
    openrouter.add(FakeReply(status=503, error="busy", headers=headers))
    found = summary(await asked(openrouter))
    assert found["then"] == "retry"
    assert len(openrouter.requests) == 1
    assert "x-stainless-retry-count" not in openrouter.requests[0].headers
