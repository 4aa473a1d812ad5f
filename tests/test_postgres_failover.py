"""The journal in PostgreSQL where the primary dies and its standby takes its place, and where lines are encrypted."""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NoReturn

import psycopg
import pytest

from certificates import Authority
from crowd import STEPS, Crowd
from journal_kit import numbers, until
from outrider import Agent, Limits, tool
from outrider.errors import JournalError
from outrider.journal.postgres import PostgresJournal
from outrider.testing import Calls, ScriptedModel
from places import PostgresPlace
from postgres_kit import Cluster, cluster, programs

pytestmark = pytest.mark.anyio

RUNS = 20


@pytest.fixture
def pair(missing: Callable[[str], NoReturn]) -> Iterator[tuple[Cluster, Cluster]]:
    """A primary that answers for no commit before its standby has it, and that standby."""
    if not programs():
        missing("PostgreSQL's server is not installed: apt-get install postgresql")
    with cluster() as primary, cluster(primary=primary) as standby:
        with psycopg.connect(primary.address, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")
        asyncio.run(until(partial(_follows, primary.address)))
        yield primary, standby


def _follows(address: str) -> bool:
    with psycopg.connect(address, autocommit=True) as connection:
        rows = connection.execute("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'")
        return rows.fetchone() is not None


async def test_runs_outlive_their_primary_and_lose_nothing(pair: tuple[Cluster, Cluster]) -> None:
    """It crashes under twenty runs, and never comes back; the standby is promoted a while later."""
    primary, standby = pair
    journal = PostgresJournal(f"postgresql://outrider@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/postgres")
    crowd = Crowd(journal, RUNS)
    await until(partial(crowd.has_done, RUNS * STEPS // 3))
    await asyncio.to_thread(primary.stop, "immediate")
    before = len(crowd.done)
    await asyncio.sleep(0.5)  # a failover takes a while; meanwhile the runs stand
    assert len(crowd.done) <= before + RUNS
    await asyncio.to_thread(standby.promote)
    await crowd.check()
    await journal.close()


async def test_where_entries_were_lost_with_the_primary_a_run_stops_and_goes_on_from_what_there_is(
    postgres: Cluster,
) -> None:
    """A standby that lagged behind has taken over, or a backup was restored: what it lacks leaves no hole."""
    place = PostgresPlace(postgres.address, "lagging")
    journal = place.journal()

    @tool(repeat="with_key")
    async def step() -> str:
        """One step."""
        if len(looks) == 3:
            place.sql("DELETE FROM event WHERE run = (SELECT number FROM run WHERE id = 'one') AND seq > 9")
        looks.append("look")
        return "ok"

    looks: list[str] = []
    agent = Agent(
        ScriptedModel([*[Calls(("step", {}))] * 6, "done"]), tools=[step], journal=journal, limits=Limits(repeats=None)
    )
    others = [asyncio.create_task(agent.run("Go.", id=name)) for name in ("two", "three")]
    await asyncio.gather(*others)
    looks.clear()
    result = await agent.run("Go.", id="one")
    assert result.outcome == "error"
    assert isinstance(result.problem, JournalError)
    assert "of an earlier moment" in result.problem.message
    assert await numbers(journal, "one") == list(range(1, 10))
    later = await agent.resume("one")
    assert (later.outcome, later.output) == ("finished", "done")
    entries = await numbers(journal, "one")
    assert entries == list(range(1, len(entries) + 1))
    await journal.close()


# ------------------------------------------------------------------------------------------------ encrypted


@pytest.fixture
def guarded(tmp_path: Path, missing: Callable[[str], NoReturn]) -> Iterator[Cluster]:
    """A server that is spoken to under a certificate for 127.0.0.1, or not at all; the authority is in ``tmp_path``."""
    if not programs():
        missing("PostgreSQL's server is not installed: apt-get install postgresql")
    authority = Authority(tmp_path, "authority", missing)
    Authority(tmp_path, "other", missing)
    with cluster() as server:
        server.guard(*authority.certify("server"))
        yield server


async def test_lines_are_encrypted_and_the_server_is_who_it_says(guarded: Cluster, tmp_path: Path) -> None:
    verified = f"{guarded.address}?sslmode=verify-full&sslrootcert={tmp_path}/authority.crt"
    journal = PostgresJournal(verified)
    result = await Agent(ScriptedModel(["done"]), journal=journal).run("Go.")
    assert (result.outcome, [line.run for line in await journal.runs()]) == ("finished", [result.run])
    await journal.close()
    with psycopg.connect(verified) as connection:
        rows = connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchall()
    assert rows == [(True,)]


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("sslmode=verify-full&sslrootcert={}/other.crt", "certificate verify failed"),
        ("sslmode=disable", "no encryption"),
    ],
)
async def test_a_stranger_in_the_servers_place_and_a_plain_line_are_refused(
    guarded: Cluster, tmp_path: Path, way: str, words: str
) -> None:
    journal = PostgresJournal(f"{guarded.address}?{way.format(tmp_path)}")
    with pytest.raises(JournalError, match=words) as caught:
        await journal.runs()
    assert caught.value.hint
