"""What ``outrider runs --cost`` tells: dollars by day, model and provider, and what has gone from purses."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from outrider.cli.table import Column, table
from outrider.cli.text import coloured, out, out_json, out_row
from outrider.journal import Cost, Spent
from outrider.telling import clean, dollars

By = Literal["day", "model", "provider", "purse"]


class CostLine(Struct, frozen=True, kw_only=True):
    """What requests have cost, summed ``by`` day (UTC), model or provider, or from a purse; ``name`` says which.

    ``cost`` is what was billed, in dollars. ``unbilled`` are requests without a bill, which are not in it: replies that
    came without one, and requests that were never answered; they may have cost ``owed`` dollars, as far as that is
    known. Of a purse only the dollars are known; ``day`` is that of its budget, null where it is not filled again.
    """

    schema: int = 1
    by: By
    name: str
    day: str | None = None
    requests: int | None
    tokens: int | None
    cost: Decimal
    unbilled: int | None
    owed: Decimal


_KEYS: dict[By, Callable[[Cost], str]] = {
    "day": lambda cost: time.strftime("%Y-%m-%d", time.gmtime(cost.at)),
    "model": lambda cost: cost.model,
    "provider": lambda cost: cost.provider or "not said",
}


def sums(costs: Sequence[Cost], purses: Iterable[Spent]) -> list[CostLine]:
    """The lines, days first."""
    lines = [line for by, key in _KEYS.items() for line in _summed(by, key, costs)]
    return lines + [
        CostLine(
            by="purse", name=purse.name, day=purse.day or None, requests=None, tokens=None, cost=purse.billed,
            unbilled=None, owed=purse.put_aside,
        )
        for purse in purses
    ]  # fmt: skip


def _summed(by: By, key: Callable[[Cost], str], costs: Sequence[Cost]) -> Iterator[CostLine]:
    groups: dict[str, list[Cost]] = {}
    for cost in costs:
        groups.setdefault(key(cost), []).append(cost)
    for name, its in sorted(groups.items()):
        open_ = [cost for cost in its if cost.billed is None]
        yield CostLine(
            by=by,
            name=name,
            requests=len(its),
            tokens=sum(cost.tokens for cost in its),
            cost=sum((cost.billed or Decimal(0) for cost in its), Decimal(0)),
            unbilled=len(open_),
            owed=sum((cost.owed or Decimal(0) for cost in open_), Decimal(0)),
        )


def tell(lines: Sequence[CostLine], as_json: bool) -> None:
    """Print them, as JSON Lines or as a table for each kind."""
    if as_json:
        for line in lines:
            out_json(line)
        return
    kinds: dict[By, list[CostLine]] = {}
    for line in lines:
        kinds.setdefault(line.by, []).append(line)
    for number, (by, its) in enumerate(kinds.items()):
        if number:
            out("")
        for row in _table(by, its):
            out_row(row)


def _table(by: By, lines: Sequence[CostLine]) -> Iterator[str]:
    columns = [Column("day (UTC)" if by == "day" else by, [clean(line.name) for line in lines])]
    if by == "purse" and any(line.day for line in lines):
        columns.append(Column("day (UTC)", [line.day or "" for line in lines]))
    if by != "purse":
        columns.append(Column("requests", [str(line.requests) for line in lines], right=True))
        columns.append(Column("tokens", [f"{line.tokens:,}" for line in lines], right=True))
    columns.append(Column("billed", [dollars(line.cost) for line in lines], right=True))
    if any(line.unbilled or line.owed for line in lines):
        head = "put aside" if by == "purse" else "without a bill"
        columns.append(Column(head, [_owed(line) for line in lines], right=True))
    return table(columns, sys.stdout, _room())


def _owed(line: CostLine) -> str:
    if line.unbilled is None:
        return dollars(line.owed)
    return f"{line.unbilled} (up to {dollars(line.owed)})" if line.owed else str(line.unbilled or "")


def _room() -> int | None:
    if not coloured(sys.stdout):
        return None
    from outrider.observe.paint import width_of

    return width_of(sys.stdout)
