# ruff: noqa: ASYNC220, ASYNC240 -- tests may wait for files and processes
"""The journal on disk: what is flushed is there, one process owns a run, and trouble says what to do."""

import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec import Raw

from outrider.errors import Fenced, JournalError, RunBusy, RunNotFound
from outrider.events import Cancel, Entry, MessageAdded, Say, encode
from outrider.journal import Journal, Log, Totals
from outrider.journal import database as database_module
from outrider.journal.database import Database
from outrider.journal.sqlite import SQLiteJournal
from outrider.messages import Usage

pytestmark = pytest.mark.anyio
WATCHDOG = 60.0


def note(log: Log, seq: int, command: int = 0, totals: Totals | None = None) -> None:
    """Append a small entry."""
    event = MessageAdded(Raw(b'{"role":"user","content":"%d"}' % seq), "test", command=command)
    log.append(Entry(seq, 1000.0 + seq, event), encode(event), totals)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; a machine may be slow, but not for ever."""
    deadline = time.monotonic() + WATCHDOG
    while not condition():
        assert time.monotonic() < deadline, "the watchdog ended the wait"
        await asyncio.sleep(0.01)


async def run_with(journal: Journal, run: str, count: int = 1) -> Log:
    """A new open run with so many flushed entries."""
    log = await journal.create(run)
    for seq in range(1, count + 1):
        note(log, seq)
    await log.flush()
    return log


async def numbers(journal: Journal, run: str, after: int = 0) -> list[int]:
    return [entry.seq for entry in await journal.read(run, after)]


def sql(home: Path, statement: str, *values: object) -> list[tuple[object, ...]]:
    """One statement on the file, past the journal."""
    with closing(sqlite3.connect(home / "journal.db", timeout=WATCHDOG, isolation_level=None)) as connection:
        return connection.execute(statement, values).fetchall()


PREAMBLE = """
import asyncio, os, signal, sys, threading
from outrider.errors import *
from outrider.events import *
from outrider.journal.sqlite import SQLiteJournal
from msgspec import Raw
home = sys.argv[1]
def note(log, seq, command=0):
    event = MessageAdded(Raw(b'{"role":"user","content":"%d"}' % seq), "test", command=command)
    log.append(Entry(seq, 1000.0 + seq, event), encode(event))
"""


def start(home: Path, code: str, *options: str) -> subprocess.Popen[str]:
    """Another process, with the journal's names at hand; it says things on stdout."""
    return subprocess.Popen(
        [sys.executable, *options, "-c", PREAMBLE + code, str(home)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip


def say(process: subprocess.Popen[str]) -> str:
    """Its next line."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end(process: subprocess.Popen[str], kill: bool = False) -> str:
    """Wait for its end, by kill -9 or its own; returns what it said on stderr."""
    if kill:
        process.send_signal(signal.SIGKILL)
    _, errors = process.communicate(timeout=WATCHDOG)
    return errors


HOLD = """
async def main():
    journal = SQLiteJournal(home)
    log = await journal.create("held")
    for seq in (1, 2, 3):
        note(log, seq)
    await log.flush()
    note(log, 4)
    print("holding", os.getpid(), flush=True)
    await asyncio.to_thread(sys.stdin.read)
asyncio.run(main())
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def journal(home: Path) -> Iterator[SQLiteJournal]:
    journal = SQLiteJournal(home)
    yield journal
    asyncio.run(journal.close())


# ------------------------------------------------------------------------------------------- the contract


async def test_it_keeps_the_contract(journal: SQLiteJournal) -> None:
    contract: Journal = journal
    log: Log = await contract.create("one")
    note(log, 1)
    note(log, 2)
    await log.flush()
    note(log, 3)
    await log.close()
    assert await numbers(contract, "one") == [1, 2, 3]
    assert await numbers(contract, "one", after=2) == [3]
    claimed = await contract.claim("one")
    assert [entry.seq for entry in claimed.entries] == [1, 2, 3]
    assert list(claimed.entries) == await contract.read("one")
    note(claimed, 4)
    await claimed.close()
    assert (await contract.read("one", 3))[0].at == 1004.0


async def test_others_see_what_is_flushed_and_nothing_else(journal: SQLiteJournal, home: Path) -> None:
    log = await journal.create("one")
    note(log, 1)
    with pytest.raises(RunNotFound):
        await SQLiteJournal(home).read("one")
    await log.flush()
    note(log, 2)
    assert await numbers(SQLiteJournal(home), "one") == [1]
    await log.flush()
    assert await numbers(SQLiteJournal(home), "one") == [1, 2]
    await log.close()


async def test_a_flush_returns_after_its_commit(journal: SQLiteJournal, home: Path) -> None:
    log = await journal.create("one")
    for seq in range(1, 30):
        note(log, seq)
        await log.flush()
        assert sql(home, "SELECT max(seq) FROM event") == [(seq,)]
    await log.close()
    database = Database(home, create=True)
    with database.use() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (
            2,
        )  # FULL: a commit waits for the disk
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    database.close()


async def test_folder_is_made_at_first_use_and_for_its_owner_only(home: Path) -> None:
    journal = SQLiteJournal(home)
    assert await journal.runs() == []
    assert not home.exists()
    await (await run_with(journal, "one")).close()
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "journal.db").stat().st_mode) == 0o600
    assert (home / ".gitignore").read_text() == "*\n"
    await journal.close()


async def test_a_folder_that_exists_gets_no_gitignore(tmp_path: Path) -> None:
    journal = SQLiteJournal(tmp_path)
    await (await run_with(journal, "one")).close()
    await journal.close()
    assert not (tmp_path / ".gitignore").exists()


async def test_default_home_is_outrider_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OUTRIDER_HOME", raising=False)
    assert SQLiteJournal().home == tmp_path / ".outrider"
    monkeypatch.setenv("OUTRIDER_HOME", str(tmp_path / "elsewhere"))
    assert SQLiteJournal().home == tmp_path / "elsewhere"


async def test_an_id_is_given_once(journal: SQLiteJournal) -> None:
    log = await run_with(journal, "one")
    with pytest.raises(JournalError, match="one"):
        await journal.create("one")
    await log.close()
    with pytest.raises(JournalError, match="already"):
        await journal.create("one")


async def test_two_processes_giving_one_id_at_once(journal: SQLiteJournal, home: Path) -> None:
    other = SQLiteJournal(home)
    first, second = await journal.create("one"), await other.create("one")
    note(first, 1)
    note(second, 1)
    await first.flush()
    with pytest.raises(JournalError, match="already"):
        await second.flush()
    await first.close()
    with pytest.raises(JournalError, match="already"):
        await second.close()
    await other.close()


async def test_a_closed_log_takes_nothing(journal: SQLiteJournal) -> None:
    log = await run_with(journal, "one")
    await log.close()
    await log.close()
    await log.flush()
    with pytest.raises(JournalError, match="closed"):
        note(log, 2)
    with pytest.raises(JournalError, match="closed"):
        await log.commands()


async def test_closing_the_journal_flushes_open_runs(journal: SQLiteJournal) -> None:
    logs = [await run_with(journal, f"run{index}") for index in range(3)]
    for log in logs:
        note(log, 2)
    await journal.close()
    assert [await numbers(journal, f"run{index}") for index in range(3)] == [[1, 2]] * 3
    await (await journal.claim("run0")).close()


# ---------------------------------------------------------------------------------------- lists and names


async def test_list_of_runs(journal: SQLiteJournal) -> None:
    usage = Usage(10, 20, 5, 3, Decimal("0.00001230"))
    totals = Totals("clerk", "qwen/qwen3-14b", "x" * 600, "finished", 2, 3, usage, 1.5)
    for run in ("old", "new"):
        log = await run_with(journal, run)
        note(log, 2, totals=Totals(agent="not the last word"))
        note(log, 3, totals=totals if run == "new" else None)
        await log.close()
    log = await journal.claim("old")
    assert [(line.run, line.live) for line in await journal.runs()] == [("new", False), ("old", True)]
    await log.close()
    new, old = await journal.runs()
    assert new.totals == Totals("clerk", "qwen/qwen3-14b", "x" * 500, "finished", 2, 3, usage, 1.5)
    assert (new.created, new.updated, new.live) == (1001.0, 1003.0, False)
    assert old.totals == Totals(agent="not the last word")
    assert [line.run for line in await journal.runs(limit=1)] == ["new"]


async def test_find(journal: SQLiteJournal) -> None:
    for run in ("7f3k", "7f3kx", "9abc", "7f9%"):
        await (await run_with(journal, run)).close()
    assert await journal.find("9") == "9abc"
    assert await journal.find("7f3k") == "7f3k"
    assert await journal.find("7f3kx") == "7f3kx"
    assert await journal.find("7f9") == "7f9%"
    with pytest.raises(RunNotFound, match="7f3k, 7f3kx"):
        await journal.find("7f3")
    with pytest.raises(RunNotFound, match="Did you mean 9abc"):
        await journal.find("9abd")
    with pytest.raises(RunNotFound):
        await journal.find("%")


@pytest.mark.parametrize("method", ["read", "claim", "find", "tell"])
@pytest.mark.parametrize("there", [True, False])
async def test_no_such_run(journal: SQLiteJournal, method: str, there: bool) -> None:
    if there:
        await (await run_with(journal, "weather")).close()
    ask = {
        "read": lambda: journal.read("weathre"),
        "claim": lambda: journal.claim("weathre"),
        "find": lambda: journal.find("weathre"),
        "tell": lambda: journal.tell("weathre", Cancel("me")),
    }[method]
    with pytest.raises(RunNotFound) as caught:
        await ask()
    assert caught.value.hint
    assert ("weather" in caught.value.hint) == there


# ------------------------------------------------------------------------------------ death and ownership


async def test_kill_9_loses_nothing_flushed_and_frees_the_run_at_once(
    journal: SQLiteJournal, home: Path
) -> None:
    child = start(home, HOLD)
    pid = say(child).split()[1]
    with pytest.raises(RunBusy) as caught:
        await journal.claim("held")
    assert pid in str(caught.value)
    assert os.uname().nodename in str(caught.value)
    assert [line.live for line in await journal.runs()] == [True]
    end(child, kill=True)
    assert [line.live for line in await journal.runs()] == [False]
    log = await journal.claim("held")
    assert [entry.seq for entry in log.entries] == [1, 2, 3]
    note(log, 4)
    await log.close()
    assert await numbers(journal, "held") == [1, 2, 3, 4]


async def test_kill_9_at_any_time_leaves_a_prefix(journal: SQLiteJournal, home: Path) -> None:
    code = """
async def main():
    journal = SQLiteJournal(home)
    log = await journal.create("run")
    for seq in range(1, 10**9):
        note(log, seq)
        if seq % 3 == 0:
            await log.flush()
            print(seq, flush=True)
asyncio.run(main())
"""
    child = start(home, code)
    told = max(int(say(child)) for _ in range(50))
    child.send_signal(signal.SIGKILL)
    rest, _ = child.communicate(timeout=WATCHDOG)
    lines = [line for line in rest.split("\n")[:-1] if line]
    told = int(lines[-1]) if lines else told
    seen = await numbers(journal, "run")
    assert len(seen) >= told
    assert seen == list(range(1, len(seen) + 1))


async def test_a_run_killed_before_its_first_flush_leaves_nothing(journal: SQLiteJournal, home: Path) -> None:
    code = """
async def main():
    log = await SQLiteJournal(home).create("run")
    note(log, 1)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    end(start(home, code))
    assert await journal.runs() == []
    await (await run_with(journal, "run")).close()


async def disown(home: Path) -> None:
    """Make every owner on record a process that is gone."""
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    sql(home, "UPDATE owner SET pid = ?, started = 1", gone.pid)


async def test_an_owner_that_was_replaced_is_fenced_and_nobody_else(
    journal: SQLiteJournal, home: Path
) -> None:
    old, bystander = await run_with(journal, "one"), await run_with(journal, "two")
    await disown(home)
    other = SQLiteJournal(home)
    new = await other.claim("one")
    note(old, 2)
    note(bystander, 2)
    results = await asyncio.gather(old.flush(), bystander.flush(), return_exceptions=True)
    assert isinstance(results[0], Fenced)
    assert results[1] is None
    with pytest.raises(Fenced, match="taken over"):
        await old.flush()
    await old.close()
    note(new, 2)
    await new.close()
    await bystander.close()
    await other.close()
    assert await numbers(journal, "one") == await numbers(journal, "two") == [1, 2]
    assert sql(home, "SELECT epoch FROM event WHERE run = 1 ORDER BY seq") == [(1,), (2,)]


async def test_time_alone_fences_nobody(journal: SQLiteJournal, home: Path) -> None:
    log = await run_with(journal, "one")
    sql(home, "UPDATE owner SET beat = 0")
    note(log, 2)
    await log.flush()
    with pytest.raises(RunBusy):
        await SQLiteJournal(home).claim("one")
    await log.close()


@pytest.mark.parametrize(
    ("column", "value"), [("started", 1), ("boot", "before the restart"), ("pid", 2**22 + 1)]
)
async def test_owner_known_to_be_dead(journal: SQLiteJournal, home: Path, column: str, value: object) -> None:
    log = await run_with(journal, "one")
    sql(home, f"UPDATE owner SET {column} = ?", value)
    other = SQLiteJournal(home)
    await (await other.claim("one")).close()
    await log.close()
    await other.close()
    assert sql(home, "SELECT id FROM owner") == []


@pytest.mark.parametrize("column", ["host", "space"])
@pytest.mark.parametrize(("age", "void"), [(30, False), (90, True)])
async def test_owner_out_of_sight(
    journal: SQLiteJournal, home: Path, column: str, age: int, void: bool
) -> None:
    log = await run_with(journal, "one")
    sql(home, f"UPDATE owner SET {column} = 'elsewhere', pid = 1, beat = strftime('%s', 'now') - ?", age)
    other = SQLiteJournal(home)
    if void:
        await (await other.claim("one")).close()
    else:
        with pytest.raises(RunBusy, match="process 1"):
            await other.claim("one")
    await log.close()
    await other.close()


async def test_one_run_is_open_once_in_a_process(journal: SQLiteJournal, home: Path) -> None:
    log = await run_with(journal, "one")
    other = SQLiteJournal(home)
    for claimant in (journal, other):
        with pytest.raises(RunBusy, match=str(os.getpid())):
            await claimant.claim("one")
    await log.close()
    await (await other.claim("one")).close()
    await other.close()


async def test_only_one_of_many_claims_wins(journal: SQLiteJournal, home: Path) -> None:
    await (await run_with(journal, "one")).close()
    others = [SQLiteJournal(home) for _ in range(6)]
    results = await asyncio.gather(*(other.claim("one") for other in others), return_exceptions=True)
    assert sum(isinstance(result, RunBusy) for result in results) == 5
    for other in others:
        await other.close()


# ------------------------------------------------------------------------------------------------ inbox


async def test_commands_come_from_another_process_and_are_taken_once(
    journal: SQLiteJournal, home: Path
) -> None:
    log, idle = await run_with(journal, "one"), await run_with(journal, "two")
    assert not log.mail
    assert await log.commands() == []
    child = start(home, 'print(asyncio.run(SQLiteJournal(home).tell("one", Say("me", "hello"))))')
    number = int(say(child))
    assert end(child) == ""
    await until(lambda: log.mail)
    assert not idle.mail
    assert await log.commands() == [(number, Say("me", "hello"))]
    note(log, 2, command=number)
    assert not log.mail
    assert await log.commands() == []
    second = await journal.tell("one", Cancel("me"))
    await until(lambda: log.mail)
    assert await log.commands() == [(second, Cancel("me"))]
    await idle.close()
    await log.close()
    log = await journal.claim("one")
    assert log.mail
    assert await log.commands() == [(second, Cancel("me"))]
    await log.close()
    assert sql(home, "SELECT taken FROM inbox ORDER BY id") == [(2,), (None,)]


async def test_a_command_stays_when_the_event_that_takes_it_is_lost(
    journal: SQLiteJournal, home: Path
) -> None:
    await (await run_with(journal, "one")).close()
    number = await journal.tell("one", Cancel("me"))
    code = f"""
async def main():
    log = await SQLiteJournal(home).claim("one")
    note(log, 2, command={number})
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    end(start(home, code))
    log = await journal.claim("one")
    assert await log.commands() == [(number, Cancel("me"))]
    await log.close()


async def test_a_damaged_command(journal: SQLiteJournal, home: Path) -> None:
    log = await run_with(journal, "one")
    number = await journal.tell("one", Cancel("me"))
    sql(home, "UPDATE inbox SET body = ?", b'{"kind":"explode"}')
    with pytest.raises(JournalError, match=f"command {number}") as caught:
        await log.commands()
    assert caught.value.hint
    await log.close()


# ---------------------------------------------------------------------------------------- the one thread


def writers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "outrider-journal"]


async def test_runs_share_commits(journal: SQLiteJournal) -> None:
    logs = [await journal.create(f"run{index}") for index in range(200)]
    assert len(writers()) == 1
    before = journal.commits
    for seq in range(1, 6):
        for log in logs:
            note(log, seq)
        await asyncio.gather(*(log.flush() for log in logs))
    assert 5 <= journal.commits - before <= 50
    await asyncio.gather(*(log.close() for log in logs))
    assert writers() == []
    assert [await numbers(journal, f"run{index}") for index in range(200)] == [[1, 2, 3, 4, 5]] * 200


async def test_a_mistake_in_one_run_fails_that_run_only(journal: SQLiteJournal) -> None:
    logs = [await run_with(journal, f"run{index}") for index in range(5)]
    for index, log in enumerate(logs):
        note(log, 1 if index == 2 else 2)
    results = await asyncio.gather(*(log.flush() for log in logs), return_exceptions=True)
    assert [type(result) for result in results] == [
        type(None),
        type(None),
        JournalError,
        type(None),
        type(None),
    ]
    assert [await numbers(journal, f"run{index}") for index in range(5)] == [
        [1, 2],
        [1, 2],
        [1],
        [1, 2],
        [1, 2],
    ]
    results = await asyncio.gather(*(log.close() for log in logs), return_exceptions=True)
    assert isinstance(results[2], JournalError)
    assert writers() == []


def test_one_journal_through_many_loops(home: Path) -> None:
    journal = SQLiteJournal(home)

    async def once(run: str) -> None:
        await (await run_with(journal, run, 3)).close()

    for index in range(10):
        asyncio.run(once(f"run{index}"))
        assert writers() == []
    threads = [threading.Thread(target=asyncio.run, args=(once(f"side{index}"),)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WATCHDOG)
    assert len(asyncio.run(journal.runs())) == 18
    assert writers() == []
    asyncio.run(journal.close())


def test_a_loop_that_closes_while_waiting_harms_nobody(home: Path) -> None:
    journal = SQLiteJournal(home)
    loop = asyncio.new_event_loop()
    abandoned = loop.run_until_complete(run_with(journal, "abandoned"))
    note(abandoned, 2)
    with closing(sqlite3.connect(home / "journal.db", isolation_level=None)) as lock:
        lock.execute("BEGIN IMMEDIATE")  # so that the flush is still waiting when its loop closes
        flush = loop.create_task(abandoned.flush())
        loop.run_until_complete(asyncio.sleep(0))
        flush.cancel()
        loop.run_until_complete(asyncio.wait([flush]))
        loop.close()
        lock.execute("COMMIT")

    async def afterwards() -> None:
        await (await run_with(journal, "next")).close()
        await journal.close()
        assert await numbers(journal, "abandoned") == [1, 2]

    asyncio.run(afterwards())
    assert writers() == []


async def test_a_cancelled_claim_gives_the_run_up(journal: SQLiteJournal, home: Path) -> None:
    await (await run_with(journal, "one")).close()
    claim = asyncio.create_task(journal.claim("one"))
    await asyncio.sleep(0)
    claim.cancel()
    await asyncio.wait([claim])
    assert claim.cancelled()
    await until(lambda: not writers())
    other = SQLiteJournal(home)
    await (await other.claim("one")).close()
    await other.close()


async def test_exit_leaves_no_warnings(home: Path) -> None:
    code = """
journal = SQLiteJournal(home)
async def main():
    log = await journal.create("run")
    note(log, 1)
    await log.flush()
    await journal.runs()
asyncio.run(main())
"""
    assert end(start(home, code, "-X", "dev", "-W", "error")) == ""


async def test_a_forked_child_has_its_own_journal(journal: SQLiteJournal, home: Path) -> None:
    code = """
journal = SQLiteJournal(home)
async def use(journal, run, busy):
    log = await journal.create(run)
    for seq in range(1, 20):
        note(log, seq)
        await log.flush()
    try:
        await journal.claim(busy)
    except RunBusy:
        print("busy", flush=True)
    await log.close()
async def main():
    log = await journal.create("parent")
    note(log, 1)
    await log.flush()
    if os.fork():
        note(log, 2)
        await log.flush()
        os.wait()
        note(log, 3)
        await log.close()
    else:
        thread = threading.Thread(target=asyncio.run, args=(use(SQLiteJournal(home), "fresh", "parent"),))
        thread.start(); thread.join()
        thread = threading.Thread(target=asyncio.run, args=(use(journal, "inherited", "parent"),))
        thread.start(); thread.join()
        os._exit(0)
asyncio.run(main())
"""
    child = start(home, code)
    assert say(child) == say(child) == "busy"
    assert end(child) == ""
    assert await numbers(journal, "parent") == [1, 2, 3]
    assert await numbers(journal, "fresh") == await numbers(journal, "inherited") == list(range(1, 20))


async def test_processes_that_begin_together(journal: SQLiteJournal, home: Path) -> None:
    code = """
async def main():
    sys.stdin.readline()
    log = await SQLiteJournal(home).create(str(os.getpid()))
    for seq in range(1, 21):
        note(log, seq)
        await log.flush()
    await log.close()
asyncio.run(main())
"""
    children = [start(home, code) for _ in range(5)]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    assert [end(child) for child in children] == [""] * 5
    assert [await numbers(journal, str(child.pid)) for child in children] == [list(range(1, 21))] * 5


# ---------------------------------------------------------------------------------------------- trouble


async def trouble(journal: SQLiteJournal, *words: str) -> None:
    """Every way in says what happened and what to do."""
    for ask in (
        lambda: journal.create("new"),
        lambda: journal.claim("one"),
        lambda: journal.read("one"),
        journal.runs,
        lambda: journal.find("one"),
        lambda: journal.tell("one", Cancel("me")),
    ):
        with pytest.raises(JournalError) as caught:
            await ask()
        assert not isinstance(caught.value, RunNotFound)
        assert caught.value.hint
        for word in words:
            assert word in str(caught.value)
    assert writers() == []


async def test_written_by_a_newer_outrider(journal: SQLiteJournal, home: Path) -> None:
    await (await run_with(journal, "one")).close()
    await journal.close()
    sql(home, "PRAGMA user_version = 99")
    await trouble(journal, "newer Outrider", "99", "Upgrade")


async def test_a_file_that_is_no_database(journal: SQLiteJournal, home: Path) -> None:
    home.mkdir()
    (home / "journal.db").write_bytes(b"these are my memoirs, not a database" * 100)
    await trouble(journal, "not a database", "Move it away")


async def test_a_database_of_somebody_else(journal: SQLiteJournal, home: Path) -> None:
    home.mkdir()
    sql(home, "CREATE TABLE cookies(x)")
    await trouble(journal, "another program")
    assert sql(home, "SELECT name FROM sqlite_schema") == [("cookies",)]


async def test_a_home_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for home in (tmp_path / "file", tmp_path / "file" / "home"):
        with pytest.raises(JournalError, match="OUTRIDER_HOME"):
            await SQLiteJournal(home).create("one")
    assert writers() == []


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
async def test_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(JournalError, match="OUTRIDER_HOME"):
        await SQLiteJournal(tmp_path).create("one")


async def test_a_damaged_entry_is_named_and_holds_nothing(journal: SQLiteJournal, home: Path) -> None:
    await (await run_with(journal, "one", 3)).close()
    sql(home, "UPDATE event SET body = ? WHERE seq = 2", b'{"kind":"run_started","run":7}')
    for _ in range(2):
        with pytest.raises(JournalError, match="entry 2 of run one") as caught:
            await journal.claim("one")
        assert not isinstance(caught.value, RunBusy)
        assert caught.value.hint
    assert await numbers(journal, "one", after=2) == [3]


async def test_a_locked_database_keeps_what_was_appended(
    journal: SQLiteJournal, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "PATIENCE", 0.05)
    log = await run_with(journal, "one")
    note(log, 2)
    with closing(sqlite3.connect(home / "journal.db", isolation_level=None)) as lock:
        lock.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="locked") as caught:
            await log.flush()
        assert "Another process" in caught.value.hint
        note(log, 3)
        lock.execute("COMMIT")
    await log.flush()
    assert await numbers(journal, "one") == [1, 2, 3]
    await log.close()


async def test_a_close_that_failed_does_not_hold_the_run_for_ever(
    journal: SQLiteJournal, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "PATIENCE", 0.05)
    log = await run_with(journal, "one")
    note(log, 2)
    with closing(sqlite3.connect(home / "journal.db", isolation_level=None)) as lock:
        lock.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="locked"):
            await log.close()
    assert [line.live for line in await journal.runs()] == [False]
    log = await journal.claim("one")
    assert len(log.entries) == 1
    await log.close()
    assert sql(home, "SELECT id FROM owner") == []


async def test_a_full_disk(journal: SQLiteJournal, home: Path) -> None:
    code = """
import resource
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
async def main():
    log = await SQLiteJournal(home).create("run")
    note(log, 1)
    await log.flush()
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
    for seq in range(2, 5000):
        event = MessageAdded(Raw(b'"%s"' % (b"x" * 5000)), "test")
        log.append(Entry(seq, 1.0, event), encode(event))
        try:
            await log.flush()
        except JournalError as error:
            print(seq, bool(error.hint), flush=True)
            return
asyncio.run(main())
"""
    child = start(home, code)
    failed, hint = say(child).split()
    end(child)
    assert hint == "True"
    assert await numbers(journal, "run") == list(range(1, int(failed)))


async def test_a_deleted_folder_is_noticed(journal: SQLiteJournal, home: Path) -> None:
    log = await run_with(journal, "one")
    for file in home.iterdir():
        file.unlink()
    note(log, 2)
    with pytest.raises(JournalError, match="vanished"):
        await log.flush()
    with pytest.raises(JournalError, match="vanished"):
        await log.close()
    await (await run_with(journal, "two")).close()
    assert await numbers(SQLiteJournal(home), "two") == [1]
