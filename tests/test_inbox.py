"""Words from outside: what fits becomes an event, what does not is refused with a reason, and neither happens twice."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from journal_kit import until
from outrider import Agent, Context, Result, SetupError, tool
from outrider import commands as c
from outrider import events as e
from outrider.errors import RunNotFound
from outrider.inbox import answer_to
from outrider.journal.sqlite import SQLiteJournal
from outrider.messages import ToolMessage
from outrider.model import ModelEvent, Request
from outrider.testing.scripted import Calls, Script, ScriptedModel

pytestmark = pytest.mark.anyio


class Shop:
    """A shop, its agent, and a run that waits for consent to pay 1."""

    def __init__(self, folder: Path) -> None:
        self.paid: list[int] = []
        self.journal = SQLiteJournal(folder)

        @tool(approve=True)
        def pay(amount: int) -> str:
            """Pay."""
            self.paid.append(amount)
            return f"paid {amount}"

        @tool(approve=True)
        def refund(amount: int) -> str:
            """Refund."""
            self.paid.append(-amount)
            return f"refunded {amount}"

        model = ScriptedModel([Calls(("pay", {"amount": 1})), Calls(("pay", {"amount": 1})), "done"])
        self.agent = Agent(model, tools=[pay, refund], journal=self.journal)

    async def waiting(self) -> tuple[Result[str], c.Answer]:
        """A paused run, and the answer that would let it go on."""
        result = await self.agent.run("go")
        return result, answer_to(result.state, f"{result.run}:1:0", True, None, "", "Ada")

    async def refused(self, run: str) -> list[str]:
        """Why commands of this run were refused."""
        entries = await self.journal.read(run)
        return [entry.event.why for entry in entries if isinstance(entry.event, e.CommandRefused)]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


async def test_the_answer_to_the_question_lets_the_call_run_once(shop: Shop) -> None:
    result, answer = await shop.waiting()
    await shop.journal.tell(result.run, answer)
    result = await shop.agent.resume(result.run)
    assert (result.outcome, shop.paid) == ("paused", [1]), "the second payment asks anew"
    given = [r.event for r in await shop.journal.read(result.run) if isinstance(r.event, e.ApprovalGiven)]
    assert [(event.by, event.allowed, event.question) for event in given] == [("Ada", True, answer.question)]


async def test_an_answer_given_twice_counts_once(shop: Shop) -> None:
    result, answer = await shop.waiting()
    await shop.journal.tell(result.run, answer)
    await shop.journal.tell(result.run, answer)
    result = await shop.agent.resume(result.run)
    assert shop.paid == [1]
    await shop.journal.tell(result.run, answer)
    result = await shop.agent.resume(result.run)
    assert (result.outcome, shop.paid) == ("paused", [1]), "an old answer does not open a later question"
    assert len(await shop.refused(result.run)) == 2


async def test_a_refusal_counts_whether_it_comes_before_or_after_a_consent(shop: Shop) -> None:
    result, answer = await shop.waiting()
    await shop.agent.approve(result.run, answer.call)
    await shop.agent.deny(result.run, answer.call, "stop!")
    result = await shop.agent.resume(result.run)
    assert not shop.paid
    assert "stop!" in str(result.messages)
    assert await shop.refused(result.run) == [f"a later answer denies call {answer.call}"]


async def test_of_two_consents_the_last_one_counts(shop: Shop) -> None:
    result, answer = await shop.waiting()
    await shop.agent.approve(result.run, answer.call, arguments={"amount": 100})
    await shop.agent.approve(result.run, answer.call, arguments={"amount": 2})
    await shop.agent.resume(result.run)
    assert shop.paid == [2]
    assert await shop.refused(result.run) == [f"a later answer allows call {answer.call}"]


async def test_a_refusal_is_not_undone_by_a_later_consent(shop: Shop) -> None:
    result, answer = await shop.waiting()
    await shop.agent.deny(result.run, answer.call, "no money")
    await shop.journal.tell(result.run, answer)
    result = await shop.agent.resume(result.run)
    assert not shop.paid
    assert "no money" in str(result.messages)
    assert await shop.refused(result.run) == [f"call {answer.call} does not wait for an approval"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"arguments": Raw(b'{"amount":1000000}')}, "the answer names another tool or other arguments"),
        ({"tool": "refund"}, "the answer names another tool or other arguments"),
        ({"question": 1}, "the answer is to question 1, not to"),
        ({"call": "nobody:1:0"}, "call nobody:1:0 does not wait for an approval"),
        ({"expires": 1.0}, "the answer has expired"),
    ],
    ids=["arguments", "tool", "question", "call", "expired"],
)
async def test_an_answer_to_something_else_is_refused_with_the_reason(
    shop: Shop, change: dict[str, Any], why: str
) -> None:
    result, answer = await shop.waiting()
    await shop.journal.tell(result.run, msgspec.structs.replace(answer, **change))
    result = await shop.agent.resume(result.run)
    assert (result.outcome, shop.paid) == ("paused", [])
    (said,) = await shop.refused(result.run)
    assert said.startswith(why)
    again = await shop.agent.resume(result.run)
    assert len(await shop.refused(again.run)) == 1, "a refused command is done with"
    await shop.journal.tell(result.run, msgspec.structs.replace(answer, expires=time.time() + 3600))
    await shop.agent.resume(result.run)
    assert shop.paid == [1], "the right answer still counts"


async def test_an_approval_of_another_run_opens_nothing(shop: Shop) -> None:
    one, answer = await shop.waiting()
    two, _ = await shop.waiting()
    await shop.journal.tell(two.run, answer)
    result = await shop.agent.resume(two.run)
    assert (result.outcome, shop.paid) == ("paused", [])
    assert one.run != two.run


async def test_answering_what_does_not_wait_is_said_at_once(shop: Shop) -> None:
    result, answer = await shop.waiting()
    with pytest.raises(SetupError, match="no call nonsense that waits") as caught:
        await shop.agent.approve(result.run, "nonsense")
    assert answer.call in caught.value.hint
    with pytest.raises(RunNotFound):
        await shop.agent.approve("nosuchrun", answer.call)


async def test_edited_arguments_that_do_not_fit_are_refused_to_the_person(shop: Shop) -> None:
    result, answer = await shop.waiting()
    with pytest.raises(SetupError, match=r"\$\.amount: 'a lot' is not an integer"):
        await shop.agent.approve(result.run, answer.call, arguments={"amount": "a lot"})
    result = await shop.agent.resume(result.run)
    assert (result.outcome, shop.paid) == ("paused", [])


async def test_a_message_joins_the_conversation_after_the_results(shop: Shop) -> None:
    result, answer = await shop.waiting()
    await shop.journal.tell(result.run, c.Say("Ada", "be quick"))
    await shop.journal.tell(result.run, answer)
    result = await shop.agent.resume(result.run)
    said = [str(message.content) for message in result.messages]
    assert said[2:4] == ["paid 1", "be quick"]


class Told(ScriptedModel):
    """Has something said to the run that asks it, before its reply number ``at`` comes."""

    def __init__(self, script: list[Script], at: int, say: Callable[[str], Awaitable[None]]) -> None:
        super().__init__(script)
        self._at, self._say = at, say

    async def ask(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        if request.number == self._at:
            await self._say("Leave out the last one.")
        async for event in super().ask(request):
            yield event


@pytest.mark.parametrize("at", [1, 2])
async def test_a_run_at_work_hears_a_message_before_its_next_request_amid_its_answer_too(
    journal: SQLiteJournal, at: int
) -> None:
    async def say(text: str) -> None:
        other = SQLiteJournal(journal.home)
        await Agent("local", journal=other).say("told", text, by="Ada")
        await other.close()
        await until(lambda: bool(logs[0].mail))

    @tool(effect="read")
    def look(context: Context[None]) -> str:
        """Look."""
        return "three"

    model = Told([Calls(("look", {})), "There are three.", "There are two."], at, say)
    agent = Agent(model, tools=[look], journal=journal)
    async with agent.stream("How many?", id="told") as run:
        logs = [run._log]  # pyright: ignore[reportPrivateUsage]
        result = await run.result()
    said = [str(message.content) for message in result.messages]
    before = ["How many?", "None", "three", "Leave out the last one.", "There are three."]
    late = ["How many?", "None", "three", "There are three.", "Leave out the last one.", "There are two."]
    assert (result.outcome, said) == ("finished", before if at == 1 else late)
    (added,) = [entry.event for entry in await journal.read("told") if isinstance(entry.event, e.MessageAdded)]
    assert added.by == "Ada"


async def test_a_message_that_is_empty_or_for_nobody_is_refused(shop: Shop) -> None:
    result, _ = await shop.waiting()
    with pytest.raises(SetupError, match="empty"):
        await shop.agent.say(result.run, " ")
    with pytest.raises(RunNotFound):
        await shop.agent.say("nosuchrun", "hello")


async def test_a_cancel_of_a_run_that_rests_does_not_stop_it_when_somebody_goes_on_with_it(shop: Shop) -> None:
    result, answer = await shop.waiting()
    await shop.journal.tell(result.run, answer)
    await shop.journal.tell(result.run, c.Cancel("Ada"))
    result = await shop.agent.resume(result.run)
    assert shop.paid == [1]
    assert await shop.refused(result.run) == ["the run rested already when it went on"]


async def test_word_on_a_call_that_is_not_in_doubt_is_refused(shop: Shop) -> None:
    result, answer = await shop.waiting()
    with pytest.raises(SetupError, match="that is in doubt") as caught:
        await shop.agent.settle(result.run, answer.call, "paid, trust me")
    assert caught.value.hint == "In doubt: none."
    await shop.agent.journal.tell(result.run, c.Settle("api", answer.call, 0, "paid, trust me"))  # from elsewhere
    result = await shop.agent.resume(result.run)
    assert (result.outcome, shop.paid) == ("paused", [])
    assert await shop.refused(result.run) == [f"call {answer.call} is not in doubt"]


async def test_a_settled_call_whose_arguments_a_person_changed_says_so(tmp_path: Path) -> None:
    journal = SQLiteJournal(tmp_path)

    @tool(approve=True, timeout=0.01)
    async def pay(amount: int) -> str:
        """Pay."""
        await asyncio.Event().wait()
        return "unreachable"

    agent = Agent(ScriptedModel([Calls(("pay", {"amount": 9})), "done"]), tools=[pay], journal=journal)
    result = await agent.run("go")
    call = f"{result.run}:1:0"
    await agent.approve(result.run, call, arguments={"amount": 1})
    result = await agent.resume(result.run)
    assert result.state.paused == "doubt"
    await agent.settle(result.run, call, "paid")
    result = await agent.resume(result.run)
    (told,) = [message.content for message in result.messages if isinstance(message, ToolMessage)]
    assert told == 'A person changed the arguments of this call to {"amount":1}. Its result:\n\npaid'


async def test_word_on_an_earlier_doubt_says_nothing_of_a_later_one(tmp_path: Path) -> None:
    journal = SQLiteJournal(tmp_path)
    attempts: list[int] = []

    @tool(timeout=0.01)
    async def order() -> str:
        """Order."""
        attempts.append(1)
        await asyncio.Event().wait()
        return "unreachable"

    agent = Agent(ScriptedModel([Calls(("order", {})), "done"]), tools=[order], journal=journal)
    result = await agent.run("go")
    call = f"{result.run}:1:0"
    await agent.settle(result.run, call)
    first = result.state.calls[call].question
    result = await agent.resume(result.run)
    assert (result.state.paused, len(attempts)) == ("doubt", 2)
    await journal.tell(result.run, c.Settle("Ada", call, first))
    result = await agent.resume(result.run)
    assert (result.state.paused, len(attempts)) == ("doubt", 2)
    refusals = [r.event.why for r in await journal.read(result.run) if isinstance(r.event, e.CommandRefused)]
    assert refusals == [f"the word is on doubt {first}, not on {result.state.calls[call].question}"]
