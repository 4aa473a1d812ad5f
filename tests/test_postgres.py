"""The journal in PostgreSQL where it is not one on this machine: a server that goes away, other versions, roles."""

import asyncio
import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from crowd import Crowd
from journal_kit import note, numbers, run_with, until
from outrider import Agent, Purse, SetupError, tool
from outrider.commands import Cancel
from outrider.errors import JournalError
from outrider.journal.sql import SQLJournal
from outrider.purse import Price
from outrider.testing import Calls, ScriptedModel
from places import PostgresPlace, end, say, start
from postgres_kit import Cluster, cluster

pytestmark = pytest.mark.anyio

_names = itertools.count()


@pytest.fixture
def place(postgres: Cluster) -> PostgresPlace:
    return PostgresPlace(postgres.address, f"p{next(_names)}")


@pytest.fixture
def journal(place: PostgresPlace) -> Iterator[SQLJournal]:
    journal = place.journal()
    yield journal
    asyncio.run(journal.close())


@pytest.fixture
def own_cluster(postgres: Cluster) -> Iterator[Cluster]:
    """A server that this test may stop."""
    with cluster() as server:
        yield server


# --------------------------------------------------------------------------------- a server that goes away


@contextmanager
def ended(*lines: socket.socket) -> Generator[None]:
    """Both ends of each line hear of its end when the block is left, whoever still reads from it."""
    with suppress(OSError):
        yield
    for line in lines:
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)


class Cut:
    """Stands between a journal and its server, and cuts each line that it is told to, at a COMMIT."""

    def __init__(self, port: int, when: Callable[[], str]) -> None:
        self._port, self._when = port, when
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.cuts = Counter[str]()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with closing(client), closing(socket.create_connection(("127.0.0.1", self._port))) as server:
            back = threading.Thread(target=self._to_client, args=(server, client), daemon=True)
            back.start()
            self._to_server(client, server)
            back.join()

    def _to_server(self, client: socket.socket, server: socket.socket) -> None:
        with ended(client, server):
            while data := client.recv(65536):
                how = self._when() if b"COMMIT" in data else ""
                self.cuts[how] += 1
                if how == "before":
                    break
                if how == "after":  # it is committed, and the client is not told
                    client.shutdown(socket.SHUT_RDWR)
                server.sendall(data)

    def _to_client(self, server: socket.socket, client: socket.socket) -> None:
        with ended(client, server):
            while data := server.recv(65536):
                client.sendall(data)


async def test_a_line_cut_at_a_commit_loses_nothing_and_doubles_nothing(
    postgres: Cluster, place: PostgresPlace
) -> None:
    """Before the server heard of the commit, and after it has done it: nobody can tell these apart."""
    lot = random.Random(7)
    cut = Cut(postgres.port, lambda: lot.choice(["", "", "before", "after"]))
    journal = PostgresPlace(postgres.address.replace(str(postgres.port), str(cut.port)), place.schema).journal()
    for run in ("one", "two", "three"):
        log = await journal.create(run)
        for seq in range(1, 16):
            note(log, seq)
            await log.flush()
        await log.close()
        log = await journal.claim(run)
        number = await journal.tell(run, Cancel("me"))
        await until(partial(getattr, log, "mail"))
        note(log, 16, command=number)
        await log.close()
    purse = Purse("cut", 1)
    for number in range(10):
        await journal.draw(purse, "one", number, Price(Decimal("0.05"), Decimal("0.05")), waits=False)
        await journal.settle(purse, "one", number, Decimal("0.03"))
    await journal.close()
    cut.close()
    assert min(cut.cuts["before"], cut.cuts["after"]) > 5
    other = place.journal()
    for run in ("one", "two", "three"):
        assert await numbers(other, run) == list(range(1, 17))
    assert [(each.billed, each.put_aside) for each in await other.spent()] == [(Decimal("0.30"), Decimal(0))]
    assert place.sql("SELECT count(*), count(taken) FROM inbox") == [(3, 3)]
    await other.close()


async def test_fifty_runs_outlive_five_restarts_of_the_server(own_cluster: Cluster) -> None:
    journal = PostgresPlace(own_cluster.address, "restarts").journal()
    crowd = Crowd(journal, 50)
    for count, how in enumerate(("fast", "immediate", "fast", "immediate", "fast")):
        await until(partial(crowd.has_done, count * 300))
        await asyncio.to_thread(own_cluster.stop, how)
        await asyncio.to_thread(own_cluster.start)
        assert not all(task.done() for task in crowd.going)
    await crowd.check()
    await journal.close()


async def test_when_the_server_stays_away_a_run_says_so_and_goes_on_later(own_cluster: Cluster) -> None:
    from outrider.journal.postgres import PostgresJournal

    journal = PostgresJournal(own_cluster.address, patience=1.0)

    @tool
    async def stop() -> str:
        """Stop the server."""
        await asyncio.to_thread(own_cluster.stop)
        return "stopped"

    agent = Agent(ScriptedModel([Calls(("stop", {})), "done"]), tools=[stop], journal=journal)
    result = await agent.run("Go.", id="away")
    assert result.outcome == "error"
    assert isinstance(result.problem, JournalError)
    assert "PostgreSQL at 127.0.0.1/postgres" in result.problem.message
    assert "resumed" in result.problem.hint
    await asyncio.to_thread(own_cluster.start)
    await journal.close()
    later = await Agent(ScriptedModel([Calls(("stop", {})), "done"]), tools=[stop], journal=journal).resume("away")
    assert later.outcome == "paused"  # whether the write was done, nobody knows
    await journal.close()


async def test_a_process_that_stands_still_amid_a_commit_holds_up_nobody(
    journal: SQLJournal, place: PostgresPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped with the run's row locked: the server undoes it, another takes the run over, the old one is refused."""
    monkeypatch.setattr("outrider.journal.postgres.server.STALLED", 1)
    code = """
from outrider.journal import tables
import outrider.journal.postgres.server as server
server.STALLED = 1
write = tables.write
def still(*args):
    outcome = write(*args)
    if stopping:
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)  # this thread, here
    return outcome
tables.write, tables.extend = still, lambda *_: {}
stopping = False
async def main():
    global stopping
    log = await open_journal().create("held")
    note(log, 1)
    await log.flush()
    print("ready", flush=True)
    stopping = True
    note(log, 2)
    try:
        await log.flush()
    except Fenced:
        print("fenced", flush=True)
asyncio.run(main())
"""
    child = start(place, code)
    assert say(child) == "ready"
    await asyncio.to_thread(os.waitpid, child.pid, os.WUNTRACED)
    log = await journal.claim("held", take=True)
    assert [entry.seq for entry in log.entries] == [1]
    note(log, 2)
    await log.flush()
    child.send_signal(signal.SIGCONT)
    assert say(child) == "fenced"
    end(child)
    await log.close()
    assert await numbers(journal, "held") == [1, 2]


# --------------------------------------------------------------------------------------------- being woken


async def test_a_command_wakes_the_owner_long_before_it_looks(
    journal: SQLJournal, place: PostgresPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from outrider.journal.postgres.server import Server

    monkeypatch.setattr(Server, "poll", 3600.0)
    log, woken = await run_with(journal, "one"), asyncio.Event()
    log.on_mail(woken.set)
    other = place.journal()
    number = await other.tell("one", Cancel("me"))
    await asyncio.wait_for(woken.wait(), 60)
    assert await log.commands() == [(number, Cancel("me"))]
    await log.close()
    await other.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "outrider-journal-listen"]


async def test_who_is_not_called_looks_all_the_same(
    journal: SQLJournal, place: PostgresPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outrider.journal.postgres.server.Listening", Deaf)
    log = await run_with(journal, "one")
    await place.journal().tell("one", Cancel("me"))
    await until(lambda: log.mail)
    assert [command for _, command in await log.commands()] == [Cancel("me")]
    await log.close()


class Deaf:
    def __init__(self, *_: Any) -> None:
        pass

    def stop(self) -> None:
        """Nothing was begun."""


# ---------------------------------------------------------------------------------- versions, roles, purses


async def test_older_code_works_with_newer_tables_until_they_need_newer_code(
    journal: SQLJournal, place: PostgresPlace
) -> None:
    await (await run_with(journal, "one")).close()
    place.sql("UPDATE journal SET version = 99")
    place.sql("ALTER TABLE run ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue'")
    other = place.journal()
    await (await run_with(other, "two")).close()
    assert [line.run for line in await other.runs()] == ["two", "one"]
    await other.close()
    place.sql("UPDATE journal SET needs = 99")
    with pytest.raises(JournalError, match="newer Outrider") as caught:
        await place.journal().runs()
    assert "Upgrade" in caught.value.hint


async def test_a_role_that_may_only_read_and_write_the_tables_is_enough(
    journal: SQLJournal, place: PostgresPlace, postgres: Cluster
) -> None:
    from outrider.journal.postgres import PostgresJournal

    await (await run_with(journal, "one")).close()
    role = f"worker_{place.schema}"
    place.sql(f"CREATE ROLE {role} LOGIN")
    place.sql(f"GRANT USAGE ON SCHEMA {place.schema} TO {role}")
    place.sql(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {place.schema} TO {role}")
    address = postgres.address.replace("outrider@", f"{role}@")
    worker = PostgresJournal(address, place.schema)
    agent = Agent(ScriptedModel(["done"]), journal=worker)
    assert (await agent.run("Go.")).output == "done"
    await worker.close()
    with pytest.raises(JournalError, match="permission denied") as caught:
        await PostgresJournal(address, f"new_{place.schema}").create("one")
    assert "The role must be allowed" in caught.value.hint


async def test_a_purse_never_gives_more_than_it_has_however_many_ask_at_once(place: PostgresPlace) -> None:
    code = """
from decimal import Decimal
from functools import partial
from outrider.purse import Price, Purse
async def main():
    journal, got = open_journal(), Decimal(0)
    log = await journal.create(str(os.getpid()))
    note(log, 1)
    await log.flush()
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(20):
        price = Price(Decimal("0.05"), Decimal("0.05"))
        share = await journal.draw(Purse("all", 1), str(os.getpid()), number, price, False)
        got += share.put_aside or 0
    print(got, flush=True)
    await log.close()
asyncio.run(main())
"""
    children = [start(place, code) for _ in range(4)]
    assert [say(child) for child in children] == ["ready"] * 4
    for child in children:
        assert child.stdin
        child.stdin.write("go\n")
        child.stdin.flush()
    got = [Decimal(say(child)) for child in children]
    assert [end(child) for child in children] == [""] * 4
    assert sum(got) == Decimal(1)


async def test_runs_are_weighed_and_removed_with_all_that_is_theirs(journal: SQLJournal, place: PostgresPlace) -> None:
    for run in ("one", "two"):
        await (await run_with(journal, run, 5)).close()
    live = await run_with(journal, "live")
    await journal.tell("one", Cancel("me"))
    sizes = await journal.sizes()
    assert set(sizes) == {"one", "two", "live"}
    assert sizes["one"] > sizes["live"] > 0
    gone = await journal.remove([line for line in await journal.runs() if line.run != "two"])
    assert gone.runs == ("one",)
    assert place.sql("SELECT count(*) FROM event") == [(6,)]
    assert place.sql("SELECT count(*) FROM inbox") == [(0,)]
    await live.close()


# --------------------------------------------------------------------------------------------------- words


async def test_what_cannot_be_reached_is_said_at_once_without_the_password(postgres: Cluster) -> None:
    from outrider.journal.postgres import PostgresJournal

    nobody = PostgresJournal("postgresql://me:hush@127.0.0.1:1/runs")
    nowhere = PostgresJournal(f"postgresql://outrider:hush@127.0.0.1:{postgres.port}/nowhere")
    for journal, words in ((nobody, "refused"), (nowhere, "does not exist")):
        with pytest.raises(JournalError, match=words) as caught:
            await journal.runs()
        assert "hush" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__} {journal}"
        assert "that database" in caught.value.hint
    with pytest.raises(SetupError, match="cannot be read"):
        PostgresJournal("postgresql://me:hush@127.0.0.1:1/runs?colour=blue")


async def test_an_agent_takes_the_address_and_the_command_line_the_variable(
    postgres: Cluster, place: PostgresPlace, outrider: Any
) -> None:
    address = f"{postgres.address}?application_name=app"
    agent = Agent(ScriptedModel(["done"]), journal=address)
    result = await agent.run("Go.")
    await agent.journal.close()
    listed = outrider("runs", OUTRIDER_JOURNAL=address)
    assert result.run in listed.out
    told = outrider("show", result.run, OUTRIDER_JOURNAL=address)
    assert "done" in told.out
    wrong = outrider("runs", OUTRIDER_JOURNAL="mysql://here")
    assert (wrong.code, "no PostgreSQL URI" in wrong.err) == (2, True)
    assert not outrider.home.exists()


def test_without_the_package_the_hint_is_the_command() -> None:
    code = """
import sys
sys.modules["psycopg"] = None
from outrider import Agent, SetupError
from outrider.testing import ScriptedModel
try:
    Agent(ScriptedModel(["x"]), journal="postgresql://x/y").run_sync("Go.")
except SetupError as error:
    print(error.hint)
"""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=True)
    assert "pip install 'outrider[postgres]'" in done.stdout
