"""outrider run: do a task."""

import os
from typing import Any

import click
import msgspec

from outrider.agent import Agent
from outrider.cli.flags import Flags, agent_flags, check_given
from outrider.cli.live import Watch, conclude, drive, note_beyond
from outrider.cli.record import with_journal
from outrider.cli.text import note, out, stdout_for_answers, to_people
from outrider.cli.words import is_task_file, task_file, words_given
from outrider.errors import RunNotFound
from outrider.messages import Limits
from outrider.openrouter.settings import DEFAULT_MODEL
from outrider.parts import File, Image, Task
from outrider.state import State
from outrider.telling import dollars


@click.command("run")
@click.argument("task", required=False)
@click.option("--prompt", metavar="FILE", help="A prompt file: the task, or what TASK is put into, with slots.")
@click.option("--var", multiple=True, metavar="NAME=TEXT", help="What stands in a slot; NAME=@FILE: a file's text.")
@click.option("--image", multiple=True, metavar="FILE", help="An image to look at, or its address; may be repeated.")
@click.option("--file", "attached", multiple=True, metavar="FILE", help="A file to read, such as a PDF; likewise.")
@click.option("--instructions", default="", metavar="TEXT", help="What the model is told first.")
@click.option("--name", default="", help="The agent's name, in the record (agent).")
@click.option("--id", metavar="ID", help="The run's name: begun again, it gives the result it had.")
@click.option("--dry-run", is_flag=True, help="Print the exact request; send and record nothing.")
@agent_flags
@stdout_for_answers()
def command(
    task: str | None,
    prompt: str | None,
    var: tuple[str, ...],
    image: tuple[str, ...],
    attached: tuple[str, ...],
    instructions: str,
    name: str,
    id: str | None,
    dry_run: bool,
    **given: Any,
) -> int:
    """Do TASK and print the answer. TASK is the task itself, - for stdin, or a task file (.toml).

    \b
      outrider run "What is 23 * 19?" --tool calculator
      outrider run - --output app:Invoice --max-dollars 0.05 < invoice.txt
      outrider run --prompt ask.md --var day=Monday
      outrider run "What is on it?" --image photo.jpg
      outrider run nightly.toml
      outrider run nightly.toml --id nightly-$(date +%F)
    """
    check_given("id", id)
    file = task_file(task) if task and is_task_file(task) else None
    flags = Flags(file=file, **given)
    words = words_given(None if file else task, prompt, var, instructions, file)
    model = flags.model_or(os.environ.get("OUTRIDER_MODEL") or DEFAULT_MODEL)
    name = name or (file and file.name) or "agent"
    parts = [*(file.parts() if file else ()), *map(Image, image), *map(File, attached)]
    whole = [words.task, *parts] if parts else words.task
    id = id or (file.id if file else "")
    watch = Watch(flags, _before(id))
    agent = flags.agent(model, name, words.instructions, flags.limits(Limits()), [watch])
    if dry_run:
        return _preview(agent, whole, flags)
    note_beyond(model, len(agent.tools), flags)
    return conclude(drive(agent, lambda: agent.stream(whole, id=id), watch, id), flags)


def _before(id: str) -> State | None:
    """What there is of a run of that name: it goes on."""
    try:
        return State.fold(with_journal(lambda journal: journal.read(id))) if id else None
    except RunNotFound:
        return None


def _preview(agent: Agent[None, Any], task: Task, flags: Flags) -> int:
    preview = agent.preview(task)
    out(msgspec.json.format(preview.body, indent=2) if to_people() else preview.body)
    if not flags.quiet:
        note("nothing was sent")
        cost = f"{dollars(preview.price)} at most" if preview.price is not None else "nobody knows how much"
        note(f"it would cost {cost}: {preview.basis}")
    return 0
