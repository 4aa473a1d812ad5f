"""One life of a run: somebody finds it as the last life left it, and goes on."""

import hashlib
import os
from pathlib import Path

import msgspec

from crash.facts import Life, Point
from crash.fuse import Fuse, FusedJournal
from crash.scenes import GREETING, Scene
from crash.world import DONE, World
from outrider.agent import Agent
from outrider.commands import Say
from outrider.errors import RunNotFound
from outrider.journal.sql import SQLJournal
from outrider.journal.sqlite import SQLiteJournal
from outrider.limits import charged
from outrider.messages import UserMessage, from_wire
from outrider.result import Result
from outrider.state import State
from outrider.testing.scripted import ScriptedModel

DATABASE = "OUTRIDER_CRASH_JOURNAL"
if DATABASE in os.environ:  # before any fork
    import psycopg

    from outrider.journal.postgres import PostgresJournal
else:
    psycopg = PostgresJournal = None

TASK = "Buy a lamp."
MORE_MONEY = 100
"""What a run out of money gets: so many times its limit."""


async def live(scene: Scene, folder: Path, number: int, death: Point | None) -> Life:
    """Go on with the run on record, or begin it where there is none; as somebody would who finds it.

    What it waits for it gets first: consent, word on a call in doubt after a look at the world, more money.
    """
    fuse = Fuse(death)
    journal = FusedJournal(journal_of(folder), fuse.reach)
    world = World(folder, fuse, number, journal)
    agent = agent_of(scene, world, journal)
    found = [summary.run for summary in await journal.runs()]
    result = await (go_on(scene, found[0], agent, world, journal) if found else begin(scene, agent, world))
    told = await tell(scene, result, fuse, journal, fresh=not found)
    again = await agent.replay(await journal.read(result.run), deps=world)
    await journal.close()
    return msgspec.structs.replace(told, difference=again.difference)


def journal_of(folder: Path) -> SQLJournal:
    """Where the runs of a trial are kept: in its folder, or in a schema of the database that is given."""
    if PostgresJournal:
        return PostgresJournal(os.environ[DATABASE], (folder / "schema").read_text())
    return SQLiteJournal(folder)


def settle_in(folder: Path, schema: str) -> None:
    """Keep the trial's runs in this schema, if in a database. Of earlier trials nothing stays but the empty tables."""
    if not psycopg:
        return
    (folder / "schema").write_text(schema)
    with psycopg.connect(os.environ[DATABASE], options=f"-c search_path={schema}") as connection:
        if connection.execute("SELECT to_regclass('run')").fetchone() != (None,):
            for table in ("run", "owner", "purse", "draw"):
                connection.execute(f"DELETE FROM {table}".encode())


def agent_of(scene: Scene, world: World, journal: FusedJournal) -> Agent[World, object]:
    """Who does the task."""
    model = scene.model(world, scene.script, scene.cost)
    agent = Agent[World, object](
        model, output=scene.output, tools=scene.tools, limits=scene.limits, policy=scene.policy, journal=journal
    )
    return agent.checked(*scene.checks)


async def begin(scene: Scene, agent: Agent[World, object], world: World) -> Result[object]:
    """There is no run, as far as anybody knows."""
    earlier = None
    if scene.greeted:
        earlier = await Agent(ScriptedModel([GREETING]), journal=None).run("Good morning.")
    return await agent.run(TASK, deps=world, history=earlier, id=scene.name)


async def go_on(
    scene: Scene, run: str, agent: Agent[World, object], world: World, journal: FusedJournal
) -> Result[object]:
    """There is a run, on disk or only begun."""
    try:
        state = State.fold(await journal.read(run))
    except RunNotFound:
        return await begin(scene, agent, world)
    if state.outcome == scene.ends != "finished":  # it died after its last word: there is nothing to go on with
        return Result(state, lambda _: None)
    await answer(scene, agent, world, state)
    more = None
    if state.outcome == "limit" and state.limits.dollars is not None:
        more = msgspec.structs.replace(state.limits, dollars=state.limits.dollars * MORE_MONEY)
    if scene.name and state.outcome != "limit":
        return await agent.run(TASK, deps=world, id=scene.name)
    waiting = [command.text for _, command in await journal.pending(run) if isinstance(command, Say)]
    unsaid = state.outcome == "finished" and not heard(scene, state) and scene.say not in waiting
    return await agent.resume(run, deps=world, limits=more, say=scene.say if unsaid else "")


async def answer(scene: Scene, agent: Agent[World, object], world: World, state: State) -> None:
    """Say what is to become of the calls that wait."""
    done = {(attempt.what, attempt.key) for attempt in world.attempts()}
    for call in state.owed_calls():
        tool = call.call.name
        if call.status == "asked" and tool in scene.refused:
            await agent.deny(state.run, call.call.id, "It is too dear.")
        elif call.status == "asked":
            await agent.approve(state.run, call.call.id, arguments=scene.edited.get(tool))
        elif call.status == "doubt" and call.intent:
            happened = (tool, call.intent.key.partition(":")[2]) in done
            await agent.settle(state.run, call.call.id, DONE[tool] if happened else None)


def heard(scene: Scene, state: State) -> bool:
    """Whether what is to be said in the end has been."""
    texts = [m.content for m in map(from_wire, state.messages) if isinstance(m, UserMessage)]
    return not scene.say or scene.say in texts


async def tell(scene: Scene, result: Result[object], fuse: Fuse, journal: FusedJournal, fresh: bool) -> Life:
    """What there is to say of a life that came to where the run rests."""
    state = result.state
    entries = await journal.read(result.run)
    return Life(
        killed=False,
        steps=tuple(fuse.passed),
        fresh=fresh,
        outcome=result.outcome,
        ended=result.outcome == scene.ends and heard(scene, state),
        output=None if state.accepted is None else msgspec.json.decode(state.accepted),
        conversation=hashlib.sha256(b"\n".join(map(bytes, state.messages))).hexdigest(),
        runs=len(await journal.runs()),
        faithful=State.fold(entries) == state,
        charged=charged(state),
    )
