"""OpenRouter as a model: one request in, its events out."""

import asyncio
import importlib
from collections.abc import AsyncGenerator
from decimal import Decimal
from types import ModuleType
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from outrider.errors import SetupError
from outrider.events import NO_DETOUR, NOTHING, Detour, Replied, RequestAccepted, RequestFailed
from outrider.messages import Usage, to_wire
from outrider.model import Ask, ModelEvent, Request, Tariff
from outrider.openrouter.advice import advice
from outrider.openrouter.body import body_settings, with_server_tools, with_session
from outrider.openrouter.cost import usage_from
from outrider.openrouter.detour import detour_after, is_other
from outrider.openrouter.exchange import Exchange
from outrider.openrouter.failures import PATIENCE, Broken, Failure, delay, judge
from outrider.openrouter.generation import bill
from outrider.openrouter.habits import habits_of
from outrider.openrouter.lists import LOOK_SECONDS, fetch_endpoints, look
from outrider.openrouter.mend import Mended, mend, offered_in
from outrider.openrouter.merge import Merger
from outrider.openrouter.page import Refused
from outrider.openrouter.routing import requires
from outrider.openrouter.settings import DEFAULT_MODEL, Settings, Thinking
from outrider.openrouter.tariff import tariff_of
from outrider.openrouter.thinking import check_greedy, thinking_for
from outrider.openrouter.ways import lacking
from outrider.rungs import called

if TYPE_CHECKING:
    from outrider.openrouter.transport import Line

_transport: ModuleType | None = None
_UNPACKED = "the arguments of a call were an object: they were taken for its text"


class OpenRouter:
    """A model on OpenRouter, or on any server that speaks chat completions at ``settings.base_url``.

    Immutable and free to share between tasks, threads and agents; connections are shared by all models with
    the same settings in one event loop.
    """

    def __init__(self, name: str = DEFAULT_MODEL, settings: Settings = Settings()) -> None:
        self._name, self._options = name, settings
        self._bodies: dict[
            tuple[str, bytes, bytes, Detour, tuple[str, bytes, bool, int], type, Thinking, bool], bytes
        ] = {}
        self._tariffs: dict[tuple[str, bytes, str, bool, Detour], Tariff | str] = {}
        self._looked = False
        check_greedy(name, settings)
        if settings.habits is not None:  # a mistake in the file is said now, not at the first request
            habits_of(name, settings.habits)

    @property
    def name(self) -> str:
        """The model's name, as in ``qwen/qwen3-14b``."""
        return self._name

    @property
    def url(self) -> str:
        """Where requests go."""
        return f"{self._options.base_url.rstrip('/')}/chat/completions"

    @property
    def options(self) -> Settings:
        """The settings this model was made with."""
        return self._options

    def settings(self, ask: Ask) -> Raw:
        """The body without its messages, as a JSON object; equal asks give equal bytes."""
        thinking = thinking_for(self._name, self._options, ask)
        tools, form = bytes(ask.tools or b""), bytes(ask.format or b"")
        added = with_server_tools(self._options, ask)
        how = (type(thinking), thinking)  # True is not a budget of 1
        way = (ask.rung, bytes(ask.answer_tool or b""), ask.heal, ask.most)
        known = (ask.phase, tools, form, ask.detour, way, *how, added)
        body = self._bodies.get(known)
        if body is None:
            if len(self._bodies) > 100:
                self._bodies.clear()
            body = self._bodies[known] = body_settings(self._name, self._options, ask, thinking)
        session = self._options.session
        if not session or "session_id" in self._options.extra:
            return Raw(body)
        return with_session(body, session if isinstance(session, str) else ask.session)

    @property
    def stronger(self) -> str:
        """The model that is asked when this one's answers do not fit, or ""."""
        return self._options.stronger

    def lacks(self, ask: Ask) -> str:
        """Why such a request is known not to be taken, as a clause; "" where it may be."""
        return lacking(self._name, self._options, ask)

    def tariff(self, ask: Ask) -> Tariff | str:
        """What requests such as this one cost at most, by the prices that are kept, or why that is not known."""
        known = (ask.phase, bytes(ask.format or b""), ask.rung, ask.heal, ask.detour)
        if known not in self._tariffs:
            body = msgspec.json.decode(self.settings(replace(ask, most=0)), type=dict[str, Any])
            self._tariffs[known] = tariff_of(body, self._options)
        return self._tariffs[known]

    async def appraise(self) -> str:
        """Look up what the model and its fallbacks cost, whatever the server is; returns why that failed, or "".

        Raises SetupError when there is no API key, or a wrong one.
        """
        line = await self._line()
        self._tariffs.clear()
        try:
            for name in dict.fromkeys(filter(None, (self._name, *self._options.models, self._options.stronger))):
                await fetch_endpoints(self._options, name, LOOK_SECONDS, line)
        except Refused as refused:
            if refused.failure.status == 401:
                raise SetupError(str(refused), refused.hint) from refused
            return str(refused)
        return ""

    async def bill(self, generation: str) -> Decimal | None:
        """What a reply has cost, in dollars, or None when the server does not say."""
        usage = await bill(await self._line(), generation, self._options.bill_seconds)
        return usage.cost if usage else None

    async def ask(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """Send one request and yield what comes of it. Raises SetupError when there is no API key."""
        line = await self._line()
        merger = Merger(request.number, request.live, self._options.mend)
        exchange = Exchange(line, self._options, merger)
        failure, reply, accepted, more = None, None, False, True
        try:
            await exchange.open(request.body)
            while True:
                if exchange.generation and not accepted:
                    accepted = True
                    yield RequestAccepted(request.number, exchange.generation)
                for delta in merger.deltas():
                    yield delta
                if not more:
                    break
                more = await exchange.read()
            reply = self._mended(request, merger)
            failure = judge(merger, reply.message)
        except Broken as broken:
            failure = broken.failure
        finally:
            await exchange.close()
        usage = usage_from(merger.usage)
        if usage is None and (failure is None or failure.billed == "unknown"):
            usage = await bill(line, exchange.generation, self._options.bill_seconds)
        if failure is None and reply is not None:
            replied = _replied(request, merger, reply, exchange.generation, usage or Usage())
            unpriced = replied.usage.cost is None
            yield replace(replied, estimate=self._estimate(request.ask, replied.usage)) if unpriced else replied
        elif failure is not None:
            yield self._failed(request, failure, merger, usage)

    async def ready(self) -> None:
        """Load the SDK, make the pool, and look the model up where due. Raises SetupError when there is no API key."""
        line = await self._line()
        if not self._looked:
            self._looked = True
            for name in dict.fromkeys(filter(None, (self._name, self._options.stronger))):
                await look(self._options, name, line)
            self._bodies.clear()  # what is known now may say more of what to ask for
            self._tariffs.clear()

    async def close(self) -> None:
        """Give back the connections of this event loop, unless other models use them too."""
        if _transport is not None:
            await _transport.leave(self)

    async def _line(self) -> "Line":
        global _transport  # noqa: PLW0603 (an import, remembered once it has ended)
        key = self._options.key()
        if _transport is None:  # openai takes most of a second to import: not on the loop
            _transport = await asyncio.to_thread(importlib.import_module, "outrider.openrouter.transport")
        return _transport.line(self._options, key, self)

    def _estimate(self, ask: Ask, usage: Usage) -> Decimal | None:
        """What a reply without a bill may have cost, by the tokens it says it used."""
        tariff = self.tariff(ask)
        if isinstance(tariff, str) or not usage.tokens:
            return None
        return usage.prompt_tokens * tariff.prompt + usage.completion_tokens * tariff.answer + tariff.request

    def _mended(self, request: Request, merger: Merger) -> Mended:
        """The reply as it is taken."""
        message, finish = merger.message(), merger.finish
        if not self._options.mend:
            return Mended(message, finish)
        tools = request.ask.tools or request.ask.answer_tool
        offered = offered_in(bytes(tools)) if tools else None
        mended = mend(message, finish, offered, request.number, request.ask.detour.plain)
        return replace(mended, repairs=(*mended.repairs, _UNPACKED)) if merger.unpacked else mended

    def _failed(self, request: Request, failure: Failure, merger: Merger, usage: Usage | None) -> RequestFailed:
        message, provider = failure.message, failure.provider or merger.provider
        insists = requires(self._options.provider) == "auto" and b'"require_parameters":true' in bytes(request.settings)
        detour = detour_after(failure, request, merger.provider, tuple(self._options.models), insists)
        retry = detour is not None and request.failures < self._options.retries
        if failure.wait is not None and failure.wait > PATIENCE and not retry:
            message = f"{message} The server asks to wait {failure.wait:.0f} s: resume the run after that."
        wait = (
            0.0
            if detour and is_other(detour, request.ask.detour)
            else delay(request.failures)
            if failure.wait is None
            else failure.wait
        )
        key = self._options.key()
        raw = failure.raw or merger.head.decode("utf-8", "replace")
        return RequestFailed(
            number=request.number,
            reason=failure.reason,
            message=message.replace(key, "..."),
            then="retry" if retry else "stop",
            status=failure.status,
            delay=wait if retry else 0.0,
            billed=failure.billed if usage is None else "usage",
            usage=usage or Usage(),
            provider=provider,
            raw=raw.replace(key, "..."),
            hint=advice(failure, raw, key, self._options.base_url),
            detour=detour if retry and detour else NO_DETOUR,
        )


def _replied(request: Request, merger: Merger, reply: Mended, generation: str, usage: Usage) -> Replied:
    message = (called(reply.message) if request.ask.answer_tool else None) or reply.message
    changed = message is not reply.message or reply.repairs
    return Replied(
        number=request.number,
        wire=to_wire(message),
        finish=reply.finish,
        usage=usage,
        model=merger.model,
        provider=merger.provider,
        generation=generation,
        refusal=merger.refusal,
        repairs=reply.repairs,
        raw=to_wire(merger.message()) if changed else NOTHING,
    )
