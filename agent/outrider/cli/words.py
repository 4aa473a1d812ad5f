"""The words of a run: from the command line, stdin, a prompt file or a task file."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from outrider.errors import SetupError
from outrider.prompt import Filled, Prompt, read_text

if TYPE_CHECKING:
    from outrider.cli.taskfile import TaskFile

TASK = "task"
"""The slot that TASK is put into."""


def is_task_file(task: str) -> bool:
    """Whether TASK names a task file: it ends in .toml and is one word, or there is a file of that name."""
    return task.endswith(".toml") and (len(task.split()) == 1 or os.path.isfile(task))


def task_file(path: str) -> "TaskFile":
    """The task file at a path. Raises SetupError."""
    from outrider.cli.taskfile import TaskFile

    return TaskFile(path)


def words_given(
    task: str | None, prompt: str | None, variables: Sequence[str], instructions: str, file: "TaskFile | None"
) -> Filled:
    """The task and the instructions of a run. Raises SetupError and click.UsageError."""
    values = _values(variables)
    if file:
        if prompt:
            raise click.UsageError("--prompt and a task file: one of them says the task; a task file can name a prompt")
        words = file.words(values)
        return Filled(words.task, instructions or words.instructions)
    if prompt:
        return _prompted(prompt, task, values, instructions)
    if task is None:
        raise click.UsageError("there is no task: give TASK, a task file or --prompt")
    if values:
        raise click.UsageError("--var fills the slots of a prompt file or a task file, and neither is given")
    if task.endswith(".md") and os.path.isfile(task):
        raise SetupError(f"{task} is a file, and would itself be the task", f"As a prompt file: --prompt {task}")
    return Filled(_said(task), instructions)


def _prompted(path: str, task: str | None, values: dict[str, str], instructions: str) -> Filled:
    prompt = Prompt.read(path)
    if instructions and prompt.instructions:
        raise click.UsageError(f"{path} has instructions: leave out --instructions, or theirs")
    if task is not None:
        if TASK in values:
            raise click.UsageError("the task is given twice: as TASK and by --var")
        if TASK not in prompt.slots:
            raise SetupError(f"{path} has no slot for TASK", f"Write {{{{ {TASK} }}}} where it goes, or leave it out.")
        values = {**values, TASK: _said(task)}
    words = prompt.fill(**values)
    return Filled(words.task, instructions or words.instructions)


def _said(task: str) -> str:
    if task == "-" and not sys.stdin:
        raise click.UsageError("stdin is closed: there is no task to read")
    try:
        text = sys.stdin.buffer.read().decode() if task == "-" else task
        text.encode()
    except UnicodeError as error:
        raise click.UsageError(f"the task is not UTF-8 text: {error}") from error
    if not text.strip():
        raise click.UsageError("the task is empty")
    return text


def _values(variables: Sequence[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for variable in variables:
        name, equals, text = variable.partition("=")
        if not equals or not name.isidentifier():
            raise click.UsageError(f"--var {variable} names no slot: write --var NAME=TEXT")
        if name in values:
            raise click.UsageError(f"--var {name} is given twice")
        values[name] = text
        if text.startswith("@"):  # a text that begins with @ is written with two
            values[name] = text[1:] if text.startswith("@@") else read_text(text[1:], f"file of --var {name}")
    return values
