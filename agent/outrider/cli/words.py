"""The words of a run: from the command line, stdin, a prompt file or a task file."""

import os
import re
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from outrider.errors import SetupError
from outrider.prompt import Filled, Prompt, near_file, read_text

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
    """The task and the instructions of a run. Raises SetupError."""
    values = _values(variables)
    if file:
        if prompt:
            raise SetupError(f"--prompt is given, and {file.path} says the task", f'Write there: prompt = "{prompt}".')
        words = file.words(values)
        return Filled(words.task, instructions or words.instructions)
    if prompt:
        return _prompted(prompt, task, values, instructions)
    if task is None:
        raise SetupError("there is no task", "Give it in quotes, - for stdin, a task file (.toml), or --prompt FILE.")
    _refuse_path(task)
    if values:
        raise SetupError("--var fills slots, and there are none", "Give a prompt file or a task file with --var.")
    return Filled(_said(task), instructions)


def _prompted(path: str, task: str | None, values: dict[str, str], instructions: str) -> Filled:
    prompt = Prompt.read(path)
    if instructions and prompt.instructions:
        raise SetupError(f"--instructions are given, and {path} has its own", "Leave one of them out.")
    if task is not None:
        _refuse_path(task, path)
        if TASK in values:
            raise SetupError("the task is given twice, as TASK and by --var", "Leave one of them out.")
        if TASK not in prompt.slots:
            raise SetupError(f"{path} has no slot for TASK", f"Write {{{{ {TASK} }}}} where it goes, or leave it out.")
        values = {**values, TASK: _said(task)}
    words = prompt.fill(**values)
    return Filled(words.task, instructions or words.instructions)


def _said(task: str) -> str:
    if task == "-" and not sys.stdin:
        raise SetupError("stdin is closed: there is no task to read", "Give the task in quotes, or on stdin.")
    try:
        text = sys.stdin.buffer.read().decode() if task == "-" else task
        text.encode()
    except UnicodeError as error:
        raise SetupError(f"the task is not UTF-8 text: {error}", "Give it as UTF-8.") from error
    if not text.strip():
        raise SetupError("the task is empty", "Say what is to be done.")
    return text


def _refuse_path(task: str, prompt: str = "") -> None:
    """Raise SetupError for a TASK that is meant as a file: its mere name would be the task."""
    there = _is_file(task)
    if not there and not _PATH.fullmatch(task):
        return
    name, into = shlex.quote(task), f"--prompt {shlex.quote(prompt)} " if prompt else ""
    hints: list[str] = []
    if task.endswith((".yaml", ".yml", ".json")):
        hints.append("A task file is TOML, and its name ends in .toml.")
    if there and task.lower().endswith(_ASKED_ABOUT):
        hints.append(f"To ask about it: outrider run 'What does it show?' --{_flag(task)} {name}.")
    elif there:
        also = f"--var {TASK}=@{name}" if prompt else f"--prompt {name}, which fills slots"
        hints.append(f"For the text in it: outrider run {into}- < {name}, or {also}.")
    else:
        hints.append(near_file(task))
    hints.append(f"For the name itself: echo {name} | outrider run {into}-")
    what = f"{task} is a file, and its name" if there else f"there is no file {task}, and the name"
    raise SetupError(f"{what} would itself be the task", " ".join(filter(None, hints)))


_PATH = re.compile(r"(?!\w+://)(?=.*[^\W\d])(?:\S*/\S*|\S*\w\.[^\W\d]\w*)")
"""One word with a slash or a suffix: ``nightly.yaml``, ``jobs/nightly``; not ``1/3``, ``3.14`` or an address."""


_ASKED_ABOUT = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".pdf")
"""How files end whose bytes are no text to read."""


def _flag(path: str) -> str:
    return "file" if path.lower().endswith(".pdf") else "image"


def _is_file(name: str) -> bool:
    try:
        return os.path.isfile(name)
    except ValueError:  # a NUL in it
        return False


def _values(variables: Sequence[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for variable in variables:
        name, equals, text = variable.partition("=")
        if not equals or not name.isidentifier() or text == "@":
            raise SetupError(
                f"--var {variable} cannot be understood", "Write --var NAME=TEXT, or NAME=@FILE for its text."
            )
        if name in values:
            raise SetupError(f"--var {name} is given twice", "Leave one of them out.")
        values[name] = text
        if text.startswith("@"):  # a text that begins with @ is written with two
            values[name] = text[1:] if text.startswith("@@") else read_text(text[1:], "file")
    return values
