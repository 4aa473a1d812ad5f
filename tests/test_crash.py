"""Kill -9 anywhere: the resumed run ends with the same answer and the same effects, and what it may cost holds.

The lives and deaths are real processes, forked from one warm one (``tests/crash``); here stands what is promised.
A fixed fifth of the points is tried, or all of them with OUTRIDER_CRASH=all.
"""

import asyncio
import os
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from crash.facts import ANY, LINE, Attempt, Life, Matrix, Trial
from crash.life import DATABASE
from crash.scenes import SCENES, Scene
from outrider import Agent, Context, tool
from outrider.commands import Settle
from outrider.events import CommandRefused
from outrider.journal.sqlite import SQLiteJournal
from outrider.testing import Calls, ScriptedModel

SHARE = "1" if os.environ.get("OUTRIDER_CRASH") == "all" else "5"
WATCHDOG_SECONDS = 7200 if SHARE == "1" else 1200

FORKED = """
import os, signal
from outrider import Agent, tool
from outrider.testing import Calls, ScriptedModel

@tool
def add(a: int, b: int) -> int:
    "Add."
    return a + b

def work():
    model = ScriptedModel([Calls(("add", {"a": 1, "b": 2})), "three"])
    print(Agent(model, tools=[add]).run_sync("1 + 2?").output, flush=True)

work()
if child := os.fork():
    raise SystemExit(os.waitpid(child, 0)[1])
signal.alarm(60)
work()
"""

NO_TRACE = {"after create #1", "before append #1", "after append #1", "before flush #1"}
"""The points before anything of a run is on disk."""


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def matrices(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Matrix]:
    folder = tmp_path_factory.mktemp("crash")
    kept = {DATABASE: request.getfixturevalue("postgres").address} if request.param == "postgres" else {}
    subprocess.run(
        [sys.executable, "-W", "error", "-m", "crash.matrix", str(folder), SHARE],
        env=os.environ | kept | {"PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=WATCHDOG_SECONDS,
        check=True,
    )
    return msgspec.json.decode((folder / "facts.json").read_bytes(), type=list[Matrix])


@pytest.fixture(scope="module")
def trials(matrices: list[Matrix]) -> list[Trial]:
    return [trial for matrix in matrices for trial in matrix.trials]


def scene_of(trial: Trial) -> Scene:
    return SCENES[trial.plan.scene]


def uses(trial: Trial) -> Counter[tuple[str, str]]:
    """How often the tools that write were used, by tool and key."""
    tools = scene_of(trial).tools_that("with_key") | scene_of(trial).tools_that("never")
    return Counter((a.what, a.key) for a in trial.attempts if a.what in tools)


def effects(trial: Trial) -> Counter[tuple[str, str]]:
    """What has been done in the world. Where a write carries a key, who gets it twice does the work once."""
    kept = scene_of(trial).tools_that("with_key")
    return Counter({use: 1 if use[0] in kept else times for use, times in uses(trial).items()})


def doubted(trial: Trial) -> list[Life]:
    """The lives after a death between the intent and the result of a write that may not be repeated."""
    between = {f"{side} {what}" for side in ("before", "after") for what in scene_of(trial).tools_that("never")}
    lives = zip(trial.plan.deaths, trial.lives, trial.lives[1:], strict=False)
    return [after for death, life, after in lives if life.killed and death.step in between]


def before(trial: Trial, life: int) -> list[Attempt]:
    return [attempt for attempt in trial.attempts if attempt.life < life]


def names(trials: list[Trial]) -> list[str]:
    return [f"{trial.plan} -> {how_it_went(trial)}" for trial in trials]


def how_it_went(trial: Trial) -> str:
    return ", ".join("killed" if life.killed else life.outcome for life in trial.lives)


def test_every_chosen_point_was_a_death(matrices: list[Matrix]) -> None:
    exact = [m for m in matrices if m.exact]
    assert sum(len(m.trials) for m in exact) >= sum(m.points for m in exact) // 6
    alive = [t for m in exact for t in m.trials if not t.lives[len(t.plan.deaths) - 1].killed]
    assert names(alive) == []
    inexact = [t for m in matrices if not m.exact for t in m.trials]
    assert sum(t.lives[0].killed for t in inexact) > len(inexact) * 0.8


def test_there_are_many_different_runs(matrices: list[Matrix]) -> None:
    assert {matrix.unbroken.plan.scene for matrix in matrices if matrix.trials} == set(SCENES)
    assert len(SCENES) >= 20


def same_output(trial: Trial, whole: Life) -> bool:
    return (trial.last.outcome, trial.last.output) == (whole.outcome, whole.output)


def test_each_ends_with_the_answer_and_the_conversation_of_the_unbroken_run(matrices: list[Matrix]) -> None:
    for matrix in matrices:
        whole, scene = matrix.unbroken.last, scene_of(matrix.unbroken)
        assert (matrix.name, whole.outcome, whole.output) == (matrix.name, scene.ends, scene.answer)
        assert names([t for t in matrix.trials if not same_output(t, whole)]) == []
        if matrix.name != "keyed, hopeless":
            assert names([t for t in matrix.trials if t.last.conversation != whole.conversation]) == []


def test_each_ends_with_the_effects_of_the_unbroken_run(matrices: list[Matrix]) -> None:
    for matrix in matrices:
        assert effects(matrix.unbroken) == Counter(scene_of(matrix.unbroken).effects)
        assert names([t for t in matrix.trials if effects(t) != effects(matrix.unbroken)]) == []


def test_there_is_one_run_on_record_and_it_folds_to_how_it_ended(trials: list[Trial]) -> None:
    rested = [(trial, life) for trial in trials for life in trial.lives if not life.killed]
    assert names([trial for trial, life in rested if life.runs != 1 or not life.faithful]) == []


def test_each_record_replays_as_it_went_deaths_and_all(trials: list[Trial]) -> None:
    differ = [(trial, life.difference) for trial in trials for life in trial.lives if life.difference]
    assert [f"{trial.plan}: {difference}" for trial, difference in differ] == []


def test_what_cannot_be_known_is_asked(trials: list[Trial]) -> None:
    """A write that may not be repeated, killed between its intent and its result."""
    unknown = [trial for trial in trials if doubted(trial)]
    assert len({trial.plan.scene for trial in unknown}) >= 4
    assert names([t for t in unknown if any(life.outcome != "paused" for life in doubted(t))]) == []


def test_a_run_killed_before_its_first_flush_leaves_no_trace_and_has_done_nothing(trials: list[Trial]) -> None:
    anew = [(t, n) for t in trials for n, life in enumerate(t.lives) if life.fresh and n > 0]
    assert anew
    assert names([t for t, n in anew if before(t, n)]) == []
    first = {t.plan: str(t.plan.deaths[0]) for t in trials if t.plan.deaths[0].step not in (ANY, LINE)}
    assert {first[t.plan] for t, n in anew if n == 1 and t.plan in first} <= NO_TRACE
    assert names([t for t in trials if first.get(t.plan) in NO_TRACE and not any(x.fresh for x in t.lives[1:])]) == []


def test_a_death_costs_at_most_one_request(matrices: list[Matrix]) -> None:
    for matrix in matrices:
        usual = matrix.unbroken.bills() - sum(life.killed for life in matrix.unbroken.lives)
        dear = [t for t in matrix.trials if t.bills() > usual + sum(life.killed for life in t.lives)]
        assert names(dear) == []


def test_the_cap_holds_when_killed_between_send_and_reply(trials: list[Trial]) -> None:
    """Ninety cents, fifty a reply: one reply, however often it is killed before somebody gives it more."""
    capped = [t for t in trials if t.plan.scene == "capped"]
    poor = {str(t.plan): next((n for n, life in enumerate(t.lives) if life.outcome == "limit"), None) for t in capped}
    assert any(n is not None for n in poor.values())
    over = [t for t in capped if t.bills(lives=(poor[str(t.plan)] or 0) + 1) > 1]
    assert names(over) == []


def test_every_reply_that_was_billed_is_charged(trials: list[Trial]) -> None:
    short = [t for t in trials if t.last.charged < t.bills() * Decimal(scene_of(t).cost)]
    assert names(short) == []


def test_a_call_that_always_kills_is_begun_five_times_and_then_asked_about(matrices: list[Matrix]) -> None:
    [hopeless] = [trial for matrix in matrices if matrix.name == "keyed, hopeless" for trial in matrix.trials]
    assert how_it_went(hopeless) == "killed, killed, killed, killed, killed, paused, finished"
    assert sum(attempt.what == "reserve" for attempt in hopeless.attempts) == 5


@pytest.mark.anyio
async def test_a_word_on_one_doubt_does_not_settle_the_next(tmp_path: Path) -> None:
    """ "Run it again", said twice, is not a licence to pay three times."""
    paid: list[str] = []

    @tool(timeout=0.01)
    async def pay(context: Context[None]) -> None:
        """Pay, and never come back to say so."""
        paid.append(context.key)
        await asyncio.Event().wait()

    journal = SQLiteJournal(tmp_path)
    agent = Agent(ScriptedModel([Calls(("pay", {})), "done"]), tools=[pay], journal=journal)
    result = await agent.run("Pay.")
    [doubted] = result.state.owed_calls()
    again = Settle("somebody", doubted.call.id, doubted.question)
    for _ in range(3):
        assert result.state.paused == "doubt"
        await journal.tell(result.run, again)
        result = await agent.resume(result.run)
    assert len(paid) == 2
    assert sum(isinstance(entry.event, CommandRefused) for entry in await journal.read(result.run)) == 2


def test_a_fork_of_a_process_that_has_run_a_task_runs_its_own(tmp_path: Path) -> None:
    """The child has none of its parent's threads: not the loop of run_sync, not those of tools, not the journal's."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OUTRIDER_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED],
        env=env, timeout=120, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("three\nthree\n", "")


def test_table(matrices: list[Matrix], capsys: pytest.CaptureFixture[str]) -> None:
    """For people: what was tried, and how it went."""
    lines = [HEADS, *map(row, matrices)]
    with capsys.disabled():
        print(
            "", *("".join(f"{cell:{'>9' if n else '<26'}}" for n, cell in enumerate(line)) for line in lines), sep="\n"
        )
        points, tried = (sum(int(row(matrix)[n]) for matrix in matrices) for n in (1, 2))
        print(f"{len(SCENES)} runs, {points} points, {tried} of them tried")
    assert len(lines) > len(SCENES)


HEADS = ("killed", "points", "tried", "output", "effects", "paused", "anew", "redone", "repaid")
"""After what was tried: of these, with the same output and the same effects; paused, of those that had to be asked
about; begun anew; with a write that was done twice under its key; and with a reply that was paid for twice."""


def row(matrix: Matrix) -> tuple[str, ...]:
    """One line of the table."""
    tried, whole = matrix.trials, matrix.unbroken
    asked = [life for t in tried for life in doubted(t)]
    counts = (
        matrix.points,
        len(tried),
        sum(same_output(t, whole.last) for t in tried),
        sum(effects(t) == effects(whole) for t in tried),
        f"{sum(life.outcome == 'paused' for life in asked)}/{len(asked)}",
        sum(any(life.fresh for life in t.lives[1:]) for t in tried),
        sum(max(uses(t).values(), default=0) > 1 for t in tried),
        sum(t.bills() > whole.bills() for t in tried),
    )
    return (matrix.name, *map(str, counts))
