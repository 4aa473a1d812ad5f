"""The workflow: one leg after the other until the run is over. What is true of the run stands in the journal alone.

It is so thin that it need not change; histories of every release are replayed in the tests.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta
from itertools import count

from temporalio import workflow
from temporalio.common import RetryPolicy

from outrider.temporal.order import LEG, WAKE, WORKFLOW, Order

_AGAIN = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), backoff_coefficient=2.0, maximum_interval=timedelta(seconds=30)
)
_LONGEST = timedelta(days=365)
_FIRST_LOOK, _LAST_LOOK = timedelta(minutes=1), timedelta(hours=1)
"""How long a run that waits is left alone when nobody calls: the signal may have been lost, the inbox is not."""
_BUSY = timedelta(seconds=5)
_LEGS = 100
"""Legs after which the history begins anew."""


@workflow.defn(name=WORKFLOW)
class RunWorkflow:
    """Does one run. Ends when the run is over; its result is the run's name."""

    def __init__(self) -> None:
        self._woken = False

    @workflow.signal(name=WAKE)
    def wake(self) -> None:
        """Something lies in the run's inbox."""
        self._woken = True

    @workflow.run
    async def run(self, order: Order) -> str:
        """Start legs."""
        pause = _FIRST_LOOK
        for leg in count(1):
            self._woken = False
            rest = await workflow.execute_activity(
                LEG,
                order,
                result_type=str,
                start_to_close_timeout=_LONGEST,
                heartbeat_timeout=timedelta(seconds=order.heartbeat),
                retry_policy=_AGAIN,
            )
            if rest == "over":
                return order.run
            if rest == "busy":
                await asyncio.sleep(_BUSY.total_seconds())
            if rest == "waits":
                with suppress(asyncio.TimeoutError):
                    await workflow.wait_condition(lambda: self._woken, timeout=pause)
                pause = _FIRST_LOOK if self._woken else min(_LAST_LOOK, 2 * pause)
            if leg >= _LEGS:
                workflow.continue_as_new(order)
        raise AssertionError("count() has no end")
