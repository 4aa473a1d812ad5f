"""A tool call on its way from the reply that asked for it to its result."""

from typing import Literal

from msgspec import Raw, Struct

from outrider import events as e
from outrider.messages import ToolCall

CallStatus = Literal["new", "asked", "allowed", "denied", "started", "doubt", "again", "done"]
"""asked: waits for consent. doubt: waits for word on its effect. again: to be run once more. done: has a result."""


class Call(Struct, frozen=True):
    """A tool call of the last reply and how far it has come."""

    call: ToolCall
    status: CallStatus = "new"
    intent: e.Intent | None = None
    question: int = 0
    """Number of the entry that asked, while the status is "asked" or "doubt"."""
    arguments: Raw | None = None
    """The arguments asked about, or those a person put in their place."""
    edited: bool = False
    reason: str = ""
    result: Raw | None = None

    @property
    def checked(self) -> Raw | None:
        """The arguments that were asked about, or with which it was begun; None before either."""
        return self.arguments or (self.intent.arguments if self.intent else None)

    @property
    def waiting(self) -> bool:
        """Whether only a person can move this call."""
        return self.status in ("asked", "doubt")
