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

from outrider.openrouter.settings import Settings
from outrider.testing.reply import FakeReply, bill_of, pieces_of
from outrider.testing.scripted import check_script

PATIENCE = 60.0
"""Seconds after which waiting for the server, or of the server for a test, is given up."""


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
    With ``bills`` it knows what each of its generations cost: ``GET /generation?id=gen-1`` is a 404 the first
    ``bill_after`` times it is asked for one, then the bill; the id is in the header ``X-Generation-Id`` as well.

    Every model costs 0.10 dollars for a million tokens in and 0.30 out, which is listed where that is asked for.

    - ``settings``: Settings that reach it, for an Agent.
    - ``pages``: what other paths than that of chat completions answer, as in ``server.pages["/key"] = FakeReply(...)``.
    - ``requests``: all requests so far, each a FakeRequest: ``server.requests[0].json["model"]``.
    - ``opened``, ``closed``: connections that clients have opened, and those that are gone again.
    - ``wait`` and ``until`` return once a condition on these holds.
    """

    def __init__(
        self, script: Script = (), model: str = "qwen/qwen3-14b-04-28", *, bills: bool = False, bill_after: int = 0
    ) -> None:
        if not callable(script):
            check_script(script, "FakeOpenRouter")
        self._model = model
        self._answer = script if callable(script) else None
        self._script = [] if callable(script) else list(script)
        self._changed = threading.Condition()
        self._server: asyncio.Server | None = None
        self._port = 0
        self._bills: dict[str, list[FakeReply]] | None = {} if bills else None
        self._bill_after = bill_after
        self.pages: dict[str, FakeReply] = {}
        self.requests: list[FakeRequest] = []
        self.opened = 0
        self.closed = 0

    @property
    def base_url(self) -> str:
        """Where the API is."""
        return f"http://127.0.0.1:{self._port}/api/v1"

    def settings(self, **more: Any) -> Settings:
        """Settings that reach this server with any key, and ask for no bills where there are none.

        ``more`` are further fields of Settings, or other values of these.
        """
        known: dict[str, Any] = {"base_url": self.base_url, "api_key": "any-key"}
        if self._bills is None:
            known["bill_seconds"] = 0.0
        return Settings(**known | more)

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
                if not self._is_price(request.path):
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
        kind, pieces = pieces_of(reply, request.json, self._model, len(self.requests))
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
            return self._page(request.path)
        number = len(self.requests)
        if self._answer is not None:
            reply = self._answer(request.json)
        elif self._script:
            reply = self._script.pop(0)
        else:
            reply = FakeReply(status=400, error=f"the script has no reply to request {number}")
        reply = FakeReply(text=reply) if isinstance(reply, str) else reply
        if self._bills is not None and reply.status == 200:
            bill = FakeReply(body=msgspec.json.encode({"data": bill_of(reply, f"gen-{number}", self._model)}))
            self._bills[f"/generation?id=gen-{number}"] = [*[_UNKNOWN] * self._bill_after, bill]
            reply = msgspec.structs.replace(reply, headers={"X-Generation-Id": f"gen-{number}"} | reply.headers)
        return reply

    def _is_price(self, path: str) -> bool:
        """Whether this asks what a model costs, which is not counted as a request, and nothing else is set for it."""
        return path.endswith("/endpoints") and not any(path.endswith(end) for end in self.pages)

    def _page(self, path: str) -> FakeReply:
        """What another path answers: the page set for it, a bill, or that there is no such thing."""
        if page := next((page for end, page in self.pages.items() if path.endswith(end)), None):
            return page
        if bills := next((bills for end, bills in (self._bills or {}).items() if path.endswith(end)), None):
            return bills.pop(0) if len(bills) > 1 else bills[0]
        if self._is_price(path):
            return _PRICES
        return FakeReply(status=404, error=f"there is no {path} here")


_PRICES = FakeReply(
    body=msgspec.json.encode(
        {"data": {"endpoints": [{"tag": "fake", "pricing": {"prompt": "0.0000001", "completion": "0.0000003"}}]}}
    )
)
_UNKNOWN = FakeReply(status=404, error="Generation not found")


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
    if reply.drop_at == -1:
        return False
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
