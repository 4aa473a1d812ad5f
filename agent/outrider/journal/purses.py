"""What has been drawn from purses: in a journal's database, or in this process where nothing is kept."""

import sqlite3
import threading
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from decimal import Decimal

from outrider.journal import Spent, migrations
from outrider.journal.connection import SQLiteConnection
from outrider.journal.store import Connection
from outrider.purse import Price, Purse, Share, share

Living = Callable[[Connection], AbstractSet[str]]
"""Gives the runs that a living process owns."""


def today(purse: Purse) -> str:
    """The day whose budget counts now: in UTC, "" for a purse that is not filled again."""
    return time.strftime("%Y-%m-%d", time.gmtime()) if purse.per == "day" else ""


def draw(
    connection: Connection, purse: Purse, run: str, number: int, price: Price, waits: bool, living: Living
) -> Share:
    """Put money aside for a request, inside a writing transaction. Only ``living`` runs may give some back soon."""
    day = today(purse)
    connection.lock(purse.name)
    spent, factor = _of(connection, purse.name, day)
    rows = connection.execute(
        "SELECT run, amount FROM draw WHERE name = ? AND day = ? AND NOT (run = ? AND number = ?)",
        (purse.name, day, run, number),
    )
    drawn = [(other, Decimal(amount)) for other, amount in rows]
    used = sum((amount for _, amount in drawn), spent)
    alive = living(connection) if waits and drawn else frozenset[str]()
    in_flight = sum((amount for other, amount in drawn if other in alive and other != run), Decimal(0))
    got = share(price, purse.dollars, used, in_flight, factor, waits)
    if got.put_aside is not None:
        connection.execute(
            "INSERT INTO draw VALUES(?, ?, ?, ?, ?, ?) ON CONFLICT(name, run, number)"
            " DO UPDATE SET day = excluded.day, amount = excluded.amount, factor = excluded.factor",
            (purse.name, run, number, day, str(got.put_aside), "0" if price.billed else str(got.factor)),
        )
    return got


def settle(connection: Connection, purse: Purse, run: str, number: int, cost: Decimal) -> None:
    """A request has its bill: what was put aside beyond it is there for others again. Doing so twice does nothing."""
    connection.lock(purse.name)
    row = connection.execute(
        "SELECT day, amount, factor FROM draw WHERE name = ? AND run = ? AND number = ?", (purse.name, run, number)
    ).fetchone()
    if row is None:
        return
    day, amount, then = row[0], Decimal(row[1]), Decimal(row[2])
    spent, factor = _of(connection, purse.name, day)
    if cost > amount > 0:
        factor = max(factor, then * cost / amount)
    connection.execute("DELETE FROM draw WHERE name = ? AND run = ? AND number = ?", (purse.name, run, number))
    connection.execute(
        "INSERT INTO purse VALUES(?, ?, ?, ?)"
        " ON CONFLICT(name, day) DO UPDATE SET spent = excluded.spent, factor = excluded.factor",
        (purse.name, day, str(spent + cost), str(factor)),
    )


def undecided(connection: Connection, purse: Purse, run: str) -> list[int]:
    """The requests of a run for which money is put aside."""
    if not connection.has("draw"):  # version 1 made it with the first purse
        return []
    rows = connection.execute("SELECT number FROM draw WHERE name = ? AND run = ?", (purse.name, run))
    return [number for (number,) in rows]


def spent(connection: Connection) -> list[Spent]:
    """All purses, by day."""
    if not connection.has("draw"):
        return []
    billed = {
        (name, day): Decimal(amount) for name, day, amount in connection.execute("SELECT name, day, spent FROM purse")
    }
    aside = dict.fromkeys(billed, Decimal(0))
    for name, day, amount in connection.execute("SELECT name, day, amount FROM draw"):
        aside[name, day] = aside.get((name, day), Decimal(0)) + Decimal(amount)
    return [Spent(name, day, billed.get((name, day), Decimal(0)), aside[name, day]) for name, day in sorted(aside)]


def _of(connection: Connection, name: str, day: str) -> tuple[Decimal, Decimal]:
    row = connection.execute("SELECT spent, factor FROM purse WHERE name = ? AND day = ?", (name, day)).fetchone()
    return (Decimal(row[0]), Decimal(row[1])) if row else (Decimal(0), Decimal(1))


def _all(connection: Connection) -> set[str]:
    return {run for (run,) in connection.execute("SELECT DISTINCT run FROM draw")}


class InMemory:
    """The same for this process alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(
            ":memory:", check_same_thread=False, isolation_level=None, factory=SQLiteConnection
        )
        migrations.make(self._connection, migrations.PURSES)

    def draw(self, purse: Purse, run: str, number: int, price: Price, waits: bool) -> Share:
        """Put money aside for a request."""
        with self._lock:
            return draw(self._connection, purse, run, number, price, waits, _all)

    def settle(self, purse: Purse, run: str, number: int, cost: Decimal) -> None:
        """A request has its bill."""
        with self._lock:
            settle(self._connection, purse, run, number, cost)

    def spent(self) -> list[Spent]:
        """All purses, by day."""
        with self._lock:
            return spent(self._connection)
