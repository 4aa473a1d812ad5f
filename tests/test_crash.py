"""Kill -9 anywhere: the resumed run ends with the same answer and the same effects, and what it may cost holds.

The lives and deaths are real processes, forked from one warm one (``tests/crash``); here stands what is promised.
A fixed fifth of the points is tried, or all of them with OUTRIDER_CRASH=all.
"""

import asyncio
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from crash.facts import ANY, LINE, Attempt, Matrix, Trial
from outrider import Agent, Context, tool
from outrider.commands import Settle
from outrider.events import CommandRefused
from outrider.journal.sqlite import SQLiteJournal
from outrider.testing import Calls, ScriptedModel

SHARE = "1" if os.environ.get("OUTRIDER_CRASH") == "all" else "5"
WATCHDOG_SECONDS = 1200

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

KEPT = ("keyed", "capped")
"""Scenes whose writes carry a key: who gets the same key twice does the work once."""

NO_TRACE = {"after create #1", "before append #1", "after append #1", "before flush #1"}
"""The points before anything of a run is on disk."""


@pytest.fixture(scope="module")
def matrices(tmp_path_factory: pytest.TempPathFactory) -> list[Matrix]:
    folder = tmp_path_factory.mktemp("crash")
    subprocess.run(
        [sys.executable, "-W", "error", "-m", "crash.matrix", str(folder), SHARE],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=WATCHDOG_SECONDS,
        check=True,
    )
    return msgspec.json.decode((folder / "facts.json").read_bytes(), type=list[Matrix])


@pytest.fixture(scope="module")
def trials(matrices: list[Matrix]) -> list[Trial]:
    return [trial for matrix in matrices for trial in matrix.trials]


def effects(trial: Trial) -> Counter[tuple[str, str]]:
    """What has been done in the world by the tools that write, and how often."""
    done = Counter((a.what, a.key) for a in trial.attempts if a.what in ("reserve", "pay"))
    return Counter(set(done)) if trial.plan.scene in KEPT else done


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


def test_each_ends_with_the_answer_and_the_conversation_of_the_unbroken_run(matrices: list[Matrix]) -> None:
    for matrix in matrices:
        whole = matrix.unbroken.last
        assert (whole.outcome, whole.output) == ("finished", {"item": "lamp", "euros": 42})
        same = [t for t in matrix.trials if (t.last.outcome, t.last.output) == ("finished", whole.output)]
        assert names([t for t in matrix.trials if t not in same]) == []
        if matrix.name != "keyed, hopeless":
            assert names([t for t in same if t.last.conversation != whole.conversation]) == []


def test_each_ends_with_the_effects_of_the_unbroken_run(matrices: list[Matrix]) -> None:
    for matrix in matrices:
        assert effects(matrix.unbroken) == {("reserve", "1:1"): 1, ("pay", "2:0"): 1}
        assert names([t for t in matrix.trials if effects(t) != effects(matrix.unbroken)]) == []


def test_there_is_one_run_on_record_and_it_folds_to_how_it_ended(trials: list[Trial]) -> None:
    rested = [(trial, life) for trial in trials for life in trial.lives if not life.killed]
    assert names([trial for trial, life in rested if life.runs != 1 or not life.faithful]) == []


def test_what_cannot_be_known_is_asked(trials: list[Trial]) -> None:
    """A write that may not be repeated, killed between its intent and its result."""
    between = {f"{side} {what} #1" for side in ("before", "after") for what in ("reserve", "pay")}
    unknown = [
        (trial, n)
        for trial in trials
        if trial.plan.scene in ("never", "asked")
        for n, (death, life) in enumerate(zip(trial.plan.deaths, trial.lives, strict=False))
        if life.killed and str(death) in between
    ]
    assert unknown
    assert names([t for t, n in unknown if t.lives[n + 1].outcome != "paused"]) == []


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
    price = {"capped": 500}
    short = [t for t in trials if t.last.charged * 1000 < t.bills() * price.get(t.plan.scene, 1)]
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
    with capsys.disabled():
        heads = f"{'points':>7}{'tried':>7}{'anew':>6}{'asked':>7}{'effect repeated':>17}{'reply repeated':>16}"
        print(f"\n{'killed':28}{heads}")
        for matrix in matrices:
            print(row(matrix))
    assert len(matrices) > 10


def row(matrix: Matrix) -> str:
    """One line of the table."""
    tried = matrix.trials
    anew = sum(any(life.fresh for life in t.lives[1:]) for t in tried)
    asked = sum(any(life.outcome == "paused" for life in t.lives) for t in tried)
    repeated = sum(
        max(Counter((a.what, a.key) for a in t.attempts if a.what in ("reserve", "pay")).values()) > 1 for t in tried
    )
    paid = sum(t.bills() > 4 for t in tried)
    return f"{matrix.name:28}{matrix.points:7}{len(tried):7}{anew:6}{asked:7}{repeated:17}{paid:16}"
