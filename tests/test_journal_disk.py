# ruff: noqa: ASYNC220, ASYNC222, ASYNC240 -- tests may wait for files and processes
"""The disk under the journal: full, of the network, copied while it is written to."""

import asyncio
import os
import random
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from journal_kit import numbers, run_with, until
from outrider import Agent, Context, Result, ToolFinished, tool
from outrider.errors import JournalError
from outrider.journal import mounts
from outrider.journal.database import Database
from outrider.journal.sqlite import SQLiteJournal
from outrider.testing import Calls, ScriptedModel
from places import SQLitePlace, end, say, start

pytestmark = pytest.mark.anyio
WATCHDOG = 120.0

TABLE = r"""
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 21 0:40 / /home rw - nfs4 server:/home rw,vers=4.2
31 30 8:2 / /home/ada/local\040disk rw - xfs /dev/sdb1 rw
32 21 0:41 / /mnt/far rw - fuse.sshfs ada@far:/ rw
33 21 0:42 / /tmp rw - tmpfs tmpfs rw
34 21 0:43 / /share rw - cifs //nas/share rw
35 21 0:44 / /host rw - 9p host rw
36 34 8:3 / /share rw - ext4 /dev/sdc1 rw
"""


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


async def test_a_commit_waits_for_the_disk(journal: SQLiteJournal, home: Path) -> None:
    await (await run_with(journal, "one")).close()
    database = Database(home, create=True)
    pragmas = ("PRAGMA synchronous", "PRAGMA journal_mode")
    found = database.ask(lambda connection: [connection.execute(pragma).fetchone()[0] for pragma in pragmas])
    assert found == [2, "wal"]  # FULL: waits for the disk
    database.close()


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/home/ada/.outrider", "nfs4"),
        ("/home/ada/local disk/x", ""),
        ("/home/ada/local diskette", "nfs4"),
        ("/homes/x", ""),
        ("/mnt/far", "fuse.sshfs"),
        ("/mnt/farther", ""),
        ("/tmp/x", ""),
        ("/share/x", ""),  # a disk was mounted over it
        ("/host/x", ""),
        ("/", ""),
    ],
)
def test_the_table_of_mounts_says_which_folders_are_elsewhere(folder: str, kind: str) -> None:
    assert mounts.network(Path(folder), TABLE) == kind


async def test_a_journal_on_a_network_file_system_is_refused_and_may_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "there"
    done = await Agent(ScriptedModel(["one"]), journal=there).run("go")
    table = tmp_path / "table"
    table.write_text(TABLE + f"40 21 0:50 / {there} rw - nfs server:/x rw\n")
    monkeypatch.setattr(mounts, "TABLE", table)
    journal = SQLiteJournal(there)
    with pytest.raises(JournalError, match=r"on a network file system \(nfs\)") as caught:
        await Agent(ScriptedModel(["one"]), journal=journal).run("go")
    assert "OUTRIDER_HOME" in caught.value.hint
    assert len(await journal.read(done.run)) > 3
    table.write_text("rubbish\n\n - - -\n")
    assert (await Agent(ScriptedModel(["one"]), journal=journal).run("go")).output == "one"


# ------------------------------------------------------------------------------------------------- a full disk


async def test_on_a_full_disk_a_run_ends_clearly_and_goes_on_when_there_is_room(journal: SQLiteJournal) -> None:
    written: list[str] = []
    limited: list[int] = []

    @tool(effect="read")
    def load(n: int) -> str:
        """Load a lot."""
        if n == 3 and not limited:
            limited.append(n)
            _limit_pages(journal, spare=2)
        return "x" * 15_000

    @tool
    def write(n: int) -> str:
        """Write."""
        written.append(str(n))
        return "written"

    script = [*(Calls(("load", {"n": n}), ("write", {"n": n})) for n in range(1, 6)), "done"]
    agent = Agent(ScriptedModel(script), tools=[load, write], journal=journal)
    full = await agent.run("go")
    assert full.outcome == "error"
    assert isinstance(full.problem, JournalError)
    assert "full" in full.problem.message
    assert "Free some space and resume the run" in full.problem.hint
    kept = await journal.read(full.run)
    assert [entry.seq for entry in kept] == list(range(1, len(kept) + 1))
    begun = len(written)
    _limit_pages(journal, spare=1_000_000)
    done = await agent.resume(full)
    if done.outcome == "paused":  # the last write had begun, and its result found no room
        (doubt,) = done.state.owed_calls()
        await agent.settle(done.run, doubt.call.id, "written")
        done = await agent.resume(done)
    assert done.output == "done"
    assert Counter(written) == Counter("12345")
    assert 2 <= begun < 5


def _limit_pages(journal: SQLiteJournal, spare: int) -> None:
    """What is left on the disk: so many pages more, for every connection of this journal."""
    database = journal._database  # pyright: ignore[reportPrivateUsage]
    used: int = database.ask(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0])
    database.ask(lambda connection: connection.execute(f"PRAGMA max_page_count = {used + spare}"))


# ------------------------------------------------------------------------------------------------------ copies

COPIES = 200


class World:
    """All that the tools ever did, with the key under which they did it."""

    def __init__(self) -> None:
        self.done: list[str] = []


@tool(effect="read")
async def look(n: int) -> str:
    """Look."""
    await asyncio.sleep(0)
    return "x" * random.Random(n).choice([10, 2_000, 40_000])


@tool(repeat="with_key")
async def keep(n: int, context: Context[World]) -> str:
    """Keep it."""
    context.deps.done.append(context.key)
    await asyncio.sleep(0)
    return "kept"


def busy(journal: SQLiteJournal) -> Agent[World, str]:
    script = [*(Calls(("look", {"n": n}), ("keep", {"n": n})) for n in range(6)), "done"]
    return Agent(ScriptedModel(script), tools=[look, keep], deps_type=World, journal=journal)


async def work(home: Path) -> None:
    """Run after run, some at once, until somebody ends the process."""
    agent = busy(SQLiteJournal(home))
    for number in range(100_000):
        await asyncio.gather(*(agent.run(f"go {number}.{n}", deps=World()) for n in range(3)))


async def test_what_lies_on_disk_at_any_moment_opens_and_goes_on(tmp_path: Path) -> None:
    """A busy process is held still at 200 moments drawn by lot, and its files are copied, as after a power cut."""
    home, lot = tmp_path / "busy", random.Random(3)
    code = "import asyncio, sys, test_journal_disk as t; asyncio.run(t.work(t.Path(sys.argv[1])))"
    worker = subprocess.Popen(
        [sys.executable, "-c", code, str(home)], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    outcomes: Counter[str] = Counter()
    try:
        await until((home / "journal.db-wal").exists)
        for number in range(COPIES):
            await asyncio.sleep(lot.random() * 0.02)
            copy = tmp_path / f"copy{number}"
            os.kill(worker.pid, signal.SIGSTOP)
            os.waitpid(worker.pid, os.WUNTRACED)
            copy.mkdir()
            for name in ("journal.db", "journal.db-wal"):
                shutil.copyfile(home / name, copy / name)
            os.kill(worker.pid, signal.SIGCONT)
            outcomes.update(await asyncio.wait_for(gone_on(copy), WATCHDOG))
            shutil.rmtree(copy)
    finally:
        worker.kill()
        worker.wait()
    print(f"{COPIES} copies; runs in them that went on: {outcomes['gone on']}, that had ended: {outcomes['over']}")
    assert outcomes["gone on"] >= COPIES / 2


async def gone_on(copy: Path) -> Counter[str]:
    """What comes of the newest run in a copy."""
    with closing(sqlite3.connect(copy / "journal.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        with database:
            tables = database.execute("SELECT name FROM sqlite_schema WHERE name = 'run'").fetchall()
            database.execute("UPDATE run SET owner = NULL") if tables else None  # its owner lives, at another file
    outcomes: Counter[str] = Counter()
    journal = SQLiteJournal(copy)
    for summary in await journal.runs(1) if tables else []:
        was = await journal.read(summary.run)
        world = World()
        result: Result[str] = await busy(journal).resume(summary.run, deps=world)
        assert result.output == "done"
        known = {entry.event.call for entry in was if isinstance(entry.event, ToolFinished)}
        assert not known.intersection(world.done), "a call whose result was on disk was made again"
        outcomes["over" if summary.totals.outcome else "gone on"] += 1
    await journal.close()
    return outcomes


async def test_a_file_that_may_not_grow(journal: SQLiteJournal, home: Path) -> None:
    code = """
import resource
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
async def main():
    log = await open_journal().create("run")
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
    child = start(SQLitePlace(home), code)
    failed, hint = say(child).split()
    end(child)
    assert hint == "True"
    assert await numbers(journal, "run") == list(range(1, int(failed)))
