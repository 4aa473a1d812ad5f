"""How an agent's runs begin, go on, branch off and are replayed: what stands behind the methods of ``Agent``."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic

from msgspec import Raw
from msgspec.structs import replace
from typing_extensions import TypeVar

from outrider import events as e
from outrider.answering import Answering
from outrider.commands import Cancel
from outrider.errors import JournalError, RunBusy, RunTaken
from outrider.funds import check_priced
from outrider.given import check_able, check_limits, opened
from outrider.journal import Journal, Log
from outrider.masking import Masking
from outrider.messages import Limits
from outrider.model import Model
from outrider.once import Elsewhere, check_name, check_same, once
from outrider.opening import (
    at_turn,
    carried,
    changed,
    check_deps,
    check_history,
    check_text,
    check_wanted,
    first_messages,
    forked_messages,
    limits_of,
    name_of,
    new_run_id,
    own_version,
    told,
)
from outrider.output import OutputType
from outrider.parts import Task, inputs, read_task
from outrider.policy import Policy, policy_name
from outrider.result import Result
from outrider.run import Observer, Run
from outrider.state import State
from outrider.tool import Tool

if TYPE_CHECKING:
    from outrider.checks import Named
    from outrider.replay import Replay
    from outrider.toolbox import Toolbox

_LOOK = 0.25
"""Seconds between two looks at a run that somebody else does."""

Deps = TypeVar("Deps", default=None)
Out = TypeVar("Out", default=str)


class Starting(Answering, Generic[Deps, Out]):
    """The part of an agent that makes its runs."""

    name: str
    model: Model
    limits: Limits
    tools: tuple[Tool[..., Any], ...]
    _deps_type: type[Deps] | None
    _output: OutputType[Out]
    _checks: "tuple[Named, ...]"
    _instructions: str | Callable[[Deps], str]
    _policy: Policy
    _journal: Journal | str | Path | None
    _observers: tuple[Observer, ...]
    _masking: Masking

    @property
    def journal(self) -> Journal:
        """Where this agent's runs are kept."""
        return opened(self._journal)

    async def _begin(self, task: Task, deps: Deps | None, history: Result[Any] | None, id: str, live: bool) -> Run[Out]:
        check_history(history)
        check_wanted(deps, self.tools)
        if id:
            check_name(id, self.journal)
        said = read_task(task) if isinstance(task, str) else await asyncio.to_thread(read_task, task)
        opening = first_messages(self._system(deps), said.content, history)
        started = self._started(id or new_run_id(), said.short, opening)
        if not id:
            return await self._open(started, deps, live)
        return await once(
            self.journal,
            self._masking.event(started)[0],
            lambda: self._open(started, deps, live),
            lambda waited: self._again(id, deps, None, "", live, waited),
            lambda state: self._at_rest(state, deps, live),
        )

    async def leave(self, task: Task, *, deps: Deps | None = None, id: str = "") -> str:
        """Put a run on record without beginning to work on it, for whoever resumes it; returns its name.

        One that is there already under this ``id`` is left as it is. Raises SetupError where it is on another task.
        """
        check_name(id or new_run_id(), self.journal)
        said = read_task(task) if isinstance(task, str) else await asyncio.to_thread(read_task, task)
        started = self._started(id or new_run_id(), said.short, first_messages(self._system(deps), said.content, None))
        check_able(self.model, self.tools, inputs(started.messages))
        try:
            log = await self.journal.create(started.run)
            try:
                await self._made(State(run=started.run), log, deps, live=False).record(started)
            finally:
                await log.close()
        except (RunTaken, RunBusy):
            known = self._masking.event(started)[0]
            check_same(State.fold(await self.journal.read(started.run)), known)
        return started.run

    async def leg(self, run: str, *, deps: Deps | None = None, take: bool = False) -> Run[Out]:
        """A recorded run, resumed and under way, for engines that give out work. Leave its ``async with`` block.

        With ``take`` it is taken over from an owner that lives in another process, whose next entry is refused. Raises
        what ``resume`` raises.
        """
        return await self._again(run, deps, None, "", False, take=take)

    async def result(self, run: str, *, deps: Deps | None = None) -> Result[Out]:
        """The result of a recorded run as it rests, without going on with it. Raises RunNotFound.

        Waits while it is under way, whoever works on it.
        """
        state = State()
        while not state.over:
            for entry in await self.journal.read(run, state.seq):
                state.add(entry)
            if not state.over:
                await asyncio.sleep(_LOOK)
        return await self._at_rest(state, deps, live=False).result()

    async def _fork(self, run: str | Result[Any], at: int | None, deps: Deps | None, say: str, live: bool) -> Run[Out]:
        check_text("say", say)
        check_wanted(deps, self.tools)
        name = name_of(run)
        state = at_turn(name, await self.journal.read(name), at)
        opening = forked_messages(self._system(deps), state, say)
        started = self._started(new_run_id(), state.task, opening)
        return await self._open(replace(started, forked=f"{name}@{state.turns}"), deps, live)

    async def _open(self, started: e.RunStarted, deps: Deps | None, live: bool) -> Run[Out]:
        state = State(run=started.run)
        await self._check(state, [started])  # before there is so much as a folder for the record
        return await self._go(state, await self.journal.create(started.run), [started], deps, live)

    def _at_rest(self, state: State, deps: Deps | None, live: bool) -> Run[Out]:
        run = self._made(state, Elsewhere(), deps, live)
        run.start()
        return run

    def _started(self, run: str, task: str, messages: tuple[Raw, ...]) -> e.RunStarted:
        return e.RunStarted(
            run,
            task,
            self.name,
            self.model.name,
            messages,
            self.limits,
            {tool.name: tool.digest for tool in self.tools},
            self._output.name,
            policy_name(self._policy),
            own_version(),
            checks=tuple(check.name for check in self._checks),
            places={tool.name: tool.place for tool in self.tools if tool.place},
        )

    async def _again(
        self,
        run: str | Result[Any],
        deps: Deps | None,
        limits: Limits | None,
        say: str,
        live: bool,
        waited: bool = False,
        take: bool = False,
    ) -> Run[Out]:
        if limits is not None:
            check_limits(limits)
        check_text("say", say)
        check_wanted(deps, self.tools)
        log = await self.journal.claim(name_of(run), take)
        try:
            state = State.fold(log.entries)
            events = [] if waited and state.over else self._resuming(state, deps, limits, say, log.mail)
            if events and log.mail:  # who asked for a stop before it went on meant the work that had stopped since
                words = await log.commands()
                stale = [number for number, word in words if isinstance(word, Cancel)]
                events += [e.CommandRefused(number, "the run rested already when it went on") for number in stale]
            if events:
                await self._check(state, events)
        except BaseException:
            await log.close()
            raise
        return await self._go(state, log, events, deps, live)

    def _resuming(
        self, state: State, deps: Deps | None, limits: Limits | None, say: str, mail: bool
    ) -> list[e.Durable]:
        events: list[e.Durable] = []
        if state.schema > e.SCHEMA:
            raise JournalError(
                f"run {state.run} was recorded by a newer Outrider (schema {state.schema}, here {e.SCHEMA})",
                "Upgrade Outrider to resume it.",
            )
        if state.outcome != "finished" or say or mail:
            opening = first_messages(self._system(deps), "", None)
            now, _ = self._masking.event(self._started(state.run, state.task, opening))
            limits = limits or state.limits
            events.append(e.RunResumed("api", limits, changed(state, now, limits), own_version(), now.model))
        return [*events, *told(state, say, limits or state.limits)]

    async def _check(self, state: State, events: Sequence[e.Durable]) -> None:
        """A missing key, weights or price is said before anything is on record."""
        await self.model.ready()
        check_able(self.model, self.tools, carried(state, events))
        await check_priced(self.model, *limits_of(state, events))

    async def _go(self, state: State, log: Log, events: Sequence[e.Durable], deps: Deps | None, live: bool) -> Run[Out]:
        run = self._made(state, log, deps, live)
        try:
            for event in events:
                await run.record(event)
        except BaseException:
            await log.close()
            raise
        run.start()
        return run

    def _made(self, state: State, log: Log, deps: Deps | None, live: bool) -> Run[Out]:
        output, toolbox = self._judging(deps), self._toolbox(deps)
        given = (self.journal, self.model, toolbox, output, self._masking, self._observers)
        return Run(state, log, *given, output.read, live)

    def _judging(self, deps: Deps | None) -> OutputType[Out]:
        if not self._checks:
            return self._output
        from outrider.checks import Checks

        return self._output.under(Checks(self._checks, deps, self.name))

    async def _replayed(
        self,
        record: str | Result[Any] | Sequence[e.Entry],
        deps: Deps | None,
        live_tools: bool,
        observers: Sequence[Observer],
    ) -> "Replay[Out]":
        from outrider.replay import Pieces, Results, replay

        entries = await self.journal.read(name_of(record)) if isinstance(record, str | Result) else record
        toolbox = Results(self.tools, self._policy, deps, self.name)
        system, output = self._system(deps), self._judging(deps)
        pieces = Pieces(self.model, toolbox, output, self._output.read, self._masking.raw, self.journal)
        return await replay(entries, pieces, system, live_tools, observers)

    def _toolbox(self, deps: Deps | None) -> "Toolbox":
        from outrider.toolbox import Toolbox

        return Toolbox(self.tools, self._policy, deps, self.name)

    def _system(self, deps: Deps | None) -> str:
        check_deps(deps, self._deps_type)
        instructions = self._instructions
        text = instructions(deps) if callable(instructions) else instructions  # pyright: ignore[reportArgumentType]
        check_text("what instructions returned", text)
        return text
