"""How the answer is asked for: the first way by what providers list, tools beside the form, and the stronger model."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from agent_kit import weather
from catalogue_kit import ALL, MODELS, endpoint, model, put
from outrider import Agent, Result, Settings, SetupError
from outrider import events as e
from outrider.asking import MOST_REJECTIONS
from outrider.observe.story import story
from outrider.openrouter.habits import habits_of
from outrider.openrouter.plugins import ResponseHealing
from outrider.rungs import ANSWER_TOOL, RUNGS
from outrider.testing import Calls, FakeOpenRouter, FakeReply, ScriptedModel
from shell import Say
from test_rungs import TYPES, Point, only, plain, way, ways

pytestmark = pytest.mark.anyio

GOOD = '{"x": 1, "y": 2}'
SAMPLED = [*ALL, "top_p", "top_k", "min_p"]
WITHOUT_SCHEMA = [name for name in SAMPLED if name != "structured_outputs"]
WITHOUT_FORMAT = [name for name in WITHOUT_SCHEMA if name != "response_format"]
WITHOUT_TOOLS = [name for name in WITHOUT_FORMAT if not name.startswith("tool")]
FUNCTION = {"auto": True, "function": True}

LISTED: dict[str, tuple[list[str], str]] = {
    "json_schema strict": (SAMPLED, ""),
    "json_object": (WITHOUT_SCHEMA, "no provider of qwen/qwen3-14b is listed that takes structured_outputs"),
    "final_answer tool": (WITHOUT_FORMAT, "no provider of qwen/qwen3-14b is listed that takes structured_outputs"),
    "prompted": (WITHOUT_TOOLS, "no provider of qwen/qwen3-14b is listed that takes structured_outputs"),
}


def takes(parameters: list[str], tag: str = "deepinfra/fp8") -> dict[str, Any]:
    return endpoint(tag, supported_parameters=parameters, supports_tool_choice=FUNCTION)


def bodies(server: FakeOpenRouter) -> list[dict[str, Any]]:
    return [request.json for request in server.requests if request.path.endswith("/completions")]


async def run_at(server: FakeOpenRouter, declared: Any = Point, tools: Any = (), **settings: Any) -> Result[Any]:
    made: dict[str, Any] = {"catalogue": True} | settings
    return await Agent(output=declared, tools=tools, settings=server.settings(**made), journal=None).run("go")


async def events_of(agent_model: Any, **more: Any) -> tuple[Result[Any], list[e.Durable]]:
    events: list[e.Durable] = []
    agent = Agent(agent_model, journal=None, observers=[lambda entry: events.append(entry.event)], **more)
    return await agent.run("go"), events


def forms(events: list[e.Durable]) -> list[e.AnswerForm]:
    return [event for event in events if isinstance(event, e.AnswerForm)]


# ----------------------------------------------------------------------------------------- the first way


@pytest.mark.parametrize("rung", LISTED)
async def test_the_first_request_is_on_the_strongest_rung_that_is_listed(rung: str) -> None:
    parameters, _ = LISTED[rung]
    for declared, written in TYPES:
        if rung not in ways(declared):
            continue
        async with FakeOpenRouter(only(rung, written)) as server:
            put(server, endpoints=[takes(parameters)])
            result = await run_at(server, declared)
        assert plain(result.partial) == written, declared
        receipt = result.receipt
        assert (receipt.rung, receipt.requests, receipt.tries, receipt.climb) == (rung, 1, 1, Decimal(0)), declared
        assert bodies(server)[0]["provider"]["require_parameters"] is True


@pytest.mark.parametrize("rung", [rung for rung in LISTED if LISTED[rung][1]])
async def test_the_choice_and_its_reason_are_on_record_and_told(rung: str) -> None:
    parameters, why = LISTED[rung]
    entries: list[e.Entry] = []
    async with FakeOpenRouter(only(rung, {"x": 1, "y": 2})) as server:
        put(server, endpoints=[takes(parameters)])
        settings = server.settings(catalogue=True)
        await Agent(output=Point, settings=settings, journal=None, observers=[entries.append]).run("go")
    [form] = forms([entry.event for entry in entries])
    assert (form.rung, form.why) == (rung, why)
    assert f"  the answer is asked for by {rung}: {why}" in [line.text for line in story(entries)]


async def test_a_form_that_nobody_takes_is_not_sent_and_the_preview_shows_the_same_request() -> None:
    async with FakeOpenRouter([GOOD]) as server:
        put(server, endpoints=[takes(WITHOUT_TOOLS)])
        agent = Agent(output=Point, settings=server.settings(catalogue=True), journal=None)
        await agent.ready()
        preview = agent.preview("go")
        await agent.run("go")
    [body] = bodies(server)
    assert "response_format" not in body
    assert "JSON Schema" in body["messages"][-1]["content"]
    assert "JSON Schema" in json.dumps(json.loads(preview.body)["messages"])


async def test_one_provider_that_takes_more_is_enough_and_the_others_are_left_out() -> None:
    async with FakeOpenRouter([GOOD]) as server:
        put(server, endpoints=[takes(WITHOUT_TOOLS), takes(SAMPLED, "alibaba")])
        result = await run_at(server)
    assert result.receipt.rung == "json_schema strict"
    assert bodies(server)[0]["provider"]["require_parameters"] is True


async def test_providers_that_may_not_serve_do_not_count() -> None:
    async with FakeOpenRouter([GOOD]) as server:
        put(server, endpoints=[takes(WITHOUT_SCHEMA), takes(SAMPLED, "alibaba")])
        result = await run_at(server, provider={"only": ["deepinfra"]})
    assert result.receipt.rung == "json_object"


async def test_a_provider_that_takes_all_of_the_request_on_a_lower_rung_is_preferred() -> None:
    biased = [*WITHOUT_SCHEMA, "logit_bias"]
    async with FakeOpenRouter([GOOD]) as server:
        put(server, endpoints=[takes(SAMPLED), takes(biased, "alibaba")])
        result = await run_at(server, logit_bias={"1": 1.0})
    assert result.receipt.rung == "json_object"
    assert bodies(server)[0]["provider"]["require_parameters"] is True


@pytest.mark.parametrize("listed", [[], [endpoint("a", supported_parameters=None)], [takes(["temperature"])]])
async def test_where_nothing_is_known_or_the_lack_is_another_the_strongest_is_tried(listed: Any) -> None:
    async with FakeOpenRouter([GOOD]) as server:
        put(server, endpoints=listed)
        result = await run_at(server, seed=1 if listed and listed[0]["supported_parameters"] else None)
    expected = "prompted" if listed and listed[0]["supported_parameters"] else "json_schema strict"
    assert result.receipt.rung == expected


async def test_a_fall_leaves_out_what_no_provider_takes() -> None:
    def answer(body: dict[str, Any]) -> FakeReply:
        return FakeReply(status=400, error="json_schema is not supported") if way(body) != "prompted" else FakeReply(
            text=GOOD
        )  # fmt: skip

    listed = [name for name in SAMPLED if name != "response_format" and not name.startswith("tool")]
    async with FakeOpenRouter(answer) as server:
        put(server, endpoints=[takes(listed)])
        result = await run_at(server)
    assert [way(body) for body in bodies(server)] == ["json_schema strict", "json_schema", "prompted"]
    assert (result.receipt.rung, result.receipt.tries) == ("prompted", 3)


async def test_habits_name_the_ways_and_a_mistyped_one_is_told(tmp_path: Path) -> None:
    habits = tmp_path / "habits.toml"
    habits.write_text('["qwen/*"]\nrungs = ["final_answer tool", "prompted"]\n')
    async with FakeOpenRouter([FakeReply(calls=[(ANSWER_TOOL, {"x": 1, "y": 2})])]) as server:
        result = await run_at(server, catalogue=False, habits=habits)
    assert (result.output, result.receipt.rung) == (Point(1, 2), "final_answer tool")
    habits.write_text('["qwen/*"]\nrungs = ["final_anser tool"]\n')
    with pytest.raises(SetupError, match="final_anser") as caught:
        habits_of("qwen/qwen3-14b", f"{tmp_path}/./habits.toml")
    assert "final_answer tool" in caught.value.hint


async def test_one_model_shared_by_two_types_asks_each_time_for_its_own() -> None:
    reply = FakeReply(calls=[(ANSWER_TOOL, {"x": 1, "y": 2})])
    async with FakeOpenRouter([reply, FakeReply(calls=[(ANSWER_TOOL, {"answer": 3})])]) as server:
        put(server, endpoints=[takes(WITHOUT_FORMAT)])
        shared = Agent(output=Point, settings=server.settings(catalogue=True), journal=None)
        await shared.run("go")
        result = await Agent(shared.model, output=int, journal=None).run("go")
    assert result.output == 3
    first, second = (body["tools"][0]["function"]["parameters"] for body in bodies(server))
    assert set(first["properties"]) == {"x", "y"}
    assert set(second["properties"]) == {"answer"}


# ----------------------------------------------------------------------------------- tools beside the form


@pytest.fixture
def both(tmp_path: Path) -> Path:
    """Habits of a model that takes tools and a form at once."""
    habits = tmp_path / "both.toml"
    habits.write_text('["qwen/*"]\ntools_with_format = true\nthinks_with_format = true\n')
    return habits


CALL = FakeReply(calls=[("weather", {"city": "Rome"})])


async def test_tools_and_form_in_one_request_save_the_extra_one(both: Path) -> None:
    async with FakeOpenRouter([CALL, GOOD]) as server:
        put(server, endpoints=[takes(SAMPLED)])
        result = await run_at(server, tools=[weather], habits=both)
    assert result.output == Point(1, 2)
    sent = bodies(server)
    assert [set(body) >= {"tools", "response_format"} for body in sent] == [True, True]
    assert [body["reasoning"]["enabled"] for body in sent] == [True, True]
    receipt = result.receipt
    assert (receipt.rung, receipt.requests, receipt.tries, receipt.climb) == ("json_schema strict", 2, 0, Decimal(0))


async def test_without_the_habit_or_where_it_could_not_think_they_go_apart(tmp_path: Path) -> None:
    dull = tmp_path / "dull.toml"
    dull.write_text('["qwen/*"]\ntools_with_format = true\n')  # thinks_with_format is false for it
    for habits in (None, dull):
        async with FakeOpenRouter([CALL, "It is fine.", GOOD]) as server:
            result = await run_at(server, tools=[weather], habits=habits, catalogue=False)
        assert [way(body) for body in bodies(server)] == ["final_answer tool"] * 2 + ["json_schema strict"]
        assert (result.output, result.receipt.tries) == (Point(1, 2), 1)


async def test_a_server_that_refuses_both_is_asked_apart_for_the_rest_of_the_run(both: Path) -> None:
    refusal = "Function calling with a response mime type: 'application/json' is unsupported"

    def answer(body: dict[str, Any]) -> FakeReply:
        if "tools" in body and "response_format" in body:
            return FakeReply(status=400, error=refusal)
        said = [message["role"] for message in body["messages"]]
        return FakeReply(text=GOOD) if "response_format" in body else CALL if "tool" not in said else FakeReply(
            text="It is fine."
        )  # fmt: skip

    async with FakeOpenRouter(answer) as server:
        settings = server.settings(habits=both)
        result, events = await events_of("qwen/qwen3-14b", settings=settings, output=Point, tools=[weather])
    assert result.output == Point(1, 2)
    assert ["response_format" in body for body in bodies(server)] == [True, False, False, True]
    [form] = forms(events)
    assert (form.apart, form.rung) == (True, "json_schema strict")
    assert result.receipt.tries == 1


async def test_a_reply_beside_the_tools_that_does_not_fit_is_asked_for_again_in_its_form_alone(both: Path) -> None:
    async with FakeOpenRouter([CALL, '{"x": "one"}', GOOD]) as server:
        result = await run_at(server, tools=[weather], habits=both, catalogue=False)
    assert result.output == Point(1, 2)
    assert ["tools" in body for body in bodies(server)] == [True, True, False]
    assert (result.receipt.tries, result.receipt.rejections) == (1, 0)


# --------------------------------------------------------------------------------------------- mending


async def test_where_nobody_watches_the_provider_mends_what_is_no_json() -> None:
    async with FakeOpenRouter(['{"x": 1, "y": ', GOOD]) as server:
        settings = server.settings(catalogue=True)
        result, events = await events_of("qwen/qwen3-14b", settings=settings, output=Point)
    assert result.output == Point(1, 2)
    first, second = bodies(server)
    assert (first["stream"], "plugins" in first) == (True, False)
    assert (second["stream"], second["plugins"]) == (False, [{"id": "response-healing"}])
    [form] = forms(events)
    assert (form.heal, form.rung) == (True, "json_schema strict")
    assert (result.receipt.tries, result.receipt.climb) == (2, Decimal("0.0001"))


async def test_what_is_json_needs_no_mending_nor_what_is_read_here() -> None:
    for text in ('{"x": "one"}', "```json\n{'x': 'one'}\n```"):
        async with FakeOpenRouter([text, GOOD]) as server:
            result = await run_at(server)
        assert result.output == Point(1, 2)
        assert ["plugins" in body for body in bodies(server)] == [False, False]


async def test_who_watches_is_not_made_to_wait_for_a_whole_reply() -> None:
    async with FakeOpenRouter(["no", GOOD]) as server:
        agent = Agent(output=Point, settings=server.settings(catalogue=True), journal=None)
        async with agent.stream("go") as run:
            async for _ in run:
                pass
            assert (await run.result()).output == Point(1, 2)
    assert [body["stream"] for body in bodies(server)] == [True, True]


@pytest.mark.parametrize("more", [{"catalogue": False}, {"plugins": [ResponseHealing()]}])
async def test_another_server_is_not_asked_to_mend_nor_one_that_is_anyway(more: dict[str, Any]) -> None:
    async with FakeOpenRouter(["no", GOOD]) as server:
        settings = server.settings(**({"catalogue": True} | more))
        result, events = await events_of("qwen/qwen3-14b", settings=settings, output=Point)
    assert (result.output, forms(events)) == (Point(1, 2), [])


async def test_a_dict_that_asks_for_mending_is_as_good_as_the_plugin() -> None:
    async with FakeOpenRouter([GOOD]) as server:
        await run_at(server, plugins=[{"id": "response-healing"}])
    assert bodies(server)[0]["stream"] is False


# ---------------------------------------------------------------------------------------- the stronger model


async def test_the_stronger_model_is_asked_when_the_answers_of_the_first_are_used_up() -> None:
    async with FakeOpenRouter(["no"] * MOST_REJECTIONS + [GOOD]) as server:
        settings = server.settings(stronger="acme/big", models=("acme/cheap",))
        result, events = await events_of("qwen/qwen3-14b", settings=settings, output=Point)
    assert result.output == Point(1, 2)
    assert [body["model"] for body in bodies(server)] == ["qwen/qwen3-14b"] * MOST_REJECTIONS + ["acme/big"]
    assert "models" not in bodies(server)[-1], "nobody stands in for it unsaid"
    last = forms(events)[-1]
    assert (last.model, last.why, last.rung) == ("acme/big", "4 answers were rejected", "json_schema strict")
    assert (result.receipt.rejections, result.receipt.tries) == (4, 5)
    assert result.receipt.climb == Decimal("0.0004")


async def test_it_is_asked_as_well_when_a_check_says_no_to_plain_text() -> None:
    def good(answer: str) -> None:
        assert "good" in answer, "it is not good"

    async with FakeOpenRouter(["bad"] * MOST_REJECTIONS + ["good"]) as server:
        agent = Agent(settings=server.settings(stronger="acme/big"), journal=None).checked(good)
        result = await agent.run("go")
    assert (result.output, bodies(server)[-1]["model"], result.receipt.rejections) == ("good", "acme/big", 4)


async def test_if_that_fails_too_the_run_ends_as_rejected() -> None:
    async with FakeOpenRouter(["no"] * 2 * MOST_REJECTIONS) as server:
        result = await run_at(server, stronger="acme/big", catalogue=False)
    assert (result.outcome, len(bodies(server))) == ("rejected", 2 * MOST_REJECTIONS)


async def test_without_one_named_the_run_ends_as_before() -> None:
    async with FakeOpenRouter(["no"] * MOST_REJECTIONS) as server:
        result = await run_at(server, catalogue=False)
    assert (result.outcome, len(bodies(server))) == ("rejected", MOST_REJECTIONS)


async def test_its_first_way_is_by_its_own_providers() -> None:
    async with FakeOpenRouter(["no"] * MOST_REJECTIONS + [GOOD]) as server:
        put(server, endpoints=[takes(SAMPLED)], models=[*MODELS, model("acme/big")])
        put(server, "acme/big", endpoints=[takes(WITHOUT_SCHEMA)], models=[*MODELS, model("acme/big")])
        result = await run_at(server, stronger="acme/big")
    assert (result.output, result.receipt.rung) == (Point(1, 2), "json_object")


async def test_the_one_who_speaks_again_is_answered_by_the_first_model() -> None:
    script = [*["no"] * MOST_REJECTIONS, GOOD, GOOD]
    scripted = ScriptedModel(script)
    scripted.stronger = "acme/big"  # pyright: ignore[reportAttributeAccessIssue]
    entries: list[e.Entry] = []
    result = await Agent(scripted, output=Point, journal=None, observers=[entries.append]).run("go")
    state = result.state
    assert (state.stronger, state.detour.model) == ("acme/big", "acme/big")
    state.add(e.Entry(state.seq + 1, state.last_at, e.MessageAdded(state.messages[0], "user")))
    assert (state.stronger, state.detour, state.tries, state.rung) == ("", e.NO_DETOUR, 0, "")


def test_the_command_line_names_it_too(say: Say, server: FakeOpenRouter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTRIDER_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-test")
    for text in (*["no"] * MOST_REJECTIONS, '{"answer": 3}'):
        server.add(FakeReply(text=text))
    code, out, err = say("run", "How many?", "--output", "int", "--stronger", "acme/big", "--json")
    report = json.loads(out)
    assert (report["output"], report["tries"], report["rung"]) == (3, 5, "json_schema strict")
    assert Decimal(str(report["climb"])) == Decimal("0.0004")
    assert server.requests[-1].json["model"] == "acme/big"
    assert "acme/big is asked for the answer now: 4 answers were rejected" in err
    assert code == 0
    code, _, err = say("run", "How many?", "-m", "local", "--stronger", "acme/big")
    assert (code, "the embedded model is asked" in err) == (2, True)


async def test_a_resumed_run_asks_its_own_model_first_and_another_model_in_its_own_way() -> None:
    async with FakeOpenRouter(["no"] * 2 * MOST_REJECTIONS) as server:
        result = await run_at(server, stronger="acme/big", catalogue=False)
    state = result.state
    assert (state.stronger, state.rung) == ("acme/big", "final_answer tool")
    state.add(e.Entry(state.seq + 1, state.last_at, e.RunResumed("api", state.limits, model=state.model)))
    assert (state.stronger, state.rung, state.rejections, state.detour) == ("", "", 0, e.NO_DETOUR)
    state.add(e.Entry(state.seq + 1, state.last_at, e.AnswerForm("prompted", "why")))
    state.add(e.Entry(state.seq + 1, state.last_at, e.RunResumed("api", state.limits, model=state.model)))
    assert state.rung == "prompted", "what one model refused it will refuse again"
    state.add(e.Entry(state.seq + 1, state.last_at, e.RunResumed("api", state.limits, model="acme/other")))
    assert state.rung == ""


def test_its_name_is_checked() -> None:
    with pytest.raises(SetupError, match="stronger"):
        Settings(stronger=3)  # pyright: ignore[reportArgumentType]


# ----------------------------------------------------------------------------------------------- the receipt


async def test_the_receipt_tells_of_every_rung_what_the_climb_took() -> None:
    for rung in RUNGS:
        async with FakeOpenRouter(only(rung, {"x": 1, "y": 2})) as server:
            result = await run_at(server, catalogue=False)
        refused = list(RUNGS).index(rung)
        receipt = result.receipt
        assert (receipt.rung, receipt.tries, receipt.climb) == (rung, 1 + refused, Decimal("0.0001") * bool(refused))
        assert result.cost == Decimal("0.0001"), "what is refused is not billed"


async def test_a_bill_that_has_not_come_leaves_the_climb_unknown() -> None:
    replies = [FakeReply(text="no"), FakeReply(text=GOOD, cost=None)]
    async with FakeOpenRouter(replies) as server:
        result = await run_at(server, catalogue=False)
    assert (result.output, result.receipt.tries, result.receipt.climb) == (Point(1, 2), 2, None)


async def test_repairs_and_the_work_before_are_told_apart() -> None:
    entries: list[e.Entry] = []
    model = ScriptedModel([Calls(("weather", {"city": "Rome"})), "It is fine.", f"```json\n{GOOD}\n```"])
    agent = Agent(model, tools=[weather], output=Point, journal=None, observers=[entries.append])
    receipt = (await agent.run("go")).receipt
    assert (receipt.requests, receipt.tries, receipt.repairs, receipt.climb) == (3, 1, 1, Decimal(0))
    assert "answer by json_schema strict · 1 try · 1 repair" in [line.text for line in story(entries)]
