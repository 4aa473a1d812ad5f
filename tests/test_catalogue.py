"""The catalogue: what is listed of models and providers, kept on this machine, and what comes of it."""

import asyncio
import json
import os
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from catalogue_kit import ALL, ENDPOINTS, MODELS, SAMPLE, endpoint, model, page, put
from outrider import Agent, Settings, SetupError, tool
from outrider.cli.abilities import Unfit, abilities
from outrider.openrouter.catalogue import Endpoint, able, endpoints_from, find, models_from
from outrider.openrouter.lists import DAY, fetch_endpoints, fetch_models, kept_endpoints, kept_models
from outrider.openrouter.page import Refused
from outrider.openrouter.routing import Routing
from outrider.testing.fake import FakeOpenRouter, FakeReply

NAME = "qwen/qwen3-14b"

pytestmark = pytest.mark.anyio


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Where conftest.py has the catalogue kept."""
    return tmp_path / "catalogue"


@pytest.fixture
def settings(server: FakeOpenRouter) -> Settings:
    return Settings(base_url=server.base_url, api_key="key-for-tests")


def repr_short(value: Any) -> str:
    return f"{value!r:.20}"


def read(rows: list[dict[str, Any]]) -> tuple[Endpoint, ...]:
    found = endpoints_from(json.dumps({"data": {"endpoints": rows}}).encode())
    assert found is not None
    return found


def files(cache: Path, pattern: str = "*") -> list[Path]:
    return [path for path in cache.rglob(pattern) if path.is_file()]


def tags(found: tuple[Endpoint, ...]) -> list[str]:
    return [each.tag for each in found]


# ------------------------------------------------------------------------------------------------- reading


def test_prices_are_exact_and_the_dearest_of_a_token_is_known() -> None:
    steps = [{"min_prompt_tokens": 200_000, "prompt": "0.000004", "completion": "0.00001"}]
    pricing = {"prompt": "0.000002", "completion": "0.000008", "input_cache_write": "0.0000025", "overrides": steps}
    (found,) = read([endpoint("a", pricing=pricing)])
    assert (found.price.prompt, found.price.prompt_most) == (Decimal("0.000002"), Decimal("0.000004"))
    assert found.price.completion_most == Decimal("0.00001")


@pytest.mark.parametrize(
    "wrong",
    [None, 7, "x", [], {}, [1], {"prompt": []}, True, -1, 10**400, "NaN", "1e99999", "1e-99999"],
    ids=repr_short,
)
def test_what_is_of_a_wrong_type_counts_as_not_said(wrong: Any) -> None:
    row: dict[str, Any] = dict.fromkeys(endpoint("a"), wrong) | {"new": 1}
    (found,) = read([row])
    assert found.price.completion is None
    names = models_from(json.dumps({"data": [dict.fromkeys(model("a/b"), wrong) | {"id": "a/b"}, wrong]}).encode())
    assert names is not None
    assert [card.name for card in names] == ["a/b"]


@pytest.mark.parametrize(
    "page", [b"", b"<html>", b"{}", b"[]", b'{"data": null}', b'{"data": {"endpoints": 1}}', b"\xff"]
)
def test_what_is_no_page_is_none(page: bytes) -> None:
    assert endpoints_from(page) is None
    assert models_from(page) is None


@pytest.mark.parametrize("name", [NAME, f"{NAME}-04-28", f"{NAME}:nitro", f"{NAME}@preset/mine", f"{NAME}:free"])
def test_a_model_is_found_by_its_names(name: str) -> None:
    cards = models_from(json.dumps({"data": MODELS}).encode())
    assert cards is not None
    card = find(cards, name)
    assert card is not None
    assert card.name == NAME
    assert find(cards, "acme/free:free") is not None
    assert find(cards, "qwen/qwen4") is None


# ------------------------------------------------------------------------------------------------ choosing


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ({}, ["a/fp8", "b"]),
        ({"provider": {"only": ["a"]}}, ["a/fp8"]),
        ({"provider": {"only": ["a/fp8"]}}, ["a/fp8"]),
        ({"provider": {"ignore": ["b"]}}, ["a/fp8"]),
        ({"provider": {"order": ["b"], "allow_fallbacks": False}}, ["b"]),
        ({"provider": {"order": ["b"]}}, ["a/fp8", "b"]),
        ({"provider": {"quantizations": ["bf16", "unknown"]}}, ["b"]),
        ({"provider": {"max_price": {"completion": 0.5}}}, ["a/fp8"]),
        ({"provider": {"max_price": {"prompt": "0.01"}}}, []),
        ({"top_k": 20}, ["b"]),
        ({"tools": [], "tool_choice": "auto"}, ["a/fp8", "b"]),
        ({"tools": [], "tool_choice": "required"}, ["b"]),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, ["b"]),
        ({"max_tokens": 9000}, ["b"]),
        ({"max_completion_tokens": 40960}, []),
        ({"reasoning_effort": "low"}, ["a/fp8", "b"]),
        ({"response_format": {"type": "json_object"}}, ["a/fp8", "b"]),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, ["a/fp8"]),
        ({"response_format": {"type": "text"}, "session_id": "r", "user": "u", "top_p": None}, ["a/fp8", "b"]),
        ({"service_tier": "flex"}, ["a/fp8", "b", "b/flex"]),
        ({"provider": {"only": ["b/flex"]}}, ["b/flex"]),
    ],
)
def test_who_takes_every_parameter_of_a_body(body: dict[str, Any], left: list[str]) -> None:
    has = [*(name for name in ALL if name != "structured_outputs"), "top_k"]
    more: dict[str, Any] = {"quantization": None, "supports_tool_choice": None, "max_completion_tokens": None}
    rows = read(
        [
            endpoint("a/fp8"),
            endpoint("b", completion="0.000001", supported_parameters=has, **more),
            endpoint("b/flex", service_tier="flex"),
            endpoint("silent", supported_parameters=None),
        ]
    )
    assert tags(able(rows, body)) == left


# ------------------------------------------------------------------------------------------------- keeping


async def test_what_was_fetched_is_kept_by_server_with_its_age(
    server: FakeOpenRouter, settings: Settings, cache: Path
) -> None:
    put(server)
    assert kept_models(settings) is None
    models, providers = await fetch_models(settings), await fetch_endpoints(settings, f"{NAME}:nitro")
    assert [card.name for card in models.rows] == [row["id"] for row in MODELS]
    assert tags(providers.rows) == ["deepinfra/fp8", "alibaba"]
    assert kept_models(settings) == models
    assert kept_endpoints(settings, NAME) == kept_endpoints(settings, f"{NAME}:floor") == providers
    assert models.age < DAY
    assert kept_models(Settings(base_url="http://127.0.0.1:9/v1")) is None
    assert sorted(path.suffix for path in files(cache)) == [".json", ".json"]
    assert server.requests[0].headers["authorization"] == "Bearer key-for-tests"


async def test_models_need_no_key(server: FakeOpenRouter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    put(server)
    await fetch_models(Settings(base_url=server.base_url))
    assert "authorization" not in server.requests[0].headers


async def test_a_damaged_file_counts_as_not_there(server: FakeOpenRouter, settings: Settings, cache: Path) -> None:
    put(server)
    await fetch_models(settings)
    (file,) = files(cache, "models.json")
    for damage in (b"", b"{", b'{"fetched": "x", "rows": []}', b"\xff\xff", b'{"fetched":1.0,"rows":[],"schema":2}'):
        file.write_bytes(damage)
        assert kept_models(settings) is None
    await fetch_models(settings)
    assert kept_models(settings) is not None


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (FakeReply(status=503, error="busy"), "busy"),
        (FakeReply(body=b"<html>"), "does not answer as OpenRouter does"),
        (FakeReply(drop_at=0), "broke"),
    ],
)
async def test_what_cannot_be_fetched_leaves_what_is_kept(
    server: FakeOpenRouter, settings: Settings, answer: FakeReply, told: str
) -> None:
    put(server)
    kept = await fetch_models(settings)
    server.pages["/models"] = answer
    with pytest.raises(Refused, match=told):
        await fetch_models(settings)
    assert kept_models(settings) == kept


# ------------------------------------------------------------------------------------------- at build time


@tool(effect="read")
def look() -> str:
    """Look."""
    return "seen"


def agent(settings: Settings, name: str = NAME, tools: bool = True) -> Agent[None, str]:
    return Agent(name, tools=[look] if tools else [], settings=settings, journal=None)


def test_where_nothing_is_kept_nothing_is_refused_or_fetched(server: FakeOpenRouter, settings: Settings) -> None:
    assert agent(settings, "what/ever").model.name == "what/ever"
    assert not server.requests


def test_a_model_that_cannot_do_it_is_refused_with_some_that_can(server: FakeOpenRouter, settings: Settings) -> None:
    put(server)
    asyncio.run(fetch_models(settings))
    assert agent(settings)
    assert agent(settings, "openrouter/auto")
    assert agent(settings, "acme/talk", tools=False)
    with pytest.raises(SetupError, match="no provider of qwen/qwen2-vl takes tools") as refused:
        agent(settings, "qwen/qwen2-vl")
    assert refused.value.hint == (
        "These would do: qwen/qwen3-14b ($0.06 in, $0.24 out), qwen/qwen3-32b ($0.1 in, $0.3 out), "
        "acme/cheap ($0.01 in, $0.02 out). Newer data: outrider models --refresh"
    )
    with pytest.raises(SetupError, match="acme/talk"):
        agent(Settings(base_url=server.base_url, models=("acme/talk",)))
    assert agent(Settings(base_url=server.base_url, catalogue=False), "qwen/qwen2-vl")


def test_a_model_that_is_not_listed_is_refused_with_its_like(server: FakeOpenRouter, settings: Settings) -> None:
    put(server)
    asyncio.run(fetch_models(settings))
    with pytest.raises(
        SetupError, match=r"no model 'qwen/qwen3-14' is listed .fetched just now.\nDid you mean qwen/qwen3-14b"
    ):
        agent(settings, "qwen/qwen3-14")
    with pytest.raises(SetupError, match="These would do: acme/cheap"):
        agent(settings, "acme/zzzzzzzzzzzzzzzzzzzzzzzzzzzzzz")


def test_a_list_of_last_week_or_of_another_kind_refuses_nothing(
    server: FakeOpenRouter, settings: Settings, cache: Path
) -> None:
    put(server)
    asyncio.run(fetch_models(settings))
    (file,) = files(cache, "models.json")
    file.write_text(file.read_text().replace('"fetched":', f'"fetched":{time.time() - 8 * DAY},"before":'))
    kept = kept_models(settings)
    assert kept is not None
    assert kept.age > 7 * DAY
    assert agent(settings, "what/ever")
    put(server, models=[{"id": "model.gguf"}])
    asyncio.run(fetch_models(settings))
    assert agent(settings, "other.gguf")


def test_what_the_providers_say_counts_more_than_the_list(server: FakeOpenRouter, settings: Settings) -> None:
    put(server, endpoints=[endpoint("a", supported_parameters=SAMPLE), endpoint("b")])
    asyncio.run(fetch_endpoints(settings, NAME))
    assert agent(settings)
    for narrow in ({"ignore": ["b"]}, Routing(ignore=("b",))):
        with pytest.raises(SetupError, match=r"no provider of qwen/qwen3-14b as settings\.provider has it takes tools"):
            agent(Settings(base_url=server.base_url, provider=narrow))
    put(server, endpoints=[endpoint("a", supported_parameters=SAMPLE), endpoint("b", supported_parameters=None)])
    asyncio.run(fetch_endpoints(settings, NAME))
    assert agent(settings), "one of them did not say"


async def test_the_first_run_looks_its_model_up_once_a_day(server: FakeOpenRouter, cache: Path) -> None:
    put(server)
    server.add("Hello.", "Hello.", "Hello.")
    settings = Settings(base_url=server.base_url, api_key="any", catalogue=True)
    for _ in range(2):
        async with agent(settings) as twice:
            await twice.run("Hi")
    paths = [request.path.removeprefix("/api/v1") for request in server.requests]
    assert paths == [f"/models/{NAME}/endpoints", "/chat/completions", "/chat/completions"]
    (tried,) = files(cache, "*.tried")
    os.utime(tried, (1, 1))
    tried.with_suffix(".json").unlink()
    async with agent(settings) as again:
        await again.ready()
    assert len(server.requests) == 4


async def test_a_look_that_fails_changes_nothing_and_is_not_repeated(server: FakeOpenRouter) -> None:
    server.add("Hello.", "Hello.")
    server.pages["/endpoints"] = FakeReply(status=404, error="no such page")
    settings = Settings(base_url=server.base_url, api_key="any", catalogue=True)
    for _ in range(2):
        async with agent(settings) as twice:
            assert (await twice.run("Hi")).output == "Hello."
    paths = [request.path.removeprefix("/api/v1") for request in server.requests]
    assert paths == [f"/models/{NAME}/endpoints", "/chat/completions", "/chat/completions"]


async def test_what_the_look_finds_is_told_before_the_first_request(server: FakeOpenRouter) -> None:
    put(server, endpoints=[endpoint("a", supported_parameters=SAMPLE)])
    settings = Settings(base_url=server.base_url, api_key="any", catalogue=True)
    made = agent(settings)
    with pytest.raises(SetupError, match="takes tools"):
        await made.run("Hi")
    assert [request.method for request in server.requests] == ["GET"]
    await made.close()


async def test_other_servers_are_not_asked_unless_one_says_so(server: FakeOpenRouter, settings: Settings) -> None:
    async with agent(settings) as made:
        await made.ready()
    assert not server.requests


def test_the_doctor_asks_where_that_is_allowed(server: FakeOpenRouter, settings: Settings) -> None:
    server.pages["/endpoints"] = FakeReply(status=404, error="there is no /api/v1/models/... here")
    asking = Settings(base_url=server.base_url, catalogue=True)
    assert abilities(NAME, settings, tools=True) is None
    assert not server.requests
    told = abilities(NAME, asking, tools=True)
    assert told is not None
    assert told[0].startswith("not known: there is no /api/v1/models/")
    del server.pages["/endpoints"]
    put(server)
    told = abilities(NAME, asking, tools=True)
    assert told is not None
    assert told[0].startswith("tools at 2 of 2 providers")
    put(server, endpoints=[endpoint("deepinfra/fp8", supported_parameters=SAMPLE), endpoint("b")])
    asyncio.run(fetch_endpoints(asking, NAME))
    with pytest.raises(Unfit, match="takes tools"):
        abilities(NAME, Settings(base_url=server.base_url, provider={"only": ["deepinfra"]}), tools=True)


# ------------------------------------------------------------------------------------------------ the price


def test_the_most_a_request_can_cost(server: FakeOpenRouter, settings: Settings) -> None:
    put(server)
    asyncio.run(fetch_endpoints(settings, NAME))
    found = agent(settings).preview("Hi")
    assert found.price == len(found.body) * Decimal("0.00000035") + 8192 * Decimal("0.0000042")
    assert json.loads(found.body)["max_tokens"] == 8192, "what both providers take"
    assert found.basis == "qwen/qwen3-14b at alibaba, prices of just now"
    short = agent(Settings(base_url=server.base_url, max_tokens=100, provider={"only": ["deepinfra"]})).preview("Hi")
    assert short.price == len(short.body) * Decimal("0.00000006") + 100 * Decimal("0.00000024")


@pytest.mark.parametrize(
    ("more", "rows", "told"),
    [
        ({}, None, "the price of qwen/qwen3-14b is not known here (outrider models qwen/qwen3-14b looks it up)"),
        ({"models": ("a/b",)}, ENDPOINTS, "the price of a/b is not known here"),
        ({"extra": {"plugins": [{"id": "web"}]}}, ENDPOINTS, "what the plugin web adds is not listed"),
        ({}, [endpoint("a", pricing={})], "a does not say what qwen/qwen3-14b costs"),
        ({}, [], "the price of qwen/qwen3-14b is not known here"),
    ],
)
def test_why_a_price_is_not_known(
    server: FakeOpenRouter, settings: Settings, more: dict[str, Any], rows: Any, told: str
) -> None:
    if rows is not None:
        put(server, endpoints=rows)
        asyncio.run(fetch_endpoints(settings, NAME))
    found = agent(Settings(base_url=server.base_url, **more)).preview("Hi")
    assert found.price is None
    assert told in found.basis


def test_a_model_of_ones_own_may_say_what_it_costs() -> None:
    from outrider.testing import ScriptedModel

    found = Agent(ScriptedModel(["Hello."]), journal=None).preview("Hi")
    assert (found.price, found.basis) == (Decimal("0.001"), "as scripted")


def test_without_a_place_for_a_cache_all_goes_on(
    server: FakeOpenRouter, settings: Settings, cache: Path, tmp_path: Path
) -> None:
    cache.write_text("a file, not a folder")
    put(server)
    assert asyncio.run(fetch_models(settings)).rows
    assert kept_models(settings) is None
    assert agent(settings)
    assert page([]).status == 200


@pytest.mark.parametrize("thinking", ["auto", False, "none"])
async def test_thinking_stays_on_where_the_model_is_known_to_refuse_anything_else(
    server: FakeOpenRouter, settings: Settings, thinking: Any
) -> None:
    put(server, "acme/sage", models=[model("acme/sage", reasoning={"mandatory": True}), model(NAME)])
    await fetch_models(settings)
    server.add("1", "1")
    for name in ("acme/sage", NAME):
        agent = Agent(name, output=int, settings=replace(settings, thinking=thinking), journal=None)
        assert (await agent.run("One?")).output == 1
    bodies = [request.json for request in server.requests if request.method == "POST"]
    asked = [body["reasoning"] for body in bodies]
    assert asked == [{"enabled": True}, {"effort": "none"} if thinking == "none" else {"enabled": False}]
