"""The tools of one run: which are offered, what becomes of each call, and the running of those that may run.

Find -> validate -> policy -> intent on record -> run -> bounded result. Whatever goes wrong with a call ends in a
short message to the model and a full one in the record; never in the end of the run.
"""

import asyncio
import os
import traceback
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from outrider import events as e
from outrider.errors import did_you_mean
from outrider.messages import ToolCall, ToolMessage, printable, to_wire
from outrider.policy import Policy, Proposed
from outrider.state import Call, State
from outrider.threads import slots, start_in_thread
from outrider.tool import BadArguments, Context, Tool, ToolError
from outrider_prompts import say

AnyTool = Tool[..., Any]
Record = Callable[[e.Durable], Awaitable[None]]

MOST_ATTEMPTS = 5
"""How often a repeatable call is begun in all, so that one that kills its process does not do so for ever."""

_OURS = os.path.dirname(__file__) + os.sep
GRACE_SECONDS = 1.0
"""How long a cancelled tool may take to clean up before the run goes on without it."""


class Ready(Struct, frozen=True):
    """A call that may run now, with what the model calls it by."""

    intent: e.Intent
    wire_id: str
    tool: AnyTool
    edited: bool = False


class Plan(Struct, frozen=True):
    """What to put on record at once, and what to run after that."""

    events: tuple[e.Durable, ...]
    ready: tuple[Ready, ...]


class Toolbox:
    """The tools of one run, with the dependencies they may ask for."""

    def __init__(self, tools: Sequence[AnyTool], policy: Policy, deps: Any = None, agent: str = "") -> None:
        self._tools = {tool.wire_name: tool for tool in tools}
        self._policy = policy
        self._deps = deps
        self._agent = agent
        self._everything = self._join(tools)
        self._choosing = any(tool.when for tool in tools)
        self._shown: frozenset[str] | None = None
        self._late: set[asyncio.Task[None]] = set()

    @staticmethod
    def _join(tools: Sequence[AnyTool]) -> Raw | None:
        return Raw(b"[" + b",".join(bytes(tool.wire) for tool in tools) + b"]") if tools else None

    def offered(self, state: State) -> Raw | None:
        """The JSON array of the tools on offer now, or None when there are none."""
        if not self._choosing:
            return self._everything
        tools = [tool for tool in self._tools.values() if tool.when is None or tool.when(self._deps, state)]
        self._shown = frozenset(tool.wire_name for tool in tools)
        return self._join(tools)

    def _on_offer(self, tool: AnyTool, state: State) -> bool:
        """Whether the model was shown this tool; after a crash nobody remembers, and its predicate decides."""
        if state.phase == "answer":  # a call made up where no tools were on offer
            return False
        if self._shown is not None:
            return tool.wire_name in self._shown
        return tool.when is None or tool.when(self._deps, state)

    # ------------------------------------------------------------------------------------------ plan

    def plan(self, state: State) -> Plan:
        """What each owed call needs next, up to a call that runs alone. Pure: nothing runs and nothing changes."""
        events: list[e.Durable] = []
        ready: list[Ready] = []
        for call in state.owed_calls():
            if ready and (ready[-1].tool.alone or self._alone(call)):
                break  # the rest is judged when these have run, by the state that they leave
            step = self._step(call, state)
            if isinstance(step, Ready):
                ready.append(step)
            elif step:
                events.append(step)
        return Plan(tuple(events), tuple(ready))

    def _alone(self, call: Call) -> bool:
        tool = self._tools.get(call.call.name)
        return tool is not None and tool.alone and not call.waiting

    def _step(self, call: Call, state: State) -> Ready | e.Durable | None:
        if call.waiting:
            return None
        tool = self._tools.get(call.call.name)
        if tool is None:
            return self._gone(call, state)
        match call.status:
            case "new":
                return self._begin(call, tool, state)
            case "allowed" if call.arguments is not None:
                return self._checked(call, tool, bytes(call.arguments).decode())
            case "denied":
                return _refusal(call.call, say("call_denied", name=tool.name, reason=call.reason))
            case "started" if call.intent:  # the loop is here again and it has no result: nobody is running it
                return _doubt(call.call, call.intent, tool, "crash")
            case "again" if call.intent:
                again = msgspec.structs.replace(call.intent, attempt=call.intent.attempt + 1)
                return Ready(again, call.call.wire_id, tool, call.edited)
            case _:
                return None

    def _begin(self, call: Call, tool: AnyTool, state: State) -> Ready | e.Durable:
        if not self._on_offer(tool, state):
            return self._unknown(call.call, state)
        if _cut_off(call, state):
            return _refusal(call.call, say("call_cut_off", name=tool.name))
        if _beyond(call, state):
            return _refusal(call.call, say("call_over_limit", limit=state.limits.tool_calls))
        return self._judge(call, tool, state)

    def _gone(self, call: Call, state: State) -> e.Durable:
        """A resumed run may lack the tool of a call that was under way: that call is still in doubt."""
        if call.intent and call.intent.repeat != "safe":
            return e.ToolInDoubt(call.call.id, "crash", "ask")
        return self._unknown(call.call, state)

    def _unknown(self, call: ToolCall, state: State) -> e.ToolFinished:
        names = [tool.wire_name for tool in self._tools.values() if self._on_offer(tool, state)]
        text = say("call_unknown", name=call.name, names=names, hint=did_you_mean(call.name, names))
        return _refusal(call, text)

    def _checked(self, call: Call, tool: AnyTool, arguments: str) -> Ready | e.ToolFinished:
        checked = tool.check(arguments)
        if isinstance(checked, BadArguments):
            text = say("call_bad_arguments", name=tool.name, problems=checked.problems)
            return _refusal(call.call, text)
        intent = e.Intent(
            call.call.id, tool.name, checked.canonical, call.call.id, tool.effect, tool.repeat, polls=tool.polls
        )
        return Ready(intent, call.call.wire_id, tool, call.edited)

    def _judge(self, call: Call, tool: AnyTool, state: State) -> Ready | e.Durable:
        ready = self._checked(call, tool, call.call.arguments)
        if not isinstance(ready, Ready):
            return ready
        arguments = msgspec.json.decode(ready.intent.arguments)
        verdict = self._policy(Proposed(call.call.id, tool.name, tool.effect, arguments, tool.approve), state)
        if verdict.action == "ask":
            return e.ApprovalAsked(call.call.id, call.call.name, ready.intent.arguments, verdict.why)
        if verdict.action == "deny":
            return _refusal(call.call, say("call_denied", name=tool.name, reason=verdict.why))
        return ready

    # ------------------------------------------------------------------------------------------- run

    async def run(self, ready: Sequence[Ready], record: Record) -> None:
        """Run these calls together; each puts its own result on record as soon as it is there."""
        tasks = {asyncio.ensure_future(self._run_one(call, record)): call for call in ready}
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=GRACE_SECONDS)
            for task, call in tasks.items():
                if not task.done() or task.cancelled():
                    await record(_doubt(_named(call), call.intent, call.tool, "stopped"))
            raise
        for task, call in tasks.items():
            if task.cancelled():  # by the tool itself
                await record(_failure(call, "CancelledError", "the tool cancelled its own task"))
            else:
                task.result()  # tools never raise here; an error of the record does

    async def _run_one(self, call: Ready, record: Record) -> None:
        limit = asyncio.timeout(call.tool.timeout)
        try:
            value = await self._call(call, limit, record)
            finished = _result(call, call.tool.render(value))
        except asyncio.CancelledError as error:
            if (task := asyncio.current_task()) and task.cancelling():
                raise
            finished = _failure(call, "CancelledError", _traceback(error))
        except ToolError as error:
            finished = _result(call, str(error), ok=False, error=_traceback(error))
        except GeneratorExit:
            raise  # not of the tool: its task is thrown away
        except BaseException as error:  # noqa: BLE001 - whatever a tool raises is told to the model
            if limit.expired():
                await record(_doubt(_named(call), call.intent, call.tool, "timeout"))
                return
            finished = _failure(call, type(error).__name__, _traceback(error))
        await record(finished)

    async def _call(self, call: Ready, limit: asyncio.Timeout, record: Record) -> Any:
        tool, intent = call.tool, call.intent
        run, _, _ = intent.call.partition(":")
        context = Context(self._deps, run, intent.call, intent.key, intent.attempt, self._agent)
        if tool.is_async:
            async with limit:
                return await tool.invoke(intent.arguments, context)
        async with slots(), limit:  # waiting for a place is not the tool's time
            future = start_in_thread(lambda: tool.invoke(intent.arguments, context))
            try:
                return await asyncio.shield(future)
            except asyncio.CancelledError:  # the thread runs on, and what it brings is still worth knowing
                if not limit.expired():
                    await asyncio.wait([future], timeout=GRACE_SECONDS / 2)
                if future.done():
                    return future.result()
                future.add_done_callback(lambda done: self._record_late(call, done, record))
                raise

    def _record_late(self, call: Ready, done: "asyncio.Future[Any]", record: Record) -> None:
        if done.cancelled():
            return
        try:
            finished = _result(call, call.tool.render(done.result()))
        except BaseException as error:  # noqa: BLE001 - as in _run_one: it belongs into the record
            finished = _failure(call, type(error).__name__, _traceback(error))
        task = asyncio.ensure_future(_swallow(record(msgspec.structs.replace(finished, late=True))))
        self._late.add(task)
        task.add_done_callback(self._late.discard)


def _traceback(error: BaseException) -> str:
    """The traceback as the tool's author wants it: it begins in the tool, not in what called it."""
    place = error.__traceback__
    while place and place.tb_next and place.tb_frame.f_code.co_filename.startswith(_OURS):
        place = place.tb_next
    return "".join(traceback.format_exception(type(error), error, place))


async def _swallow(work: Awaitable[None]) -> None:
    """A late result is recorded while the run is still there to record it; afterwards nobody asks for it."""
    try:
        await work
    except Exception:  # noqa: BLE001
        return


def _cut_off(call: Call, state: State) -> bool:
    """Whether the reply broke off in this call: even if its JSON happens to close, it is not what was meant."""
    cut = state.last_reply is not None and state.last_reply.finish == "length"
    return cut and call.call.id == list(state.calls)[-1]


def _beyond(call: Call, state: State) -> bool:
    """Whether this call is one more than the run may make."""
    if state.limits.tool_calls is None:
        return False
    before = state.tool_calls - len(state.calls)
    return before + list(state.calls).index(call.call.id) >= state.limits.tool_calls


def _named(call: Ready) -> ToolCall:
    return ToolCall(call.intent.call, call.wire_id, call.tool.name, "")


def _doubt(
    call: ToolCall, intent: e.Intent, tool: AnyTool, why: Literal["crash", "timeout", "stopped"]
) -> e.ToolInDoubt | e.ToolFinished:
    """What is to be done about a call of which nobody knows whether it had its effect."""
    most = 2 if why == "timeout" else MOST_ATTEMPTS
    if intent.repeat != "never" and intent.attempt < most:
        return e.ToolInDoubt(call.id, why, "again")
    if intent.repeat == "safe" and why == "timeout":
        return _refusal(call, say("call_timed_out", name=tool.name, seconds=f"{tool.timeout:g}"))
    if intent.repeat == "safe" or tool.doubt == "tell":
        return _refusal(call, say("call_in_doubt", name=tool.name))
    return e.ToolInDoubt(call.id, why, "ask")


def _refusal(call: ToolCall, text: str) -> e.ToolFinished:
    text = printable(text)
    return e.ToolFinished(call.id, to_wire(ToolMessage(call.wire_id, text)), ok=False, error=text)


def _failure(call: Ready, kind: str, error: str) -> e.ToolFinished:
    return _result(call, say("call_failed", name=call.tool.name, type=kind), ok=False, error=error)


def _result(call: Ready, text: str, ok: bool = True, error: str = "") -> e.ToolFinished:
    text = printable(text)
    cut = max(0, len(text) - call.tool.max_result)
    if cut:
        kept = text[: call.tool.max_result]
        text = say("call_cut", result=kept, total=len(text), cut=cut)
    if call.edited:
        text = say("call_edited", arguments=bytes(call.intent.arguments).decode(), result=text)
    wire = to_wire(ToolMessage(call.wire_id, text))
    return e.ToolFinished(call.intent.call, wire, ok, call.tool.trust, cut, printable(error))
