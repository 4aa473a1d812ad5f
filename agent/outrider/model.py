"""What Outrider asks of a model, in its own words. A provider is one class with ``ask`` and ``settings``."""

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from decimal import Decimal
from typing import Protocol

from msgspec import Raw, Struct

from outrider.events import NO_DETOUR, NOTHING, Detour, Live, Replied, RequestAccepted, RequestFailed, RequestSent
from outrider.messages import Phase
from outrider.state import State


class Ask(Struct, frozen=True):
    """What the settings of a request depend on, besides the model itself; the same for many requests.

    ``tools`` is the JSON array of function tools offered, or None. ``format`` is the JSON object of
    ``response_format``, or None. ``session`` names the run, so that one provider serves all of it. ``turn`` counts
    the replies so far; ``detour`` is what this attempt does differently, because the one before it failed.
    ``answer_tool`` is a JSON array with the one tool by which the answer must be given, where there is no format for
    it; its arguments are the reply's text. ``rung`` names the way in which the answer is asked for, ``lower`` says
    whether there are less demanding ones. ``heal``: the provider may mend the JSON of the reply. ``most`` tokens are
    what the answer may have, 0 leaves it to the settings.
    """

    phase: Phase
    session: str
    tools: Raw | None = None
    format: Raw | None = None
    turn: int = 0
    detour: Detour = NO_DETOUR
    answer_tool: Raw | None = None
    rung: str = ""
    lower: bool = False
    heal: bool = False
    most: int = 0


class Tariff(Struct, frozen=True):
    """The dearest that a request can be: dollars for a token of the ``prompt`` and of the ``answer``, and for itself.

    ``image`` is for each image. The answer has at most ``longest`` tokens, and none of fewer than ``least`` is of use.
    ``window`` is how many tokens prompt and answer can have together, 0 where nobody says. ``basis`` is where all this
    comes from, ``beside`` what costs something more, nobody knows how much.
    """

    prompt: Decimal
    answer: Decimal
    request: Decimal = Decimal(0)
    image: Decimal = Decimal(0)
    longest: int = 16_384
    least: int = 256
    window: int = 0
    basis: str = ""
    beside: str = ""


class Grant(Struct, frozen=True):
    """A request that may be made: what it asks for, and the ``reserved`` dollars put aside for it, if that is known.

    ``basis`` and ``held`` are as in RequestSent.
    """

    ask: Ask
    reserved: Decimal | None = None
    basis: str = ""
    held: int = 0


class Request(Struct, frozen=True):
    """One request, ready to leave.

    ``number`` is its number in the run; ``failures`` how many before it failed in a row. ``messages`` are wire
    messages in order, ``settings`` the rest of the body as a JSON object; ``body`` is both, joined.
    ``live`` says whether anybody watches: without watchers no deltas are made.
    """

    number: int
    failures: int
    ask: Ask
    messages: tuple[Raw, ...]
    settings: Raw
    body: bytes
    live: bool = False


ModelEvent = Live | RequestAccepted | RequestFailed | Replied


class Model(Protocol):
    """Anything that answers requests.

    ``ask`` makes one attempt and never retries: it yields deltas while ``request.live``, at most one
    RequestAccepted, and ends with exactly one Replied or RequestFailed (whose ``then`` says whether trying again
    can help). It raises nothing but errors of the program. Closing the generator closes the connection.
    A reply's wire message gives every tool call a non-empty id, unique within the reply.
    A model with prices has ``tariff(ask)``, which gives its Tariff for such requests, or a text that says why it has
    none; ``await appraise()``, where it has that, looks the price up before. ``await bill(generation)``, where it has
    that, gives what a reply has cost, or None.
    A model that does not take everything may have ``inputs``, as in ``("text", "image", "file")``: other parts of a
    task are refused before anything is recorded.
    A model that knows which requests it takes has ``lacks(ask)``: a clause on why such a request is not one, "" where
    it may be. Only such a model is asked for tools and a ``format`` at once, or to ``heal``. ``stronger``, where it has
    that, names the model that is asked when the answers of this one do not fit.
    """

    @property
    def name(self) -> str:
        """The model's name, as in ``qwen/qwen3-14b``."""
        ...

    def settings(self, ask: Ask) -> Raw:
        """The body without its messages, as a JSON object; equal asks give equal bytes."""
        ...

    def ask(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """Send one request and yield what comes of it."""
        ...

    async def ready(self) -> None:
        """Load what the first request would have to load; optional, and quick when done before."""
        ...

    async def close(self) -> None:
        """Give back connections and processes."""
        ...


_BEGIN = b'{"messages":['


def join_body(messages: Iterable[Raw], settings: Raw) -> bytes:
    """The body of a request: its messages first, then its settings."""
    return _BEGIN + b",".join(messages) + b"]," + bytes(settings)[1:]


def _size(messages: Sequence[Raw]) -> int:
    return sum(map(len, messages)) + len(messages)


class Composer:
    """Makes the requests of one run; ``clean`` takes secrets out of JSON.

    Every message is hashed and encoded once, however many requests carry it.
    """

    def __init__(self, model: Model, clean: Callable[[Raw], Raw]) -> None:
        self.model = model
        self._clean = clean
        self._given = self._settings = Raw()
        from hashlib import sha256

        self._sha256 = sha256
        self._hash = sha256(_BEGIN)
        self._hashed = self._rewrites = 0

    def news(self, state: State, ask: Ask) -> tuple[int, tuple[Raw, ...]]:
        """What the next prompt holds that no reply has counted yet: the bytes of it, and the messages among it."""
        settings = self._masked(self.model.settings(ask))
        known = state.counted
        if known is None:
            return _size(state.messages) + len(settings) + len(_BEGIN), tuple(state.messages)
        messages = tuple(state.messages[known.messages :])
        return _size(messages) + (0 if settings == known.settings else len(settings)), messages

    def next(self, state: State, grant: Grant, live: bool = False) -> tuple[RequestSent, Request]:
        """The next request and the event that announces it."""
        ask = grant.ask
        settings = self._masked(self.model.settings(ask))
        number = state.requests + 1
        messages = tuple(state.messages)
        changed = settings if settings != state.settings else NOTHING
        sent = RequestSent(
            number=number,
            phase=ask.phase,
            messages=len(messages),
            sha256=self._hash_of(messages, settings, state.rewrites),
            settings=changed,
            rung=ask.rung,
            reserved=grant.reserved,
            basis=grant.basis if grant.basis != state.basis else "",
            held=grant.held,
        )
        body = join_body(messages, settings)
        return sent, Request(number, state.failures, ask, messages, settings, body, live)

    def _masked(self, settings: Raw) -> Raw:
        """What is sent is what is recorded: secrets in a tool's description are masked for both."""
        if settings != self._given:
            self._given, self._settings = settings, self._clean(settings)
        return self._settings

    def _hash_of(self, messages: tuple[Raw, ...], settings: Raw, rewrites: int) -> str:
        if rewrites != self._rewrites:
            self._hash, self._hashed, self._rewrites = self._sha256(_BEGIN), 0, rewrites
        for message in messages[self._hashed :]:
            self._hash.update(b"," + bytes(message) if self._hashed else bytes(message))
            self._hashed += 1
        whole = self._hash.copy()
        whole.update(b"]," + bytes(settings)[1:])
        return whole.hexdigest()
