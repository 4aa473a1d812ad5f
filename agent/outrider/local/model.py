"""The model on this machine, as the Model protocol wants it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from decimal import Decimal

from msgspec import Raw
from msgspec.structs import replace

from outrider.events import Replied, RequestAccepted, RequestFailed
from outrider.local import steps
from outrider.local.asked import Asked, Offered, read
from outrider.local.server import Server, running
from outrider.local.weights import EMBEDDED, weights_path
from outrider.messages import AssistantMessage, Usage, UserMessage, from_wire, to_wire
from outrider.model import Ask, ModelEvent, Request, join_body
from outrider.openrouter import OpenRouter, Settings


class LocalModel:
    """A GGUF model run by llama.cpp in a child process; free to share between tasks, threads and agents.

    ``spec`` is "local" for the embedded model or "local:/path/to/file.gguf" for any other. The embedded one
    is too small for chat: requests are put to it as examples to go on with, its words are copied from the
    task and the results, system messages are not shown to it, and when tools are offered it calls one,
    once, for each task. Other files get the conversation through their own chat template. Equal requests
    get equal replies; a reply costs 0.
    """

    def __init__(self, spec: str = EMBEDDED) -> None:
        self._name = spec
        self._outline = OpenRouter(spec, _settings())
        self._client: OpenRouter | None = None
        self._server: Server | None = None

    @property
    def name(self) -> str:
        """The model's name: "local", or "local:" and a path."""
        return self._name

    def settings(self, ask: Ask) -> Raw:
        """The body without its messages, as a JSON object; equal asks give equal bytes."""
        return self._outline.settings(ask)

    async def ask(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """Send one request and yield what comes of it.

        The first one starts the server, off the event loop. Raises SetupError when the package or the
        weights are missing or the file cannot be loaded; its hint is the command to type.
        """
        client = await self._ready()
        answers = self._ask_small(client, request) if self._name == EMBEDDED else client.ask(request)
        async with aclosing(answers) as events:
            async for event in events:
                if isinstance(event, Replied):
                    yield _settled(event, self._name)
                elif not isinstance(event, RequestAccepted):  # its id is random, and no bill is kept under it
                    yield event

    async def ready(self) -> None:
        """Start the server, off the event loop. Raises SetupError as the first request would."""
        await self._ready()

    async def close(self) -> None:
        """Give back the connections; the server stays until the process ends, for others with this file."""
        if self._client is not None:
            await self._client.close()

    async def _ready(self) -> OpenRouter:
        server = self._server
        if server is None or not server.alive:
            path = weights_path(self._name)
            server = await asyncio.to_thread(running, path, self._name == EMBEDDED)
        if server is not self._server or self._client is None:
            self._server, self._client = server, OpenRouter(self._name, _settings(server))
        return self._client

    async def _ask_small(self, client: OpenRouter, request: Request) -> AsyncGenerator[ModelEvent, None]:
        asked = read(request)
        tool, spent = None, Usage()
        if steps.wants_call(asked):
            tool = asked.tools[0]
            if len(asked.tools) > 1:
                reply = await _whole(client, _as_request(steps.choice(asked), request))
                if isinstance(reply, RequestFailed):
                    yield reply
                    return
                tool, spent = steps.chosen(asked, _text(reply)), reply.usage
        step = steps.arguments(asked, tool) if tool else steps.answer(asked)
        inner = _as_request(step, request, live=request.live and tool is None)
        async with aclosing(client.ask(inner)) as events:
            async for event in events:
                yield _finished(event, asked, tool, spent) if isinstance(event, Replied) else event


def _settings(server: Server | None = None) -> Settings:
    common = Settings(temperature=0, seed=1, max_tokens=1024, thinking=None, session=False)
    # llama.cpp closes a connection after a streamed reply without saying so
    return replace(common, base_url=server.url, api_key=server.key, keep_alive=False) if server else common


def _as_request(step: steps.Step, request: Request, live: bool = False) -> Request:
    messages, settings = (to_wire(UserMessage(step.prompt)),), step.settings()
    body = join_body(messages, settings)
    return replace(request, messages=messages, settings=settings, body=body, live=live)


async def _whole(client: OpenRouter, request: Request) -> Replied | RequestFailed:
    async with aclosing(client.ask(request)) as events:
        async for event in events:
            if isinstance(event, Replied | RequestFailed):
                return event
    raise AssertionError("a request ended without a reply or a failure")


def _text(reply: Replied) -> str:
    message = from_wire(reply.wire)
    return (message.content or "").strip() if isinstance(message, AssistantMessage) else ""


def _finished(reply: Replied, asked: Asked, tool: Offered | None, spent: Usage) -> Replied:
    usage = reply.usage + spent
    if tool is None:
        return replace(reply, wire=to_wire(AssistantMessage(_text(reply))), usage=usage)
    wire = to_wire(steps.call_message(asked, tool, _text(reply)))
    finish = "tool_calls" if reply.finish == "stop" else reply.finish
    return replace(reply, wire=wire, usage=usage, finish=finish)


def _settled(reply: Replied, name: str) -> Replied:
    """The reply as equal requests give it: without the server's random names; it costs nothing."""
    usage = replace(reply.usage, cost=Decimal(0))
    return replace(reply, usage=usage, model=name, provider="local", generation="")
