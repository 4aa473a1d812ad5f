"""outrider fork: a new run from where another one stood."""

from typing import Any

import click

from outrider.cli.flags import Flags, resumed_flags
from outrider.cli.live import Watch, conclude, drive, note_beyond
from outrider.cli.record import read_run
from outrider.cli.resume import instructions_of, refuse_less
from outrider.cli.text import stdout_for_answers
from outrider.cli.words import task_file
from outrider.state import State


@click.command("fork")
@click.argument("run")
@click.argument("file", required=False)
@click.option("--at", type=int, metavar="TURN", help="After this reply and its calls; 0 is the task alone. The last.")
@click.option("--say", default="", metavar="TEXT", help="A further message to the model.")
@click.option("--force", is_flag=True, help="Begin without what the record names and the flags do not.")
@resumed_flags
@stdout_for_answers()
def command(run: str, file: str | None, at: int | None, say: str, force: bool, **given: Any) -> int:
    """Begin a new run where RUN stood after some turn; RUN itself stays as it is.

    Tools, output type and --approve are given again, by flags or the task file it was run from. The model is the
    recorded one unless given. What the new run costs is its own: nothing before the fork is paid again.

    \b
      outrider fork last --at 2 -t calculator -m qwen/qwen3-32b
      outrider fork 7f3k nightly.toml --say "And for May?"
    """
    flags = Flags(file=task_file(file) if file else None, **given)
    run, entries = read_run(run)
    state = State.fold(entries)
    if not force:
        refuse_less(state, flags, "fork")
    watch = Watch(flags)
    model = flags.model_or(state.model)
    agent = flags.agent(model, state.agent, instructions_of(state), flags.limits(state.limits), [watch])
    note_beyond(model, len(agent.tools), flags)
    return conclude(drive(agent, lambda: agent.stream_fork(run, at, say=say), watch), flags)
