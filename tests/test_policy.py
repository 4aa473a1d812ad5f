"""Which calls run: the default, asking by effect, and a run that waits for a person, whoever the policy is."""

from typing import Any, Literal

import pytest

from outrider import Agent, Proposed, SetupError, Verdict, ask_before, tool
from outrider import events as e
from outrider.errors import PausedOutcome
from outrider.journal.sqlite import SQLiteJournal
from outrider.policy import Policy, default_policy
from outrider.state import State
from outrider.testing.scripted import Calls, ScriptedModel

pytestmark = pytest.mark.anyio


@tool(effect="write")
def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


@tool(effect="write", approve=True)
def pay_carefully(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


def proposed(effect: Literal["read", "write", "egress"], asks: bool = False) -> Proposed:
    return Proposed("r:1:0", "act", effect, {}, asks)


def test_the_default_allows_all_but_what_always_asks() -> None:
    assert [default_policy(proposed(effect), State()).action for effect in ("read", "write", "egress")] == ["allow"] * 3
    assert default_policy(proposed("read", asks=True), State()).action == "ask"


def test_asking_by_effect() -> None:
    policy = ask_before("write", "egress")
    assert policy(proposed("read"), State()).action == "allow"
    assert policy(proposed("read", asks=True), State()).action == "ask"
    assert policy(proposed("write"), State()) == Verdict("ask", "its effect is write")
    assert policy(proposed("egress"), State()) == Verdict("ask", "its effect is egress")


@pytest.mark.parametrize(
    ("name", "policy"), [("pay", ask_before("write")), ("pay_carefully", default_policy)], ids=["policy", "tool"]
)
async def test_a_pause_is_one_code_path_whoever_asks(journal: SQLiteJournal, name: str, policy: Policy) -> None:
    model = ScriptedModel([Calls((name, {"amount": 5})), "done"])
    agent = Agent(model, tools=[pay, pay_carefully], policy=policy, journal=journal)
    result = await agent.run("go")
    assert (result.outcome, result.exit_code) == ("paused", 6)
    assert result.detail == f"it waits for consent to {name} ({result.run}:1:0)"
    with pytest.raises(PausedOutcome, match="waits for consent") as caught:
        _ = result.output
    assert f"agent.approve, deny or settle, then agent.resume({result.run!r})" in caught.value.hint
    again = await agent.resume(result.run)
    assert (again.outcome, len(model.requests)) == ("paused", 1), "nobody has answered yet"

    await agent.approve(result.run, f"{result.run}:1:0")
    result = await agent.resume(result.run)
    assert (result.outcome, result.output) == ("finished", "done")
    kinds = [type(entry.event) for entry in await journal.read(result.run)]
    assert kinds.count(e.ApprovalAsked) == 1
    assert kinds.count(e.ApprovalGiven) == 1
    assert kinds.index(e.ApprovalGiven) < kinds.index(e.ToolStarted)


async def test_a_policy_that_fails_ends_the_run_and_runs_nothing(journal: SQLiteJournal) -> None:
    def policy(call: Proposed, state: State) -> Verdict:
        raise ZeroDivisionError("a broken policy")

    agent = Agent(ScriptedModel([Calls(("pay", {"amount": 5}))]), tools=[pay], policy=policy, journal=journal)
    result = await agent.run("go")
    assert (result.outcome, result.detail) == ("error", "ZeroDivisionError: a broken policy")
    assert isinstance(result.problem, ZeroDivisionError)
    events: list[Any] = [entry.event for entry in await journal.read(result.run)]
    assert not any(isinstance(event, e.ToolStarted) for event in events)
    mended = Agent(ScriptedModel([Calls(("pay", {"amount": 5})), "done"]), tools=[pay], journal=journal)
    assert (await mended.resume(result.run)).output == "done", "once mended the run goes on"


async def test_calls_with_bad_arguments_are_nobodys_question(journal: SQLiteJournal) -> None:
    model = ScriptedModel([Calls(("pay_carefully", {"amount": "a lot"})), "done"])
    result = await Agent(model, tools=[pay_carefully], journal=journal).run("go")
    assert result.outcome == "finished"
    assert "$.amount" in str(result.messages)


@pytest.mark.parametrize("given", [("writes",), ("order",), (["write"],), ()])
def test_a_policy_that_would_ask_before_nothing_is_refused(given: tuple[Any, ...]) -> None:
    with pytest.raises(SetupError, match="effect"):
        ask_before(*given)
