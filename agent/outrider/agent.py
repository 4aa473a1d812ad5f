"""Agent: what a user makes once and shares; every run starts here."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from copy import copy
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, overload

from typing_extensions import TypeVar

from outrider import events as e
from outrider.errors import without_extra
from outrider.given import (
    check_able,
    check_limits,
    check_rest,
    journal_from,
    model_from,
    secrets_from,
    tools_from,
)
from outrider.journal import Journal
from outrider.masking import Masking
from outrider.messages import Limits
from outrider.model import Composer, Model
from outrider.opening import check_history, first_messages
from outrider.openrouter.settings import DEFAULT_MODEL, Settings
from outrider.output import OutputType
from outrider.parts import Task, inputs, read_task
from outrider.policy import Policy, default_policy
from outrider.preview import Preview, preview_of
from outrider.result import Result
from outrider.run import Observer, Run, wait_for
from outrider.starting import Deps, Out, Starting
from outrider.state import State
from outrider.tool import Tool
from outrider_prompts import say as words

if TYPE_CHECKING:
    from pydantic import SecretStr

    from outrider.checks import Check, Named
    from outrider.replay import Replay
    from outrider.temporal.client import Submitted

AnyDeps = TypeVar("AnyDeps", default=None)


class Agent(Starting[Deps, Out]):
    """A model, its instructions, its tools and the type of its answers. Immutable; safe to share.

    - ``model``: an OpenRouter model (default ``qwen/qwen3-14b``), ``"local"`` for the embedded one,
      ``"local:PATH.gguf"``, or any object with the Model protocol.
    - ``instructions``: the system message, or a function of the dependencies that gives it.
    - ``tools``: functions and Tools. ``deps_type`` is the type of what ``run(deps=...)`` hands to them.
    - ``output``: a type, a tuple of types for a union, or a JSON Schema as a dict. Default: plain text.
    - ``limits``, ``policy``: where a run ends and which calls run.
    - ``settings``: everything about the wire.
    - ``journal``: where runs are kept: a folder (``outrider show`` finds them with OUTRIDER_HOME=folder), the address
      of a PostgreSQL database (postgresql://..., there OUTRIDER_JOURNAL; needs the extra ``postgres``), or any
      object with the Journal protocol. "default" is ``$OUTRIDER_HOME`` or ``.outrider``; None keeps nothing.
    - ``observers``: plain functions, called with every durable entry.
    - ``secrets``: texts that must never be recorded or sent.

    Raises SetupError for anything that cannot work, before anything is sent.
    """

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

    @overload
    def __init__(
        self: "Agent[AnyDeps, Any]",
        model: str | Model = DEFAULT_MODEL,
        *,
        output: Any,  # what no type checker can say the type of: a JSON Schema, Literal[...], A | B
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

    async def run(
        self, task: Task, *, deps: Deps | None = None, history: Result[Any] | None = None, id: str = ""
    ) -> Result[Out]:
        """Run a task to its end and return how it ended, whatever that is.

        ``task`` is a text, or a list of texts, images and files (``outrider.parts``), which are read now.
        ``history`` is an earlier result whose conversation this task continues. ``id`` names the run, so that it is
        done once however often it is begun, in this process or others: whoever comes while it is being done waits for
        its result, one that was cut short is resumed, and one that has finished gives its result again. Raises
        SetupError and JournalError before the run has started, nothing after that. Cancelling stops the run; it can
        be resumed.
        """
        async with await self._begin(task, deps, history, id, live=False) as run:
            return await run.result()

    def run_sync(
        self, task: Task, *, deps: Deps | None = None, history: Result[Any] | None = None, id: str = ""
    ) -> Result[Out]:
        """Like ``run``, for scripts and notebooks: the work is done on a background event loop.

        Ctrl-C stops the run cleanly, so that it can be resumed, and raises KeyboardInterrupt. On a running event loop,
        where it would hold up everybody else, it warns with RuntimeWarning, except in a notebook.
        """
        return wait_for(lambda: self._begin(task, deps, history, id, live=False))

    @asynccontextmanager
    async def stream(
        self, task: Task, *, deps: Deps | None = None, history: Result[Any] | None = None, id: str = ""
    ) -> AsyncGenerator[Run[Out]]:
        """A run to watch: ``async with agent.stream(task) as run: async for event in run: ...``.

        Leaving the block stops a run that is still going.
        """
        async with await self._begin(task, deps, history, id, live=True) as run:
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

    async def fork(
        self, run: str | Result[Any], at: int | None = None, *, deps: Deps | None = None, say: str = ""
    ) -> Result[Out]:
        """A new run that goes on from turn ``at`` of a recorded one, which stays as it is.

        A turn is a reply of the model with the results of its calls; 0 is the task alone, None the last one. The new
        run has this agent's model, instructions, tools and limits, a bill of its own, and the conversation so far,
        with ``say`` as a further message. Raises SetupError where a call of that turn has no result, or nothing is
        left to do.
        """
        async with await self._fork(run, at, deps, say, live=False) as going:
            return await going.result()

    @asynccontextmanager
    async def stream_fork(
        self, run: str | Result[Any], at: int | None = None, *, deps: Deps | None = None, say: str = ""
    ) -> AsyncGenerator[Run[Out]]:
        """Like ``fork``, to watch."""
        async with await self._fork(run, at, deps, say, live=True) as going:
            yield going

    async def replay(
        self,
        record: str | Result[Any] | Sequence[e.Entry],
        *,
        deps: Deps | None = None,
        live_tools: bool = False,
        observers: Sequence[Observer] = (),
    ) -> "Replay[Out]":
        """Do a recorded run again with this agent, for free and offline, and see where it would differ now.

        ``record`` is a run's name, its result, or its entries. Replies come from the record, and so do results of
        tools; with ``live_tools`` those that only read, and may safely be repeated, are called anew. ``observers`` are
        told of each entry. Nothing is recorded. Raises RunNotFound, and JournalError for what is no record of a run.
        """
        return await self._replayed(record, deps, live_tools, observers)

    async def submit(
        self, task: Task, *, deps: Deps | None = None, id: str = "", heartbeat: float = 30.0, server: str = ""
    ) -> "Submitted[Out]":
        """Put a run on record and leave it to ``outrider worker`` processes that have an agent of this name.

        They and this process share the journal; Temporal, at ``server`` or where its own variables say, gives out the
        work. ``id`` is as in ``run``. ``heartbeat`` is after how many seconds without a sign of life another worker
        goes on. ``deps`` are for the instructions; a worker makes its own. Raises SetupError without the extra
        ``temporal``, and when the server does not answer: nothing is on record then.
        """
        try:
            from outrider.temporal.client import connect, submit
        except ImportError as error:
            raise without_extra("submit", "temporal", error) from None
        return await submit(self, task, await connect(server), deps=deps, id=id, heartbeat=heartbeat)

    def preview(self, task: Task, *, deps: Deps | None = None, history: Result[Any] | None = None) -> Preview:
        """The exact first request of such a run, and what it can cost at most. Nothing is sent and nothing recorded."""
        check_history(history)
        said = read_task(task)
        opening = first_messages(self._system(deps), said.content, history)
        started, _ = self._masking.event(self._started("preview", said.short, opening))
        check_able(self.model, self.tools, inputs(started.messages))
        state = State.fold([e.Entry(1, 0.0, started)])
        tools = self._toolbox(deps).offered(state)
        return preview_of(Composer(self.model, self._masking.raw), self._output, state, tools)

    # ------------------------------------------------------------------------------------------- service

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
