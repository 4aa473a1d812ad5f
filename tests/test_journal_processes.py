# ruff: noqa: ASYNC220 -- tests may wait for files and processes
"""The journal between processes: death, ownership, commands, forks."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from journal_kit import note, numbers, run_with, until
from outrider.commands import Cancel, Say, Unreadable
from outrider.errors import Fenced, RunBusy
from outrider.journal.sql import SQLJournal
from places import Place, end, say, start

pytestmark = pytest.mark.anyio
WATCHDOG = 60.0


@pytest.fixture
def journal(place: Place) -> Iterator[SQLJournal]:
    journal = place.journal()
    yield journal
    asyncio.run(journal.close())


HOLD = """
async def main():
    journal = open_journal()
    log = await journal.create("held")
    for seq in (1, 2, 3):
        note(log, seq)
    await log.flush()
    note(log, 4)
    print("holding", os.getpid(), flush=True)
    await asyncio.to_thread(sys.stdin.read)
asyncio.run(main())
"""


# ------------------------------------------------------------------------------------ death and ownership


async def test_kill_9_loses_nothing_flushed_and_frees_the_run_at_once(journal: SQLJournal, place: Place) -> None:
    child = start(place, HOLD)
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


async def test_kill_9_at_any_time_leaves_a_prefix(journal: SQLJournal, place: Place) -> None:
    code = """
async def main():
    journal = open_journal()
    log = await journal.create("run")
    for seq in range(1, 10**9):
        note(log, seq)
        if seq % 3 == 0:
            await log.flush()
            print(seq, flush=True)
asyncio.run(main())
"""
    child = start(place, code)
    told = max(int(say(child)) for _ in range(50))
    child.send_signal(signal.SIGKILL)
    rest, _ = child.communicate(timeout=WATCHDOG)
    lines = [line for line in rest.split("\n")[:-1] if line]
    told = int(lines[-1]) if lines else told
    seen = await numbers(journal, "run")
    assert len(seen) >= told
    assert seen == list(range(1, len(seen) + 1))


async def test_a_run_killed_before_its_first_flush_leaves_nothing(journal: SQLJournal, place: Place) -> None:
    code = """
async def main():
    log = await open_journal().create("run")
    note(log, 1)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    end(start(place, code))
    assert await journal.runs() == []
    await (await run_with(journal, "run")).close()


async def disown(place: Place) -> None:
    """Make every owner on record a process that is gone."""
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    place.sql("UPDATE owner SET pid = ?, started = 1", gone.pid)


async def test_an_owner_that_was_replaced_is_fenced_and_nobody_else(journal: SQLJournal, place: Place) -> None:
    old, bystander = await run_with(journal, "one"), await run_with(journal, "two")
    await disown(place)
    other = place.journal()
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
    assert place.sql("SELECT epoch FROM event WHERE run = 1 ORDER BY seq") == [(1,), (2,)]


async def test_a_run_may_be_taken_from_an_owner_that_lives(journal: SQLJournal, place: Place) -> None:
    old, other = await run_with(journal, "one"), place.journal()
    with pytest.raises(RunBusy):
        await other.claim("one")
    new = await other.claim("one", take=True)
    note(old, 2)
    with pytest.raises(Fenced, match="taken over"):
        await old.flush()
    await old.close()  # and gives nobody's run up
    with pytest.raises(RunBusy):
        await journal.claim("one")
    note(new, 2)
    await new.close()
    await other.close()
    assert await numbers(journal, "one") == [1, 2]


async def test_time_alone_fences_nobody(journal: SQLJournal, place: Place) -> None:
    log = await run_with(journal, "one")
    place.sql("UPDATE owner SET beat = 0")
    note(log, 2)
    await log.flush()
    with pytest.raises(RunBusy):
        await place.journal().claim("one")
    await log.close()


@pytest.mark.parametrize(("column", "value"), [("started", 1), ("boot", "before the restart"), ("pid", 2**22 + 1)])
async def test_owner_known_to_be_dead(journal: SQLJournal, place: Place, column: str, value: object) -> None:
    log = await run_with(journal, "one")
    place.sql(f"UPDATE owner SET {column} = ?", value)
    other = place.journal()
    await (await other.claim("one")).close()
    await log.close()
    await other.close()
    assert place.sql("SELECT id FROM owner") == []


@pytest.mark.parametrize("column", ["host", "space"])
@pytest.mark.parametrize(("age", "void"), [(30, False), (90, True)])
async def test_owner_out_of_sight(journal: SQLJournal, place: Place, column: str, age: int, void: bool) -> None:
    log = await run_with(journal, "one")
    place.sql(f"UPDATE owner SET {column} = 'elsewhere', pid = 1, beat = {place.now} - ?", age)
    other = place.journal()
    if void:
        await (await other.claim("one")).close()
    else:
        with pytest.raises(RunBusy, match="process 1"):
            await other.claim("one")
    await log.close()
    await other.close()


async def test_one_run_is_open_once_in_a_process(journal: SQLJournal, place: Place) -> None:
    log = await run_with(journal, "one")
    other = place.journal()
    for claimant in (journal, other):
        with pytest.raises(RunBusy, match=str(os.getpid())):
            await claimant.claim("one")
    await log.close()
    await (await other.claim("one")).close()
    await other.close()


async def test_only_one_of_many_claims_wins(journal: SQLJournal, place: Place) -> None:
    await (await run_with(journal, "one")).close()
    others = [place.journal() for _ in range(6)]
    results = await asyncio.gather(*(other.claim("one") for other in others), return_exceptions=True)
    assert sum(isinstance(result, RunBusy) for result in results) == 5
    for other in others:
        await other.close()


# ------------------------------------------------------------------------------------------------ inbox


async def test_commands_come_from_another_process_and_are_taken_once(journal: SQLJournal, place: Place) -> None:
    log, idle = await run_with(journal, "one"), await run_with(journal, "two")
    assert not log.mail
    assert await log.commands() == []
    child = start(place, 'print(asyncio.run(open_journal().tell("one", Say("me", "hello"))))')
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
    assert place.sql("SELECT taken FROM inbox ORDER BY id") == [(2,), (None,)]


async def test_a_command_stays_when_the_event_that_takes_it_is_lost(journal: SQLJournal, place: Place) -> None:
    await (await run_with(journal, "one")).close()
    number = await journal.tell("one", Cancel("me"))
    code = f"""
async def main():
    log = await open_journal().claim("one")
    note(log, 2, command={number})
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    end(start(place, code))
    log = await journal.claim("one")
    assert await log.commands() == [(number, Cancel("me"))]
    await log.close()


async def test_a_damaged_command(journal: SQLJournal, place: Place) -> None:
    log = await run_with(journal, "one")
    number = await journal.tell("one", Cancel("me"))
    place.sql("UPDATE inbox SET body = ?", b'{"kind":"explode"}')
    ((heard, command),) = await log.commands()
    assert heard == number
    assert isinstance(command, Unreadable)
    assert f"command {number} cannot be read" in command.why
    await log.close()


# ------------------------------------------------------------------------------ many processes


async def test_exit_leaves_no_warnings(place: Place) -> None:
    code = """
journal = open_journal()
async def main():
    log = await journal.create("run")
    note(log, 1)
    await log.flush()
    await journal.runs()
asyncio.run(main())
"""
    assert end(start(place, code, "-X", "dev", "-W", "error")) == ""


async def test_a_forked_child_has_its_own_journal(journal: SQLJournal, place: Place) -> None:
    code = """
journal = open_journal()
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
        thread = threading.Thread(target=asyncio.run, args=(use(open_journal(), "fresh", "parent"),))
        thread.start(); thread.join()
        thread = threading.Thread(target=asyncio.run, args=(use(journal, "inherited", "parent"),))
        thread.start(); thread.join()
        os._exit(0)
asyncio.run(main())
"""
    child = start(place, code, "-W", "ignore::DeprecationWarning")  # newer Pythons advise against it
    assert say(child) == say(child) == "busy"
    assert end(child) == ""
    assert await numbers(journal, "parent") == [1, 2, 3]
    assert await numbers(journal, "fresh") == await numbers(journal, "inherited") == list(range(1, 20))


async def test_processes_that_begin_together(journal: SQLJournal, place: Place) -> None:
    code = """
async def main():
    sys.stdin.readline()
    log = await open_journal().create(str(os.getpid()))
    for seq in range(1, 21):
        note(log, seq)
        await log.flush()
    await log.close()
asyncio.run(main())
"""
    children = [start(place, code) for _ in range(5)]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    assert [end(child) for child in children] == [""] * 5
    assert [await numbers(journal, str(child.pid)) for child in children] == [list(range(1, 21))] * 5
