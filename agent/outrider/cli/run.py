"""outrider run: do a task."""

import os
import sys
from typing import Any

import click
import msgspec

from outrider.agent import Agent
from outrider.cli.flags import Flags, agent_flags
from outrider.cli.live import Watch, conclude, drive
from outrider.cli.text import note, out, to_people
from outrider.messages import Limits
from outrider.openrouter.settings import DEFAULT_MODEL


@click.command("run")
@click.argument("task")
@click.option("--instructions", default="", metavar="TEXT", help="What the model is told first.")
@click.option("--name", default="agent", help="The agent's name, in the record.")
@click.option("--dry-run", is_flag=True, help="Print the exact request; send and record nothing.")
@agent_flags
def command(task: str, instructions: str, name: str, dry_run: bool, **given: Any) -> int:
    """Do TASK, or what stdin says if TASK is -, and print the answer.

    \b
      outrider run "What is 23 * 19?" --tool calculator
      outrider run - --output app:Invoice --max-dollars 0.05 < invoice.txt
    """
    flags = Flags(**given)
    task = _task(task)
    model = flags.model or os.environ.get("OUTRIDER_MODEL") or DEFAULT_MODEL
    watch = Watch(flags)
    agent = flags.agent(model, name, instructions, flags.limits(Limits()), [watch])
    if dry_run:
        return _preview(agent, task, flags)
    return conclude(drive(agent, lambda: agent.stream(task), watch), flags)


def _task(given: str) -> str:
    if given == "-" and not sys.stdin:
        raise click.UsageError("stdin is closed: there is no task to read")
    try:
        text = sys.stdin.buffer.read().decode() if given == "-" else given
        text.encode()
    except UnicodeError as error:
        raise click.UsageError(f"the task is not UTF-8 text: {error}") from error
    if not text.strip():
        raise click.UsageError("the task is empty")
    return text


def _preview(agent: Agent[None, Any], task: str, flags: Flags) -> int:
    preview = agent.preview(task)
    out(msgspec.json.format(preview.body, indent=2) if to_people() else preview.body)
    if not flags.quiet:
        note("nothing was sent")
    return 0
