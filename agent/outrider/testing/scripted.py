"""A model that replies from a list, by turn, so that a resumed run gets the reply it would have got."""

from collections.abc import AsyncGenerator, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from outrider.events import Replied, RequestAccepted, RequestFailed, TextDelta
from outrider.messages import AssistantMessage, Usage, WireCall, WireFunction, from_wire, to_wire
from outrider.model import Ask, ModelEvent, Request


class Calls:
    """A reply that calls tools: ``Calls(("weather", {"city": "Paris"}), ("clock", {}))``.

    Arguments given as a text are sent as they are, right or wrong.
    """

    def __init__(self, *calls: tuple[str, dict[str, Any] | str]) -> None:
        self.calls = calls


Script = str | dict[str, Any] | list[Any] | Calls | RequestFailed
"""A text, a JSON value (sent as its JSON), calls, or a failure."""


class ScriptedModel:
    """Replies with ``script[n]`` to the request that follows ``n`` replies; each costs ``cost`` dollars.

    A RequestFailed in the script is what the first request at that place comes to; the next one gets the entry
    after it. ``requests`` holds every request made. An exhausted script fails the request.
    """

    def __init__(self, script: Sequence[Script], name: str = "scripted", cost: str = "0.001") -> None:
        self.name = name
        self.requests: list[Request] = []
        self._script = tuple(script)
        self._usage = Usage(100, 10, 0, 0, Decimal(cost))

    def settings(self, ask: Ask) -> Raw:
        """A body much like a real one."""
        body: dict[str, Any] = {"model": self.name, "session_id": ask.session}
        if ask.tools is not None:
            body["tools"] = ask.tools
        if ask.format is not None:
            body["response_format"] = ask.format
        return Raw(msgspec.json.encode(body))

    async def ask(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The reply whose turn it is."""
        self.requests.append(request)
        number = request.number
        yield RequestAccepted(number, f"gen-{number}")
        place = _replies(request) + request.failures
        if place >= len(self._script):
            message = f"the script has {len(self._script)} replies and request {number} wants one more"
            yield RequestFailed(number, "script_exhausted", message, "stop")
            return
        step = self._script[place]
        if isinstance(step, RequestFailed):
            yield msgspec.structs.replace(step, number=number)
            return
        message = _message(step, place)
        if request.live and message.content:
            yield TextDelta(number, message.content)
        finish = "stop" if message.tool_calls is UNSET else "tool_calls"
        yield Replied(number, to_wire(message), finish, self._usage, self.name, "script", f"gen-{number}")

    async def ready(self) -> None:
        """Nothing to load."""

    async def close(self) -> None:
        """Nothing to give back."""


def _replies(request: Request) -> int:
    return sum(isinstance(from_wire(wire), AssistantMessage) for wire in request.messages)


def _message(step: Script, place: int) -> AssistantMessage:
    if isinstance(step, Calls):
        calls = tuple(
            WireCall(
                f"call_{place}_{index}",
                WireFunction(name, args if isinstance(args, str) else msgspec.json.encode(args).decode()),
            )
            for index, (name, args) in enumerate(step.calls)
        )
        return AssistantMessage(None, calls)
    return AssistantMessage(step if isinstance(step, str) else msgspec.json.encode(step).decode())
