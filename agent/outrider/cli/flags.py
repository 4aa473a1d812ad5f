"""The flags that ``run`` and ``resume`` share, and the agent they make."""

import os
import re
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from math import ceil
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click
from msgspec import Struct
from msgspec.structs import asdict, replace

from outrider.agent import Agent
from outrider.cli.names import AnyTool, installed, output_by_name, tools_by_name
from outrider.errors import SetupError
from outrider.limits import charged
from outrider.messages import Limits
from outrider.openrouter.settings import Settings
from outrider.policy import Policy, allow_all, ask_before, default_policy
from outrider.purse import Purse
from outrider.run import Observer
from outrider.state import State
from outrider.telling import typed

if TYPE_CHECKING:
    from outrider.cli.taskfile import TaskFile

NO_LIMIT = "none"
Given = int | float | Decimal | str | None
"""A limit as given: a number, "none" to switch it off, None for a flag that was not given."""

F = TypeVar("F", bound=Callable[..., Any])

APPROVALS: dict[str, Policy] = {
    "never": allow_all,
    "writes": ask_before("write", "egress"),
    "always": ask_before("read", "write", "egress"),
}
"""What --approve says, and the policy it stands for."""


def check_given(flag: str, value: str | None) -> None:
    """Raises SetupError for a flag with an empty text behind it, as a shell makes of a variable that is not set."""
    if value is not None and not value.strip():
        raise SetupError(f"--{flag} is empty", "Give it a value or leave it out; is the shell's variable set?")


class Number(click.ParamType[Given]):
    """A number of some kind, or "none"."""

    def __init__(self, kind: type[int] | type[float] | type[Decimal]) -> None:
        self.name = "number|none"
        self._kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Given:
        """The number, or "none"."""
        if str(value).lower() == NO_LIMIT:
            return NO_LIMIT
        try:
            return self._kind(value)
        except (ValueError, InvalidOperation):
            if seconds := _seconds(value):
                self.fail(f"{value!r} is not a number; in seconds it is {seconds}.", param, ctx)
            whole = "whole " if self._kind is int else ""
            self.fail(f"{value!r} is not a {whole}number; give one, or {NO_LIMIT} for no limit.", param, ctx)


class Shared(click.ParamType[Purse | str]):
    """A purse, or "none"."""

    name = "purse"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Purse | str:
        """The purse. Raises SetupError."""
        return NO_LIMIT if str(value).lower() == NO_LIMIT else Purse.read(value)


def written_hint(hint: str, none: str) -> str:
    """What is said of a limit to those who write Python, for those who write ``none`` where there is to be no limit."""
    return hint.replace("None for", f"{none} for")


def _seconds(text: str) -> int:
    """What a time such as 90s, 5m or 2h comes to in seconds; 0 for anything else."""
    number, unit = text[:-1], text[-1:].lower()
    return int(number) * {"s": 1, "m": 60, "h": 3600}.get(unit, 0) if number.isascii() and number.isdecimal() else 0


class Flags(Struct, frozen=True, kw_only=True):
    """The flags as given; each is described at its option below. What they leave open, the task file says."""

    file: "TaskFile | None" = None
    model: str | None = None
    stronger: str | None = None
    tool: tuple[str, ...] = ()
    output: str | None = None
    approve: Literal["never", "writes", "always"] | None = None
    max_turns: Given = None
    max_tool_calls: Given = None
    max_tokens: Given = None
    max_seconds: Given = None
    max_dollars: Given = None
    max_repeats: Given = None
    purse: Purse | str | None = None
    json: bool = False
    events: bool = False
    quiet: bool = False

    def __post_init__(self) -> None:
        for flag in ("model", "stronger", "output"):
            check_given(flag, getattr(self, flag))

    def limits(self, before: Limits) -> Limits:
        """The limits, where given, in the place of those before. Raises SetupError for a negative one."""
        try:
            return replace(before, **(self.file.limits if self.file else {}) | self.given())
        except SetupError as error:
            raise SetupError(error.message, written_hint(error.hint, NO_LIMIT)) from None

    def given(self) -> dict[str, Any]:
        """The limits that were given as flags, by name; None for those that are switched off."""
        names = Limits.__struct_fields__
        flags = {name: getattr(self, name if name == "purse" else f"max_{name}") for name in names}
        return {name: None if value == NO_LIMIT else value for name, value in flags.items() if value is not None}

    def model_or(self, otherwise: str) -> str:
        """The model named, or else this one."""
        return self.model or (self.file and self.file.model) or otherwise

    def tools(self) -> list[AnyTool]:
        """The tools named. Raises SetupError."""
        if self.file and not self.tool:
            return self.file.tools()
        return [tool for name in self.tool for tool in tools_by_name(name)]

    def output_type(self) -> Any | None:
        """The output type named, or None. Raises SetupError."""
        if self.file and not self.output:
            return self.file.output()
        return output_by_name(self.output) if self.output else None

    @property
    def typed(self) -> bool:
        """Whether an output type is named; nothing is loaded to know it."""
        return bool(self.output or (self.file and self.file.typed))

    def approval(self) -> str:
        """What was said of approval, or an empty text."""
        return self.approve or (self.file and self.file.approve) or ""

    def policy(self) -> Policy:
        """Which calls ask."""
        return APPROVALS.get(self.approval(), default_policy)

    def agent(
        self, model: str, name: str, instructions: str, limits: Limits, observers: Sequence[Observer]
    ) -> Agent[None, Any]:
        """The agent that these flags make. Raises SetupError for anything that cannot work."""
        return Agent(
            model,
            name=name,
            instructions=instructions,
            tools=self.tools(),
            output=self.output_type(),
            limits=limits,
            policy=self.policy(),
            settings=self._settings(model),
            observers=observers,
        )

    def _settings(self, model: str) -> Settings:
        stronger = self.stronger or (self.file.stronger if self.file else None)
        if stronger and (model == "local" or model.startswith("local:")):
            raise SetupError(
                f"--stronger {stronger} is given, and the embedded model is asked",
                "Both models are to be of the same server: name one of its own with -m.",
            )
        return replace(base_settings(), stronger=stronger) if stronger else base_settings()


def base_settings() -> Settings:
    """The settings of the command line's requests. Raises SetupError when OUTRIDER_BASE_URL is no address."""
    base_url, habits = os.environ.get("OUTRIDER_BASE_URL"), os.environ.get("OUTRIDER_HABITS") or None
    return Settings(base_url=base_url, habits=habits) if base_url else Settings(habits=habits)


def agent_flags(function: F) -> F:
    """Add the shared options to a verb that begins a run."""
    return _with_options(function, Limits())


def resumed_flags(function: F) -> F:
    """Add them to a verb that goes on with one: limits that are not given are those on record."""
    return _with_options(function, None)


def _with_options(function: F, limits: Limits | None) -> F:
    for option in reversed(_OUTPUT):
        function = option(function)
    for name, (kind, what) in reversed(_LIMITS.items()):
        otherwise = "as on record" if limits is None else _written(getattr(limits, name))
        flag = f"--max-{name.replace('_', '-')}"
        function = click.option(flag, type=Number(kind), help=f"{what}. Default: {otherwise}.")(function)
    function = click.option(
        "--purse",
        type=Shared(),
        metavar="NAME=DOLLARS[/day]",
        help="Dollars that all runs with this purse share, of one day (UTC) or for good.",
    )(function)
    for option in reversed(_AGENT):
        function = option(function)
    return function


def resume_command(
    run: str, flags: Flags, state: State | None = None, *more: str, verb: Literal["resume", "fork", "replay"] = "resume"
) -> str:
    """The command that goes on with a run, its task file and the same flags; with more of a limit it has met.

    Or one that does something else with it.
    """
    words = [run]
    words += [_anywhere(flags.file.path)] if flags.file else []
    words += ["-m", _anywhere(flags.model, "local:")] if flags.model else []
    words += ["--stronger", flags.stronger] if flags.stronger else []
    words += [word for name in flags.tool for word in ("-t", _placed(_anywhere(name, "="), state))]
    words += ["--output", _anywhere(flags.output, ends=".json")] if flags.output else []
    words += ["--approve", flags.approve] if flags.approve else []
    words += _limits(state, flags) if state and verb == "resume" else []
    return typed(verb, *words, *more)


def _anywhere(name: str, behind: str = "", ends: str = "") -> str:
    """The name with a whole path in it, if it ends so and a path stands behind that mark.

    Where runs are kept in the folder they were made in, it is left as it is: the command is of use only there.
    """
    head, mark, path = name.rpartition(behind) if behind else ("", "", name)
    if mark != behind or not name.endswith(ends) or not os.environ.get("OUTRIDER_HOME"):
        return name
    return f"{head}{mark}{os.path.abspath(os.path.expanduser(path))}"


def _placed(name: str, state: State | None) -> str:
    """The name with the folder in which its tools worked, where that is not said by it."""
    if not state or not state.places or "=" in name or ":" in name:
        return name
    places = {state.places.get(tool.name, "") for tool in tools_by_name(name)}
    here = not os.environ.get("OUTRIDER_HOME") and places == {os.getcwd()}  # only there the command is of use
    return name if here or len(places) != 1 or "" in places else f"{name}={places.pop()}"


def _limits(state: State, flags: Flags) -> list[str]:
    """The limits to go on with, as flags: more of the one that was met, and those that the task file would undo.

    One that was given now, and is not on record, stays as it was given.
    """
    words: list[str] = []
    more = _more(state) if state.outcome == "limit" else {}
    said = flags.file.limits if flags.file else {}
    typed_now = {name: value for name, value in flags.given().items() if value != getattr(state.limits, name)}
    for name, value in (asdict(state.limits) | more | typed_now).items():
        if name in more or name in typed_now or (name in said and said[name] != value):
            flag = "--purse" if name == "purse" else f"--max-{name.replace('_', '-')}"
            words += [flag, _written(value)]
    return words


def _more(state: State) -> dict[str, int | Decimal | Purse]:
    """The limit that was reached: doubled, and above what was used already."""
    name = state.detail.removeprefix("limit ").split(" ")[0]
    allowed = getattr(state.limits, name, None)
    if allowed is None:
        return {}
    needed = Decimal(found[1]) if (found := re.search(r"may cost \$([\d.]+)", state.detail)) else Decimal(0)
    if isinstance(allowed, Purse):  # how much of it others have spent is in the journal only
        return {name: replace(allowed, dollars=2 * (allowed.dollars + needed))}
    used = {
        "turns": state.turns,
        "tool_calls": state.tool_calls,
        "tokens": state.usage.tokens,
        "seconds": state.seconds,
        "dollars": charged(state),
        "repeats": ceil(state.stale / 2),
    }
    more: int | float | Decimal = 2 * max(allowed, used[name]) or 1
    if name == "dollars":
        more = max(more, charged(state) + 2 * needed)
    if name == "seconds":  # a few more are used up before anything is done
        more = max(more, 60)
    return {name: more if isinstance(more, Decimal) else ceil(more)}


def _written(limit: float | Decimal | Purse | None) -> str:
    if limit is None:
        return NO_LIMIT
    if isinstance(limit, Purse):
        return str(limit)
    if isinstance(limit, Decimal):
        return f"{limit.normalize():f}"
    return str(int(limit) if isinstance(limit, float) and limit.is_integer() else limit)


class ToolOption(click.Option):
    """--tool. Its help names the installed tools, which are looked up only when somebody reads it."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The line of help."""
        names = ", ".join(installed()) or "none"
        self.help = f"A tool: module:name, or installed ones ({names}; files=FOLDER, files.read_file); may be repeated."
        return super().get_help_record(ctx)


_LIMITS: dict[str, tuple[type[int] | type[float] | type[Decimal], str]] = {
    "turns": (int, "Replies of the model"),
    "tool_calls": (int, "Tool calls"),
    "tokens": (int, "Tokens of the whole run, looked at between requests"),
    "seconds": (float, "Active time in seconds"),
    "dollars": (Decimal, "The bill in US dollars"),
    "repeats": (
        int,
        "Rounds of calls in a row that bring nothing new; then the model is told, and as many later the run ends",
    ),
}
_AGENT = (
    click.option("-m", "--model", help="A model on OpenRouter, local, or local:PATH.gguf."),
    click.option("--stronger", metavar="MODEL", help="Asked for a typed answer when those of the model do not fit."),
    click.option("-t", "--tool", cls=ToolOption, multiple=True, metavar="NAME"),
    click.option(
        "--output",
        metavar="TYPE",
        help="The answer's type: a JSON Schema (.json), module:Type, int, date, list[str] ..., or good,bad for labels",
    ),
    click.option(
        "--approve",
        type=click.Choice(["never", "writes", "always"]),
        help="Which calls wait for consent: none, those that write or send, or all. Default: as the tools say.",
    ),
)
_OUTPUT = (
    click.option("--json", is_flag=True, help="One JSON object on stdout at the end."),
    click.option("--events", is_flag=True, help="JSON Lines on stdout as things happen."),
    click.option("-q", "--quiet", is_flag=True, help="No progress on stderr."),
)
