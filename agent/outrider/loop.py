"""THE LOOP: ask the state what is owed, do it, put on record what happened; until the run rests.

Everything Outrider does for a run passes through here, and everything here is said in terms of the state: a run that
begins, one that goes on after a crash and one that a person has just answered are the same to it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Protocol

from msgspec import Raw
from msgspec.structs import replace

from outrider import events as e
from outrider.funds import Funds
from outrider.limits import may_land, reached, steered, why
from outrider.model import Ask, Composer, Grant
from outrider.state import State
from outrider.stop import Stop
from outrider.toolbox import Toolbox


class Output(Protocol):
    """What the loop needs to know of an output type."""

    async def judge(self, state: State, record: Callable[[e.Durable], Awaitable[None]]) -> None:
        """Put on record whether the reply without calls is an answer."""
        ...

    def change(self, state: State, tools: Raw | None, live: bool = True) -> e.AnswerForm | None:
        """Another way of asking for the answer, where one is due."""
        ...

    def asked(self, state: State, tools: Raw | None) -> Ask:
        """What the next request asks for, with these tools to work with."""
        ...

    def part(self, text: str, state: State, whole: bool) -> Any:
        """What of this text is an answer so far."""
        ...

    def last_words(self, limit: str) -> Raw:
        """What the model is told when a limit is reached and it may answer once more."""
        ...


class Parts:
    """What the loop works with."""

    def __init__(
        self,
        composer: Composer,
        toolbox: Toolbox,
        output: Output,
        funds: Funds,
        stop: Stop,
        record: Callable[[e.Durable | e.Live], Awaitable[None]],
        heard: Callable[[], AsyncIterator[e.Durable]],
        now: Callable[[], float],
        live: bool,
    ) -> None:
        self.composer = composer
        self.toolbox = toolbox
        self.output = output
        self.funds = funds
        self.stop = stop
        self.record = record
        self.heard = heard
        self.now = now
        self.live = live


async def loop(state: State, parts: Parts) -> None:
    """Drive the run until it rests."""
    while not state.over:
        async for event in parts.heard():
            await parts.record(event)
        if state.ending:
            await parts.funds.ask_for_bills(state, parts.record, times=2)
            await parts.record(e.RunFinished(state.ending, state.accepted or e.NOTHING, state.detail))
        elif parts.stop.reason:
            await land(state, parts)
        elif state.owed_calls():
            await act(state, parts)
        elif state.unjudged:
            await parts.stop.beside(parts.output.judge(state, parts.record))
        else:
            await ask(state, parts)


async def act(state: State, parts: Parts) -> None:
    """Give every owed call its result, its question, or its run."""
    plan = parts.toolbox.plan(state)
    for event in plan.events:
        await parts.record(event)
    if plan.ready:
        if parts.stop.reason:
            return
        await parts.record(e.ToolStarted(tuple(call.intent for call in plan.ready)))
        if parts.stop.reason:  # during the flush: none has begun, so there is nothing to doubt
            for call in plan.ready:
                await parts.record(e.ToolInDoubt(call.intent.call, "stopped", "again"))
            return
        await parts.stop.beside(parts.toolbox.run(plan.ready, parts.record))
    elif not plan.events:
        doubt = any(call.status == "doubt" for call in state.owed_calls())
        await parts.record(e.RunPaused("doubt" if doubt else "approval"))


async def ask(state: State, parts: Parts) -> None:
    """Make one request, unless a limit forbids it, and put on record what comes of it."""
    tools = None if state.landing else parts.toolbox.offered(state)
    if limit := reached(state, parts.now()):
        await stop_at(limit, state, parts, tools)
        return
    if told := steered(state):
        await parts.record(told)
    if state.delay:
        await parts.stop.beside(asyncio.sleep(state.delay))
        if parts.stop.reason:
            return
    if change := parts.output.change(state, tools, parts.live):
        await parts.record(change)
        return
    await parts.funds.ask_for_bills(state, parts.record, times=1)
    grant = await parts.funds.grant(state, parts.output.asked(state, tools))
    if parts.stop.reason:  # while it waited for money
        await parts.funds.heard(state)
    elif isinstance(grant, e.LimitReached):
        await stop_at(grant, state, parts, tools)
    else:
        await send(state, parts, grant)


async def stop_at(limit: e.LimitReached, state: State, parts: Parts, tools: Raw | None) -> None:
    """Put on record that a limit is reached; where the run can still land, the model is told to give its answer."""
    if may_land(state, limit, tools) and parts.funds.pays_last(state, parts.output.asked(state, tools)):
        limit = replace(limit, wire=parts.output.last_words(why(limit)))
    await parts.record(limit)


async def send(state: State, parts: Parts, grant: Grant) -> None:
    """Send a request whose price is put aside, and hear what comes of it."""
    sent, request = parts.composer.next(state, grant, parts.live)
    await parts.record(sent)
    if parts.stop.reason:  # during the flush: it has not left, and costs nothing
        await parts.record(e.RequestFailed(sent.number, "stopped", "stopped before the request left", "retry"))
        await parts.funds.heard(state, sent)
        return

    async def receive() -> None:
        async with aclosing(parts.composer.model.ask(request)) as answer:
            async for event in answer:
                await parts.record(event)

    await parts.stop.beside(receive())
    if state.open_request == sent.number and not parts.stop.reason:
        message = "the model's stream ended without a reply or a failure"
        await parts.record(e.RequestFailed(sent.number, "no_end", message, "stop", billed="unknown"))
    if above := await parts.funds.heard(state, sent):
        await parts.record(above)


async def land(state: State, parts: Parts) -> None:
    """Put on record why the run stops here."""
    match parts.stop.reason:
        case "seconds":
            used = state.seconds + max(0.0, parts.now() - state.last_at)
            await parts.record(e.LimitReached("seconds", f"{used:.1f}", f"{state.limits.seconds:g}"))
        case "interrupted" | "left" as reason:
            await parts.record(e.RunPaused(reason))
        case _:
            await parts.record(e.RunPaused("stopped"))
