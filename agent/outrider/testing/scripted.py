"""A model that replies from a list, by turn, so that a resumed run gets the reply it would have got."""

import re
from collections.abc import AsyncGenerator, Iterable, Sequence
from decimal import Decimal
from typing import Any, cast

import msgspec
from msgspec import UNSET, Raw, Struct

from outrider.errors import SetupError
from outrider.events import Replied, RequestAccepted, RequestFailed, TextDelta
from outrider.messages import AssistantMessage, Usage, UserMessage, WireCall, WireFunction, from_wire, to_wire
from outrider.model import Ask, ModelEvent, Request, Tariff
from outrider.telling import counted

_PIECE = re.compile(r"\s*\S{1,12}|\s+")
"""What a text is streamed in: words, or pieces of long ones."""


class Calls:
    """A reply that calls tools: ``Calls(("weather", {"city": "Paris"}), ("clock", {}))``.

    Arguments given as a text are sent as they are, right or wrong. Raises SetupError for what is no such pair.
    """

    def __init__(self, *calls: tuple[str, dict[str, Any] | str]) -> None:
        for call in calls:
            _check_pair(call)
        self.calls = calls


Script = str | dict[str, Any] | list[Any] | Calls | RequestFailed
"""A text, a JSON value (sent as its JSON, as Pydantic models are), calls, or a failure."""


class ScriptedModel:
    """Replies with ``script[n]`` to the request that follows ``n`` replies; each costs ``cost`` dollars.

    The place in the script is that in the conversation, so that a resumed run goes on where it was: the replies that
    ``history`` brings count, and a second run of the same agent begins at the first reply again.

    A RequestFailed in the script is what the first request at that place comes to; the next one gets the entry
    after it. An exhausted script fails the request. ``requests`` holds every request made, ``bodies`` the JSON of
    each: ``model.bodies[0]["messages"][-1]["content"]``. Raises SetupError when the script is no list.
    """

    def __init__(self, script: Sequence[object], name: str = "scripted", cost: str = "0.001") -> None:
        self.name = name
        self.requests: list[Request] = []
        check_script(script, "ScriptedModel")
        self._script = tuple(cast("Sequence[Script]", script))
        self._cost = Decimal(cost)
        self._usage = Usage(100, 10, 0, 0, Decimal(cost))

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """The body of each request so far, its JSON parsed."""
        return [msgspec.json.decode(request.body) for request in self.requests]

    def settings(self, ask: Ask) -> Raw:
        """A body much like a real one."""
        body: dict[str, Any] = {"model": self.name, "session_id": ask.session}
        if ask.tools is not None:
            body["tools"] = ask.tools
        if ask.format is not None:
            body["response_format"] = ask.format
        return Raw(msgspec.json.encode(body))

    def tariff(self, ask: Ask) -> Tariff:
        """Each request costs the same."""
        return Tariff(Decimal(0), Decimal(0), self._cost, basis="as scripted")

    async def ask(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The reply whose turn it is."""
        self.requests.append(request)
        number = request.number
        yield RequestAccepted(number, f"gen-{number}")
        place = self._place(_replies(request), request.failures)
        if place >= len(self._script):
            had = f"the script has {counted(len(self._script), 'reply', 'replies')}"
            wants = f"the conversation holds {_replies(request)} already: request {number} wants one more"
            yield RequestFailed(number, "script_exhausted", f"{had}, and {wants}{_after(request)}", "stop")
            return
        step = self._script[place]
        if isinstance(step, RequestFailed):
            yield msgspec.structs.replace(step, number=number)
            return
        message = _message(step, place)
        if request.live and message.content:
            for piece in _PIECE.findall(message.content):
                yield TextDelta(number, piece)
        finish = "stop" if message.tool_calls is UNSET else "tool_calls"
        yield Replied(number, to_wire(message), finish, self._usage, self.name, "script", f"gen-{number}")

    def _place(self, replies: int, failures: int) -> int:
        """After so many replies; the failures before the next one come first, each once."""
        good = [n for n, step in enumerate(self._script) if not isinstance(step, RequestFailed)]
        start = good[replies - 1] + 1 if 0 < replies <= len(good) else 0 if replies == 0 else len(self._script)
        return start + failures

    async def ready(self) -> None:
        """Nothing to load."""

    async def close(self) -> None:
        """Nothing to give back."""


def check_script(script: object, name: str) -> None:
    """Raises SetupError for one reply where a list of them belongs."""
    if isinstance(script, str | bytes | dict) or not isinstance(script, Iterable):
        raise SetupError(f"the script is {script!r:.60}", f"Give a list of replies: {name}([...]).")
    for step in cast("Iterable[object]", script):
        if not isinstance(step, str | Calls | Struct):
            _json(step)


def _check_pair(call: object) -> None:
    match call:
        case (str(), str() | dict()):
            return
        case _:
            hint = 'Give each call as a pair: Calls(("add", {"a": 1}), ("look", {})).'
            raise SetupError(f"Calls was given {call!r:.60}", hint)


def _replies(request: Request) -> int:
    return sum(isinstance(from_wire(wire), AssistantMessage) for wire in request.messages)


def _after(request: Request) -> str:
    """What was said to the model last, in a line: why it is asked once more."""
    last = from_wire(request.messages[-1]) if request.messages else None
    if not isinstance(last, UserMessage) or not isinstance(last.content, str) or not _replies(request):
        return ""
    return f", after {' '.join(last.content.split())!r:.300}"


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
    return AssistantMessage(step if isinstance(step, str) else _json(step))


def _json(step: object) -> str:
    """The JSON of a scripted value, which may hold Pydantic models. Raises SetupError for what has none."""
    try:
        return msgspec.json.encode(step, enc_hook=_dumped).decode()
    except (TypeError, NotImplementedError) as error:
        raise SetupError(f"the script holds {step!r:.60}", "Give texts, JSON values, Calls or failures.") from error


def _dumped(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise NotImplementedError(type(value).__name__)
