# python examples/08_report_and_bill.py   (a server on this machine plays the model and its bills; nothing leaves it)
"""A nested report that has to add up, a purse that two runs share, and what the receipt says of it."""

import os
from typing import Literal

from pydantic import BaseModel

from outrider import Agent, Limits, Purse, Result, tool
from outrider.testing import FakeOpenRouter, FakeReply

LAMPS = {"north": 12, "south": 30}
CENT = b'{"data": {"endpoints": [{"tag": "a", "pricing": {"prompt": "0", "completion": "0", "request": "0.01"}}]}}'


class Section(BaseModel):
    place: Literal["north", "south"]
    lamps: int


class Report(BaseModel):
    title: str
    sections: list[Section]
    total: int


@tool(effect="read")
def count(place: Literal["north", "south"]) -> int:
    """How many lamps there are in a store."""
    return LAMPS[place]


def adds_up(report: Report) -> None:
    """A check: what it objects to is said to the model, which tries again."""
    if report.total != (found := sum(section.lamps for section in report.sections)):
        raise ValueError(f"the sections come to {found} lamps, and the total is {report.total}")


def tell(result: Result[Report]) -> None:
    receipt, partial = result.receipt, f"\n  so far: {result.partial}" if result.detail else ""
    print(f"{result.outcome}: {result.detail or result.output}{partial}")
    print(f"  ${result.cost} for {receipt.requests} requests; {receipt.rejections} rejected;", end=" ")
    print(f"the last answer was asked for by {receipt.rung or 'no form: it came of the work'}")


def answer(total: int) -> FakeReply:
    sections = [Section(place="north", lamps=12), Section(place="south", lamps=30)]
    return FakeReply(text=Report(title="Lamps", sections=sections, total=total).model_dump_json(), cost=0.01)


with FakeOpenRouter() as server:
    server.pages["/endpoints"] = FakeReply(body=CENT)  # a cent a request, whatever is in it
    purse = Purse(f"lamps {os.getpid()}", "0.06")  # a new one each time this is tried
    agent = Agent(tools=[count], output=Report, settings=server.settings(), limits=Limits(purse=purse)).checked(adds_up)
    both = FakeReply(calls=[("count", {"place": place}) for place in LAMPS], cost=0.01)
    server.add(both, FakeReply(text="I have both.", cost=0.01), answer(41), answer(42))
    tell(agent.run_sync("Report on the lamps."))
    server.add(both, answer(42))  # two cents are left: the second pays for the answer
    tell(agent.run_sync("Report on the lamps once more."))
