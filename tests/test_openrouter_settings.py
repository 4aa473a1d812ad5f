"""What is asked of OpenRouter: every setting, its range, and the body that comes of it."""

import json
import re
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from outrider import Agent, Settings, SetupError
from outrider.events import Detour
from outrider.model import Ask
from outrider.openrouter import (
    ContextCompression,
    DateTime,
    FileParser,
    OpenRouter,
    ResponseHealing,
    Routing,
    Web,
    WebFetch,
    WebSearch,
)
from outrider.openrouter.ranges import RANGES, WORDS
from outrider.testing import FakeOpenRouter

TOOLS = Raw(b'[{"type":"function","function":{"name":"f"}}]')
FORM = Raw(b'{"type":"json_object"}')
WORK, ANSWER = Ask("work", "run-1"), Ask("answer", "run-1", format=FORM, turn=3)


def sent(model: str = "some/model", ask: Ask = WORK, **settings: Any) -> dict[str, Any]:
    return json.loads(bytes(OpenRouter(model, Settings(**settings)).settings(ask)))


# ------------------------------------------------------------------------------------------------ ranges

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"max_tokens": 0}, "max_tokens is 0.*whole number from 1 up"),
    ({"max_tokens": 5.5}, "max_tokens is 5.5.*whole number"),
    ({"temperature": 2.1}, "temperature is 2.1.*from 0 to 2"),
    ({"temperature": float("nan")}, "temperature is nan"),
    ({"temperature": "hot"}, "temperature is 'hot'"),
    ({"top_p": True}, "top_p is True"),
    ({"top_p": 1.5}, "top_p is 1.5.*from 0 to 1"),
    ({"top_k": -1}, "top_k is -1.*from 0 up"),
    ({"min_p": -0.1}, "min_p is -0.1"),
    ({"top_a": 2}, "top_a is 2"),
    ({"frequency_penalty": 3}, "frequency_penalty is 3.*from -2 to 2"),
    ({"presence_penalty": -3}, "presence_penalty is -3"),
    ({"repetition_penalty": 2.5}, "repetition_penalty is 2.5"),
    ({"seed": 1.5}, "seed is 1.5.*a whole number"),
    ({"stop": list("abcde")}, "stop holds 5 texts.*at most 4"),
    ({"stop": 4}, "stop is 4"),
    ({"stop": [""]}, "stop holds ''"),
    ({"logit_bias": {"1": 101}}, "logit_bias of token 1 is 101.*-100 to 100"),
    ({"logprobs": "yes"}, "logprobs is 'yes'"),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs is 21.*0 to 20"),
    ({"top_logprobs": 3}, "top_logprobs is given without logprobs"),
    ({"models": "a/b"}, "models is 'a/b'.*list"),
    ({"metadata": {str(n): "x" for n in range(17)}}, "17 pairs.*at most 16"),
    ({"metadata": {"k" * 65: "x"}}, "65 characters.*at most 64"),
    ({"metadata": {"k": "x" * 513}}, "513 characters.*at most 512"),
    ({"metadata": {"k": 1}}, "is no text"),
    ({"session": "s" * 257}, "session is.*at most 256"),
    ({"thinking": "hgih"}, "thinking is 'hgih'.*Did you mean high"),
    ({"thinking": 0}, "thinking is 0.*of tokens"),
    ({"thinking": 500, "max_tokens": 500}, "thinking is 500 tokens and max_tokens 500"),
    ({"thinking": 1.5}, "thinking is 1.5"),
    ({"thoughts": "short"}, "thoughts is 'short'"),
    ({"cache": "2h"}, "cache is '2h'.*extra="),
    ({"verbosity": "loud"}, "verbosity is 'loud'"),
    ({"service_tier": "prioriti"}, "Did you mean priority"),
    ({"user": 7}, "user is 7"),
    ({"retries": -1}, "retries is -1"),
    ({"idle_seconds": 0}, "idle_seconds is 0.*above 0"),
    ({"plugins": Web()}, "plugins is.*list"),
    ({"plugins": ["web"]}, "plugins holds 'web'.*Web, FileParser"),
    ({"server_tools": [Web()]}, "server_tools holds.*WebSearch"),
    ({"provider": "deepinfra"}, "provider is 'deepinfra'.*Routing"),
    ({"extra": [1]}, "extra is"),
    ({"extra": {"reasoning": {"effort": "low", "max_tokens": 5}}}, "both effort and max_tokens"),
    ({"extra": {"session_id": "s" * 257}}, "257 characters"),
]


@pytest.mark.parametrize(("fields", "told"), WRONG, ids=lambda value: str(value)[:40])
def test_what_cannot_work_is_refused_with_its_name_and_range(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(SetupError) as caught:
        Settings(**fields)
    assert re.search(told, str(caught.value), re.DOTALL), str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda: Routing(order="deepinfra"), "order is 'deepinfra'"),  # pyright: ignore[reportArgumentType]
        (lambda: Routing(quantizations=("fp7",)), "quantizations is 'fp7'.*provider as a dict"),  # pyright: ignore[reportArgumentType]
        (lambda: Routing(sort="prize"), "Did you mean price"),  # pyright: ignore[reportArgumentType]
        (lambda: Routing(max_price={"prompt": -1}), "max_price of prompt is -1"),
        (lambda: Routing(max_price={"prompt": "dear"}), "max_price of prompt is 'dear'"),
        (lambda: Routing(preferred_max_latency={"p60": 1}), "p60"),
        (lambda: Routing(preferred_min_throughput=0), "above 0"),
        (lambda: Routing(require_parameters="yes"), "require_parameters is 'yes'"),  # pyright: ignore[reportArgumentType]
        (lambda: Routing(quantizations=("fp8",), least_quantization="fp8"), "both given"),
        (lambda: Web(engine="gogle"), "Web.engine is 'gogle'"),  # pyright: ignore[reportArgumentType]
        (lambda: WebSearch(max_results=0), "WebSearch.max_results is 0"),
        (lambda: WebFetch(allowed_domains="a.example"), "Put it in a list"),  # pyright: ignore[reportArgumentType]
    ],
)
def test_routing_and_plugins_are_checked(made: Any, told: str) -> None:
    with pytest.raises(SetupError) as caught:
        made()
    assert re.search(told, str(caught.value), re.DOTALL), str(caught.value)


def test_settings_show_what_differs_and_never_the_key() -> None:
    assert repr(Settings()) == "Settings()"
    assert repr(Settings(api_key="sk-secret", top_k=3)) == "Settings(api_key='...', top_k=3)"


# ---------------------------------------------------------------------------------------------- the body


def test_every_field_of_the_model_page_is_sent_as_it_is_set() -> None:
    fields: dict[str, Any] = {
        "max_tokens": 100, "temperature": 0.5, "top_p": 0.9, "top_k": 5, "min_p": 0.1, "top_a": 0.2,
        "frequency_penalty": 0.5, "presence_penalty": -0.5, "repetition_penalty": 1.1, "seed": 7, "logprobs": True,
        "top_logprobs": 2, "logit_bias": {"5": -100}, "user": "u-1", "metadata": {"team": "x"}, "verbosity": "low",
        "service_tier": "flex", "trace": {"trace_id": "t"}, "prompt_cache_key": "k",
    }  # fmt: skip
    body = sent(**fields, stop="END", models=["b/c"], cache="1h", parallel_tool_calls=False)
    assert {name: body[name] for name in fields} == fields
    assert (body["stop"], body["models"]) == (["END"], ["b/c"])
    assert body["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert "parallel_tool_calls" not in body  # nothing is offered
    assert sent(ask=Ask("work", "r", tools=TOOLS), parallel_tool_calls=False)["parallel_tool_calls"] is False
    assert set(sent(thinking=None, session=False)) == {"model", "stream", "stream_options"}
    assert sent(session="mine")["session_id"] == "mine"


def hard_at_first(ask: Ask) -> Any:
    return "high" if ask.turn == 0 else False


@pytest.mark.parametrize(
    ("thinking", "work", "answer"),
    [
        (True, {"enabled": True}, {"enabled": True}),
        (False, {"enabled": False}, {"enabled": False}),
        ("auto", {"enabled": True}, {"enabled": False}),
        ("low", {"effort": "low"}, {"effort": "low"}),
        (1, {"max_tokens": 1}, {"max_tokens": 1}),
        (None, None, None),
        (hard_at_first, {"effort": "high"}, {"enabled": False}),
    ],
)
def test_thinking_is_said_of_every_request(thinking: Any, work: Any, answer: Any) -> None:
    model = OpenRouter("some/model", Settings(thinking=thinking))
    assert [json.loads(bytes(model.settings(ask))).get("reasoning") for ask in (WORK, ANSWER)] == [work, answer]
    plain = json.loads(bytes(model.settings(Ask("work", "r", detour=Detour(plain=True))))).get("reasoning")
    assert plain == (None if thinking is None else {"enabled": False})


def test_a_function_that_says_nonsense_about_thinking_is_told_so() -> None:
    with pytest.raises(SetupError, match="what thinking\\(\\) returned is 'hot'"):
        sent(thinking=lambda ask: "hot")  # pyright: ignore[reportUnknownLambdaType]


def test_thoughts_can_stay_away_or_come_as_a_summary() -> None:
    assert sent(thoughts="none")["reasoning"] == {"enabled": True, "exclude": True}
    assert sent(thoughts="concise", thinking="low")["reasoning"] == {"effort": "low", "summary": "concise"}
    assert sent(thoughts="none", thinking=False)["reasoning"] == {"enabled": False}


def test_plugins_and_server_tools() -> None:
    plugins = [Web(max_results=3), FileParser(engine="native"), ContextCompression(enabled=False), {"id": "moderation"}]
    assert sent(plugins=plugins)["plugins"] == [
        {"id": "web", "max_results": 3},
        {"id": "file-parser", "pdf": {"engine": "native"}},
        {"id": "context-compression", "enabled": False},
        {"id": "moderation"},
    ]
    tools = [WebSearch(context="low"), WebFetch(), DateTime(timezone="Europe/Oslo"), {"type": "openrouter:bash"}]
    wire = [
        {"type": "openrouter:web_search", "parameters": {"search_context_size": "low"}},
        {"type": "openrouter:web_fetch"},
        {"type": "openrouter:datetime", "parameters": {"timezone": "Europe/Oslo"}},
        {"type": "openrouter:bash"},
    ]
    assert sent(ask=Ask("work", "r", tools=TOOLS), server_tools=tools)["tools"] == [*json.loads(bytes(TOOLS)), *wire]
    assert "tools" not in sent(ask=ANSWER, server_tools=tools)
    first = Ask("answer", "r", format=FORM)  # an agent without tools of its own answers at once
    assert sent(ask=first, server_tools=tools)["tools"] == wire


def test_healing_needs_a_whole_reply_and_a_form() -> None:
    body = sent(ask=ANSWER, plugins=[ResponseHealing()])
    assert (body["stream"], body["plugins"], "stream_options" in body) == (False, [{"id": "response-healing"}], False)
    assert (sent(plugins=[ResponseHealing()])["stream"], "plugins" in sent(plugins=[ResponseHealing()])) == (
        True,
        False,
    )


# ------------------------------------------------------------------------------------------------ habits


def test_qwen3_gets_the_sampling_of_its_makers_in_both_modes() -> None:
    def sampling(**more: Any) -> list[Any]:
        body = sent("qwen/qwen3-14b", **more)
        return [body.get(name) for name in ("temperature", "top_p", "top_k", "min_p")]

    assert sampling() == [0.6, 0.95, 20, 0]
    assert sampling(ask=ANSWER) == sampling(thinking=False) == [0.7, 0.8, 20, 0]
    assert sampling(top_p=0.5, extra={"top_k": 9}) == [0.6, 0.5, 9, 0]
    assert "temperature" not in sent("nobody/knows")


def test_auto_does_not_think_where_qwen3_cannot() -> None:
    assert sent("qwen/qwen3-14b", temperature=0)["reasoning"] == {"enabled": False}
    assert sent("qwen/qwen3-14b", max_tokens=500)["reasoning"] == {"enabled": False}
    assert sent("qwen/qwen3-14b", ask=Ask("work", "r", format=FORM))["reasoning"] == {"enabled": False}
    assert sent("nobody/knows", temperature=0)["reasoning"] == {"enabled": True}
    with pytest.raises(SetupError, match="goes round in circles"):
        Agent("qwen/qwen3-14b", settings=Settings(temperature=0, thinking=True))


def test_habits_of_ones_own_say_only_what_differs(tmp_path: Path) -> None:
    own = tmp_path / "my.toml"
    own.write_text('["qwen/*"]\nthinking = { top_k = 40 }\n["my/*"]\nswitch = "effort"\n')
    body = sent("qwen/qwen3-14b", habits=own)
    assert (body["top_k"], "temperature" in body) == (40, False)
    assert sent("my/model", habits=str(own))["reasoning"] == {"effort": "medium"}
    assert sent("my/model", habits=own, thinking=False)["reasoning"] == {"effort": "none"}


def test_the_command_line_has_habits_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from outrider.cli.flags import base_settings

    monkeypatch.setenv("OUTRIDER_HABITS", str(tmp_path / "my.toml"))
    assert base_settings().habits == str(tmp_path / "my.toml")
    monkeypatch.setenv("OUTRIDER_HABITS", "")
    assert base_settings().habits is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('["a/*"]\nswich = "effort"', ":2: there is no key 'swich'.*switch"),
        ('["a/*"]\nswitch = "on"', ":2: switch is 'on'"),
        ('["a/*"]\nthinking = { heat = 1 }', ":2: thinking holds 'heat'"),
        ('["a/*"]\n\nplain = { top_p = 7 }', ":3: top_p is 7"),
        ("greedy = false", ":1: greedy is false"),
    ],
)
def test_a_mistake_in_habits_is_named_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    own = tmp_path / "my.toml"
    own.write_text(text)
    with pytest.raises(SetupError) as caught:
        OpenRouter("a/b", Settings(habits=own))
    assert re.search(told, str(caught.value), re.DOTALL), str(caught.value)
    with pytest.raises(SetupError, match="cannot be read"):
        OpenRouter("a/b", Settings(habits=tmp_path / "none.toml"))


# ----------------------------------------------------------------------------------------------- routing


def test_routing_as_it_is_sent() -> None:
    routing = Routing(only=("deepinfra",), least_quantization="fp8", max_price={"prompt": 0.1}, zdr=True)
    assert sent(provider=routing)["provider"] == {
        "only": ["deepinfra"],
        "zdr": True,
        "max_price": {"prompt": "0.1"},
        "quantizations": ["int8", "fp8", "mxfp8", "fp16", "bf16", "fp32"],
    }
    assert "provider" not in sent(provider=Routing())
    assert sent(provider=Routing(require_parameters=True))["provider"] == {"require_parameters": True}
    away = Ask("work", "r", detour=Detour("b/c", ("nextbit",)))
    body = sent(ask=away, provider=Routing(ignore=("alibaba",)), models=("b/c", "d/e"))
    assert (body["model"], body["models"], body["provider"]) == ("b/c", ["d/e"], {"ignore": ["alibaba", "nextbit"]})


def keep(
    server: FakeOpenRouter, monkeypatch: pytest.MonkeyPatch, cache: Path, parameters: list[str], age: float = 0
) -> Settings:
    from outrider.openrouter import lists
    from outrider.openrouter.catalogue import Endpoint

    monkeypatch.setenv("OUTRIDER_CACHE", str(cache))
    settings = Settings(base_url=server.base_url, api_key="any")
    row = Endpoint(tag="deepinfra/fp8", parameters=tuple(parameters))
    path = lists._endpoints_file(settings, "qwen/qwen3-14b")  # pyright: ignore[reportPrivateUsage]
    path.parent.mkdir(parents=True)
    path.write_bytes(msgspec.json.encode(lists.Kept(time.time() - age, (row,))))
    return settings


@pytest.mark.parametrize(
    ("parameters", "age", "required", "top_k"),
    [
        ("tools reasoning temperature top_p top_k min_p", 0, True, True),
        ("tools reasoning temperature top_p", 0, True, False),  # the tools are worth more than the sampling
        ("temperature top_p top_k min_p", 0, None, True),  # nobody takes tools: then nobody would be left
        ("tools reasoning temperature top_p top_k min_p", 1_000_000, None, True),
    ],
)
def test_all_parameters_are_required_only_where_somebody_takes_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, parameters: str, age: float, required: bool | None, top_k: bool
) -> None:
    with FakeOpenRouter() as server:
        settings = keep(server, monkeypatch, tmp_path / "cache", parameters.split(), age)
    body = json.loads(bytes(OpenRouter(settings=settings).settings(Ask("work", "r", tools=TOOLS))))
    assert body.get("provider", {}).get("require_parameters") is required
    assert ("top_k" in body) is top_k


# -------------------------------------------------------------------------------------------------- docs


def test_the_page_of_settings_has_every_field_with_its_default_and_range() -> None:
    page = (Path(__file__).parents[1] / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", page, re.MULTILINE))
    for kind in (Settings, Routing):
        for name, default in zip(kind.__struct_fields__, kind.__struct_defaults__, strict=True):
            assert name in rows, f"docs/settings.md lacks {name}"
            if default is None or not default or name == "extra":
                continue
            shown = json.dumps(default, default=str) if isinstance(default, str) else repr(default)
            assert f"`{shown}`" in rows[name], f"{name}: default {shown}"
    for name, allowed in RANGES.items():
        bounds = [f"{bound:g}" for bound in (allowed.least, allowed.most) if bound is not None]
        assert all(bound in rows[name] for bound in bounds), f"{name}: {allowed}"
    for name, words in WORDS.items():
        assert all(word in rows[name] for word in words), name
