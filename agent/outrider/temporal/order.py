"""What Temporal is told of a run."""

from dataclasses import dataclass
from typing import Literal

WORKFLOW, LEG, WAKE = "outrider-run", "outrider-leg", "wake"
"""The names under which workflow, activity and signal are known to the server; they never change."""

Rest = Literal["over", "waits", "handed over", "busy"]
"""Why a leg came to its end.

The run is over, or was stopped by somebody; it waits for a person; its worker was told to stop; or another process, of
which Temporal knows nothing, works on it.
"""


@dataclass(frozen=True)
class Order:
    """The run to be done, and by which agent. ``heartbeat`` is after how many silent seconds another worker goes on."""

    run: str
    agent: str
    heartbeat: float = 30.0


def queue_of(agent: str) -> str:
    """The task queue from which workers that have this agent take its runs."""
    return f"outrider.{agent}"
