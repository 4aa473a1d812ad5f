"""outrider resume: go on with a recorded run."""

import shlex
from collections.abc import Sequence
from typing import Any, Literal

import click

from outrider.cli.flags import APPROVALS, Flags, resume_command, resumed_flags
from outrider.cli.live import Watch, accepted, conclude, drive, note_beyond
from outrider.cli.names import LABELS, UNKNOWN, AnyTool, offering, plain_type
from outrider.cli.record import read_run, with_journal
from outrider.cli.text import stdout_for_answers
from outrider.cli.words import task_file
from outrider.errors import SetupError
from outrider.messages import SystemMessage, from_wire
from outrider.opening import moved
from outrider.policy import policy_name
from outrider.result import Result
from outrider.state import State


@click.command("resume")
@click.argument("run")
@click.argument("file", required=False)
@click.option("--say", default="", metavar="TEXT", help="A further message to the model.")
@click.option("--force", is_flag=True, help="Go on without what the record names and the flags do not.")
@resumed_flags
@stdout_for_answers()
def command(run: str, file: str | None, say: str, force: bool, **given: Any) -> int:
    """Go on with RUN: an id, the beginning of one, or last. FILE is the task file that it was run from, if any.

    Tools, output type and --approve are given again, by flags or the task file: nothing is loaded because a record
    names it. The model is the recorded one unless given; limits that are given replace the recorded ones. Task and
    instructions are those on record.

    \b
      outrider resume last -t calculator --max-turns 50
      outrider resume last nightly.toml
      outrider resume 7f3k --say "Shorter, please"
    """
    flags = Flags(file=task_file(file) if file else None, **given)
    run, entries = read_run(run)
    state = State.fold(entries)
    if state.outcome == "finished" and not say and not with_journal(lambda journal: journal.pending(run)):
        return conclude(Result(state, accepted), flags)
    if not force:
        refuse_less(state, flags)
    limits = flags.limits(state.limits)
    # the run keeps its instructions; given back, they do not count as changed
    watch = Watch(flags, state)
    model = flags.model_or(state.model)
    agent = flags.agent(model, state.agent, instructions_of(state), limits, [watch])
    note_beyond(model, len(agent.tools), flags)
    return conclude(drive(agent, lambda: agent.stream_resume(run, limits=limits, say=say), watch), flags)


def instructions_of(state: State) -> str:
    """What the model was told first in this run, or an empty text."""
    first = from_wire(state.messages[0]) if state.messages else None
    return first.content if isinstance(first, SystemMessage) else ""


def refuse_less(state: State, flags: Flags, verb: Literal["resume", "fork", "replay"] = "resume") -> None:
    """Raise SetupError when the record has tools, an output type or a policy that the flags do not account for."""
    given = flags.tools()
    have = {tool.name for tool in given}
    tools = [name for name in state.tools if name not in have]
    missing = [f"tool {name}" for name in tools]
    more = [word for name in dict.fromkeys(_placed(name, state) for name in tools) for word in ("-t", name)]
    if state.output_type != "text" and not flags.typed:
        missing.append(f"output type {state.output_type}")
        more += ["--output", _typed(state.output_type)]
    if not flags.approval() and (asked := recorded_approve(state)):
        missing.append(f"--approve {asked}")
        more += ["--approve", asked]
    if missing:
        raise SetupError(
            f"run {state.run} was made with {', '.join(missing)}",
            f"Give them again: {resume_command(state.run, flags, state, *more, verb=verb)}\n"
            "  or its task file, if it was run from one; --force goes on without.",
        )
    if verb != "replay":
        _refuse_elsewhere(state, given)


def _placed(tool: str, state: State) -> str:
    """What to write behind --tool to get that tool, in the folder where it worked."""
    return "=".join(filter(None, (offering(tool), state.places.get(tool, ""))))


def _refuse_elsewhere(state: State, tools: Sequence[AnyTool]) -> None:
    """A command that is typed in another folder must not show the model the files of that one."""
    elsewhere = moved(state, {tool.name: tool.place for tool in tools})
    if elsewhere:
        name, at, here = elsewhere[0]
        family = offering(name).partition(".")[0]
        raise SetupError(
            f"in run {state.run} the tool {name} worked in {at}, and here it would work in {here}",
            f"Go there first: cd {shlex.quote(at)}; or name it: -t {family}={shlex.quote(at)}. --force goes on here.",
        )


def _typed(name: str) -> str:
    """What to write behind --output for a type of that name on record, or a pattern to fill in."""
    if plain_type(name) is not None:
        return name
    return LABELS if name.startswith("typing_Literal_") else f"{UNKNOWN}:{name}"


def recorded_approve(state: State) -> str:
    """The --approve that stands for the policy on record, or an empty text."""
    return next((flag for flag, policy in APPROVALS.items() if policy_name(policy) == state.policy), "")
