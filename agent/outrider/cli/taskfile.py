"""Task files: all that a run is given, in TOML; for jobs that nobody watches, and for colleagues.

    task = "What is new about {{ subject }}?"     # or: prompt = "news.md"
    tools = ["app:search"]

    [inputs]
    subject = "OpenRouter"

Paths and modules in it are looked for in its own folder, wherever it is run from; the tools of ``files`` alone read the
current folder unless told otherwise (``files=FOLDER``). What is wrong in it is a SetupError that names the line.
"""

import os
import re
import tomllib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from msgspec.structs import replace

from outrider.cli.flags import APPROVALS, NO_LIMIT, written_hint
from outrider.cli.names import AnyTool, output_by_name, tools_by_name
from outrider.errors import SetupError, did_you_mean
from outrider.given import check_output, tools_from
from outrider.messages import Limits
from outrider.output import OutputType
from outrider.parts import File, Image, Part, scheme_of
from outrider.prompt import Filled, Prompt, near_file, read_text, text_at
from outrider.purse import Purse
from outrider.toml import Kinds, Toml, shown
from outrider_prompts import close_to

Input = str | int | Decimal
"""What an input is when it is put into a slot; true and false are whole numbers to Python."""

_KEYS: Kinds = {
    "task": (str, "the task in quotes"),
    "prompt": (str, "the path of a prompt file in quotes"),
    "name": (str, "a name for the record in quotes"),
    "id": (str, "the run's name in quotes"),
    "instructions": (str, "what the model is told first, in quotes"),
    "model": (str, "the name of a model in quotes"),
    "stronger": (str, "the name of a model in quotes"),
    "images": (list, 'a list of files or addresses, as in ["photo.jpg"]'),
    "files": (list, 'a list of files or addresses, as in ["report.pdf"]'),
    "tools": (list, 'a list of names, as in ["calculator", "files=inbox", "app:weather"]'),
    "output": (
        (str, dict),
        'a JSON Schema ("answer.json", or a table), "module:Type", "int", or labels as in "good,bad"',
    ),
    "approve": (str, " or ".join(f'"{word}"' for word in APPROVALS)),
    "limits": (dict, "a table: a line with [limits], its limits below"),
    "inputs": (dict, "a table: a line with [inputs], a line for each slot below"),
}
_LIMITS: Kinds = dict.fromkeys(Limits.__struct_fields__, (object, ""))
_INPUT = ((str, int, Decimal, dict), 'a text, a number, true or false, or a file: { file = "notes.txt" }')
_FILE: Kinds = {"file": (str, "the path of a text file in quotes")}
_GIVEN_BY = "NAME = TEXT under [inputs], or --var NAME=TEXT"


class TaskFile:
    """A task file. ``path`` is as it was given; what the file leaves out is None or empty.

    Raises SetupError for what is wrong in the file itself; what it names is loaded by the methods.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._folder = os.path.dirname(path)
        self._toml = Toml(read_text(path, "task file"), path)
        self._values = self._toml.values
        self._check()
        self.name: str = self._values.get("name", "")
        self.id: str = self._values.get("id", "")
        self.stronger: str | None = self._values.get("stronger")
        self.approve: Literal["never", "writes", "always"] | None = self._values.get("approve")
        self.limits: dict[str, Any] = {name: self._limit(name) for name in self._values.get("limits", {})}

    @property
    def model(self) -> str | None:
        """The model's name."""
        name: str | None = self._values.get("model")
        if name and name.startswith("local:"):
            return f"local:{self._beside(os.path.expanduser(name.removeprefix('local:')))}"
        return name

    def parts(self) -> list[Part]:
        """The images and files that come with the task, read when it begins. Raises SetupError where one is missing."""
        kinds: Mapping[str, type[Image] | type[File]] = {"images": Image, "files": File}
        return [
            kind(self._source(key, number, name))
            for key, kind in kinds.items()
            for number, name in enumerate(self._values.get(key, ()))
        ]

    def prompt(self) -> Prompt:
        """Its task and instructions, with their slots. Raises SetupError."""
        instructions = text_at(self._toml, "instructions")
        if task := text_at(self._toml, "task"):
            return Prompt(file=self.path, task=task, instructions=instructions, given_by=_GIVEN_BY)
        path = self._beside(self._values["prompt"])
        with self._said_of("prompt"):
            text = read_text(path, "prompt file")
        prompt = Prompt.parse(text, path)
        if instructions and prompt.instructions:
            raise self._toml.wrong(f"{prompt.file} has instructions too", "Leave one of them out.", "instructions")
        return replace(prompt, instructions=instructions or prompt.instructions, given_by=_GIVEN_BY)

    @property
    def typed(self) -> bool:
        """Whether it names an output type."""
        return "output" in self._values

    def words(self, given: Mapping[str, str]) -> Filled:
        """The task and the instructions, filled with the inputs; ``given`` replaces some. Raises SetupError."""
        prompt = self.prompt()
        inputs: dict[str, Any] = self._values.get("inputs", {})
        for name in inputs:
            if name not in prompt.slots:
                near = close_to(name, "slots", prompt.slots)
                raise self._toml.wrong(f"there is no slot {{{{ {name} }}}}", near, "inputs", name)
        values = {name: self._input(name, value) for name, value in inputs.items() if name not in given}
        return prompt.fill(**values, **{name: _like(inputs.get(name), name, text) for name, text in given.items()})

    def tools(self) -> list[AnyTool]:
        """The tools that it names. Raises SetupError."""
        found: list[AnyTool] = []
        for number, name in enumerate(self._values.get("tools", ())):
            with self._said_of("tools", at=number):
                found += tools_by_name(name, self._folder)
        with self._said_of("tools"):
            return list(tools_from(found))

    def output(self) -> Any:
        """The output type that it names, or None. Raises SetupError."""
        given: str | dict[str, Any] | None = self._values.get("output")
        if given is None:
            return None
        try:
            if isinstance(given, str):
                made = output_by_name(given, self._folder)
            else:  # read once more, since JSON knows no Decimal
                made = tomllib.loads(self._toml.text)["output"]
            check_output(made)
            OutputType(made)
        except SetupError as error:
            inside = re.search(r" at \$\.([\w.]+)", error.message) if isinstance(given, dict) else None
            path = inside[1].split(".") if inside else []
            raise self._toml.wrong(error.message, error.hint, "output", *path) from error
        return made

    # ------------------------------------------------------------------------------------------- inside

    def _check(self) -> None:
        toml, values = self._toml, self._values
        toml.check(_KEYS)
        toml.check(_LIMITS, "limits")
        toml.check(dict.fromkeys(values.get("inputs", {}), _INPUT), "inputs")
        if "task" in values and "prompt" in values:
            raise toml.wrong("there is a task as well as a prompt", "Leave one of them out.", "prompt")
        if "task" not in values and "prompt" not in values:
            raise toml.wrong("there is no task", 'Write task = "..." or prompt = "file.md" above the first [table].')
        for key, one in ("tools", "a tool"), ("images", "an image"), ("files", "a file"):
            for number, name in enumerate(values.get(key, ())):
                if not isinstance(name, str):
                    raise toml.wrong(f"{one} is {shown(name)}", f"Give {_KEYS[key][1]}.", key, at=number)
        approve = values.get("approve", "never")
        if approve not in APPROVALS:
            near = did_you_mean(approve, APPROVALS) or f"Give {_KEYS['approve'][1]}."
            raise toml.wrong(f"approve is {shown(approve)}", near, "approve")

    def _limit(self, name: str) -> Any:
        value = self._values["limits"][name]
        if value is False or value == NO_LIMIT:
            return None
        number: Any = float(value) if name == "seconds" and isinstance(value, Decimal) else value
        try:
            if name == "purse":
                number = Purse.read(str(value))
            return getattr(Limits(**{name: number}), name)
        except SetupError as error:
            hint = written_hint(error.hint, f'"{NO_LIMIT}"')
            raise self._toml.wrong(f"limit {name} is {shown(value)}", hint, "limits", name) from error

    def _input(self, name: str, value: Input | dict[str, Any]) -> Input:
        if not isinstance(value, dict):
            return value
        self._toml.check(_FILE, "inputs", name)
        if "file" not in value:
            raise self._toml.wrong(f"{name} names no file", f"Give {_INPUT[1]}.", "inputs", name)
        with self._said_of("inputs", name):
            return read_text(self._beside(value["file"]), "input file")

    def _source(self, key: str, number: int, name: str) -> str:
        if scheme_of(name):
            return name
        path = self._beside(os.path.expanduser(name))
        if not os.path.exists(path):
            near = near_file(path) or "Name a file that is there, or an address."
            raise self._toml.wrong(f"there is no file {path}", near, key, at=number)
        return path

    def _beside(self, path: str) -> str:
        return os.path.join(self._folder, path)

    @contextmanager
    def _said_of(self, *path: str, at: int | None = None) -> Generator[None]:
        """What is wrong with what the file names is said with the line that names it."""
        try:
            yield
        except SetupError as error:
            raise self._toml.wrong(error.message, error.hint, *path, at=at) from error


def _like(before: object, name: str, text: str) -> Input:
    """A value from the command line, of the kind of the input that it replaces."""
    try:
        match before:
            case bool():
                return {"true": True, "false": False}[text]
            case int() | Decimal():
                return Decimal(text) if "." in text else int(text)
            case _:
                return text
    except (KeyError, ValueError, InvalidOperation) as error:
        wanted = "true or false" if isinstance(before, bool) else "a number"
        raise SetupError(f"--var {name} is {text!r}", f"Give {wanted}, as in the task file.") from error
