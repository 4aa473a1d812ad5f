"""Real runs as tests: one is kept in a file once, and done again from it, for free, whenever the tests run."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from outrider.errors import SetupError
from outrider.journal.lines import lines, read_lines
from outrider.result import Result

if TYPE_CHECKING:
    from outrider.agent import Agent

Deps = TypeVar("Deps")
Out = TypeVar("Out")


def record(result: Result[Any], path: str | Path, agent: "Agent[Any, Any]") -> None:
    """Keep the run of this result in a file, to ``replay`` it; ``outrider export RUN > FILE`` does the same.

    Raises RunNotFound when the agent keeps no record of it.
    """
    from outrider.threads import portal

    entries = portal().run(agent.journal.read(result.run), lambda: None)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(b"".join(line + b"\n" for line in lines(result.run, entries)))


def replay(
    agent: "Agent[Deps, Out]", path: str | Path, *, deps: Deps | None = None, live_tools: bool = False
) -> Result[Out]:
    """The result of doing the recorded run in the file again with this agent: no request leaves, and no tool is called.

    The agent must make of the recorded replies what it made of them then: the same requests, the same calls, the same
    verdicts on its answers. With ``live_tools`` tools that only read are called, and must bring what they brought.

        def test_the_forecast() -> None:
            assert replay(agent, "tests/runs/forecast.jsonl").output.celsius == 21

    Raises AssertionError, saying where, for the first difference; JournalError when the file is no record of a run,
    SetupError when it cannot be read.
    """
    from outrider.threads import portal

    try:
        text = Path(path).read_bytes()
    except OSError as error:
        hint = "Make it: record(result, path, agent), or outrider export RUN > FILE"
        raise SetupError(f"{path} cannot be read: {error.strerror}", hint) from None
    entries = read_lines(text, str(path))

    async def work() -> Any:
        return await agent.replay(entries, deps=deps, live_tools=live_tools)

    done = portal().run(work(), lambda: None)
    if done.difference:
        raise AssertionError(f"{path}:{done.seq}: {done.difference}")
    return done.result
