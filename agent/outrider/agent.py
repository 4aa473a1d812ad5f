"""Agent: what a user makes once and shares; every run starts here."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from copy import copy
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Self, overload

from typing_extensions import TypeVar

from outrider import commands as c
from outrider import events as e
from outrider.errors import JournalError, SetupError
from outrider.funds import check_priced
from outrider.given import (
    check_able,
    check_limits,
    check_rest,
    journal_from,
    model_from,
    opened,
    secrets_from,
    tools_from,
)
from outrider.inbox import answer_to, doubt_about, leave
from outrider.journal import Journal, Log
from outrider.masking import Masking
from outrider.messages import Limits
from outrider.model import Composer, Model
from outrider.opening import (
    carried,
    changed,
    check_deps,
    check_history,
    check_text,
    first_messages,
    limits_of,
    name_of,
    new_run_id,
    own_version,
    told,
)
from outrider.openrouter.settings import DEFAULT_MODEL, Settings
from outrider.output import OutputType
from outrider.parts import Said, Task, inputs, read_task
from outrider.policy import Policy, default_policy, policy_name
from outrider.preview import Preview, preview_of
from outrider.result import Result
from outrider.run import Observer, Run, wait_for
from outrider.state import State
from outrider.tool import BadArguments, Tool
from outrider_prompts import say as words

if TYPE_CHECKING:
    from pydantic import SecretStr

    from outrider.checks import Check, Named
    from outrider.toolbox import Toolbox

Deps = TypeVar("Deps", default=None)
Out = TypeVar("Out", default=str)
AnyDeps = TypeVar("AnyDeps", default=None)


class Agent(Generic[Deps, Out]):
    """A model, its instructions, its tools and the type of its answers. Immutable; safe to share.

    - ``model``: an OpenRouter model (default ``qwen/qwen3-14b``), ``"local"`` for the embedded one,
      ``"local:PATH.gguf"``, or any object with the Model protocol.
    - ``instructions``: the system message, or a function of the dependencies that gives it.
    - ``tools``: functions and Tools. ``deps_type`` is the type of what ``run(deps=...)`` hands to them.
    - ``output``: a type, a tuple of types for a union, or a JSON Schema as a dict. Default: plain text.
    - ``limits``, ``policy``: where a run ends and which calls run.
    - ``settings``: everything about the wire.
    - ``journal``: where runs are kept: a folder (``outrider show`` finds them with OUTRIDER_HOME=folder), or any
      object with the Journal protocol. "default" is ``$OUTRIDER_HOME`` or ``.outrider``; None keeps nothing.
    - ``observers``: plain functions, called with every durable entry.
    - ``secrets``: texts that must never be recorded or sent.

    Raises SetupError for anything that cannot work, before anything is sent.
    """

    @overload
    def __init__(
        self: "Agent[AnyDeps, Any]",
        model: str | Model = DEFAULT_MODEL,
        *,
        output: dict[str, Any],
        instructions: str | Callable[[AnyDeps], str] = "",
        tools: Sequence[Tool[..., Any] | Callable[..., Any]] = (),
        deps_type: type[AnyDeps] | None = None,
        limits: Limits = Limits(),
        policy: Policy = default_policy,
        settings: Settings = Settings(),
        journal: Journal | str | Path | None = "default",
        observers: Sequence[Observer] = (),
        name: str = "agent",
        secrets: "Sequence[str | SecretStr]" = (),
    ) -> None: ...

    @overload
    def __init__(
        self,
        model: str | Model = DEFAULT_MODEL,
        *,
        output: type[Out] | tuple[type[Out], ...] | None = None,
        instructions: str | Callable[[Deps], str] = "",
        tools: Sequence[Tool[..., Any] | Callable[..., Any]] = (),
        deps_type: type[Deps] | None = None,
        limits: Limits = Limits(),
        policy: Policy = default_policy,
        settings: Settings = Settings(),
        journal: Journal | str | Path | None = "default",
        observers: Sequence[Observer] = (),
        name: str = "agent",
        secrets: "Sequence[str | SecretStr]" = (),
    ) -> None: ...

    def __init__(
        self,
        model: str | Model = DEFAULT_MODEL,
        *,
        output: Any = None,
        instructions: str | Callable[[Deps], str] = "",
        tools: Sequence[Tool[..., Any] | Callable[..., Any]] = (),
        deps_type: type[Deps] | None = None,
        limits: Limits = Limits(),
        policy: Policy = default_policy,
        settings: Settings = Settings(),
        journal: Journal | str | Path | None = "default",
        observers: Sequence[Observer] = (),
        name: str = "agent",
        secrets: "Sequence[str | SecretStr]" = (),
    ) -> None:
        check_limits(limits)
        check_rest(
            name=name,
            settings=settings,
            instructions=instructions,
            output=output,
            policy=policy,
            observers=observers,
            secrets=secrets,
        )
        self.name = name
        self.model = model_from(model, settings)
        self.limits = limits
        self.tools = tools_from(tools)
        check_able(self.model, self.tools)
        self._deps_type = deps_type
        self._output: OutputType[Out] = OutputType(output, self.model)
        self._checks: tuple[Named, ...] = ()
        self._instructions = instructions
        self._policy = policy
        self._journal = journal_from(journal)
        self._observers = tuple(observers)
        self._masking = Masking(secrets_from(secrets, getattr(self.model, "options", settings)))

    def __repr__(self) -> str:
        tools = ", ".join(tool.name for tool in self.tools) or "none"
        checks = f", checks: {', '.join(check.name for check in self._checks)}" if self._checks else ""
        return f"<agent {self.name}: {self.model.name}, tools: {tools}, output: {self._output.name}{checks}>"

    def checked(self, *checks: "Check[Out, Deps]") -> "Agent[Deps, Out]":
        """This agent with further checks, called in order: what an answer must pass besides fitting its type.

        A check takes the answer and, if it has a second parameter, a Context. It may be async; others run in threads.
        It says no by raising ValueError, AssertionError or ToolError: the model is told the text and asked again, as
        often as for an answer that does not fit. Any other exception ends the run with the outcome "error". It returns
        None or the answer itself. A run that is resumed may check its answer again: a check should have no effect.
        Raises SetupError for what can be no check.
        """
        from outrider.checks import check_from

        agent = copy(self)
        agent._checks = (*self._checks, *map(check_from, checks))
        return agent

    # ------------------------------------------------------------------------------------------ running

    async def run(self, task: Task, *, deps: Deps | None = None, history: Result[Any] | None = None) -> Result[Out]:
        """Run a task to its end and return how it ended, whatever that is.

        ``task`` is a text, or a list of texts, images and files (``outrider.parts``), which are read now.
        ``history`` is an earlier result whose conversation this task continues. Raises SetupError and
        JournalError before the run has started, nothing after that. Cancelling stops the run; it can be
        resumed.
        """
        async with await self._begin(task, deps, history, live=False) as run:
            return await run.result()

    def run_sync(self, task: Task, *, deps: Deps | None = None, history: Result[Any] | None = None) -> Result[Out]:
        """Like ``run``, for scripts and notebooks: the work is done on a background event loop.

        Ctrl-C stops the run cleanly and gives a result with the outcome "interrupted".
        """
        return wait_for(lambda: self._begin(task, deps, history, live=False))

    @asynccontextmanager
    async def stream(
        self, task: Task, *, deps: Deps | None = None, history: Result[Any] | None = None
    ) -> AsyncGenerator[Run[Out]]:
        """A run to watch: ``async with agent.stream(task) as run: async for event in run: ...``.

        Leaving the block stops a run that is still going.
        """
        async with await self._begin(task, deps, history, live=True) as run:
            yield run

    async def resume(
        self, run: str | Result[Any], *, deps: Deps | None = None, limits: Limits | None = None, say: str = ""
    ) -> Result[Out]:
        """Go on with a recorded run: after a crash, a limit, a pause, or with a further message.

        ``run`` is a run's name or its result. ``limits`` replace those on record (default: keep them). A run that
        is finished and has nothing more to do gives its result again. Raises RunNotFound, and RunBusy while a
        living process owns the run.
        """
        async with await self._again(run, deps, limits, say, live=False) as going:
            return await going.result()

    def resume_sync(
        self, run: str | Result[Any], *, deps: Deps | None = None, limits: Limits | None = None, say: str = ""
    ) -> Result[Out]:
        """Like ``resume``, for scripts and notebooks."""
        return wait_for(lambda: self._again(run, deps, limits, say, live=False))

    @asynccontextmanager
    async def stream_resume(
        self, run: str | Result[Any], *, deps: Deps | None = None, limits: Limits | None = None, say: str = ""
    ) -> AsyncGenerator[Run[Out]]:
        """Like ``resume``, to watch."""
        async with await self._again(run, deps, limits, say, live=True) as going:
            yield going

    def preview(self, task: Task, *, deps: Deps | None = None, history: Result[Any] | None = None) -> Preview:
        """The exact first request of such a run, and what it can cost at most. Nothing is sent and nothing recorded."""
        check_history(history)
        started, _ = self._masking.event(self._started("preview", read_task(task), deps, history))
        check_able(self.model, self.tools, inputs(started.messages))
        state = State.fold([e.Entry(1, 0.0, started)])
        tools = self._toolbox(deps).offered(state)
        return preview_of(Composer(self.model, self._masking.raw), self._output, state, tools)

    # ------------------------------------------------------------------------------------ a person's word

    async def approve(self, run: str, call: str, *, arguments: dict[str, Any] | None = None, by: str = "api") -> None:
        """Consent to a call that waits, with other arguments if given. The run goes on when it is resumed.

        ``by`` is who says so, for the record. Raises SetupError when the call does not wait for consent, was denied
        already, or the arguments do not fit its tool.
        """
        await self._answer(run, call, True, arguments, "", by)

    async def deny(self, run: str, call: str, reason: str = "", *, by: str = "api") -> None:
        """Refuse a call that waits; the model is told the reason."""
        await self._answer(run, call, False, None, reason, by)

    async def settle(self, run: str, call: str, result: str | None = None, *, by: str = "api") -> None:
        """Say what became of a call in doubt: its result, or None to run it again.

        Raises SetupError when the call is not in doubt, or another word on it waits already.
        """
        check_text("the result", result or "")
        check_text("by", by)
        state = State.fold(await self.journal.read(run))
        word = c.Settle(by, call, doubt_about(state, call), result)
        await leave(self.journal, state, self._masking.command(word))

    async def _answer(
        self, run: str, call: str, allowed: bool, edited: dict[str, Any] | None, reason: str, by: str
    ) -> None:
        check_text("the reason", reason)
        check_text("by", by)
        state = State.fold(await self.journal.read(run))
        answer = answer_to(state, call, allowed, edited, reason, by)
        tools = [tool for tool in self.tools if tool.wire_name == answer.tool]
        if answer.edited and tools and isinstance(checked := tools[0].check(answer.edited), BadArguments):
            raise SetupError(f"the arguments do not fit: {'; '.join(checked.problems)}", "Nothing was answered.")
        await leave(self.journal, state, self._masking.command(answer))

    # ------------------------------------------------------------------------------------------- service

    @property
    def journal(self) -> Journal:
        """Where this agent's runs are kept."""
        return opened(self._journal)

    async def ready(self) -> None:
        """Load what the first run would have to load. For servers, before the first request comes in."""
        await self.model.ready()
        check_able(self.model, self.tools)
        await asyncio.to_thread(import_module, "outrider.loop")  # off the event loop
        await asyncio.to_thread(words, "answer_truncated")  # with the templates' library

    async def close(self) -> None:
        """Give back connections and processes."""
        await self.model.close()

    async def __aenter__(self) -> Self:
        await self.ready()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # -------------------------------------------------------------------------------------------- inside

    async def _begin(self, task: Task, deps: Deps | None, history: Result[Any] | None, live: bool) -> Run[Out]:
        check_history(history)
        said = read_task(task) if isinstance(task, str) else await asyncio.to_thread(read_task, task)
        run_id = new_run_id()
        started = self._started(run_id, said, deps, history)
        check_able(self.model, self.tools, inputs(started.messages))
        log = await self.journal.create(run_id)
        return await self._go(State(run=run_id), log, [started], deps, live)

    def _started(self, run_id: str, task: Said, deps: Deps | None, history: Result[Any] | None) -> e.RunStarted:
        check_deps(deps, self._deps_type)
        return e.RunStarted(
            run_id,
            task.short,
            self.name,
            self.model.name,
            first_messages(self._system(deps), task.content, history),
            self.limits,
            {tool.name: tool.digest for tool in self.tools},
            self._output.name,
            policy_name(self._policy),
            own_version(),
            checks=tuple(check.name for check in self._checks),
        )

    async def _again(
        self, run: str | Result[Any], deps: Deps | None, limits: Limits | None, say: str, live: bool
    ) -> Run[Out]:
        if limits is not None:
            check_limits(limits)
        check_text("say", say)
        log = await self.journal.claim(name_of(run))
        try:
            state = State.fold(log.entries)
            events = self._resuming(state, deps, limits, say, log.mail)
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
            now, _ = self._masking.event(self._started(state.run, Said("", state.task), deps, None))
            events.append(e.RunResumed("api", limits or state.limits, changed(state, now), own_version(), now.model))
        return [*events, *told(state, say)]

    async def _go(self, state: State, log: Log, events: Sequence[e.Durable], deps: Deps | None, live: bool) -> Run[Out]:
        output, toolbox, journal = self._output, self._toolbox(deps), self.journal
        if self._checks:
            from outrider.checks import Checks

            output = output.under(Checks(self._checks, deps, self.name))
        run = Run(state, log, journal, self.model, toolbox, output, self._masking, self._observers, output.read, live)
        try:
            if events:  # a missing key or missing weights are said before anything is on record
                await self.model.ready()
                check_able(self.model, self.tools, carried(state, events))
                await check_priced(self.model, *limits_of(state, events))
            for event in events:
                await run.record(event)
        except BaseException:
            await log.close()
            raise
        run.start()
        return run

    def _toolbox(self, deps: Deps | None) -> "Toolbox":
        from outrider.toolbox import Toolbox

        return Toolbox(self.tools, self._policy, deps, self.name)

    def _system(self, deps: Deps | None) -> str:
        instructions = self._instructions
        text = instructions(deps) if callable(instructions) else instructions  # pyright: ignore[reportArgumentType]
        check_text("what instructions returned", text)
        return text
