"""Prompt files: a task, and what the model is told first, as Markdown with slots.

    +++
    about = "What this is for."
    instructions = "You write for {{ reader }}."    # the system message

    [inputs]
    reader = "who will read it"                     # what its slots stand for, for people
    +++
    Sum up in {{ lines | default("three") }} lines: {{ text }}

    prompt = Prompt.read("sum_up.md").fill(reader="engineers", text=report)
    result = Agent(instructions=prompt.instructions).run_sync(prompt.task)

The front matter may be left out. Slots are Jinja2, strict and in a sandbox; a template reads no file. Values are put in
as they are. What is wrong is a SetupError that names the file and the line.
"""

import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from msgspec import Struct

from outrider.errors import SetupError, did_you_mean
from outrider.toml import Kinds, Toml
from outrider_prompts import PromptError, close_to, parts

MOST_BYTES = 1_000_000
"""The largest file whose text is put into a prompt."""

_KEYS: Kinds = {
    "about": (str, "a sentence in quotes that says what it is for"),
    "instructions": (str, "a text in quotes: what the model is told first"),
    "inputs": (dict, 'a table of what the slots stand for, as in day = "a day of the week"'),
}


class Filled(Struct, frozen=True):
    """A prompt with its slots filled. ``instructions`` is empty when it has none."""

    task: str
    instructions: str = ""


class Text:
    """A text with slots that stands in a file. ``line`` gives the file's line for a line of the text.

    Raises SetupError when it is no template.
    """

    def __init__(self, source: str, file: str, line: Callable[[int], int]) -> None:
        from outrider_prompts.template import Template

        self._file = file
        self._line = line
        with named(file, line):
            self._template = Template(source)

    @property
    def slots(self) -> frozenset[str]:
        """The names of the slots."""
        return self._template.slots

    def fill(self, values: Mapping[str, object], hint: str = "") -> str:
        """The text with its slots filled. Raises SetupError, with the hint for a value that is missing."""
        with named(self._file, self._line, hint):
            return self._template.fill(values)


class Prompt(Struct, frozen=True, kw_only=True):
    """A task with slots, and the instructions that go with it.

    ``inputs`` says what some of the slots stand for, ``given_by`` how a user gives a value, for complaints.
    """

    file: str
    task: Text
    instructions: Text | None = None
    about: str = ""
    inputs: Mapping[str, str] = MappingProxyType({})
    given_by: str = "--var NAME=TEXT"

    @classmethod
    def read(cls, path: str | Path) -> "Prompt":
        """The prompt in a file. Raises SetupError for a file that cannot be read or is none."""
        return cls.parse(read_text(path, "prompt file"), str(path))

    @classmethod
    def parse(cls, text: str, file: str) -> "Prompt":
        """The prompt in a text; ``file`` is named in complaints. Raises SetupError when it is none."""
        with named(file, lambda line: line):
            head, body, first = parts(text.replace("\r\n", "\n"))
        toml = Toml(head, file, first=2)
        toml.check(_KEYS)
        prompt = cls(
            file=file,
            task=Text(body, file, lambda line: first + line - 1),
            instructions=text_at(toml, "instructions"),
            about=toml.values.get("about", ""),
            inputs=toml.values.get("inputs", {}),
        )
        toml.check(dict.fromkeys(prompt.slots, (str, "in words what it stands for")), "inputs")
        return prompt

    @property
    def slots(self) -> frozenset[str]:
        """The names of all slots."""
        return self.task.slots.union(self.instructions.slots if self.instructions else ())

    def fill(self, /, **values: object) -> Filled:
        """The prompt with its slots filled. Raises SetupError for a value too many or too few, naming what is close."""
        for name in values:
            if name not in self.slots:
                raise SetupError(f"{self.file} has no slot {{{{ {name} }}}}", close_to(name, "slots", self.slots))
        hint = f"Give it a value: {self.given_by}. The slots: {', '.join(map(self._input, sorted(self.slots)))}."
        task = self.task.fill(values, hint)
        if not task.strip():
            raise SetupError(f"{self.file} says nothing: the task is empty", "Write the task below the front matter.")
        return Filled(task, self.instructions.fill(values, hint) if self.instructions else "")

    def _input(self, name: str) -> str:
        return f"{name} ({self.inputs[name]})" if name in self.inputs else name


def text_at(toml: Toml, key: str) -> Text | None:
    """The text with slots that a key of a TOML text holds, or None. Raises SetupError when it is no template."""
    source: str | None = toml.values.get(key)
    if source is None:
        return None

    def line(number: int) -> int:
        above = source.split("\n")[: number - 1]
        return toml.line_within(key, at=sum(len(each) + 1 for each in above))

    return Text(source, toml.file, line)


def read_text(path: str | Path, what: str) -> str:
    """The text of a file that a person has named. Raises SetupError when it is missing, too large or not UTF-8."""
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError as error:
        near = near_file(path, Path(path).suffix)
        raise SetupError(
            f"there is no {what} {path}", near or f"Give the path from {os.getcwd()}, or the whole one."
        ) from error
    except (OSError, ValueError) as error:  # ValueError for a path with a NUL in it
        why = error.strerror if isinstance(error, OSError) else error
        raise SetupError(f"the {what} {path} cannot be read: {why}", "Give a file that you can read.") from error
    if len(data) > MOST_BYTES:
        raise SetupError(f"the {what} {path} is larger than {MOST_BYTES:,} bytes", "Give a part of it.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SetupError(f"{path}:{line}: the {what} is not UTF-8 text", "Save it as UTF-8.") from error


def near_file(path: str | Path, suffix: str = "") -> str:
    """A sentence naming the files of that suffix whose names are closest, as one types them; empty without any."""
    folder, wanted = os.path.split(path)
    try:
        names = [name for name in os.listdir(folder or ".") if name.endswith(suffix) and not name.startswith(".")]
    except (OSError, ValueError):  # there is no such folder, or no such name can be
        return _near_folder(folder, wanted)
    stems = [name.removesuffix(suffix) for name in names]
    return did_you_mean(wanted.removesuffix(suffix), stems, lambda stem: os.path.join(folder, stem + suffix))


def _near_folder(folder: str, file: str) -> str:
    """Where that file is: in a folder whose name is close to the one that is not there."""
    above, wrong = os.path.split(folder)
    try:
        there = [name for name in os.listdir(above or ".") if os.path.isfile(os.path.join(above, name, file))]
    except (OSError, ValueError):
        return ""
    return did_you_mean(wrong, there, lambda name: os.path.join(above, name, file))


@contextmanager
def named(file: str, line: Callable[[int], int], hint: str = "") -> Generator[None]:
    """What a template says is wrong, as a SetupError with file and line."""
    try:
        yield
    except PromptError as error:
        where = f"{file}:{line(error.line)}" if error.line else file
        raise SetupError(f"{where}: {error.message}", error.hint or hint) from error
