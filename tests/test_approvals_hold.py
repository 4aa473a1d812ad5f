"""An approval is of one call with one set of arguments: a thousand others like it come to nothing."""

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Raw
from msgspec.structs import replace

from outrider import Agent, tool
from outrider import commands as c
from outrider import events as e
from outrider.inbox import answer_to
from outrider.journal.sqlite import SQLiteJournal
from outrider.testing import Calls, ScriptedModel

pytestmark = pytest.mark.anyio
MANY = 1000
ARGUMENTS = {"to": "Ada", "amount": 1, "note": "for lamps", "urgent": False}


def mutations(right: c.Answer, others: list[c.Answer]) -> Iterator[c.Answer]:
    """Answers that differ from the right one in one thing or more, each another one."""
    lot = random.Random(11)
    seen: set[bytes] = {msgspec.json.encode(right)}
    while True:
        answer = right
        for _ in range(lot.choice([1, 1, 1, 2, 3])):
            match lot.randrange(6):
                case 0:
                    answer = replace(answer, arguments=Raw(_arguments(lot)))
                case 1:
                    answer = replace(answer, tool=lot.choice(["refund", "Pay", "pay ", "pay\0", "", "p\u0430y"]))
                case 2:
                    run, reply, index = right.call.split(":")
                    other = f"{reply}:{lot.choice(['1', '00', '-0', ''])}", f"{lot.randrange(2, 99)}:{index}"
                    head = lot.choice([run, run.upper() + "x", run[:-1], "otherrun22"])
                    answer = replace(answer, call=f"{head}:{lot.choice(other)}")
                case 3:
                    answer = replace(
                        answer, question=lot.choice([0, -1, right.question - 1, lot.randrange(10**6) + 50])
                    )
                case 4:
                    answer = replace(answer, expires=lot.random() * 1e9)
                case _:
                    answer = replace(lot.choice(others), expires=lot.choice([None, 1.0]))
        answer = replace(answer, reason=lot.choice(["", "ok"]), by=lot.choice(["Ada", "Eve"]))
        code = msgspec.json.encode(answer)
        if code not in seen and not _same(answer, right):
            seen.add(code)
            yield answer


def _same(answer: c.Answer, right: c.Answer) -> bool:
    return replace(answer, by=right.by, reason=right.reason) == right


def _arguments(lot: random.Random) -> bytes:
    """Arguments much like the right ones, as JSON that is written in many ways."""
    other: dict[str, Any] = dict(ARGUMENTS)
    match lot.randrange(5):
        case 0:
            other["amount"] = lot.choice([10, 1000000, -1, 1.5, "1", None, True, 10**30, lot.random()])
        case 1:
            other["to"] = lot.choice(
                ["Eve", "ada", "Ada ", "\u0410da", "Ad\u0430", "Ada\u200b", ["Ada"], str(lot.random())]
            )
        case 2:
            other[lot.choice(["cc", "Amount", "amount ", "__class__", str(lot.random())])] = lot.random()
        case 3:
            other.pop(lot.choice(list(other)))
        case _:
            items = list(other.items())
            lot.shuffle(items)
            other = dict(items) | {"note": f"for {lot.random()}"}
    return msgspec.json.encode(other)


async def test_a_thousand_mutations_of_an_approved_call_are_refused(tmp_path: Path) -> None:
    paid: list[tuple[str, int]] = []
    journal = SQLiteJournal(tmp_path)

    @tool(approve=True)
    def pay(to: str, amount: int, note: str, urgent: bool) -> str:
        """Pay."""
        paid.append((to, amount))
        return "paid"

    @tool(approve=True)
    def refund(to: str, amount: int, note: str, urgent: bool) -> str:
        """Refund."""
        paid.append((to, -amount))
        return "refunded"

    dear = {**ARGUMENTS, "amount": 1_000_000}
    script = [Calls(("pay", dear)), Calls(("pay", ARGUMENTS), ("pay", dear), ("refund", ARGUMENTS)), "done"]
    agent = Agent(ScriptedModel(script), tools=[pay, refund], journal=journal)
    first = await agent.run("go")
    used = answer_to(first.state, f"{first.run}:1:0", True, None, "", "Ada")
    await agent.deny(first.run, used.call)
    other = await agent.run("go")
    elsewhere = answer_to(other.state, f"{other.run}:1:0", True, None, "", "Ada")
    waits = await agent.resume(first)
    right, *more = [answer_to(waits.state, call.call.id, True, None, "", "Ada") for call in waits.state.owed_calls()]
    crossed = [replace(each, call=right.call) for each in more] + [replace(right, call=each.call) for each in more]
    wrong = mutations(right, [used, elsewhere, *crossed])
    for _ in range(MANY):
        await journal.tell(first.run, next(wrong))
    again = await asyncio.wait_for(agent.resume(first), 120)
    refused = [entry.event.why for entry in await journal.read(first.run) if isinstance(entry.event, e.CommandRefused)]
    assert (len(refused), all(refused)) == (MANY, True)
    assert (paid, again.state.paused, len(again.state.owed_calls())) == ([], "approval", 3)
    await journal.tell(first.run, right)
    await journal.tell(first.run, right)  # a second time it is not asked for any more
    await agent.resume(first)
    assert paid == [("Ada", 1)]
    await journal.tell(first.run, right)
    await agent.resume(first)
    assert paid == [("Ada", 1)]
