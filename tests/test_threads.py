"""Threads for plain functions, and the one background loop of run_sync; in real processes where it matters."""

import asyncio
import contextvars
import os
import signal
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from outrider import Agent, SetupError, tool
from outrider.journal.sqlite import SQLiteJournal
from outrider.testing.scripted import Calls, ScriptedModel
from outrider.threads import AT_ONCE, portal, slots, start_in_thread

pytestmark = pytest.mark.anyio
WATCHDOG = 60.0
name: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="nobody")


def process(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a Python of its own that finds the packages where this one does."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        timeout=WATCHDOG,
        check=False,
    )


async def test_work_runs_in_a_daemon_thread_with_the_callers_context() -> None:
    name.set("Ada")
    thread, seen = await start_in_thread(lambda: (threading.current_thread(), name.get()))
    assert thread.daemon
    assert thread is not threading.current_thread()
    assert seen == "Ada"


async def test_what_work_does_to_its_context_stays_there() -> None:
    name.set("Ada")
    await start_in_thread(lambda: name.set("Grace"))
    assert name.get() == "Ada"


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyError("x")])
async def test_errors_come_back_to_the_caller(error: BaseException) -> None:
    def work() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        await start_in_thread(work)
    assert caught.value is error


async def test_stop_iteration_cannot_be_awaited_and_becomes_another_error() -> None:
    with pytest.raises(RuntimeError, match="StopIteration"):
        await start_in_thread(lambda: next(iter(())))


async def test_threads_are_used_again() -> None:
    threads = {await start_in_thread(threading.get_ident) for _ in range(20)}
    assert len(threads) < 20


async def test_a_cancelled_wait_leaves_the_thread_to_itself() -> None:
    go, done = threading.Event(), threading.Event()

    def work() -> None:
        assert go.wait(WATCHDOG)
        done.set()

    future = start_in_thread(work)
    future.cancel()
    with pytest.raises(asyncio.CancelledError):
        await future
    go.set()
    assert await start_in_thread(lambda: done.wait(WATCHDOG))


async def test_many_run_at_once_and_more_wait_their_turn() -> None:
    running, most, lock = 0, 0, threading.Lock()
    full = threading.Event()

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            if running == AT_ONCE:
                full.set()
        assert full.wait(WATCHDOG)
        with lock:
            running -= 1

    async def one() -> None:
        async with slots():
            await start_in_thread(work)

    await asyncio.wait_for(asyncio.gather(*[one() for _ in range(AT_ONCE + 20)]), WATCHDOG)
    assert most == AT_ONCE


# -------------------------------------------------------------------------------------------- run_sync


def greeting() -> Agent[None, str]:
    return Agent(ScriptedModel(["hello"]), journal=None)


def greet() -> str:
    return greeting().run_sync("go").output


def test_one_background_loop_serves_every_thread() -> None:
    assert portal() is portal()
    with ThreadPoolExecutor(8) as pool:
        results = [going.result() for going in [pool.submit(greet) for _ in range(32)]]
    assert results == ["hello"] * 32
    loops = [thread for thread in threading.enumerate() if thread.name == "outrider-loop"]
    assert len(loops) == 1


async def test_run_sync_works_where_a_loop_runs_already() -> None:
    with pytest.warns(RuntimeWarning, match="holds up the event loop") as told:
        assert greeting().run_sync("go").output == "hello"
    assert told[0].filename == __file__


async def test_in_a_notebook_it_works_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    assert greeting().run_sync("go").output == "hello"


def test_run_sync_works_inside_a_sync_tool() -> None:
    @tool(effect="read")
    def ask_another() -> str:
        """Ask another agent."""
        return greeting().run_sync("go").output

    script = [Calls(("ask_another", {})), "done"]
    result = Agent(ScriptedModel(script), tools=[ask_another], journal=None).run_sync("go")
    assert "hello" in str(result.messages)
    result = asyncio.run(Agent(ScriptedModel(script), tools=[ask_another], journal=None).run("go"))
    assert "hello" in str(result.messages)


def test_run_sync_inside_an_async_tool_says_so_instead_of_hanging() -> None:
    caught: list[SetupError] = []

    @tool(effect="read")
    async def ask_another() -> str:
        """Ask another agent."""
        try:
            return greeting().run_sync("go").output
        except SetupError as error:
            caught.append(error)
            raise

    agent = Agent(ScriptedModel([Calls(("ask_another", {})), "done"]), tools=[ask_another], journal=None)
    assert agent.run_sync("go").outcome == "finished"
    assert "run_sync was called from inside a run" in str(caught[0])
    assert "await agent.run" in caught[0].hint


def test_run_sync_takes_context_variables_along() -> None:
    @tool(effect="read")
    def who() -> str:
        """Who calls?"""
        return name.get()

    def go() -> str:
        name.set("Ada")
        agent = Agent(ScriptedModel([Calls(("who", {})), "done"]), tools=[who], journal=None)
        return str(agent.run_sync("go").messages)

    assert "Ada" in contextvars.copy_context().run(go)


# ----------------------------------------------------------------------------------- in real processes


def test_a_forked_process_has_threads_and_a_loop_of_its_own() -> None:
    done = process("""
        import os, sys, warnings
        warnings.simplefilter("ignore")
        from outrider import Agent, tool
        from outrider.testing.scripted import Calls, ScriptedModel

        @tool(effect="read")
        def look() -> str:
            "Look."
            return "seen"

        def go():
            agent = Agent(ScriptedModel([Calls(("look", {})), "done"]), tools=[look], journal=None)
            return agent.run_sync("go").output

        assert go() == "done"
        child = os.fork()
        if not child:
            print("child", go(), flush=True)
            sys.exit(0)  # not os._exit: what is registered for the end runs, too
        _, status = os.waitpid(child, 0)
        print("parent", go(), status)
    """)
    assert done.stdout.split() == ["child", "done", "parent", "done", "0"], done.stderr
    assert (done.returncode, done.stderr) == (0, "")


def test_a_loop_that_closes_before_its_threads_are_done_says_nothing() -> None:
    done = process("""
        import asyncio, threading
        from outrider.threads import start_in_thread
        go, over = threading.Event(), threading.Event()

        async def main():
            future = start_in_thread(lambda: (go.wait(), over.set()))
            future.cancel()

        asyncio.run(main())
        go.set()
        assert over.wait(30)
        print("fine")
    """)
    assert (done.stdout, done.stderr, done.returncode) == ("fine\n", "", 0)


SCRIPT = """
import signal, time
from outrider import Agent, tool
from outrider.testing import Calls, ScriptedModel

@tool(effect="read")
async def wait() -> str:
    '''Wait.'''
    import asyncio
    print("waits", flush=True)
    await asyncio.sleep(60)
    return "done"

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background has it ignored
for task in ("one", "two", "three"):
    print(Agent(ScriptedModel([Calls(("wait", {})), "done"]), tools=[wait]).run_sync(task), flush=True)
"""


def test_ctrl_c_in_a_script_ends_the_script_once_the_run_rests(tmp_path: Path) -> None:
    env = os.environ | {"OUTRIDER_HOME": str(tmp_path)}
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=pipe, stderr=pipe, text=True, env=env)
    assert process.stdout
    assert process.stdout.readline() == "waits\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert out == "", "no result, and no second run"
    assert "KeyboardInterrupt" in err
    assert "was stopped and can be resumed: OUTRIDER_HOME=" in err
    (run,) = asyncio.run(SQLiteJournal(tmp_path).runs())
    assert run.totals.outcome == "interrupted"
