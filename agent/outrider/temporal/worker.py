"""A worker: a process that takes legs of the runs of its agents, until it is told to stop."""

import asyncio
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from outrider.errors import OutriderError, RunNotFound, SetupError
from outrider.journal import Journal
from outrider.temporal.figures import Figures
from outrider.temporal.leg import Legs, Served
from outrider.temporal.order import queue_of
from outrider.temporal.workflow import RunWorkflow

if TYPE_CHECKING:
    from aiohttp.web import Request, Response

GRACE = timedelta(seconds=30)
"""How long runs have to come to rest when the worker is told to stop; what lasts longer is cut off."""

ANSWER = 2.0
"""Seconds after which who says nothing is not well."""

_AWAY = (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED)
_RUNNER = SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules("outrider"))


async def serve(
    served: Sequence[Served],
    client: Client,
    stop: asyncio.Event,
    *,
    most: int = 100,
    http: tuple[str, int] | None = None,
) -> Figures:
    """Do the runs of these agents, at most so many at once, until ``stop`` is set; returns what was counted.

    ``http`` is where /health and /metrics are told. Raises SetupError when two agents have one name.
    """
    agents = {each.agent.name: each for each in served}
    if len(agents) < len(served):
        raise SetupError("two agents of this worker have one name", "Name each: Agent(name=...).")
    figures = Figures(agents)
    legs = Legs(agents, figures, most)
    executor = ThreadPoolExecutor(sum(each.most for each in served), "outrider-leg")
    workers = [
        Worker(
            client, task_queue=queue_of(name), workflows=[RunWorkflow], workflow_runner=_RUNNER,
            activities=[legs.leg], activity_executor=executor, max_concurrent_activities=each.most,
            graceful_shutdown_timeout=GRACE,
        )
        for name, each in agents.items()
    ]  # fmt: skip
    async with AsyncExitStack() as stack:
        stack.callback(executor.shutdown, wait=False)
        stack.push_async_callback(asyncio.to_thread, legs.close)
        going = [asyncio.create_task(worker.run()) for worker in workers]
        if http:
            await stack.enter_async_context(_Endpoints(*http, served, legs, figures, going, client))
        told = asyncio.create_task(stop.wait())
        await asyncio.wait([told, *going], return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        ending = [asyncio.create_task(worker.shutdown()) for worker in workers]  # no more is taken from here on
        await asyncio.sleep(0)
        legs.hand_over()
        await asyncio.gather(*ending, *going)
    return figures


async def look_into(journals: Iterable[Journal]) -> None:
    """Raises JournalError when one of the journals cannot be read; those that are to be made yet can."""
    for journal in journals:
        with suppress(RunNotFound):
            await journal.runs(1)


class _Endpoints:
    """What a worker tells of itself over HTTP."""

    def __init__(
        self,
        host: str,
        port: int,
        served: Sequence[Served],
        legs: Legs,
        figures: Figures,
        going: "list[asyncio.Task[None]]",
        client: Client,
    ) -> None:
        self._host, self._port, self._figures, self._going = host, port, figures, going
        self._journals = {id(each.agent.journal): each.agent.journal for each in served}.values()
        self._client, self._legs = client, legs
        self._look: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        from aiohttp import web

        app = web.Application()
        app.router.add_get("/health", self._health)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            raise SetupError(f"{self._host}:{self._port} cannot be listened on: {error.strerror}", "") from None

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        if self._look:
            self._look.cancel()

    async def _health(self, request: "Request") -> "Response":
        """200 while legs can be asked for, the runs go on and the journals can be read; else 503 with the reason."""
        from aiohttp import web

        if any(task.done() for task in self._going):
            return web.Response(status=503, text="the worker has stopped\n")
        try:
            await self._client.service_client.check_health(timeout=timedelta(seconds=ANSWER))
        except RPCError as error:
            if error.status in _AWAY:  # whoever refuses the question is there
                return web.Response(status=503, text="Temporal does not answer\n")
        try:
            await asyncio.wait_for(self._legs.moves(), ANSWER)
        except TimeoutError:
            return web.Response(status=503, text="the runs stand still: an async tool blocks their event loop\n")
        if not self._look or self._look.done():  # a journal that is away is waited for, by one look at a time
            self._look = asyncio.create_task(look_into(self._journals))
        try:
            await asyncio.wait_for(asyncio.shield(self._look), ANSWER)
        except TimeoutError:
            return web.Response(status=503, text="the journal does not answer\n")
        except OutriderError as error:
            return web.Response(status=503, text=f"{error.message}\n")
        return web.Response(text="ok\n")

    async def _metrics(self, request: "Request") -> "Response":
        from aiohttp import web

        return web.Response(text=self._figures.text(), content_type="text/plain", charset="utf-8")
