"""The way to Temporal's server; runs submitted to it, awaited and woken.

Where it is and how to get in comes from Temporal's own variables (TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE,
TEMPORAL_API_KEY, TEMPORAL_TLS_CLIENT_CERT_PATH, ...) or its configuration file, as for its other tools.
"""

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Any, Generic

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError, RPCStatusCode
from typing_extensions import TypeVar

from outrider.agent import Agent
from outrider.errors import SetupError
from outrider.events import Entry
from outrider.journal.follow import follow
from outrider.parts import Task
from outrider.result import Result
from outrider.temporal.order import WAKE, WORKFLOW, Order, queue_of

ADDRESS = "localhost:7233"
LOOK = 0.5
"""Seconds between two looks at a run that no worker has taken yet."""

Out = TypeVar("Out", default=str)


async def connect(address: str = "") -> Client:
    """A connection to the server at ``address``, by default that of Temporal's own configuration, or localhost:7233.

    Raises SetupError when it does not answer.
    """
    config = ClientConfig.load_client_connect_config()
    target = address or config.get("target_host") or ADDRESS
    config["target_host"] = target
    try:
        return await Client.connect(**config)
    except RuntimeError as error:
        raise _unreached(target, str(error)) from None


def _unreached(target: str, told: str) -> SetupError:
    if found := re.search(r"InvalidCertificate\((\w+)", told):
        return SetupError(
            f"Temporal at {target} cannot be trusted: its certificate is refused ({found[1]})",
            "Who vouches for it is said by TEMPORAL_TLS_SERVER_CA_CERT_PATH, and its name by TEMPORAL_TLS_SERVER_NAME.",
        )
    said = re.search(r'message: "([^"]+)"', told)
    return SetupError(
        f"Temporal at {target} does not answer: {said[1] if said else told}",
        "Is the server running? TEMPORAL_ADDRESS names another; for trying: temporal server start-dev",
    )


class Submitted(Generic[Out]):
    """A run that workers do. ``run`` is its name; everything about it is in the journal."""

    def __init__(self, agent: Agent[Any, Out], run: str, handle: WorkflowHandle[Any, str]) -> None:
        self.run = run
        self._agent, self._handle = agent, handle

    async def result(self) -> Result[Out]:
        """Wait until the run is over, and return how it ended. A run that waits for a person is not over."""
        await self._handle.result()
        return await self._agent.result(self.run)

    async def events(self, after: int = 0) -> AsyncGenerator[Entry, None]:
        """The run's entries as they come to be on disk, whichever worker has them, until it is over."""
        ended = asyncio.ensure_future(self._handle.result())
        try:
            while True:
                last = ended.done()
                async for entry in follow(self._agent.journal, self.run, after):
                    after = entry.seq
                    yield entry
                if last:
                    return
                await asyncio.wait([ended], timeout=LOOK)
        finally:
            ended.cancel()

    async def wake(self) -> None:
        """Have a run that waits look into its inbox now, and not within the hour."""
        await self._handle.signal(WAKE)


async def submit(
    agent: Agent[Any, Out], task: Task, client: Client, *, deps: Any = None, id: str = "", heartbeat: float = 30.0
) -> Submitted[Out]:
    """Put a run on record and leave it to the workers that have an agent of this name.

    Submitted again under its ``id`` it is done once. ``heartbeat`` is after how many seconds without a sign of life
    another worker takes it over.
    """
    run = await agent.leave(task, deps=deps, id=id)
    handle = await client.start_workflow(
        WORKFLOW,
        Order(run, agent.name, heartbeat),
        id=workflow_of(run),
        task_queue=queue_of(agent.name),
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        result_type=str,
    )
    return Submitted(agent, run, handle)


async def wake(run: str, client: Client) -> bool:
    """Have a submitted run look into its inbox. False when Temporal knows of no such run that is under way."""
    try:
        await client.get_workflow_handle(workflow_of(run)).signal(WAKE)
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        return False
    return True


async def is_given_out(run: str, client: Client) -> bool:
    """Whether Temporal has this run to be done: by a worker that is at it, or by the next one that is free."""
    try:
        return (await client.get_workflow_handle(workflow_of(run)).describe()).status == WorkflowExecutionStatus.RUNNING
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        return False


def workflow_of(run: str) -> str:
    """The workflow that does the run."""
    return f"outrider-{run}"
