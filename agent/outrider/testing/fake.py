"""A real HTTP server on loopback that answers as OpenRouter does, by script.

    with FakeOpenRouter(["Hello."]) as server:
        model = OpenRouter(settings=Settings(base_url=server.base_url, api_key="any"))

It runs in a thread of its own, so that tests with and without an event loop use it alike (``async with``
works too).
"""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self, cast

import msgspec
from msgspec import Struct

from outrider.testing.scripted import check_script

PATIENCE = 60.0
"""Seconds after which waiting for the server, or of the server for a test, is given up."""


class FakeReply(Struct, frozen=True, kw_only=True):
    """What the server answers to one request.

    A reply of the model: ``text``, ``reasoning``, ``calls`` as (name, arguments) with arguments as a dict
    or as text, ``cost`` in dollars or None, ``usage`` fields besides, ``finish`` (else what fits),
    ``piece`` characters a chunk. It is streamed with a comment line if the request asks for a stream, else
    one JSON object; ``stream`` overrules that.

    ``chunks`` replaces the streamed JSON chunks by your own, ``body`` all of the reply by bytes (a list is
    sent piece by piece). ``status`` and ``error`` (its ``error`` object, or a message) make an HTTP error.

    ``delay`` seconds pass before each piece; ``hold`` is awaited before the piece number ``hold_at`` (from
    0; -1 is the head). With ``drop`` the connection is cut instead of ended; ``drop_at`` cuts it after so
    many pieces.
    """

    text: str = ""
    reasoning: str = ""
    calls: Sequence[tuple[str, dict[str, Any] | str]] = ()
    finish: str | None = None
    cost: float | None = 0.0001
    usage: dict[str, Any] = {}
    piece: int = 8
    stream: bool | None = None
    chunks: Sequence[dict[str, Any]] | None = None
    body: bytes | Sequence[bytes] | None = None
    status: int = 200
    error: dict[str, Any] | str | None = None
    headers: dict[str, str] = {}
    delay: float = 0.0
    hold: threading.Event | None = None
    hold_at: int = 0
    drop: bool = False
    drop_at: int | None = None


class FakeRequest(Struct, frozen=True):
    """What the server got. Header names are in lower case; ``json`` is the parsed body."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    json: dict[str, Any]


Script = Iterable[FakeReply | str] | Callable[[dict[str, Any]], FakeReply | str]


class FakeOpenRouter:
    """The server. ``script`` is a list of replies, in order, or a function from the body's JSON to a reply.

    A str is a reply with that text. When the script is over, requests get an HTTP error that says so. A
    function is called in the server's thread. Raises SetupError when the script is neither list nor function.

    - ``pages``: what other paths than that of chat completions answer, as in ``server.pages["/key"] = FakeReply(...)``.
    - ``requests``: all requests so far, each a FakeRequest: ``server.requests[0].json["model"]``.
    - ``opened``, ``closed``: connections that clients have opened, and those that are gone again.
    - ``wait`` and ``until`` return once a condition on these holds.
    """

    def __init__(self, script: Script = (), model: str = "qwen/qwen3-14b-04-28") -> None:
        if not callable(script):
            check_script(script, "FakeOpenRouter")
        self._model = model
        self._answer = script if callable(script) else None
        self._script = [] if callable(script) else list(script)
        self._changed = threading.Condition()
        self._server: asyncio.Server | None = None
        self._port = 0
        self.pages: dict[str, FakeReply] = {}
        self.requests: list[FakeRequest] = []
        self.opened = 0
        self.closed = 0

    @property
    def base_url(self) -> str:
        """Where the API is."""
        return f"http://127.0.0.1:{self._port}/api/v1"

    def add(self, *replies: FakeReply | str) -> None:
        """Append to the script."""
        self._script.extend(replies)

    def wait(self, condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Return once the condition holds; it may ask for anything the server counts. Raises TimeoutError."""
        end = time.monotonic() + seconds
        with self._changed:
            while not condition():
                if time.monotonic() > end:
                    raise TimeoutError("the condition did not come true")
                self._changed.wait(0.05)

    async def until(self, condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """The same, without holding up the event loop."""
        await asyncio.to_thread(self.wait, condition, seconds)

    def __enter__(self) -> Self:
        started = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(started)), name="fake-openrouter", daemon=True
        )
        self._thread.start()
        if not started.wait(PATIENCE):
            raise TimeoutError("the server did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(PATIENCE)

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.__exit__)

    async def _serve(self, started: threading.Event) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        started.set()
        await self._over.wait()
        server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _count(self, name: str) -> None:
        with self._changed:
            setattr(self, name, getattr(self, name) + 1)
            self._changed.notify_all()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._tasks.add(task)
        self._count("opened")
        try:
            while request := await _read(reader):
                with self._changed:
                    self.requests.append(request)
                    self._changed.notify_all()
                if not await self._reply(request, reader, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # a client that goes away is what many tests are about
        finally:
            self._tasks.discard(task)
            writer.transport.abort()
            self._count("closed")

    async def _reply(self, request: FakeRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; returns whether the connection goes on."""
        reply = self._next(request)
        kind, pieces = _pieces(reply, request.json, self._model, len(self.requests))
        head = {"Content-Type": kind, "Transfer-Encoding": "chunked", **reply.headers}
        lines = [f"HTTP/1.1 {reply.status} Fake", *(f"{name}: {value}" for name, value in head.items())]
        first = "\r\n".join((*lines, "", "")).encode()
        sending = asyncio.create_task(_send(reply, first, pieces, writer))
        leaving = asyncio.create_task(reader.read(1))  # a client has nothing to say while it is answered
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            return sending.done() and sending.exception() is None and sending.result()
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)

    def _next(self, request: FakeRequest) -> FakeReply:
        if not request.path.endswith("/chat/completions"):
            missing = FakeReply(status=404, error=f"there is no {request.path} here")
            return next((page for path, page in self.pages.items() if request.path.endswith(path)), missing)
        if self._answer is not None:
            reply = self._answer(request.json)
        elif self._script:
            reply = self._script.pop(0)
        else:
            reply = FakeReply(status=400, error=f"the script has no reply to request {len(self.requests)}")
        return FakeReply(text=reply) if isinstance(reply, str) else reply


async def _read(reader: asyncio.StreamReader) -> FakeRequest | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip().split("\r\n")
    method, path, _ = first.split(" ")
    pairs = (line.split(":", 1) for line in lines)
    headers = {name.strip().lower(): value.strip() for name, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    try:
        parsed = json.loads(body)
    except ValueError:
        parsed = None
    known = cast("dict[str, Any]", parsed) if isinstance(parsed, dict) else {}
    return FakeRequest(method, path, headers, body, known)


async def _held(reply: FakeReply, number: int) -> None:
    if reply.hold is not None and number == reply.hold_at:
        while not reply.hold.is_set():  # noqa: ASYNC110 (set by another thread)
            await asyncio.sleep(0.005)


async def _send(reply: FakeReply, head: bytes, pieces: Sequence[bytes], writer: asyncio.StreamWriter) -> bool:
    await _held(reply, -1)
    writer.write(head)
    for number, piece in enumerate(pieces):
        if number == reply.drop_at:
            break
        if reply.delay:
            await asyncio.sleep(reply.delay)
        await _held(reply, number)
        if piece:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
    if reply.drop or reply.drop_at is not None:
        await asyncio.sleep(0)
        return False
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


def _pieces(reply: FakeReply, request: dict[str, Any], model: str, number: int) -> tuple[str, Sequence[bytes]]:
    """The content type, and the body in the pieces in which it is sent."""
    streams = bool(request.get("stream")) if reply.stream is None else reply.stream
    if reply.body is not None:
        kind = "text/event-stream" if streams and reply.status == 200 else "application/json"
        return kind, [reply.body] if isinstance(reply.body, bytes) else reply.body
    if reply.error is not None:
        error = {"code": reply.status, "message": reply.error} if isinstance(reply.error, str) else reply.error
        return "application/json", [msgspec.json.encode({"error": error, "user_id": "user_1"})]
    base = {"id": f"gen-{number}", "created": 1, "model": model, "provider": "Fake"}
    if not streams:
        return "application/json", [msgspec.json.encode(base | _whole(reply))]
    chunks = list(_chunks(reply)) if reply.chunks is None else reply.chunks
    lines = [b"data: " + msgspec.json.encode(base | chunk) + b"\n\n" for chunk in chunks]
    return "text/event-stream", [b": OPENROUTER PROCESSING\n\n", *lines, b"data: [DONE]\n\n"]


def _usage(reply: FakeReply) -> dict[str, Any]:
    written = len(reply.text) + len(reply.reasoning) + 20 * len(reply.calls)
    usage = {"prompt_tokens": 10, "completion_tokens": written // 4 + 1, "total_tokens": written // 4 + 11}
    return usage | ({} if reply.cost is None else {"cost": reply.cost}) | reply.usage


def _calls(reply: FakeReply) -> list[dict[str, Any]]:
    return [
        {
            "index": index,
            "id": f"call_{index}",
            "type": "function",
            "function": {
                "name": name,
                "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments),
            },
        }
        for index, (name, arguments) in enumerate(reply.calls)
    ]


def _finish(reply: FakeReply) -> str:
    return reply.finish if reply.finish is not None else "tool_calls" if reply.calls else "stop"


def _whole(reply: FakeReply) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None}
    if reply.reasoning:
        message["reasoning"] = reply.reasoning
    if reply.calls:
        message["tool_calls"] = _calls(reply)
    choice = {"index": 0, "finish_reason": _finish(reply), "message": message}
    return {"object": "chat.completion", "choices": [choice], "usage": _usage(reply)}


def _chunks(reply: FakeReply) -> Iterable[dict[str, Any]]:
    def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
        choice = {"index": 0, "delta": {"role": "assistant", **delta}, "finish_reason": finish}
        return {"object": "chat.completion.chunk", "choices": [choice]}

    for start in range(0, len(reply.reasoning), reply.piece):
        yield chunk(content="", reasoning=reply.reasoning[start : start + reply.piece])
    for start in range(0, len(reply.text), reply.piece):
        yield chunk(content=reply.text[start : start + reply.piece])
    for call in _calls(reply):
        arguments = call["function"]["arguments"]
        yield chunk(tool_calls=[call | {"function": call["function"] | {"arguments": ""}}])
        for start in range(0, len(arguments), reply.piece):
            piece = {"arguments": arguments[start : start + reply.piece]}
            yield chunk(tool_calls=[{"index": call["index"], "function": piece}])
    yield chunk(_finish(reply), content="")
    yield {"object": "chat.completion.chunk", "choices": [], "usage": _usage(reply)}
