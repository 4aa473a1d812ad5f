"""``outrider models``, and what else the command line says of prices, against a server on loopback."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from catalogue_kit import ENDPOINTS, MODELS, SAMPLE, endpoint, model, page, put
from outrider.testing.fake import FakeReply
from shell import Shell

NAME = "qwen/qwen3-14b"


@pytest.fixture
def outrider(outrider: Shell, tmp_path: Path) -> Shell:
    outrider.env["OUTRIDER_CACHE"] = str(tmp_path / "cache")
    put(outrider.server)
    return outrider


def first(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines()]


def test_all_models_cheapest_first(outrider: Shell) -> None:
    done = outrider("models")
    assert (done.code, done.err) == (0, "7 models, cheapest first; fetched just now\n")
    assert done.out.splitlines()[:3] == [
        "model            $/M in  $/M out  context  tools  schema  reasoning",
        "acme/free:free        0        0   40,960  yes    yes     yes",
        "qwen/qwen2-vl      0.01     0.01   40,960  -      -       -",
    ]
    assert first(done.out)[-1] == "openrouter/auto", "whose price nobody knows"


def test_those_with_a_word_in_their_name(outrider: Shell) -> None:
    done = outrider("models", "QWEN3")
    assert first(done.out) == ["model", NAME, "qwen/qwen3-32b"]
    assert done.err.startswith("2 of 7 models,")
    one = outrider("models", "qwen3-14", "--json")
    assert [(line["model"], line["prompt"], line["tools"]) for line in one.lines] == [(NAME, "0.06", True)]


def test_of_one_model_its_providers(outrider: Shell) -> None:
    put(outrider.server, endpoints=[*ENDPOINTS, endpoint("slow", status=-2, supported_parameters=SAMPLE)])
    done = outrider("models", NAME)
    assert first(done.out) == ["provider", "deepinfra/fp8", "slow", "alibaba"]
    assert "slow (degraded)" in done.out
    row = re.split(r"\s{2,}", done.out.splitlines()[1])
    assert row == [
        "deepinfra/fp8", "0.06", "0.24", "40,960", "8,192", "fp8", "99.9%", "412 ms", "62", "yes", "yes", "yes",
    ]  # fmt: skip
    assert done.err == f"{NAME}: 3 providers, cheapest first; fetched just now\n"
    (line, *_) = outrider("models", f"{NAME}:nitro", "--json").lines
    assert (line["provider"], line["completion"], line["throughput"]) == ("deepinfra/fp8", "0.24", 61.5)


def test_the_lists_are_kept_for_a_day_and_fetched_anew_on_demand(outrider: Shell) -> None:
    nothing = outrider("models", "--offline")
    assert (nothing.code, "--offline" in nothing.err, outrider.server.requests) == (2, True, [])
    for _ in range(2):
        outrider("models", NAME)
    assert [request.path.removeprefix("/api/v1") for request in outrider.server.requests] == [
        "/models", f"/models/{NAME}/endpoints",
    ]  # fmt: skip
    put(outrider.server, models=MODELS[:1])
    assert outrider("models").err.startswith("7 models")
    assert outrider("models", "--refresh").err.startswith("1 model,")
    assert outrider("models", "--refresh", "--offline").code == 2


def test_what_cannot_be_fetched_is_said_and_what_is_kept_shown(outrider: Shell) -> None:
    outrider.server.pages["/models"] = FakeReply(status=503, error="busy")
    done = outrider("models")
    assert (done.code, done.out) == (1, "")
    assert "the list of models could not be fetched: busy" in done.err
    put(outrider.server)
    outrider("models")
    outrider.server.pages["/models"] = FakeReply(status=503, error="busy")
    done = outrider("models", "--refresh")
    assert (done.code, "could not be fetched anew: busy" in done.err, len(done.out.splitlines())) == (0, True, 8)


def test_no_key_is_needed_and_a_server_may_say_little(outrider: Shell) -> None:
    put(outrider.server, "other/one", models=[{"id": "x/bare"}, model("x/\x1b[2Jred")])
    done = outrider("models", OPENROUTER_API_KEY="")
    assert (done.code, "\x1b" in done.out) == (0, False)
    assert re.search(r"^x/bare +\? +\? +\? +\? +\? +\?$", done.out, re.MULTILINE)
    assert "authorization" not in outrider.server.requests[0].headers
    outrider.server.pages["/x/bare/endpoints"] = FakeReply(status=404, error="not here")
    done = outrider("models", "x/bare")
    assert (done.code, "says nothing of its providers" in done.err) == (0, True)


@pytest.mark.parametrize(("word", "told"), [("qwen/qwen3-15b", f"Did you mean {NAME}"), ("zzz", "outrider models")])
def test_a_name_that_is_none(outrider: Shell, word: str, told: str) -> None:
    done = outrider("models", word)
    assert (done.code, told in done.err) == (2, True)


def test_a_run_with_a_model_that_cannot_do_it_is_refused(outrider: Shell) -> None:
    outrider("models")
    done = outrider("run", "Hi", "-m", "acme/talk", "-t", "calculator")
    assert (done.code, "no provider of acme/talk takes tools\n  These would do: acme/cheap" in done.err) == (2, True)


def test_a_dry_run_says_the_most_it_would_cost_or_why_nobody_knows(outrider: Shell) -> None:
    done = outrider("run", "Hi", "--dry-run")
    assert f"it would cost nobody knows how much: the price of {NAME} is not known here" in done.err
    outrider("models", NAME)
    done = outrider("run", "Hi", "--dry-run")
    assert re.search(rf"it would cost \$0\.034 at most: {NAME} at alibaba, prices of just now$", done.err.strip())
    asked: dict[str, Any] = json.loads(done.out)
    assert asked["model"] == NAME


def doctor(outrider: Shell, *args: str, **env: str) -> tuple[int, dict[str, Any]]:
    done = outrider("doctor", *args, "--json", **env)
    return done.code, next(check for check in done.json["checks"] if check["name"] == "abilities")


def test_the_doctor_says_what_the_model_is_able_to_do(outrider: Shell) -> None:
    outrider.server.pages["/key"] = page({"label": "sk-or-v1-abc...xyz"})
    assert "abilities" not in outrider("doctor").out, "another server than OpenRouter is not asked unbidden"
    outrider("models", NAME)
    code, check = doctor(outrider)
    assert (code, check["ok"], check.get("fix"), check.get("note")) == (0, True, None, None)
    assert check["says"] == (
        "tools at 2 of 2 providers, answers of a JSON Schema at 2, thinking at 2; up to 40,960 tokens; "
        "from $0.06 in, $0.24 out per million tokens (fetched just now)"
    )


def test_the_doctor_says_what_the_model_is_not_able_to_do(outrider: Shell) -> None:
    outrider.server.pages["/key"] = page({"label": "sk-or-v1-abc...xyz"})
    put(outrider.server, "acme/talk", endpoints=[endpoint("a", supported_parameters=SAMPLE)])
    outrider("models", "acme/talk")
    code, check = doctor(outrider, "-m", "acme/talk")
    assert (code, check["ok"], "typed answers are checked here" in check["note"]) == (0, True, True)
    (outrider.work / "x.toml").write_text('task = "Hi"\nmodel = "acme/talk"\ntools = ["app:weather"]\n')
    code, check = doctor(outrider, "x.toml")
    assert (code, check["ok"], check["says"]) == (1, False, "no provider of acme/talk takes tools")
    assert check["fix"].startswith("These would do: acme/cheap")
    code, check = doctor(outrider, "-m", "qwen/qwen3-1")
    assert (code, check["ok"], "Did you mean qwen/qwen3-14b" in check["fix"]) == (1, False, True)
