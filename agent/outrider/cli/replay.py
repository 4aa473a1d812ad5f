"""outrider replay: a recorded run, done again from its record."""

import asyncio
from typing import Any

import click

from outrider import events as e
from outrider.agent import Agent
from outrider.cli.flags import Flags, resumed_flags
from outrider.cli.live import Watch, accepted, report_of
from outrider.cli.record import read_run
from outrider.cli.resume import instructions_of, refuse_less
from outrider.cli.text import note, out, out_json, stdout_for_answers
from outrider.cli.words import task_file
from outrider.messages import Limits
from outrider.replay import Replay
from outrider.state import State
from outrider.telling import counted


@click.command("replay")
@click.argument("run")
@click.argument("file", required=False)
@click.option("--live-tools", is_flag=True, help="Call the tools that only read; the others as on record.")
@click.option("--force", is_flag=True, help="Replay without what the record names and the flags do not.")
@resumed_flags
@stdout_for_answers()
def command(run: str, file: str | None, live_tools: bool, force: bool, **given: Any) -> int:
    """Do RUN again from its record: no request leaves, nothing is spent or recorded, no tool is called.

    Tools, output type and --approve are given again, by flags or the task file it was run from. The answer goes to
    stdout, and the first difference between then and now to stderr: exit code 1. Without one it is 0, whatever the
    run had come to.

    \b
      outrider replay last -t calculator
      outrider replay 7f3k nightly.toml --live-tools
    """
    flags = Flags(file=task_file(file) if file else None, **given)
    run, entries = read_run(run)
    state = State.fold(entries)
    if not force:
        refuse_less(state, flags, "replay")
    agent = flags.agent(flags.model_or(_first(entries).model), state.agent, instructions_of(state), Limits(), [])
    watch = Watch(flags)
    with watch.shown():
        done = asyncio.run(_replayed(agent, entries, live_tools, watch))
    return _told(done, flags)


async def _replayed(agent: Agent[None, Any], entries: list[e.Entry], live_tools: bool, watch: Watch) -> Replay[Any]:
    try:
        return await agent.replay(entries, live_tools=live_tools, observers=[watch])
    finally:
        await agent.close()


def _told(done: Replay[Any], flags: Flags) -> int:
    state = done.result.state
    if flags.json:
        out_json({**report_of(done.result), "difference": done.difference, "seq": done.seq, "complete": done.complete})
    elif state.outcome == "finished" and not done.difference and not flags.events:
        value = accepted(state)
        out(value if isinstance(value, str) and state.output_type == "text" else bytes(state.accepted or b"null"))
    if done.difference:
        note(f"here the replay leaves the record, at its entry {done.seq}: {done.difference}")
        return 1
    if not flags.quiet:
        end = state.outcome if done.complete else "its record ends in the middle of work"
        note(f"as recorded: {counted(state.requests, 'request')}, {counted(state.tool_calls, 'tool call')}; {end}")
    return 0


def _first(entries: list[e.Entry]) -> e.RunStarted:
    start = entries[0].event
    assert isinstance(start, e.RunStarted)
    return start
