"""What ``outrider doctor`` looks at, one function a line."""

import asyncio
import os
import platform
import shutil
import sys
import time
from importlib.util import find_spec
from pathlib import Path

from msgspec import Struct

from outrider.agent import Agent
from outrider.cli.flags import base_settings
from outrider.cli.record import MANY, with_journal
from outrider.cli.text import coloured
from outrider.errors import OutriderError, SetupError
from outrider.given import model_from
from outrider.journal import Journal
from outrider.messages import Limits
from outrider.opening import own_version
from outrider.openrouter.settings import DEFAULT_MODEL, KEY_VARIABLE, Settings, is_openrouter
from outrider.telling import counted

ENOUGH_SPACE = 50_000_000
_REMOTE = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "afs")


class Check(Struct, frozen=True, omit_defaults=True):
    """One line. ``ok`` is None for what was not looked at; ``fix`` is what to do, ``note`` what is good to know."""

    name: str
    ok: bool | None
    says: str
    fix: str = ""
    note: str = ""


NOT_ASKED = Check("server", None, "not asked: it answers nothing without the key")
TO_ASK = ("key", "server", "credit", "abilities")
"""What a model on OpenRouter needs, and the embedded one does not."""


class Wanted(Struct, frozen=True):
    """The run that is looked at: its model, who says so, and its task file. ``exactly``: nothing else is looked at.

    ``tools``: it is to offer some.
    """

    model: str
    said_by: str
    file: str | None = None
    exactly: bool = False
    tools: bool = False

    @property
    def local(self) -> bool:
        """Whether the embedded model, or a file in its place, is to answer."""
        return self.model == "local" or self.model.startswith("local:")


def wanted(model: str | None, file: str | None) -> tuple[Wanted, list[Check]]:
    """The run that these would make, and what its task file is found to be."""
    given, tools, found = None, False, list[Check]()
    if file:
        given, tools, check = check_file(file)
        found.append(check)
    named = os.environ.get("OUTRIDER_MODEL")
    default = "the default, unless -m or OUTRIDER_MODEL says otherwise"
    said = (model, "from -m"), (given, f"from {file}"), (named, "from OUTRIDER_MODEL"), (DEFAULT_MODEL, default)
    name, whence = next((name, whence) for name, whence in said if name)
    return Wanted(name, whence, file, exactly=bool(model or file), tools=tools), found


def checks(run: Wanted) -> list[Check]:
    """Everything, from what needs nothing to what takes seconds. Only the configured server is asked."""
    try:
        settings, fault = base_settings(), None
    except SetupError as error:
        settings, fault = Settings(), Check("server", False, error.message, error.hint)
    found = [
        Check("python", True, f"{platform.python_version()} ({sys.executable})"),
        Check("outrider", True, own_version() or "a source tree that is not installed"),
        check_model(run, settings),
    ]
    if not (run.exactly and run.local):
        found += [check_key(settings), fault] if fault else check_online(run, settings)
    found.append(check_journal())
    if run.local or not run.exactly:
        found.append(check_local(run.model if run.local else "local", told=run.local))
    return [*found, check_terminal()]


def lacking(run: Wanted, found: list[Check]) -> list[str]:
    """The names of the checks that keep such a run from being made."""
    needless = TO_ASK if run.local else ("local",)
    return [check.name for check in found if check.ok is False and check.name not in needless]


def check_file(path: str) -> tuple[str | None, bool, Check]:
    """A task file and what it names: its model, and whether there are tools. What fills its slots is not looked at."""
    from outrider.cli.taskfile import TaskFile

    model = None
    try:
        file = TaskFile(path)
        model = file.model
        file.prompt()
        file.parts()
        tools = file.tools()
        file.output()
    except SetupError as error:
        return model, False, Check("file", False, error.message, error.hint)
    names = ", ".join(tool.name for tool in tools) or "none"
    return model, bool(tools), Check("file", True, f"{path}, its tools: {names}")


def check_model(run: Wanted, settings: Settings) -> Check:
    """The model that is to answer."""
    try:
        model_from(run.model, settings)
    except SetupError as error:
        return Check("model", False, error.message, error.hint)
    return Check("model", True, f"{run.model}, {run.said_by}")


def check_online(run: Wanted, settings: Settings) -> list[Check]:
    """The key, the server, and what it says of the model. Where there is no way to the server, that is said of it."""
    from outrider.cli.abilities import Unreached

    key = check_key(settings)
    server = [NOT_ASKED] if key.ok is False else check_server(settings)
    try:
        told = [] if run.local else check_abilities(run, settings)
    except Unreached as error:
        if server == [NOT_ASKED]:
            server = [Check("server", False, f"{settings.base_url}: {error.says.rstrip('.')}", error.fix)]
        told = [Check("abilities", None, "not known, for the same reason")]
    return [key, *server, *told]


def check_key(settings: Settings) -> Check:
    """The API key: whether there is one, and whether it can be one."""
    try:
        key = settings.key()
    except SetupError as error:
        return Check("key", False, error.message, error.hint)
    if is_openrouter(settings.base_url) and not key.startswith("sk-or-"):
        says = f"{KEY_VARIABLE} is set, but OpenRouter's keys begin with sk-or-"
        return Check("key", None, says, "If it is refused: openrouter.ai/keys")
    return Check("key", True, f"{KEY_VARIABLE} is set")


def check_server(settings: Settings) -> list[Check]:
    """Whether the server answers and takes the key, and what may still be spent."""
    from outrider.openrouter.account import Refused, account

    try:
        told = asyncio.run(account(settings))
    except SetupError as error:
        return [Check("server", False, error.message, error.hint)]
    except Refused as error:
        if error.failure.status in (404, 405) and not is_openrouter(settings.base_url):
            return [Check("server", True, f"{settings.base_url} answers, and says nothing of keys")]
        return [Check("server", False, f"{settings.base_url}: {error.failure.message.rstrip('.')}", error.hint)]
    found = [Check("server", True, f"{settings.base_url} takes the key")]
    if told.limit_remaining is not None:
        left = told.limit_remaining
        fix = "" if left > 0 else "Raise the limit of this key at openrouter.ai/keys."
        found.append(Check("credit", left > 0, f"{dollars_of(left)} left of this key's {dollars_of(told.limit)}", fix))
    elif told.usage is not None:
        found.append(Check("credit", True, f"the key has no limit of its own; {dollars_of(told.usage)} used so far"))
    return found


def check_abilities(run: Wanted, settings: Settings) -> list[Check]:
    """What the model's providers take and cost; nothing of a server that has no such list."""
    from outrider.cli.abilities import Unfit, abilities

    try:
        told = abilities(run.model, settings, run.tools)
    except Unfit as error:
        return [Check("abilities", False, error.says, error.fix)]
    if told is None:
        return []
    known = not told[0].startswith("not known")
    fix = "" if known else f"To fetch it: outrider models {run.model}"
    return [Check("abilities", True if known else None, told[0], fix, told[1])]


def dollars_of(amount: float | None) -> str:
    """An amount for people, to the cent."""
    return f"${amount or 0:.2f}"


def check_journal() -> Check:
    """The folder of the journal: whether runs can be written there, and how many there are. Makes nothing."""
    from outrider.journal.database import FILE, SCHEMA, default_home

    home = Path(os.path.abspath(default_home()))
    try:
        runs = len(with_journal(lambda journal: journal.runs(MANY)))
        if os.environ.get("OUTRIDER_JOURNAL"):
            return Check("journal", True, f"{with_journal(_name)}: {counted(runs, 'run')}")
    except OutriderError as error:
        return Check("journal", False, error.message, error.hint)
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    kind, free = _file_system(there), shutil.disk_usage(there).free
    fixes = [
        (
            not all(os.access(place, os.W_OK) for place in (there, home / FILE) if place.exists()),
            "cannot be written to",
        ),
        (free < ENOUGH_SPACE, f"has {free // 1_000_000} MB left"),
        (kind in _REMOTE, f"is on {kind}, where SQLite's locks do not hold"),
    ]
    if wrong := [what for so, what in fixes if so]:
        return Check("journal", False, f"{there} {', '.join(wrong)}", "Set OUTRIDER_HOME to another folder.")
    if not (home / FILE).exists():
        return Check("journal", True, f"{home}: the first run makes it")
    return Check("journal", True, f"{home}: {counted(runs, 'run')}, version {SCHEMA}{f', {kind}' if kind else ''}")


async def _name(journal: Journal) -> str:
    return str(journal)


def _file_system(folder: Path) -> str:
    """The kind of file system a folder lies on, or nothing where the system does not say."""
    try:
        mounts = [line.split(" ") for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return ""
    around = {str(place) for place in (folder, *folder.parents)}
    found = [(len(place), kind) for _, place, kind, *_ in mounts if place in around]
    return max(reversed(found), key=lambda each: each[0])[1] if found else ""


def check_local(model: str, told: bool) -> Check:
    """The embedded model, or a file in its place: whether it is here and answers; ``told``: what to expect of it."""
    from outrider.local import LIMITS
    from outrider.local.weights import EMBEDDED, INSTALL, weights_path

    note = LIMITS if told and model == EMBEDDED else ""
    if find_spec("xllamacpp") is None:
        return Check("local", False, "the package xllamacpp is not installed", f"Install it: {INSTALL}", note)
    began = time.monotonic()
    try:
        path = weights_path(model)
        outcome = asyncio.run(_greet(model))
    except SetupError as error:
        return Check("local", False, error.message, error.hint, note)
    if outcome:
        return Check("local", False, f"the model does not answer: {outcome}", "Try: outrider local", note)
    return Check("local", True, f"{path} answers, after {time.monotonic() - began:.1f} s", note=note)


async def _greet(model: str) -> str:
    """Ask the embedded model something; returns what went wrong, or nothing."""
    async with Agent(model, journal=None, limits=Limits(turns=1, seconds=60)) as agent:
        result = await agent.run("Say hello.")
    return "" if result.outcome in ("finished", "truncated") else f"{result.outcome}: {result.detail}"


def check_terminal() -> Check:
    """How progress is shown here; answers are written as UTF-8 everywhere."""
    if not sys.stderr.isatty():
        return Check("terminal", None, "not one: plain lines, no colours")
    colours = "colours" if coloured(sys.stderr) else "no colours (NO_COLOR, TERM=dumb, or no UTF-8)"
    return Check("terminal", True, f"{shutil.get_terminal_size().columns} columns, {colours}, {sys.stderr.encoding}")
