"""What is written to and read from the tables of runs, statement by statement."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from outrider.errors import Fenced, JournalError, RunBusy, RunNotFound, RunTaken, did_you_mean
from outrider.events import Entry, decode
from outrider.journal import Summary, Totals
from outrider.journal.owner import Owner, is_void, owners, this_process
from outrider.journal.store import TOTALS, Added, Connection, Head, Taken
from outrider.messages import Usage

LARGE = 32_768
"""Bytes of an event from which on its body lies apart, so that reading all events for a few figures passes it over."""


class Row(NamedTuple):
    """An appended entry. ``command`` is the inbox row it takes, or 0."""

    seq: int
    at: float
    body: bytes
    command: int
    totals: Totals | None


class Record:
    """An open run, as the writer and the run's own loop share it.

    Only the loop adds to ``rows`` and ``taken``; only the writer takes from ``rows``, after their commit:
    what is in ``rows`` is not on disk.
    """

    def __init__(self, run: str) -> None:
        self.run = run
        self.number = 0  # until the first commit of a new run
        self.epoch = 1
        self.rows: list[Row] = []
        self.taken: set[int] = set()
        self.inbox: frozenset[int] = frozenset()
        self.woken: Callable[[], object] | None = None
        self.lost: Fenced | None = None
        self.released = False


# ------------------------------------------------------------------------------------------------ writing


def check_new(connection: Connection, run: str) -> None:
    """Raise JournalError when the id is taken."""
    if connection.execute("SELECT 1 FROM run WHERE id = ?", (run,)).fetchone():
        raise _taken(run)


def take_over(connection: Connection, run: str, me: Owner, take: bool) -> tuple[int, int]:
    """Make ``me`` the owner; returns the run's number and its new epoch. Raises RunNotFound or, unless told to
    ``take`` it, RunBusy.
    """
    find = f"SELECT number, epoch + 1, owner FROM run WHERE id = ?{connection.for_update}"
    row = connection.execute(find, (run,)).fetchone()
    if row is None:
        raise _not_found(connection, run)
    number, epoch, holder = row
    for owner, age in [] if take else owners(connection, holder or ""):
        if owner.id != me.id and not is_void(owner, me, age):
            raise busy(run, owner)
    connection.execute("UPDATE run SET owner = ?, epoch = ? WHERE number = ?", (me.id, epoch, number))
    return number, epoch


def extend(connection: Connection, work: Iterable[tuple[Record, bool]], owner: str) -> dict[Record, tuple[int, int]]:
    """Write what was appended to these runs, giving up those marked True, all at once where that pays.

    Returns the number and the count of rows of each that was written; ``write`` finds out what is wrong with others.
    """
    if not connection.far or connection.redone:
        return {}
    batch = [(record, record.rows[:], release) for record, release in work if not record.lost]
    placed = list(enumerate(batch, 1))
    numbers = connection.extend(
        owner,
        [_head(n, *what) for n, what in placed],
        [Added(n, row.seq, row.at, record.epoch, row.body.decode()) for n, (record, rows, _) in placed for row in rows],
        [Taken(n, row.seq, row.command) for n, (_, rows, _) in placed for row in rows if row.command],
    )
    return {record: (numbers[n], len(rows)) for n, (record, rows, _) in placed if n in numbers}


def _head(place: int, record: Record, rows: list[Row], release: bool) -> Head:
    created, updated = (rows[0].at, rows[-1].at) if rows else (0.0, None)
    before = rows[0].seq - 1 if rows else 0
    return Head(place, record.run, record.number, record.epoch, created, updated, release, before, *_figures(rows))


def write(connection: Connection, record: Record, owner: str, release: bool) -> tuple[int, int]:
    """Write what was appended, and give the run up if told to; returns its number and the count of rows.

    Raises Fenced when the epoch has moved on.
    """
    rows = [] if record.lost else record.rows[:]  # the loop may append meanwhile
    count = len(rows)
    number = record.number
    if rows:
        number = _write_head(connection, record, rows, owner)
        if connection.redone:
            rows = _missing(connection, record, number, rows)
        connection.executemany(
            "INSERT INTO event(run, seq, at, epoch, body) VALUES(?, ?, ?, ?, ?)",
            [
                (number, row.seq, row.at, record.epoch, _kept(row.body) if connection.splits else row.body)
                for row in rows
            ],
        )
        if large := [(number, row.seq, row.body) for row in rows if connection.splits and len(row.body) >= LARGE]:
            connection.executemany("INSERT INTO body(run, seq, body) VALUES(?, ?, ?)", large)
        if taken := [(row.seq, row.command, number) for row in rows if row.command]:
            connection.executemany("UPDATE inbox SET taken = ? WHERE id = ? AND run = ?", taken)
    if release:
        connection.execute(
            "UPDATE run SET owner = NULL WHERE number = ? AND epoch = ? AND owner = ?",
            (number, record.epoch, owner),
        )
    return number, count


def _missing(connection: Connection, record: Record, number: int, rows: list[Row]) -> list[Row]:
    """The rows that are not there: a commit that nobody has confirmed may have been one all the same."""
    sql = "SELECT coalesce(max(seq), 0) FROM event WHERE run = ? AND epoch = ?"
    (last,) = connection.execute(sql, (number, record.epoch)).fetchone()
    return [row for row in rows if row.seq > last]


def _kept(body: bytes) -> bytes:
    """What of a body stands in the event's own row: of a large one its kind, with which all are written first."""
    return body if len(body) < LARGE else body[: body.index(b'"', len(b'{"kind":"')) + 1] + b"}"


def _write_head(connection: Connection, record: Record, rows: list[Row], owner: str) -> int:
    """The run's own row: made by its first commit, and the place where an old owner is refused."""
    number, figures = record.number, _figures(rows)
    if not number:
        number = _insert_run(connection, record, rows, owner)
        if figures:
            connection.execute(_SET_TOTALS, (*figures, number))
        return number
    update = _WITH_TOTALS if figures else "UPDATE run SET updated = ? WHERE number = ? AND epoch = ? AND id = ?"
    changed = connection.execute(update, (*figures, rows[-1].at, number, record.epoch, record.run))
    if not changed.rowcount:
        raise _refusal(connection, record.run)
    if connection.far:
        _check_last(connection, record.run, number, rows[0].seq - 1)
    return number


def _check_last(connection: Connection, run: str, number: int, last: int) -> None:
    """Raise JournalError when the run's last entry is gone: a standby took over that did not have it, say."""
    if not connection.execute("SELECT 1 FROM event WHERE run = ? AND seq = ?", (number, last)).fetchone():
        raise JournalError(
            f"entry {last} of run {run} is gone: the journal is that of an earlier moment",
            "Look at what the run has done since; resumed, it goes on from what is on record. Replicate synchronously.",
        )


def _insert_run(connection: Connection, record: Record, rows: list[Row], owner: str) -> int:
    created = rows[0].at
    made = connection.execute(
        "INSERT INTO run(id, created, updated, owner, epoch) VALUES(?, ?, ?, ?, ?) ON CONFLICT(id) DO NOTHING",
        (record.run, created, rows[-1].at, owner, record.epoch),
    )
    find = "SELECT number, created, epoch FROM run WHERE id = ?"
    number, *whose = connection.execute(find, (record.run,)).fetchone()
    if not made.rowcount and not (connection.redone and whose == [created, record.epoch]):
        raise _taken(record.run)
    return number


_TOTALS = ", ".join(f"{column} = ?" for column in TOTALS)
_SET_TOTALS = f"UPDATE run SET {_TOTALS} WHERE number = ?"
_WITH_TOTALS = f"UPDATE run SET {_TOTALS}, updated = ? WHERE number = ? AND epoch = ? AND id = ?"


def _figures(rows: list[Row]) -> tuple[Any, ...]:
    """The columns of ``TOTALS`` after the last row that has them, or nothing."""
    totals = next((row.totals for row in reversed(rows) if row.totals), None)
    if totals is None:
        return ()
    usage = totals.usage
    task = totals.task[:500].replace("\0", "")  # PostgreSQL's texts cannot hold it
    return (
        totals.agent, totals.model, task, totals.outcome, totals.turns, totals.tool_calls, totals.seconds,
        usage.prompt_tokens, usage.completion_tokens, usage.reasoning_tokens, usage.cached_tokens,
        None if usage.cost is None else str(usage.cost),
    )  # fmt: skip


def put(connection: Connection, run: str, at: float, command: bytes) -> int:
    """Put a command into the inbox of a run; returns its id. The same one of the same moment is put there once."""
    row = (_number(connection, run), at, command)
    find = "SELECT id FROM inbox WHERE run = ? AND at = ? AND body = ?"
    if not connection.execute(find, row).fetchone():
        connection.execute("INSERT INTO inbox(run, at, body) VALUES(?, ?, ?)", row)
    connection.wake()
    return connection.execute(find, row).fetchone()[0]


# ------------------------------------------------------------------------------------------------ reading


def untaken(connection: Connection, owner: str) -> dict[int, set[int]]:
    """The ids of the commands that wait for an owner's runs, by number of their run."""
    waiting: dict[int, set[int]] = {}
    find = "SELECT run, inbox.id FROM inbox JOIN run ON run.number = run WHERE taken IS NULL AND owner = ?"
    for number, command in connection.execute(find, (owner,)):
        waiting.setdefault(number, set()).add(command)
    return waiting


def commands(connection: Connection, number: int) -> list[tuple[int, bytes]]:
    """The commands that wait for one run, oldest first."""
    return connection.execute(
        "SELECT id, body FROM inbox WHERE run = ? AND taken IS NULL ORDER BY id", (number,)
    ).fetchall()


def pending(connection: Connection, run: str) -> list[tuple[int, bytes]]:
    """The commands that wait for the run of that id, oldest first."""
    return commands(connection, _number(connection, run))


def entries(connection: Connection, run: str, after: int) -> list[Entry]:
    """The entries of a run with a number above ``after``."""
    whole = connection.whole_body()
    rows = connection.execute(
        f"SELECT seq, at, {whole} FROM event WHERE run = ? AND seq > ? ORDER BY seq",
        (_number(connection, run), after),
    )
    found = [_entry(run, *row) for row in rows]
    for expected, entry in enumerate(found, after + 1):
        if entry.seq != expected:
            hint = "It was taken out from outside, or lost: restore the journal from a backup, or leave this run alone."
            raise JournalError(f"entry {expected} of run {run} is missing from the journal", hint)
    return found


def _entry(run: str, seq: int, at: float, body: bytes) -> Entry:
    try:
        return Entry(seq, at, decode(body), run)
    except (msgspec.DecodeError, TypeError) as error:
        raise JournalError(
            f"entry {seq} of run {run} cannot be read: {error}",
            "It was damaged, or written by a newer Outrider: upgrade, or leave this run alone.",
        ) from error


def living(connection: Connection) -> set[str]:
    """The runs that a living process owns."""
    alive = _alive(connection)
    rows = connection.execute("SELECT id, owner FROM run WHERE owner IS NOT NULL")
    return {run for run, owner in rows if owner in alive}


def _alive(connection: Connection) -> set[str]:
    here = this_process()
    return {owner.id for owner, age in owners(connection) if not is_void(owner, here, age)}


def summaries(connection: Connection, limit: int) -> list[Summary]:
    """The newest runs first."""
    alive = _alive(connection)
    rows = connection.execute(
        f"SELECT id, created, updated, owner, {', '.join(TOTALS)} FROM run ORDER BY number DESC LIMIT ?",
        (limit,),
    )
    return [_summary(row, alive) for row in rows]


def _summary(row: tuple[Any, ...], alive: set[str]) -> Summary:
    id, created, updated, owner, agent, model, task, outcome, turns, tool_calls, seconds, *tokens, cost = row
    usage = Usage(*tokens, cost=None if cost is None else Decimal(cost))
    return Summary(
        id,
        created,
        updated,
        owner in alive,
        Totals(agent, model, task, outcome, turns, tool_calls, usage, seconds),
    )


def find(connection: Connection, prefix: str) -> str:
    """The one run whose id begins so, or is just that."""
    rows = connection.execute(
        "SELECT id FROM run WHERE id >= ? AND id < ? ORDER BY id LIMIT 6", (prefix, prefix + "\U0010ffff")
    )
    found: list[str] = [row[0] for row in rows]
    if not found:
        raise _not_found(connection, prefix)
    if len(found) > 1 and found[0] != prefix:
        more = " and more" if len(found) > 5 else ""
        raise RunNotFound(f"{prefix!r} fits several runs: {', '.join(found[:5])}{more}", "Give more of the id.")
    return found[0]


def _number(connection: Connection, run: str) -> int:
    row = connection.execute("SELECT number FROM run WHERE id = ?", (run,)).fetchone()
    if row is None:
        raise _not_found(connection, run)
    return row[0]


# ------------------------------------------------------------------------------------------------- errors


def _not_found(connection: Connection, run: str) -> RunNotFound:
    known = [row[0] for row in connection.execute("SELECT id FROM run ORDER BY number DESC LIMIT 1000")]
    newest = f"The newest here is {known[0]}." if run == "last" and known else ""
    hint = newest or did_you_mean(run, known) or "`outrider runs` lists the runs of this journal."
    return RunNotFound(f"no run {run} in this journal", hint)


def _taken(run: str) -> RunTaken:
    return RunTaken(f"run {run} is already in this journal", "Resume it, or start a run under another id.")


def busy(run: str, owner: Owner) -> RunBusy:
    """The error that names the living owner."""
    return RunBusy(
        f"run {run} is held by process {owner.pid} on {owner.host}, which is alive",
        "Wait until it ends, or stop that process; the run can be read meanwhile.",
    )


def _refusal(connection: Connection, run: str) -> JournalError:
    if not connection.execute("SELECT 1 FROM run WHERE id = ?", (run,)).fetchone():
        return JournalError(f"run {run} has vanished from the journal", "Was the journal's folder deleted?")
    return Fenced(
        f"run {run} has been taken over by another process; nothing more of this one is recorded",
        "Read the run to see how it goes on.",
    )


def closed(run: str) -> JournalError:
    """The error for a log used after its close."""
    return JournalError(f"the log of run {run} is closed", "Claim the run again to go on with it.")
