"""A run under way in this process: shown as it goes, stopped by signals, reported at its end."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from decimal import Decimal
from functools import partial
from types import FrameType
from typing import Any, TextIO

import click
import msgspec
from msgspec import Raw, Struct

from outrider import events as e
from outrider.agent import Agent
from outrider.cli.flags import Flags, resume_command
from outrider.cli.text import coloured, flush, note, out, out_json, stdout, tell
from outrider.errors import JournalError, OutriderError
from outrider.journal.lines import EventLine
from outrider.messages import Usage
from outrider.observe.line import Line, tone_of, toned
from outrider.observe.screen import Screen
from outrider.observe.story import block
from outrider.observe.terminal import how_to_answer, is_question, lines
from outrider.result import Result, Waiting
from outrider.run import Run
from outrider.state import State
from outrider.telling import clean, climb_of


class Report(Struct, frozen=True, kw_only=True):
    """What ``--json`` writes. ``output`` is null without an answer, ``resume`` when there is nothing to resume.

    ``partial`` is what there is of an answer where there is no ``output``. ``cost`` is what was billed, in dollars:
    null when something can have been billed and no bill has come. Not in it are ``requests_in_doubt`` (sent, and
    never answered) and the replies that came ``unpriced``. ``tool_failures`` counts calls whose result is an error.
    ``rung`` is the way in which a typed answer was asked for last, in ``tries`` requests once the work was done;
    ``climb`` is what those after the first one cost, in dollars, null when a bill has not come. ``repairs`` counts what
    was put right in replies. ``waiting`` are the calls that a person must answer. ``hint`` says what to do. Where no
    run was begun ``run`` is null, and the outcome "usage" for exit code 2.
    """

    schema: int = 1
    run: str | None = None
    outcome: str
    exit_code: int
    output: Any = None
    partial: Any = None
    detail: str
    hint: str
    usage: dict[str, Any] = msgspec.field(default_factory=lambda: msgspec.structs.asdict(Usage()))
    cost: Decimal | None = Decimal(0)
    turns: int = 0
    requests: int = 0
    requests_in_doubt: int = 0
    unpriced: int = 0
    tool_calls: int = 0
    tool_failures: int = 0
    seconds: float = 0.0
    model: str = ""
    resume: str | None = None
    rung: str = ""
    tries: int = 0
    climb: Decimal | None = Decimal(0)
    repairs: int = 0
    waiting: tuple[Waiting, ...] = ()


class Watch:
    """An observer that shows a run's entries as they come. ``state`` is what came before them."""

    def __init__(self, flags: Flags, state: State | None = None) -> None:
        self._flags = flags
        self._state = state or State()
        self.asks = not (flags.quiet or flags.json or flags.events) and _is_terminal(sys.stdin, sys.stderr)
        """Whether the person at the terminal is asked when the run waits for one."""
        free = not (flags.events and stdout().isatty())  # else events and status would stand in one place
        self.screen = Screen(sys.stderr, self.asks) if not flags.quiet and free and coloured(sys.stderr) else None

    def __call__(self, entry: e.Entry) -> None:
        """Show one entry."""
        if self.screen:
            self.screen.show(entry, self._state)
        elif not self._flags.quiet and not (self.asks and is_question(entry.event)):
            for line in lines(entry, self._state):
                note(line)
        self._state.add(entry)
        if self.screen:
            self.screen.follow(self._state)
        if self._flags.events:
            out_json(EventLine(self._state.run, entry.seq, entry.at, Raw(e.encode(entry.event))))

    def say(self, line: Line) -> None:
        """Show a line that is no entry of the run."""
        if self.screen:
            self.screen.say(line)
        elif not self._flags.quiet:
            note(line.text)

    def resume(self) -> str:
        """The command that goes on with the run."""
        return resume_command(self._state.run, self._flags, self._state)

    def hear(self, event: e.Durable | e.Live) -> None:
        """Take in what only the status line shows."""
        if self.screen and isinstance(event, e.Live):
            self.screen.hear(event)

    @contextmanager
    def shown(self) -> Generator[None]:
        """The status line stands while this block lasts."""
        if not self.screen:
            yield
            return
        self.screen.open()
        try:
            yield
        finally:
            self.screen.close()


def _is_terminal(*streams: TextIO | None) -> bool:
    return all(stream is not None and stream.isatty() for stream in streams)


def note_beyond(model: str, tools: int, flags: Flags) -> None:
    """Say so when the embedded model is asked for what it is not able to do."""
    if model != "local" or flags.quiet:
        return
    from outrider.local.weights import beyond

    if told := beyond(tools, flags.typed):
        tell(Line(told, "dim", "wrap"))


Begin = Callable[[], AbstractAsyncContextManager[Run[Any]]]


def drive(agent: Agent[None, Any], begin: Begin, watch: Watch, id: str = "") -> Result[Any]:
    """Run to the end, asking the person at the terminal where one is needed.

    ``id`` is the name under which another process may be doing it already. Raises SetupError, before anything is on
    record, when the model cannot be asked.
    """
    return asyncio.run(_drive(agent, begin, watch, id))


async def _drive(agent: Agent[None, Any], begin: Begin, watch: Watch, id: str) -> Result[Any]:
    signals = Signals(watch)
    try:
        with watch.shown():
            await agent.ready()
            signals.check()
            result = await _leg(partial(_begun, agent, begin, watch, signals, id), watch, signals)
        while watch.asks and not signals.caught and await _answered(agent, result.state):
            with watch.shown():
                result = await _leg(partial(agent.stream_resume, result.run), watch, signals)
        return result
    finally:
        await agent.close()
        await agent.journal.close()
        signals.forget()


async def _answered(agent: Agent[None, Any], state: State) -> bool:
    """Whether the run waits for a person, and the one at the terminal has said all it waits for."""
    if state.paused not in ("approval", "doubt"):
        return False
    from outrider.cli.ask import answered

    return await answered(agent, state)


@asynccontextmanager
async def _begun(
    agent: Agent[None, Any], begin: Begin, watch: Watch, signals: "Signals", id: str
) -> AsyncGenerator[Run[Any]]:
    """What ``begin`` gives; a signal ends the wait for another process that does this run, and the wait is told."""
    going = begin()
    entering, told = asyncio.ensure_future(going.__aenter__()), False
    while not entering.done():
        await asyncio.wait([entering], timeout=_LOOK)
        elsewhere = bool(id) and not entering.done() and not told and await _is_done_elsewhere(agent, id)
        if elsewhere:
            watch.say(Line(f"another process does run {id}; its result is waited for", "dim", "wrap"))
            told = True
        if told and signals.caught and not entering.done():
            entering.cancel()
            await asyncio.wait([entering])
            raise click.Abort
    run = entering.result()
    try:
        yield run
    finally:
        await going.__aexit__(*sys.exc_info())


async def _is_done_elsewhere(agent: Agent[None, Any], id: str) -> bool:
    try:
        return not State.fold(await agent.journal.read(id)).over
    except JournalError:  # not there yet, or what begins the run says so
        return False


_LOOK = 0.25
"""Seconds between two looks at a run that does not begin."""


async def _leg(begin: Begin, watch: Watch, signals: "Signals") -> Result[Any]:
    async with begin() as run:
        signals.stops(run)
        async for event in run:  # the observer shows what lasts
            watch.hear(event)
        return await run.result()


_STOPPING = "stopping; once more ends it at once"


class Signals:
    """The first SIGINT or SIGTERM stops the run, the second one ends the process at once.

    Python's own handlers are used, because the loop's would wait for a loop that a tool may hold up.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch, self._screen = watch, watch.screen
        self._run: Run[Any] | None = None
        self.caught = ""
        """The reason to stop for, once a signal has come."""
        self._loop = asyncio.get_running_loop()
        self._before = {
            number: signal.signal(number, self._caught)
            for number in (signal.SIGINT, signal.SIGTERM)
            if signal.getsignal(number) is not signal.SIG_IGN  # a shell's background job, say
        }

    def check(self) -> None:
        """Raise click.Abort when a signal came before there was a run to stop."""
        if self.caught:
            raise click.Abort

    def stops(self, run: Run[Any]) -> None:
        """From now on, and for a signal that came before, this run is stopped."""
        self._run = run
        if self.caught:
            run.stop(self.caught)

    def forget(self) -> None:
        """Signals do again what they did before."""
        for number, action in self._before.items():
            signal.signal(number, action)

    def _caught(self, number: int, frame: FrameType | None) -> None:
        if self.caught:
            if self._screen:
                self._screen.abandon()
            if self._run and sys.stderr:
                os.write(2, f"to go on: {self._watch.resume()}\n".encode())
            os._exit(128 + number)  # what had to be on disk is; the next process finds this one dead
        self.caught = "interrupted" if number == signal.SIGINT else "stopped"
        if self._screen:
            self._screen.say(Line(_STOPPING, "warn"))
        elif sys.stderr:  # None when 2 was closed, and may by now be some other file
            os.write(2, f"{_STOPPING}\n".encode())  # print may be what was interrupted
        if self._run:
            self._loop.call_soon_threadsafe(self._run.stop, self.caught)


def conclude(result: Result[Any], flags: Flags) -> int:
    """Print the answer, or why there is none and what to type next; returns the exit code."""
    state = result.state
    resume = None if result.outcome == "finished" else resume_command(result.run, flags, state)
    if flags.json:
        out_json(_report(result, resume))
    elif result.outcome == "finished" and not flags.events:
        out(_answer(state))
    flush()
    if resume:
        _explain(result, resume, flags.quiet)
    elif result.problem:
        tell(*toned([Line(f"the end of this run is not on record: {result.problem}", "bad")], "wrap"))
    if not flags.quiet:
        tell(*_summary(result))
    return result.exit_code


def _summary(result: Result[Any]) -> list[Line]:
    """How it went, on one line; on two where the command to type would not fit in."""
    tone, text = tone_of(result.outcome), str(result)
    head, _, command = text.rpartition(" · ")
    if not result.kept or not coloured(sys.stderr) or len(text) < _width():
        return [Line(text, tone, "keep")]
    return [Line(head, tone, "wrap"), Line(command, tone, "keep")]


def _width() -> int:
    from outrider.observe.paint import width_of

    return width_of(sys.stderr)


def _explain(result: Result[Any], resume: str, quiet: bool) -> None:
    unrecorded = result.problem is not None and not result.state.over
    said: list[Line] = []
    if quiet or unrecorded:  # otherwise the last of the progress has said it
        detail = result.detail.removeprefix(f"{result.outcome} ")
        said.append(Line(f"{result.outcome}: {detail}", tone_of(result.outcome), "wrap"))
    if isinstance(result.problem, OutriderError) and result.problem.hint:
        said.append(Line(f"  {result.problem.hint}", fit="keep"))
    if result.state.hint and (quiet or result.outcome == "limit"):
        said.append(Line(f"  {result.state.hint}", fit="keep"))
    if result.outcome == "limit" and result.state.accepted is not None:
        said.append(Line("its answer at the limit:", fit="wrap"))
        said.append(Line(block(clean(_text_of(result.state))), fit="wrap"))
    if quiet:
        said += [Line(f"  {command}", fit="keep") for command in how_to_answer(result.state)]
    tell(*toned([*said, Line(f"to go on: {resume}", fit="keep")], "wrap"))


def _answer(state: State) -> str | bytes:
    value = accepted(state)
    if isinstance(value, str):  # a text, a label, a date: as it reads, for a shell to compare
        return value
    return bytes(state.accepted or b"null")


def _text_of(state: State) -> str:
    answer = _answer(state)
    return answer if isinstance(answer, str) else answer.decode()


def accepted(state: State) -> Any:
    """The answer on record as JSON values, or None."""
    return None if state.accepted is None else msgspec.json.decode(state.accepted)


def _report(result: Result[Any], resume: str | None) -> Report:
    state, answered = result.state, result.outcome == "finished"
    return Report(
        run=result.run,
        outcome=result.outcome,
        exit_code=result.exit_code,
        output=accepted(state) if answered else None,
        partial=None if answered else result.partial,
        detail=result.detail,
        hint=state.hint,
        usage=msgspec.structs.asdict(result.usage),
        cost=result.cost,
        turns=result.turns,
        requests=state.requests,
        requests_in_doubt=state.requests_in_doubt,
        unpriced=state.unpriced,
        tool_calls=result.tool_calls,
        tool_failures=result.tool_failures,
        seconds=round(result.seconds, 3),
        model=state.model,
        resume=resume,
        rung=state.form,
        tries=state.tries,
        climb=climb_of(state),
        repairs=state.repairs,
        waiting=result.waiting,
    )


def report_of(result: Result[Any]) -> dict[str, Any]:
    """What ``--json`` writes of a result, by name."""
    return msgspec.structs.asdict(_report(result, None))


def no_run(detail: str, hint: str, code: int) -> Report:
    """The report where no run was begun."""
    outcome = {2: "usage", 130: "interrupted"}.get(code, "error")
    return Report(outcome=outcome, exit_code=code, detail=detail, hint=hint)
