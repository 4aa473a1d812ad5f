"""outrider submit: a task left to the workers."""

import asyncio
import os
from typing import Any

import click

from outrider.agent import Agent
from outrider.cli.flags import Flags, agent_flags
from outrider.cli.live import conclude
from outrider.cli.names import agent_named
from outrider.cli.text import note, out, stdout_for_answers
from outrider.cli.words import is_task_file, task_file, words_given
from outrider.errors import SetupError
from outrider.messages import Limits
from outrider.openrouter.settings import DEFAULT_MODEL
from outrider.result import Result
from outrider.telling import typed


@click.command("submit")
@click.argument("task", required=False)
@click.option("--agent", "agent_name", default="", metavar="MODULE:AGENT", help="The agent that workers have.")
@click.option("--prompt", metavar="FILE", help="A prompt file, as of outrider run.")
@click.option("--var", multiple=True, metavar="NAME=TEXT", help="What stands in a slot; NAME=@FILE: a file's text.")
@click.option("--id", default="", metavar="ID", help="The run's name: submitted again, it is done once.")
@click.option("--wait", is_flag=True, help="Wait for the run and print its answer.")
@click.option("--heartbeat", default=30.0, metavar="S", help="Silent seconds after which another worker goes on (30).")
@click.option("--temporal", default="", metavar="HOST:PORT", help="The server (TEMPORAL_ADDRESS, or localhost:7233).")
@agent_flags
@stdout_for_answers()
def command(
    task: str | None,
    agent_name: str,
    prompt: str | None,
    var: tuple[str, ...],
    id: str,
    wait: bool,
    heartbeat: float,
    temporal: str,
    **given: Any,
) -> int:
    """Put TASK (a text, - for stdin, or a task file) on record, and leave it to the workers that have its agent.

    \b
      outrider submit "Sort the inbox" --agent app:clerk
      outrider submit nightly.toml --id nightly-$(date +%F)

    The run's name is printed. A task file is for the workers' agent of the name that it gives (name = "clerk").
    """
    file = task_file(task) if task and is_task_file(task) else None
    flags = Flags(file=file, **given)
    words = words_given(None if file else task, prompt, var, "", file)
    if agent_name:
        agent: Agent[Any, Any] = agent_named(agent_name)
    elif file and file.name:
        model = flags.model_or(os.environ.get("OUTRIDER_MODEL") or DEFAULT_MODEL)
        agent = flags.agent(model, file.name, words.instructions, flags.limits(Limits()), [])
    else:
        hint = 'Add --agent module:agent, or name = "..." to the task file.'
        raise SetupError("nobody says which agent is to do it", hint)
    id = id or (file.id if file else "")
    run, result = asyncio.run(_submitted(agent, words.task, id, wait, heartbeat, temporal))
    if result:
        return conclude(result, flags)
    out(run)
    if not flags.quiet:
        note(f"to watch it: {typed('show', run, '--follow')}")
    return 0


async def _submitted(
    agent: Agent[Any, Any], task: str, id: str, wait: bool, heartbeat: float, temporal: str
) -> tuple[str, Result[Any] | None]:
    try:
        submitted = await agent.submit(task, id=id, heartbeat=heartbeat, server=temporal)
        return submitted.run, await submitted.result() if wait else None
    finally:
        await agent.journal.close()
