"""The live checks (tests/live), tried on a server that answers as is believed of OpenRouter."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from live.test_questions import thoughts
from live.wire import PURSE, Live
from outrider.testing.fake import FakeOpenRouter, FakeReply, FakeRequest

ROOT = Path(__file__).parents[1]
PATIENCE = 300.0

FACTS: dict[str, Any] = {
    "/generation": {"total_cost": 0.0001},
    "/endpoints": {
        "endpoints": [
            {
                "tag": "fake/fp8",
                "context_length": 40960,
                "supported_parameters": ["tools"],
                "pricing": {"prompt": "0.00000006", "completion": "0.00000024"},
            }
        ]
    },
    "/key": {"label": "a key", "limit_remaining": None},
}


class Believed(FakeOpenRouter):
    """Answers the live checks."""

    def _next(self, request: FakeRequest) -> FakeReply:
        if "0" * 64 in request.headers["authorization"]:
            return FakeReply(status=401, error="No auth credentials found")
        for path, data in FACTS.items():
            if request.path.partition("?")[0].endswith(path):
                return FakeReply(body=json.dumps({"data": data}).encode())
        return super()._next(request)


def answer(body: dict[str, Any]) -> FakeReply:
    if "no-such-model" in body["model"]:
        return FakeReply(status=400, error="qwen/no-such-model is not a valid model ID")
    said, task = body["messages"][-1], body["messages"][0]["content"]
    if body.get("tools") and said["role"] == "user":
        return FakeReply(calls=[("today", "")])
    if said["content"] == "Monday":
        return FakeReply(calls=[("weather", {"city": "Paris", "day": "Monday"})])
    for told, text in {
        "one word": "Ready.",
        "21.5": '{"city":"Paris","celsius":21.5}',
        "How warm": '{"city":"Paris","celsius":21}',
        "to 20": " ".join(map(str, range(1, 21))),
    }.items():
        if told in task:
            return FakeReply(text=text, reasoning="They want it short.")
    return FakeReply(text="Hello, hello, and hello again.")


def run(**env: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pytest", "tests/live", "-q", "-p", "no:cacheprovider"]
    own = {name: value for name, value in os.environ.items() if name not in ("OPENROUTER_API_KEY", "PYTEST_ADDOPTS")}
    return subprocess.run(
        command, cwd=ROOT, env=own | env, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def test_the_live_checks_pass_where_openrouter_is_as_believed() -> None:
    with Believed(answer) as server:
        done = run(OUTRIDER_BASE_URL=server.base_url, OPENROUTER_API_KEY="key-for-tests")
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout
    for fact in (
        "who answered: qwen/qwen3-14b-04-28 at Fake",
        "1. thinking off at fake/fp8, whole: 200 0 tokens",
        "2. insisted on a call at fake/fp8: 200 called: True",
        "5. the usage's chunk at fake/fp8: stands alone",
        "spent: 0.00",
    ):
        assert fact in done.stdout


def test_without_a_key_they_are_skipped_and_say_why() -> None:
    done = run()
    assert (done.returncode, "OPENROUTER_API_KEY is not set" in done.stdout) == (0, True)


def test_thinking_is_noticed_where_nobody_counts_it() -> None:
    whole = {"choices": [{"message": {"content": "<think>Hm.</think>Hello."}}]}
    assert thoughts(json.dumps(whole).encode()) == "0 tokens of thinking, <think> in the content"
    pieces = [{"choices": [{"delta": {"reasoning": word}}]} for word in ("Well", ", ")]
    stream = "".join(f"data: {json.dumps(piece)}\n\n" for piece in pieces).encode()
    assert thoughts(stream) == "0 tokens of thinking, 6 characters of it in reasoning"


def test_nothing_is_sent_once_the_purse_is_empty() -> None:
    with FakeOpenRouter(["Hello."]) as server:
        live = Live("key-for-tests")
        live.base_url, live.spent = server.base_url, PURSE
        with pytest.raises(AssertionError, match=r"have cost 0\.01 dollars"):
            live.post(messages=[])
        assert not server.requests
