"""The model on this machine, as the Model protocol wants it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from decimal import Decimal

from msgspec import Raw, Struct
from msgspec.structs import replace

from outrider.events import Replied, RequestAccepted, RequestFailed, TextDelta
from outrider.local import steps
from outrider.local.asked import Asked, Offered, read
from outrider.local.scoring import Scorer, Unanswered
from outrider.local.server import Server, running
from outrider.local.weights import EMBEDDED, weights_path
from outrider.messages import AssistantMessage, Usage, UserMessage, text_of, to_wire
from outrider.model import Ask, ModelEvent, Request, Tariff, join_body
from outrider.openrouter import OpenRouter, Settings
from outrider.threads import start_in_thread

RETRIES = 3
"""How often the server is asked again when it gave no answer."""


class LocalModel:
    """A GGUF model run by llama.cpp in a child process; free to share between tasks, threads and agents.

    ``spec`` is "local" for the embedded model or "local:/path/to/file.gguf" for any other. The embedded one
    is too small for chat: requests are put to it as examples to go on with, its words are copied from the
    task and the results, system messages are not shown to it, and when tools are offered it calls one,
    once, for each task. Other files get the conversation through their own chat template. Equal requests
    get equal replies; a reply costs 0.
    """

    inputs = ("text",)
    """What it takes: no images and no files."""

    def __init__(self, spec: str = EMBEDDED) -> None:
        self._name = spec
        self._outline = OpenRouter(spec, _settings())
        self._client: OpenRouter | None = None
        self._server: Server | None = None

    @property
    def name(self) -> str:
        """The model's name: "local", or "local:" and a path."""
        return self._name

    def tariff(self, ask: Ask) -> Tariff:
        """What requests cost: nothing."""
        return Tariff(Decimal(0), Decimal(0), basis="it runs on this machine")

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
                elif isinstance(event, RequestFailed):
                    yield replace(event, billed="no")
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
        asked, server = read(request), self._server
        assert server is not None
        try:
            weighed = await start_in_thread(lambda: _weigh(asked, server))
        except Unanswered as error:
            yield _unanswered(request, error)
            return
        if weighed.text:
            if request.live and weighed.tool is None:
                yield TextDelta(request.number, weighed.text)
            yield _finished(Replied(request.number, Raw(), "stop", Usage()), asked, weighed, weighed.text)
            return
        inner = _as_request(weighed.step, request, live=request.live and weighed.tool is None)
        trimmed = _Trimmed()
        async with aclosing(client.ask(inner)) as events:
            async for event in events:
                if isinstance(event, Replied):
                    yield _finished(event, asked, weighed, text_of(event.wire).strip())
                elif not isinstance(event, TextDelta):
                    yield event
                elif text := trimmed.more(event.text):
                    yield replace(event, text=text)


class _Trimmed:
    """A text in pieces, without the blanks that the whole of it begins and ends with."""

    def __init__(self) -> None:
        self._begun = False
        self._blanks = ""

    def more(self, piece: str) -> str:
        """What can be told now that this piece has come; blanks wait for what follows them."""
        text = self._blanks + piece if self._begun else piece.lstrip()
        told = text.rstrip()
        self._begun = self._begun or bool(told)
        self._blanks = text[len(told) :]
        return told


class _Weighed(Struct, frozen=True):
    """What likelihoods have settled: the tool that is called, if one is; the text, unless ``step`` has to write it."""

    tool: Offered | None
    step: steps.Step = steps.Step("")
    text: str = ""
    tokens: int = 0


def _weigh(asked: Asked, server: Server) -> _Weighed:
    with Scorer(server) as scorer:
        tool = steps.choose(asked, scorer) if steps.wants_call(asked) else None
        step = steps.arguments(asked, tool) if tool else steps.answer(asked)
        if isinstance(step, steps.Step):
            return _Weighed(tool, step, tokens=scorer.read)
        return _Weighed(tool, text=step.fill(scorer), tokens=scorer.read)


def _settings(server: Server | None = None) -> Settings:
    common = Settings(temperature=0, seed=1, max_tokens=1024, thinking=None, session=False)
    # llama.cpp closes a connection after a streamed reply without saying so
    return replace(common, base_url=server.url, api_key=server.key, keep_alive=False) if server else common


def _as_request(step: steps.Step, request: Request, live: bool = False) -> Request:
    messages, settings = (to_wire(UserMessage(step.prompt)),), step.settings()
    body = join_body(messages, settings)
    return replace(request, messages=messages, settings=settings, body=body, live=live)


def _finished(reply: Replied, asked: Asked, weighed: _Weighed, text: str) -> Replied:
    usage = reply.usage + Usage(prompt_tokens=weighed.tokens)
    if weighed.tool is None:
        return replace(reply, wire=to_wire(AssistantMessage(text)), usage=usage)
    wire = to_wire(steps.call_message(asked, weighed.tool, text))
    finish = "tool_calls" if reply.finish == "stop" else reply.finish
    return replace(reply, wire=wire, usage=usage, finish=finish)


def _unanswered(request: Request, error: Unanswered) -> RequestFailed:
    """The server has ended, and is started again; or the task is too long for it, which stays so."""
    retry = not error.status and request.failures < RETRIES
    return RequestFailed(
        request.number,
        reason="bad_request" if error.status else "connection",
        message=f"the local model did not answer: {error}",
        then="retry" if retry else "stop",
        status=error.status,
        hint="Give it a shorter text, or a larger model: local:/path/to/model.gguf" if error.status else "",
    )


def _settled(reply: Replied, name: str) -> Replied:
    """The reply as equal requests give it: without the server's random names; it costs nothing."""
    usage = replace(reply.usage, cost=Decimal(0))
    return replace(reply, usage=usage, model=name, provider="local", generation="")
