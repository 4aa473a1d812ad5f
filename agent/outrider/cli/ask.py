"""The person at the terminal is asked about the calls that wait, and the run goes on."""

import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

import click
import msgspec

from outrider.agent import Agent
from outrider.cli.record import BY
from outrider.cli.shape import difference, fields, shape
from outrider.cli.text import tell
from outrider.errors import SetupError
from outrider.observe.line import Line, toned
from outrider.observe.terminal import answers_to
from outrider.schema import Mismatch
from outrider.state import Call, State
from outrider.telling import pretty
from outrider.tool import Tool

Arguments = dict[str, Any]

MOST_LINES = 200
"""Lines of a call's arguments that are shown with the question."""


class Left(Exception):
    """The person does not answer now."""


async def answered(agent: Agent[None, Any], state: State) -> bool:
    """Ask about each call of this run that waits for a person. Whether all have their answer, so that it can go on.

    What is answered is noted at once; what is left, by Ctrl-C as well, can be answered later from anywhere.
    """
    whys = {entry.seq: getattr(entry.event, "why", "") for entry in await agent.journal.read(state.run)}
    waiting = [call for call in state.owed_calls() if call.waiting]
    for place, call in enumerate(waiting):
        ask = _consent if call.status == "asked" else _doubt
        try:
            await ask(agent, state.run, call, whys.get(call.question, ""))
        except Left:
            _leave(state.run, waiting[place:])
            return False
    return True


def _leave(run: str, left: Sequence[Call]) -> None:
    commands = [command for call in left for command in answers_to(call, run)]
    _say(Line("left as it is; to answer later:", "warn"), *(Line(f"  {command}", fit="keep") for command in commands))


# ------------------------------------------------------------------------------------------------ consent


async def _consent(agent: Agent[None, Any], run: str, call: Call, why: str) -> None:
    tool = next((tool for tool in agent.tools if tool.wire_name == call.call.name), None)
    given = fields(call.arguments)
    edited: Arguments | None = None
    draft = pretty(given)
    effect = f" · {tool.effect}" if tool and tool.effect not in why else ""
    _say(Line(f"{call.call.name} needs consent: {why}{effect}", "warn", "wrap"), *shape(call.arguments, MOST_LINES))
    while True:
        match _read(f"allow {'it' if edited is None else 'yours'}? [y]es [n]o [e]dit, Enter: later > "):
            case "y" | "yes":
                if await _noted(agent.approve(run, call.call.id, arguments=edited, by=BY)):
                    return
            case "n" | "no":
                if await _noted(agent.deny(run, call.call.id, _read("the reason, for the model (or Enter) > "), by=BY)):
                    return
            case "e" | "edit":
                draft, edited = _edited(draft, given)
                if edited is not None and tool and (problems := _problems(tool, edited)):
                    _say(Line(f"  the arguments do not fit: {'; '.join(problems)}", "bad", "wrap"))
                    edited = None
            case "" | "s":
                raise Left
            case other:
                _say(f"  {other!r} is no answer here")


def _problems(tool: Tool[..., Any], arguments: Arguments) -> Sequence[str]:
    """What keeps the tool from taking these arguments."""
    checked = tool.check(msgspec.json.encode(arguments))
    return checked.problems if isinstance(checked, Mismatch) else ()


def _edited(draft: str, given: Arguments) -> tuple[str, Arguments | None]:
    """The text as it left the editor, and the arguments it stands for where they are others than the model's."""
    with _signals_leave():  # an editor draws on fd 1, which is stderr while a run is under way
        try:
            draft = click.edit(draft, editor=_editor(), extension=".json") or draft
        except click.ClickException as error:
            _say(Line(f"  {error.format_message()}", "bad", "wrap"))
    try:
        edited = msgspec.json.decode(draft, type=Arguments)
    except msgspec.DecodeError as error:
        _say(Line(f"  this is no JSON object: {error}", "bad", "wrap"))
        return draft, None
    if edited == given:
        _say("  the arguments are the model's, unchanged")
        return draft, None
    _say(*difference(pretty(given), pretty(edited), "the model's", "yours"))
    return draft, edited


def _editor() -> str:
    """The editor that a person has chosen, or one that is here. Raises click.ClickException when there is none."""
    chosen = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    found = chosen or next(filter(shutil.which, ("nano", "vim", "vi")), None)
    if not found:
        raise click.ClickException("there is no editor here: set VISUAL or EDITOR, or use outrider approve --arguments")
    return found


# -------------------------------------------------------------------------------------------------- doubt


async def _doubt(agent: Agent[None, Any], run: str, call: Call, why: str) -> None:
    intent = call.intent
    about = f"{call.call.name} in doubt ({why}): nobody knows whether it happened"
    _say(Line(f"{about}{f' · {intent.effect}' if intent else ''}", "warn", "wrap"))
    _say(*shape(intent.arguments if intent else call.arguments, MOST_LINES))
    while True:
        match _read("what became of it? [a]gain: run it, [r]esult: it had one, Enter: later > "):
            case "a" | "again":
                if await _noted(agent.settle(run, call.call.id, by=BY)):
                    return
            case "r" | "result":
                if await _noted(agent.settle(run, call.call.id, _read("its result, for the model > "), by=BY)):
                    return
            case "" | "s":
                raise Left
            case other:
                _say(f"  {other!r} is no answer here")


# ------------------------------------------------------------------------------------------- the terminal


async def _noted(word: Awaitable[None]) -> bool:
    """Give a person's word. False, having said why, when it does not fit."""
    try:
        await word
    except SetupError as error:
        _say(Line(f"  {error.message}", "bad", "wrap"), f"  {error.hint}")
        return False
    return True


def _say(*lines: Line | str) -> None:
    tell(*toned(lines, "wrap"))


def _read(prompt: str) -> str:
    """What is typed in answer, not what was typed before the question. Raises Left at the end of input."""
    import termios

    termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
    with _signals_leave():
        click.echo(prompt, err=True, nl=False)
        line = sys.stdin.buffer.readline()
        if not line:
            click.echo(err=True)
            raise Left
    return line.decode("utf-8", "replace").strip()


@contextmanager
def _signals_leave() -> Generator[None]:
    """SIGINT and SIGTERM raise Left: nothing runs that would have to be stopped."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    try:
        yield
    except KeyboardInterrupt:
        click.echo(err=True)
        raise Left from None
    finally:
        for number, action in zip(numbers, before, strict=True):
            signal.signal(number, action)
