"""Sections 5.1 and 5.2: requests that are refused with an HTTP error."""

import json
from functools import partial
from typing import Any

import pytest

from outrider import Agent
from outrider.testing import FakeOpenRouter, FakeReply, faults
from rows_kit import Case, asked, fails, row, rows, seen, summary

pytestmark = pytest.mark.anyio

AGAIN = {"then": "retry", "waits": True, "billed": "no"}
STOP = {"then": "stop", "waits": False, "billed": "no"}
RAW = {"error": {"message": "CUDA out of memory"}}


def refused(**error: Any) -> FakeReply:
    return FakeReply(status=502, error=error)


@rows(
    Case(
        "5.1/body",
        lambda: refused(code=429, message="Slow down", metadata={"error_type": "rate_limit_exceeded"}),
        fails("rate_limit_exceeded", message="Slow down.", billed="no"),
    ),
    Case(
        "5.1/siblings",
        lambda: FakeReply(
            status=502, body=b'{"error":{"code":502,"message":"x"},"user_id":"u","openrouter_metadata":{}}'
        ),
        fails("provider_unavailable", message="x."),
    ),
    Case(
        "5.1/no-code",
        lambda: FakeReply(status=404, error={"message": "x", "http_status": 404, "error_type": "not_found"}),
        fails("not_found", "stop", status=404),
    ),
    Case(
        "5.1/status-first",
        lambda: refused(code=400, http_status=404, message="x"),
        fails("provider_unavailable", status=502),
    ),
    Case(
        "5.1/status-first",
        partial(faults.error_in_200, code=429, http_status=404, metadata=None),
        fails("rate_limit_exceeded", status=429),
    ),
    Case(
        "5.1/status-first",
        partial(faults.error_in_200, code=None, http_status=404, metadata=None),
        fails("not_found", "stop", status=404),
    ),
    Case(
        "5.1/message-missing",
        lambda: refused(code=502),
        fails("provider_unavailable", message="The server reported an error."),
    ),
    Case(
        "5.1/message-missing",
        lambda: FakeReply(status=502, body=b'{"error":"all is lost"}'),
        fails("provider_unavailable", message="all is lost"),
    ),
    Case("5.1/moderation", faults.moderated, fails("permission_denied", "stop", provider="Fake", status=403)),
    Case("5.1/guardrail", faults.guarded, fails("permission_denied", "stop", message="Blocked by a guardrail.")),
    Case(
        "5.1/raw-text",
        faults.provider_error,
        fails("provider_unavailable", message="Provider returned error (Fake: no slots available)", provider="Fake"),
    ),
    Case(
        "5.1/raw-json-text",
        partial(faults.provider_error, json.dumps(RAW)),
        fails("provider_unavailable", message=f"Provider returned error (Fake: {json.dumps(RAW)})"),
    ),
    Case(
        "5.1/raw-object",
        partial(faults.provider_error, RAW),
        fails(
            "provider_unavailable", message=f"Provider returned error (Fake: {json.dumps(RAW, separators=(',', ':'))})"
        ),
    ),
    Case(
        "5.1/previous-errors",
        partial(
            faults.error_type, "provider_unavailable", previous_errors=[{"provider": "A", "code": "x", "status": 502}]
        ),
        fails("provider_unavailable"),
    ),
    Case(
        "5.1/generic-500", partial(faults.error_type, "unmapped"), fails("unmapped", message="Internal server error.")
    ),
    Case(
        "5.1/availability-retryable",
        lambda: faults.status(503, metadata={"error_type": "provider_overloaded"}, availability={"retryable": False}),
        fails("provider_overloaded", "stop"),
    ),
    Case(
        "5.1/availability-retryable",
        lambda: faults.status(404, metadata={"error_type": "not_found"}, availability={"retryable": True}),
        fails("not_found", waits=True),
    ),
    Case(
        "5.1/availability-wait",
        partial(faults.availability, "temporarily_unavailable", retry_after=7),
        fails("temporarily_unavailable", delay=7.0),
    ),
)
async def test_what_a_body_says(openrouter: FakeOpenRouter, case: Case) -> None:
    assert await seen(openrouter, case) == case.expected


@row("5.1/excluded-by")
async def test_what_emptied_the_choice_is_told(openrouter: FakeOpenRouter) -> None:
    reason = {"excluded_by": ["max_price"], "constraint": {"field": "max_price", "detail": "0.01"}}
    openrouter.add(faults.availability("constraint_filtered", **reason))
    found = summary(await asked(openrouter))
    assert (found["then"], found["reason"]) == ("stop", "not_found")
    assert "max_price" in found["raw"]


@rows(
    *[
        Case(
            f"5.1/{code}",
            partial(faults.availability, code),
            {"status": http} | (AGAIN if http in (429, 503) else STOP),
        )
        for code, http in faults.AVAILABILITY.items()
    ]
)
async def test_availability(openrouter: FakeOpenRouter, case: Case) -> None:
    assert await seen(openrouter, case) == case.expected


PASSING = (408, 429, 500, 502, 503, 504, 524, 529)


@rows(
    *[
        Case(f"5.2/{code}", partial(faults.status, code), {"status": code} | (AGAIN if code in PASSING else STOP))
        for code in faults.STATUSES
    ],
    *[
        Case(
            f"5.2/{kind}",
            partial(faults.error_type, kind),
            {"status": http, "reason": kind} | (AGAIN if http in PASSING else STOP),
        )
        for kind, http in faults.ERROR_TYPES.items()
    ],
)
async def test_statuses_and_types(openrouter: FakeOpenRouter, case: Case) -> None:
    assert await seen(openrouter, case) == case.expected


@rows(
    Case("5.2/retry-after", partial(faults.status, 429, retry_after=7), fails("rate_limit_exceeded", delay=7.0)),
    Case("5.2/retry-after", partial(faults.status, 503, retry_after=0), fails("provider_overloaded", delay=0.0)),
    Case("5.2/retry-after", partial(faults.status, 429, retry_after=121), fails("rate_limit_exceeded", "stop")),
    Case("5.2/unknown-status", partial(faults.status, 418), fails("http_418", "stop")),
    Case("5.2/unknown-status", partial(faults.status, 599), fails("http_599")),
    Case(
        "5.2/type-before-status",
        partial(faults.status, 400, metadata={"error_type": "provider_overloaded"}),
        fails("provider_overloaded", status=400),
    ),
    Case(
        "5.2/type-before-status",
        partial(faults.status, 502, metadata={"error_type": "context_length_exceeded"}),
        fails("context_length_exceeded", "stop"),
    ),
    Case("5.2/unknown-type", partial(faults.status, 502, metadata={"error_type": "novel"}), fails("novel")),
    Case("5.2/unknown-type", partial(faults.status, 400, metadata={"error_type": "novel"}), fails("novel", "stop")),
)
async def test_what_decides(openrouter: FakeOpenRouter, case: Case) -> None:
    assert await seen(openrouter, case) == case.expected


@row("5.2/500")
@pytest.mark.usefixtures("no_waiting")
async def test_an_internal_error_is_asked_again_a_bounded_number_of_times(openrouter: FakeOpenRouter) -> None:
    openrouter.add(*[faults.status(500)] * 9)
    result = await Agent(settings=openrouter.settings(retries=2), journal=None).run("Hello?")
    assert result.outcome == "provider"
    assert len(openrouter.requests) == 3
