"""The warm process: it imports everything once, then forks one life after the other and lets them be killed.

``python -m crash.matrix FOLDER SHARE`` writes the facts to FOLDER/facts.json; SHARE is the part of the points that
are tried, 1 for all of them and 5 for a fifth. It forks while it has no thread and no event loop, so that it is safe.
"""

import asyncio
import gc
import os
import random
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from crash.facts import ANY, LINE, Life, Matrix, Plan, Point, Trial
from crash.fuse import Fuse
from crash.life import live, settle_in
from crash.scenes import CLASSIC, LAMP, SCENES, WORDS, Scene
from crash.world import World, rate
from outrider.testing import Calls
from outrider.toolbox import MOST_ATTEMPTS
from outrider_prompts import say

WATCHDOG_SECONDS = 60
"""A life that takes longer is stuck."""

MOST_LIVES_AFTER = 6
"""How many undisturbed lives a run may need to come to its end."""

NOWHERE = Point("no such step", 1)
"""Where a life that comes to rest by itself does not die."""

LINES = 100
"""How many parts the lines of a run are divided into, to kill it after each."""

LOTS = 10
"""How many runs are killed at steps drawn by lot."""

MANY = 4
"""How often a run is killed that is killed often: its calls are begun once more than that, and may be."""


def fork(work: Callable[[], None]) -> int:
    """Do the work in a child of this process; returns its pid. The child exits with 1 when it raises."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        work()
        status = 0
    except BaseException:  # noqa: BLE001 - whatever it is, the child must not go on as its parent
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def one_life(plan: Plan, folder: Path, number: int) -> Life:
    """A process that works on the run until its point, or until the run rests."""
    death = plan.deaths[number] if number < len(plan.deaths) else None
    told = folder / f"life-{number}.json"

    def work() -> None:
        signal.alarm(WATCHDOG_SECONDS)
        life = asyncio.run(live(SCENES[plan.scene], folder, number, death))
        told.write_bytes(msgspec.json.encode(life))

    _, status = os.waitpid(fork(work), 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return Life(killed=True)
    if status:
        raise RuntimeError(f"{plan}: life {number} failed with wait status {status}")
    return msgspec.json.decode(told.read_bytes(), type=Life)


def carry_out(plan: Plan, folder: Path, place: int) -> Trial:
    """Life after life until the run has finished."""
    folder.mkdir(parents=True)
    settle_in(folder, f"c{os.getppid()}_{place}")
    lives: list[Life] = []
    while not lives or not lives[-1].ended:
        if len(lives) == len(plan.deaths) + MOST_LIVES_AFTER:
            break
        lives.append(one_life(plan, folder, len(lives)))
    attempts = World(folder, Fuse(None), 0).attempts()
    shutil.rmtree(folder)
    return Trial(plan, tuple(lives), attempts)


def carry_out_all(plans: Sequence[Plan], folder: Path) -> list[Trial]:
    """Carry out the plans, each in a process of its own, as many at once as there are processors."""
    waiting = list(enumerate(plans))
    running: dict[int, tuple[Plan, int]] = {}
    places = list(range(os.cpu_count() or 1))
    while waiting or running:
        while waiting and places:
            number, plan = waiting.pop(0)
            place = places.pop()
            running[fork(_in(folder, number, plan, place))] = plan, place
        pid, status = os.wait()
        plan, place = running.pop(pid)
        if status:
            raise RuntimeError(f"the trial of {plan} failed; the reason is above")
        places.append(place)
    found = [msgspec.json.decode(_facts(folder, n).read_bytes(), type=Trial) for n in range(len(plans))]
    for number in range(len(plans)):
        _facts(folder, number).unlink()
    return found


def _in(folder: Path, number: int, plan: Plan, place: int) -> Callable[[], None]:
    def work() -> None:
        trial = carry_out(plan, folder / str(number), place)
        _facts(folder, number).write_bytes(msgspec.json.encode(trial))

    return work


def _facts(folder: Path, number: int) -> Path:
    return folder / f"trial-{number}.json"


def every_point(name: str, plan: Plan, folder: Path, share: int, offset: int) -> Matrix:
    """Kill the life after the plan's deaths at each of its steps; of these, every ``share``-th is tried.

    The steps are put in order by name first: parallel calls take theirs in any order.
    """
    [unbroken] = carry_out_all([plan], folder)
    points = sorted(unbroken.lives[len(plan.deaths)].steps)
    chosen = points[offset % share :: share]
    plans = [Plan(plan.scene, (*plan.deaths, point)) for point in chosen]
    return Matrix(name, True, unbroken, len(points), tuple(carry_out_all(plans, folder)))


def every_life(scene: str, folder: Path, share: int) -> list[Matrix]:
    """Kill each of the lives that the run has anyway, when it rests for a person or a stop, at each of its steps."""
    [unbroken] = carry_out_all([Plan(scene)], folder)
    waits = [(NOWHERE,) * life for life in range(len(unbroken.lives))]
    names = [scene if not wait else f"{scene}, life {len(wait) + 1}" for wait in waits]
    plans = [Plan(scene, wait) for wait in waits]
    return [every_point(name, plan, folder, share, n) for n, (name, plan) in enumerate(zip(names, plans, strict=True))]


def any_line(scene: str, folder: Path, share: int) -> Matrix:
    """Kill a run at lines of the library's code, spread over the whole of it; inside a commit, for one.

    Threads take their lines in any order, and now and then one more: a run may come home alive.
    """
    [unbroken] = carry_out_all([Plan(scene, (Point(LINE, sys.maxsize),))], folder)
    lines = sum(step.step == LINE for step in unbroken.lives[0].steps)
    plans = [Plan(scene, (Point(LINE, lines * n // LINES),)) for n in range(1, LINES)]
    return Matrix(f"{scene}, any line", False, unbroken, lines, tuple(carry_out_all(plans[::share], folder)))


def again_and_again(scene: str, folder: Path, share: int) -> Matrix:
    """Kill life after life, after any number of steps, drawn by lot; most of all early, so that many are needed."""
    [unbroken] = carry_out_all([Plan(scene)], folder)
    lot = random.Random(0)
    most = min(35, len(unbroken.lives[0].steps) // 2)
    plans = [Plan(scene, tuple(Point(ANY, lot.randint(2, most)) for _ in range(MANY))) for _ in range(LOTS)]
    return Matrix(f"{scene}, by lot", False, unbroken, LOTS, tuple(carry_out_all(plans[::share], folder)))


def stubborn(scene: str, folder: Path) -> Matrix:
    """Kill every life at the same step, as a fault that comes back does."""
    [unbroken] = carry_out_all([Plan(scene)], folder)
    steps = ("after bill", "after flush", "after append", "before reserve", "after reserve")
    plans = [Plan(scene, (Point(step, 1),) * MANY) for step in steps]
    return Matrix(f"{scene}, the same again", False, unbroken, len(plans), tuple(carry_out_all(plans, folder)))


def hopeless(folder: Path) -> Matrix:
    """A call that kills its process whenever it runs: it is begun only so often, whatever it may be."""
    [unbroken] = carry_out_all([Plan("keyed")], folder)
    plan = Plan("keyed", (Point("after reserve", 1),) * MOST_ATTEMPTS)
    return Matrix("keyed, hopeless", True, unbroken, 1, tuple(carry_out_all([plan], folder)))


def warm_up(folder: Path) -> None:
    """Live once, so that everything is imported and built, and let the children share the memory.

    Nothing that needs a thread for tools: such threads stay.
    """
    say("answer_now", schema="{}")
    scene = Scene((rate,), (Calls(("rate", {"currency": "EUR"})), WORDS, LAMP))
    rehearsal = folder / "rehearsal"
    rehearsal.mkdir()
    settle_in(rehearsal, "rehearsal")
    asyncio.run(live(scene, rehearsal, 0, None))
    shutil.rmtree(rehearsal)
    if threading.active_count() > 1:
        raise RuntimeError(f"a life has left threads behind: {threading.enumerate()}")
    gc.collect()
    gc.freeze()


def matrices(folder: Path, share: int) -> list[Matrix]:
    """All that is tried."""
    warm_up(folder)
    unbegun = Point("before reserve", 1)  # its intent is on record and nothing has happened
    unheard = Point("after reserve", 1)  # its effect is there and its result is not
    unpaid = Point("after bill", 1)  # the reply is billed and nobody has heard it
    return [
        every_point("keyed", Plan("keyed"), folder, share, 0),
        every_point("keyed, second life", Plan("keyed", (unheard,)), folder, share, 3),
        every_point("never", Plan("never"), folder, share, 1),
        every_point("never, in doubt", Plan("never", (unheard, NOWHERE)), folder, share, 4),
        every_point("never, settled to run", Plan("never", (unbegun, NOWHERE)), folder, share, 3),
        every_point("asked", Plan("asked"), folder, share, 2),
        every_point("asked, answered", Plan("asked", (NOWHERE,)), folder, share, 0),
        every_point("capped", Plan("capped"), folder, share, 2),
        every_point("capped, second life", Plan("capped", (unpaid,)), folder, share, 0),
        any_line("keyed", folder, share),
        any_line("never", folder, share),
        *(again_and_again(scene, folder, share) for scene in CLASSIC),
        *(stubborn(scene, folder) for scene in CLASSIC),
        hopeless(folder),
        *(matrix for scene in SCENES if scene not in CLASSIC for matrix in every_life(scene, folder, share)),
    ]


if __name__ == "__main__":
    home = Path(sys.argv[1])
    (home / "facts.json").write_bytes(msgspec.json.encode(matrices(home, int(sys.argv[2]))))
