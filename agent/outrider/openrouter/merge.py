"""The bytes of a reply -> one reply, whether they come as a stream of events or as one JSON object.

Nothing here trusts the server: unknown fields are skipped, wrong types are read for what they mean, and what
cannot be read at all is a BadReply.
"""

from collections.abc import Callable
from typing import Any, cast

import msgspec
from msgspec import UNSET, Raw, Struct

from outrider.events import ArgumentsDelta, Live, ReasoningDelta, TextDelta
from outrider.messages import AssistantMessage, WireCall, WireFunction
from outrider.openrouter.reasoning import Details, readable
from outrider.openrouter.sse import Lines
from outrider.openrouter.tags import Tags

KEPT_BYTES = 4000
"""How much of a reply's beginning is kept for the record of a failure."""

MOST_BYTES = 64 * 1024 * 1024


class BadReply(Exception):
    """What came is not a reply. ``reason`` is one word, the text says it in full."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class _Function(Struct):
    name: Any = None
    arguments: Any = None


class _CallPart(Struct):
    index: Any = None
    id: Any = None
    function: _Function | None = None


class _Part(Struct):
    """A delta, or a whole message."""

    content: Any = None
    reasoning: Any = None
    reasoning_content: Any = None
    reasoning_details: Any = None
    refusal: Any = None
    tool_calls: list[_CallPart] | None = None
    function_call: _Function | None = None


class _Choice(Struct):
    index: Any = 0
    delta: _Part | None = None
    message: _Part | None = None
    finish_reason: Any = None
    error: Any = None


class _Chunk(Struct):
    id: Any = None
    model: Any = None
    provider: Any = None
    choices: list[_Choice] | None = None
    usage: Raw = Raw()
    error: Any = None


class _Call:
    """A tool call as it grows."""

    __slots__ = ("arguments", "id", "name")

    def __init__(self) -> None:
        self.id, self.name = "", ""
        self.arguments: list[str] = []


_decoder = msgspec.json.Decoder(_Chunk)


class Merger:
    """One reply, growing as bytes are fed. ``number`` is the request's; ``live``: whether deltas are wanted.

    With ``tags`` thinking between tags at the beginning of the text is told as thinking by the deltas.
    """

    def __init__(self, number: int, live: bool = False, tags: bool = True) -> None:
        self._number, self._live = number, live
        self._tags = Tags() if live and tags else None
        self._lines = Lines()
        self._deltas: list[tuple[Callable[..., Live], int, list[str]]] = []
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._details: Details | None = None
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}
        self.head = b""
        """The beginning of what was received."""
        self.size = 0
        self.done = False
        """Whether the server said that nothing more comes."""
        self.generation, self.model, self.provider = "", "", ""
        self.finish = ""
        self.error: Any = None
        self.usage = b""
        self.unpacked = False
        """Whether arguments came as an object and not as the text that belongs there."""

    def feed(self, data: bytes) -> bool:
        """Take in what one network read brought, cut anywhere. Returns whether it ended a piece of data.

        Raises BadReply.
        """
        self.size += len(data)
        if len(self.head) < KEPT_BYTES:
            self.head = (self.head + data)[:KEPT_BYTES]
        if self.size > MOST_BYTES:
            raise BadReply("malformed_reply", f"The reply is larger than {MOST_BYTES} bytes.")
        return self._take(self._lines.feed(data))

    def end(self) -> None:
        """The body has ended. Raises BadReply when what came makes no reply at all."""
        self._take(self._lines.end())
        if self._tags is not None:
            self._show_sorted(*self._tags.end())
        if self._lines.foreign:
            start = self.head[:200].decode("utf-8", "replace").strip()
            what = f"It begins: {start}" if start else "It was empty."
            raise BadReply("malformed_reply", f"The server sent something that is no reply. {what}")

    def _take(self, payloads: list[bytes]) -> bool:
        for payload in payloads:
            if payload == b"[DONE]":
                self.done = True
            elif not self.done:
                self._chunk(payload)
        return bool(payloads)

    def deltas(self) -> list[Live]:
        """The deltas since the last time, neighbours of one kind melted into one."""
        deltas = [
            kind(self._number, "".join(texts), index) if kind is ArgumentsDelta else kind(self._number, "".join(texts))
            for kind, index, texts in self._deltas
        ]
        self._deltas = []
        return deltas

    @property
    def text(self) -> str:
        """The answer's text so far."""
        return "".join(self._text)

    @property
    def refusal(self) -> str:
        """The model's words of refusal, if any."""
        return "".join(self._refusal)

    @property
    def reasoned(self) -> bool:
        """Whether the model sent any thinking."""
        return bool(self._reasoning or (self._details and self._details.value()))

    @property
    def has_calls(self) -> bool:
        """Whether the model called tools."""
        return bool(self._calls)

    def message(self) -> AssistantMessage:
        """The reply as it goes back in later requests."""
        details = reasoning = UNSET
        if self._details is not None:
            details = Raw(msgspec.json.encode(self._details.value()))  # even an empty list: some models insist on it
        elif self._reasoning:
            reasoning = "".join(self._reasoning)
        calls = self._wire_calls()
        return AssistantMessage(self.text or (None if calls else ""), calls or UNSET, reasoning, details)

    def _wire_calls(self) -> tuple[WireCall, ...]:
        taken: set[str] = set()
        wire: list[WireCall] = []
        for position, call in enumerate(self._calls):
            name = call.id
            while not name or name in taken:
                name = f"call_{self._number}_{position}" if name != f"call_{self._number}_{position}" else f"{name}_"
            taken.add(name)
            arguments = "".join(call.arguments)
            wire.append(WireCall(name, WireFunction(call.name, arguments if arguments.strip() else "{}")))
        return tuple(wire)

    def _chunk(self, payload: bytes) -> None:
        try:
            chunk = _decoder.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            start = payload[:200].decode("utf-8", "replace")
            raise BadReply(
                "malformed_reply", f"A piece of the reply is not as it should be ({error}): {start}"
            ) from None
        self.generation = self.generation or _string(chunk.id)
        self.model = _string(chunk.model) or self.model
        self.provider = _string(chunk.provider) or self.provider
        if chunk.usage and chunk.usage != b"null":
            self.usage = bytes(chunk.usage)
        if chunk.error:
            self.error = self.error or chunk.error
        for choice in chunk.choices or ():
            if choice.index in (0, None):  # we ask for one choice
                self._choice(choice)

    def _choice(self, choice: _Choice) -> None:
        if choice.error:
            self.error = self.error or choice.error
        if isinstance(choice.finish_reason, str) and choice.finish_reason:
            self.finish = choice.finish_reason
        if choice.message:
            self._part(choice.message, whole=True)
        elif choice.delta:
            self._part(choice.delta, whole=False)

    def _part(self, part: _Part, whole: bool) -> None:
        if thinking := part.reasoning or part.reasoning_content:
            self._add(self._reasoning, ReasoningDelta, text_of(thinking))
        details: Any = part.reasoning_details
        if isinstance(details, list):
            self._details = self._details or Details()
            take = self._details.whole if whole else self._details.pieces
            take(cast("list[Any]", details))
            if not thinking and self._live:  # else it is the same text again
                self._show(ReasoningDelta, readable(cast("list[Any]", details)))
        if part.content:
            self._say(text_of(part.content))
        if part.refusal:
            self._refusal.append(text_of(part.refusal))
        for position, piece in enumerate(part.tool_calls or ()):
            self._call(piece, position if whole else None)
        if part.function_call and not part.tool_calls:  # the form before there were several
            self._call(_CallPart(0, None, part.function_call), 0)

    def _call(self, piece: _CallPart, position: int | None) -> None:
        function = piece.function or _Function()
        call = self._which(piece, position)
        call.id = call.id or _string(piece.id)
        call.name = call.name or _string(function.name)
        if function.arguments not in (None, ""):
            self.unpacked = self.unpacked or not isinstance(function.arguments, str)
            self._add(call.arguments, ArgumentsDelta, _argument_text(function.arguments), self._calls.index(call))

    def _which(self, piece: _CallPart, position: int | None) -> _Call:
        """The call this piece belongs to: by index, else the last one, unless it plainly begins another."""
        index = piece.index if isinstance(piece.index, int) else position
        call = self._by_index.get(index) if index is not None else (self._calls[-1] if self._calls else None)
        if call is None or _begins_another(piece, call):
            call = _Call()
            self._calls.append(call)
            self._by_index[len(self._calls) - 1 if index is None else index] = call
        return call

    def _say(self, text: str) -> None:
        if self._tags is None:
            self._add(self._text, TextDelta, text)
            return
        self._text.append(text)
        self._show_sorted(*self._tags.sort(text))
        if self._tags.over:
            self._tags = None

    def _show_sorted(self, thought: str, text: str) -> None:
        self._show(ReasoningDelta, thought)
        self._show(TextDelta, text)

    def _add(self, where: list[str], kind: Callable[..., Live], text: str, index: int = 0) -> None:
        where.append(text)
        if self._live:
            self._show(kind, text, index)

    def _show(self, kind: Callable[..., Live], text: str, index: int = 0) -> None:
        if not text:
            return
        if self._deltas and self._deltas[-1][:2] == (kind, index):
            self._deltas[-1][2].append(text)
        else:
            self._deltas.append((kind, index, [text]))


def _begins_another(piece: _CallPart, call: _Call) -> bool:
    """Some providers give all calls one index, or none: another id and name after whole arguments tell."""
    other = _string(piece.id)
    if not (other and call.id and other != call.id and piece.function and piece.function.name):
        return False
    try:
        msgspec.json.decode("".join(call.arguments) or "{}")
    except msgspec.DecodeError:
        return False
    return True


def text_of(value: Any) -> str:
    """Text, however it is wrapped: a string, or a list of parts that carry ``text``."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(text_of(part) for part in cast("list[Any]", value))
    if isinstance(value, dict):
        return text_of(cast("dict[str, Any]", value).get("text", ""))
    return ""


def _argument_text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _string(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)
