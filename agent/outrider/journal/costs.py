"""What the requests on record have cost, read from a journal's database without folding a run."""

from collections.abc import Iterator
from decimal import Decimal
from itertools import groupby
from typing import NamedTuple

from outrider.journal import Cost
from outrider.journal.store import Connection

_KINDS = ("request_sent", "replied", "request_failed", "cost_settled")


class _Row(NamedTuple):
    """What of an event tells of money. Dollars are text, as in the event's JSON."""

    run: str
    asked: str
    at: float
    kind: str
    number: int | str
    model: str | None
    provider: str | None
    prompt: int | str | None
    completion: int | str | None
    billed: str | None
    word: str | None
    reserved: str | None
    estimate: str | None
    settled: str | None

    def cost(self, billed: str | None = None, owed: Decimal | None = None) -> Cost:
        tokens = int(self.prompt or 0) + int(self.completion or 0)
        return Cost(self.run, self.at, self.model or self.asked, self.provider or "", tokens, _dollars(billed), owed)


_FIELDS = (
    "kind", "number", "model", "provider", "usage.prompt_tokens", "usage.completion_tokens", "usage.cost", "billed",
    "reserved", "estimate", "cost",
)  # fmt: skip
_BEGINNINGS = tuple(f'{{"kind":"{kind}"'.encode() for kind in _KINDS)
# Events are written with their kind first: so only those that tell of money are parsed.
_OF_MONEY = " OR ".join(f"substr(event.body, 1, {len(begin)}) = ?" for begin in _BEGINNINGS)


def costs(connection: Connection, since: float) -> list[Cost]:
    """Every request since then (Unix seconds) that has cost or may have cost something, run by run."""
    whole = connection.whole_body()
    members = ", ".join(connection.member("whole", field) for field in _FIELDS)
    events = f"SELECT run, seq, at, {whole} AS whole FROM event WHERE at >= ? AND ({_OF_MONEY})"
    rows = connection.execute(
        f"SELECT run.id, run.model, at, {members} FROM ({events}) AS told"
        " JOIN run ON run.number = run ORDER BY run, seq",
        (since, *_BEGINNINGS),
    )
    runs = groupby(map(_Row._make, rows), lambda row: row.run)
    return [cost for _, its in runs for cost in _of_run(its)]


def _of_run(rows: Iterator[_Row]) -> Iterator[Cost]:
    """The costs of one run; those without a bill last."""
    waiting: dict[int | str, Cost] = {}
    for row in rows:
        if row.kind == "request_sent":
            waiting[row.number] = row.cost(owed=_dollars(row.reserved))
            continue
        sent = waiting.pop(row.number, row.cost())
        if row.kind == "cost_settled":
            yield Cost(row.run, row.at, sent.model, sent.provider, sent.tokens, _dollars(row.settled))
        elif row.billed is not None:
            yield row.cost(row.billed)
        elif row.kind == "replied" or row.word == "unknown":
            waiting[row.number] = row.cost(owed=sent.owed if row.estimate is None else _dollars(row.estimate))
    yield from (cost for cost in waiting.values() if cost.model != "local" and not cost.model.startswith("local:"))


def _dollars(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
