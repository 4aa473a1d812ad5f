"""Cut and damaged replies: none hangs, none is an error of the program, and no answer is taken that was not given."""

import asyncio
import json
import random
import selectors
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import Any, cast

import httpx2
import msgspec
import pytest
from msgspec import UNSET, Raw

from outrider.events import Replied, RequestFailed
from outrider.messages import AssistantMessage, from_wire
from outrider.model import Ask, Request
from outrider.openrouter import OpenRouter, Settings
from outrider.openrouter.failures import judge
from outrider.openrouter.merge import BadReply, Merger
from outrider.testing import FakeOpenRouter, FakeReply
from replies_gone_wrong import TOOLS
from streams import STREAMS

BODIES = [body for _, body in STREAMS]
HANGS = 5.0
"""Seconds after which one reply counts as a hang."""

OFFER = Raw(
    msgspec.json.encode(
        [
            {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": fields}}}
            for name, fields in TOOLS.items()
        ]
    )
)
REQUEST = Request(1, 0, Ask("work", "run", OFFER), (), Raw(b"{}"), b"{}", live=True)

End = Replied | RequestFailed


def merged(*given: bytes) -> Merger | None:
    """The reply, or nothing where the bytes are none; as the exchange does, without a network."""
    merger = Merger(1, live=True)
    try:
        for piece in given:
            merger.feed(piece)
            merger.deltas()
        merger.end()
    except BadReply:
        return merger if merger.finish and not merger.error else None
    return merger


def answer(*given: bytes) -> AssistantMessage | None:
    """The message if it is accepted."""
    merger = merged(*given)
    return None if merger is None or judge(merger) else merger.message()


def test_there_are_twenty() -> None:
    assert len(dict(STREAMS)) == len(STREAMS) == 20
    taken = [answer(body) for body in BODIES]
    assert [name for (name, _), found in zip(STREAMS, taken, strict=True) if found is None] == [
        "broken off with an error"
    ]


def shown(*given: bytes) -> dict[type, str]:
    """What is shown while the reply comes in, by kind."""
    merger, found = Merger(1, live=True), dict[type, str]()
    for piece in (*filter(None, given), b""):
        if piece:
            merger.feed(piece)
        else:
            merger.end()
        for each in merger.deltas():
            found[type(each)] = found.get(type(each), "") + each.text
    return found


@pytest.mark.parametrize(("name", "body"), STREAMS, ids=[name for name, _ in STREAMS])
def test_every_cut_in_memory(name: str, body: bytes) -> None:
    expected, seen = answer(body), shown(body)
    ended = b'"finish_reason": "'
    for cut in range(len(body)):
        assert answer(body[:cut], body[cut:]) == expected
        assert shown(body[:cut], body[cut:]) == seen
        begun = answer(body[:cut])
        assert begun is None or (ended in body[:cut] and begun == expected), body[:cut]
    assert answer(*(body[place : place + 1] for place in range(len(body)))) == expected


# --------------------------------------------------------------------------------------- through the client


async def end_of(model: OpenRouter) -> End:
    """How one request ends; all its events are taken."""
    last: Any = None
    async with aclosing(model.ask(REQUEST)) as events:
        async for event in events:
            last = event
    assert isinstance(last, Replied | RequestFailed), last
    return last


def message_of(reply: Replied, raw: bool = False) -> AssistantMessage:
    found = from_wire(reply.raw if raw and reply.repairs else reply.wire)
    assert isinstance(found, AssistantMessage)
    return found


@pytest.mark.anyio
async def test_cuts_through_a_socket() -> None:
    dice = random.Random(7)
    borders = [
        (body, place + 2)
        for body in BODIES
        for place in range(len(body))
        if body.startswith((b"\n\n", b"\n\r\n"), place)
    ]
    anywhere = [(body := dice.choice(BODIES), dice.randrange(len(body))) for _ in range(500)]
    cuts = [(body[:cut], answer(body), dice.random() < 0.5) for body, cut in (*borders, *anywhere)]
    script = [FakeReply(body=[given], drop=dropped) for given, _, dropped in cuts]
    taken = 0
    async with FakeOpenRouter(script) as server:
        settings = Settings(base_url=server.base_url, api_key="sk-test", bill_seconds=0.0, mend=False)
        model = OpenRouter(settings=settings)
        for given, expected, _ in cuts:
            begun = time.monotonic()
            end = await end_of(model)
            assert time.monotonic() - begun < 12 * HANGS  # the machine may be busy; a hang lasts for ever
            if isinstance(end, Replied):
                taken += 1
                assert message_of(end) == expected
                assert b'"finish_reason": "' in given
        await model.close()
    print(f"{len(cuts)} cuts through a socket ({len(borders)} at borders), {taken} after the end of the reply")
    assert 0 < taken < len(cuts)


# ------------------------------------------------------------------------------------------ damaged replies


class JumpingClock(asyncio.SelectorEventLoop):
    """An event loop whose waits are over at once: its clock jumps to whatever is due next."""

    def __init__(self) -> None:
        self.jumped = 0.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        return self.jumped


class _Jumping(selectors.DefaultSelector):
    def __init__(self, loop: JumpingClock) -> None:
        super().__init__()
        self._of = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout:
            self._of.jumped += timeout
            timeout = 0
        return super().select(timeout)


class Script(httpx2.AsyncBaseTransport, httpx2.AsyncByteStream):
    """A transport that answers with pieces of one body, each after some seconds."""

    pieces: Sequence[tuple[float, bytes]] = ()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=self, request=request)

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        for seconds, piece in self.pieces:
            await asyncio.sleep(seconds)
            yield piece


Damage = Callable[[random.Random, list[bytes]], list[bytes]]


def flipped(dice: random.Random, events: list[bytes]) -> list[bytes]:
    place = dice.randrange(len(events))
    event = bytearray(events[place])
    for _ in range(dice.randint(1, 3)):
        event[dice.randrange(len(event))] ^= 1 << dice.randrange(8)
    return [*events[:place], bytes(event), *events[place + 1 :]]


def dropped(dice: random.Random, events: list[bytes]) -> list[bytes]:
    place = dice.randrange(len(events))
    return events[:place] + events[place + 1 :]


def doubled(dice: random.Random, events: list[bytes]) -> list[bytes]:
    place = dice.randrange(len(events))
    return events[:place] + [events[place]] * dice.randint(2, 3) + events[place + 1 :]


def swapped(dice: random.Random, events: list[bytes]) -> list[bytes]:
    one, other = dice.randrange(len(events)), dice.randrange(len(events))
    events = list(events)
    events[one], events[other] = events[other], events[one]
    return events


WRONG: Sequence[Any] = (None, True, False, 0, -1, 1e300, 10**30, "", "x", "stop", [], [None], {}, {"text": 5}, [[]])


def mistyped(dice: random.Random, events: list[bytes]) -> list[bytes]:
    place = dice.randrange(len(events))
    prefix, brace, rest = events[place].partition(b"{")
    try:
        event: Any = msgspec.json.decode(brace + rest)
    except (msgspec.DecodeError, UnicodeDecodeError):  # damaged already
        return events
    holder, key = dice.choice(list(places(event)))
    holder[key] = dice.choice(WRONG)
    return [*events[:place], prefix + msgspec.json.encode(event) + b"\n\n", *events[place + 1 :]]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Everywhere in a JSON value where another value could stand."""
    within = cast("dict[Any, Any]", value).items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(within):
        yield value, key
        if isinstance(inner, dict | list):
            yield from places(inner)


DAMAGES: Sequence[Damage] = (flipped, dropped, doubled, swapped, mistyped, mistyped)


def damaged(dice: random.Random, body: bytes) -> list[bytes]:
    events = [event + b"\n\n" for event in body.replace(b"\r\n", b"\n").split(b"\n\n") if event]
    for _ in range(dice.randint(1, 3)):
        events = dice.choice(DAMAGES)(dice, events) or events
    return events


def parsed(given: bytes) -> list[Any]:
    """The events in a body as another reader of JSON sees them, one that minds nothing in fields that nobody reads."""
    found: list[Any] = []
    for line in (given.strip(), *given.split(b"\n")):
        try:
            found.append(json.loads(line.strip().removeprefix(b"data:").decode("utf-8", "replace"), strict=False))
        except ValueError:
            continue
    return found


def texts(value: Any, key: str, under: bool = False) -> Iterator[str]:
    """All strings below a key, in order."""
    if isinstance(value, str) and under:
        yield value
    elif isinstance(value, dict):
        for name, inner in cast("dict[str, Any]", value).items():
            yield from texts(inner, key, under or name == key)
    elif isinstance(value, list):
        for inner in cast("list[Any]", value):
            yield from texts(inner, key, under)


def arguments_in(value: Any) -> Iterator[str]:
    """The arguments of calls, in order; those that are no text as JSON."""
    for holder, key in places(value):
        if key == "arguments" and holder[key] is not None:
            yield holder[key] if isinstance(holder[key], str) else msgspec.json.encode(holder[key]).decode()


def is_made_of(text: str, given: Sequence[str]) -> bool:
    """Whether a text is a row of given pieces, in their order."""
    place = 0
    for piece in given:
        place += len(piece) if text.startswith(piece, place) else 0
    return place == len(text)


def check_given(reply: Replied, body: bytes) -> None:
    """What was accepted was given: its end, its words, its calls."""
    events = parsed(body)
    assert any(texts(events, "finish_reason")), body
    came, went = message_of(reply, raw=True), message_of(reply)
    assert is_made_of(came.content or "", list(texts(events, "content")))
    everything = (came.content or "") + "".join(texts(events, "reasoning"))
    assert all(line in everything for line in (went.content or "").split("\n"))
    for call in () if went.tool_calls is UNSET else went.tool_calls:
        name, arguments = call.function.name, call.function.arguments
        assert reply.repairs or arguments == "{}" or is_made_of(arguments, list(arguments_in(events))), arguments
        assert name in TOOLS or name == "" or name in body.decode("utf-8", "replace") or name in map(str, WRONG)


def scripted(script: Script) -> OpenRouter:
    client = httpx2.AsyncClient(transport=script)
    url = "http://127.0.0.1:9/api/v1"
    return OpenRouter(settings=Settings(base_url=url, api_key="sk-test", bill_seconds=0.0, http_client=client))


async def damage_all(number: int) -> tuple[int, int]:
    """Ask for so many damaged replies; returns how many were accepted, and how many of these mended."""
    loop, script = cast("JumpingClock", asyncio.get_running_loop()), Script()
    model, taken, put_right = scripted(script), 0, 0
    for seed in range(number):
        dice = random.Random(seed)
        pieces = damaged(dice, BODIES[seed % len(BODIES)])
        slow = dice.random() < 0.2
        script.pieces = [(dice.choice((0.0, 1.0, 60.0, 500.0)) if slow else 0.0, piece) for piece in pieces]
        begun, jumped = time.monotonic(), loop.jumped
        try:
            end = await end_of(model)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {pieces}") from error
        assert time.monotonic() - begun < HANGS, seed
        assert loop.jumped - jumped <= model.options.request_seconds + 1, seed
        if isinstance(end, Replied):
            taken, put_right = taken + 1, put_right + bool(end.repairs)
            check_given(end, b"".join(pieces))
    return taken, put_right


def test_damaged_replies() -> None:
    number = 2000
    asyncio.run(scripted(Script()).ready())  # its threads need a real clock
    with asyncio.Runner(loop_factory=JumpingClock) as runner:
        taken, put_right = runner.run(damage_all(number))
    print(f"{number} damaged replies: {taken} accepted, {put_right} of them mended, the others are failures")
    assert number / 10 < taken < number
