"""What runs have cost, summed by day, model, provider and purse."""

import json
from decimal import Decimal
from typing import Any

import pytest

from outrider import Agent, Limits, Purse
from outrider import events as e
from outrider.journal import Cost, Spent
from outrider.journal.sqlite import SQLiteJournal
from outrider.messages import Usage
from outrider.testing.fake import FakeReply
from outrider.testing.scripted import ScriptedModel
from shell import Shell

pytestmark = pytest.mark.anyio
DAY = 86_400.0


def reply(number: int, cost: str | None, **more: Any) -> e.Replied:
    usage = Usage(10, 5, cost=None if cost is None else Decimal(cost))
    return e.Replied(number, e.Raw(b'{"role":"assistant","content":"Hi"}'), "stop", usage, "m/one", "Host", **more)


def sent(number: int, reserved: str = "0.5") -> e.RequestSent:
    return e.RequestSent(number, "work", 1, "", reserved=Decimal(reserved))


async def kept(journal: SQLiteJournal, run: str, *events: e.Durable, at: float = DAY) -> None:
    log = await journal.create(run)
    started = e.RunStarted(run, "the task", "a", "m/asked", (), Limits())
    for seq, event in enumerate((started, *events), 1):
        log.append(e.Entry(seq, at, event, run), e.encode(event))
    await log.close()


def failed(number: int, billed: Any, cost: str | None = None) -> e.RequestFailed:
    usage = Usage(cost=None if cost is None else Decimal(cost))
    return e.RequestFailed(number, "broken", "It broke.", "retry", billed=billed, usage=usage, provider="Other")


async def test_every_kind_of_bill_is_counted_once_and_what_has_none_is_told_apart(journal: SQLiteJournal) -> None:
    billed = [sent(1), reply(1, "0.1"), sent(2), failed(2, "usage", "0.02"), sent(3), failed(3, "no")]
    unbilled = [sent(4), failed(4, "unknown"), sent(5), reply(5, None, estimate=Decimal("0.03")), sent(6)]
    await kept(journal, "aaa", *billed, *unbilled, sent(7), failed(7, "unknown"), e.CostSettled(7, Decimal("0.07")))
    costs = [(cost.provider, cost.billed, cost.owed) for cost in await journal.costs()]
    assert costs == [
        ("Host", Decimal("0.1"), None),
        ("Other", Decimal("0.02"), None),
        ("Other", Decimal("0.07"), None),
        ("Other", None, Decimal("0.5")),
        ("Host", None, Decimal("0.03")),
        ("", None, Decimal("0.5")),
    ]


async def test_only_what_came_since_then(journal: SQLiteJournal) -> None:
    await kept(journal, "aaa", sent(1), reply(1, "0.1"), at=DAY)
    await kept(journal, "bbb", sent(1), reply(1, "0.2"), at=3 * DAY)
    assert await journal.costs(2 * DAY) == [Cost("bbb", 3 * DAY, "m/one", "Host", 15, Decimal("0.2"))]


async def test_a_journal_without_runs_has_cost_nothing(journal: SQLiteJournal) -> None:
    assert (await journal.costs(), await journal.spent()) == ([], [])


async def test_the_sum_is_that_of_the_results(journal: SQLiteJournal) -> None:
    limits = Limits(purse=Purse("sums", 1))
    for cost in ("0.1", "0.02"):
        result = await Agent(ScriptedModel(["Hi."], cost=cost), limits=limits, journal=journal).run("go")
        assert result.cost == Decimal(cost)
    assert sum(cost.billed or 0 for cost in await journal.costs()) == Decimal("0.12")
    assert await journal.spent() == [Spent("sums", "", Decimal("0.12"), Decimal(0))]


def test_the_table_and_the_lines(outrider: Shell) -> None:
    outrider.server.add(FakeReply(text="One.", cost=0.25), FakeReply(text="Two.", cost=None), "Three.")
    for task in ("first", "second", "third"):
        assert outrider("run", task, "--purse", "nightly=5/day").code == 0
    days, models, providers, purses = outrider("runs", "--cost").out.split("\n\n")
    assert days.splitlines()[0].split() == ["day", "(UTC)", "requests", "tokens", "billed", "without", "a", "bill"]
    assert "$0.25" in days
    assert "1 (up to $0.0" in models
    assert providers.splitlines()[1].startswith("Fake ")
    assert purses.splitlines()[1].startswith("nightly ")
    lines = [json.loads(line) for line in outrider("runs", "--cost", "--json").out.splitlines()]
    [purse] = [line for line in lines if line["by"] == "purse"]
    assert (purse["name"], purse["cost"], len(purse["day"])) == ("nightly", "0.2501", 10)
    [only] = [
        line
        for line in map(json.loads, outrider("runs", "first", "--cost", "--json").out.splitlines())
        if line["by"] == "day"
    ]
    assert (only["requests"], only["cost"], only["unbilled"]) == (1, "0.25", 0)
    assert "no request on record here is like that" in outrider("runs", "nothing", "--cost").err


def test_where_nothing_is_on_record_it_says_so(outrider: Shell) -> None:
    done = outrider("runs", "--cost")
    assert (done.code, done.out) == (0, "")
    assert "no request is on record here" in done.err
