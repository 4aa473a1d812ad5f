"""A model asked once and recorded; from then on its replies come from the file, for free and offline."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from outrider.differ import first_difference
from outrider.errors import SetupError
from outrider.events import Live, Replied, RequestAccepted, RequestFailed, TextDelta
from outrider.messages import decoded, text_of
from outrider.model import Ask, Model, ModelEvent, Request
from outrider.openrouter.settings import Settings

_Kept = RequestAccepted | RequestFailed | Replied


class _Exchange(Struct, frozen=True):
    """A line of the file: a request's body without its session, and what came of it."""

    request: Raw
    events: tuple[_Kept, ...]


_decoder: msgspec.json.Decoder[_Exchange] = msgspec.json.Decoder(_Exchange)


class Recorder:
    """Replies from the file at ``path``; while there is no such file, asks ``model`` and writes it.

    ``model`` is a model's name on OpenRouter (default: the usual one) or an object with the Model protocol. A
    request is found again by its body, all of it but the run's name. One that was not recorded fails and says where
    it differs from the next recorded one: delete the file to record anew. Retries are replayed without waiting.

        def test_the_forecast() -> None:
            agent = Agent(Recorder("tests/recorded/forecast.jsonl"), tools=[weather], journal=None)
            assert "21" in agent.run_sync("How warm is it in Paris?").output

    Raises SetupError when the file is no recording.
    """

    def __init__(self, path: str | Path, model: str | Model | None = None) -> None:
        from outrider.openrouter import OpenRouter

        self._path = Path(path)
        self._model: Model = OpenRouter() if model is None else OpenRouter(model) if isinstance(model, str) else model
        self._replays = self._path.exists()
        self._exchanges = _read(self._path) if self._replays else []
        self._used: set[int] = set()

    @property
    def name(self) -> str:
        """The recorded model's name."""
        return self._model.name

    @property
    def options(self) -> Settings:
        """The settings of the recorded model: what must be masked, and more."""
        return getattr(self._model, "options", None) or Settings()

    @property
    def stronger(self) -> str:
        """The recorded model's stronger one, or ""."""
        return getattr(self._model, "stronger", "")

    def settings(self, ask: Ask) -> Raw:
        """The body as the recorded model makes it."""
        return self._model.settings(ask)

    async def ask(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The recorded reply to this request, or the model's own, which is then recorded."""
        body = _comparable(request.body)
        if not self._replays:
            kept: list[_Kept] = []
            async for event in self._model.ask(request):
                if not isinstance(event, Live):
                    kept.append(event)
                yield event
            self._write(_Exchange(Raw(msgspec.json.encode(body)), tuple(kept)))
            return
        exchange = self._find(body)
        if exchange is None:
            yield RequestFailed(
                request.number,
                "not_recorded",
                f"{self._path} has no such request: {self._difference(body)}",
                "stop",
                hint=f"Delete {self._path} and run once with a key to record it anew.",
            )
            return
        for event in exchange.events:
            if isinstance(event, Replied) and request.live and (text := text_of(event.wire)):
                yield TextDelta(request.number, text)
            yield _at(event, request.number)

    async def ready(self) -> None:
        """Nothing to load for a replay."""
        if not self._replays:
            await self._model.ready()

    async def close(self) -> None:
        """Give back what the recorded model holds."""
        if not self._replays:
            await self._model.close()

    def _find(self, body: Any) -> _Exchange | None:
        """The next exchange with this request; the last one again, when all of them have been used."""
        equal = [n for n, kept in enumerate(self._exchanges) if msgspec.json.decode(kept.request) == body]
        if not equal:
            return None
        place = next((n for n in equal if n not in self._used), equal[-1])
        self._used.add(place)
        return self._exchanges[place]

    def _difference(self, body: Any) -> str:
        left = [kept for n, kept in enumerate(self._exchanges) if n not in self._used]
        if not left:
            return f"all of its {len(self._exchanges)} have been replayed"
        return f"the next one there differs at {first_difference(msgspec.json.decode(left[0].request), body)}"

    def _write(self, exchange: _Exchange) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(exchange) + b"\n")


def _read(path: Path) -> list[_Exchange]:
    exchanges: list[_Exchange] = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            exchanges.append(decoded(_decoder, line))
        except msgspec.DecodeError as error:
            hint = "Delete the file and record anew."
            raise SetupError(f"{path}:{number}: this is no recording ({error})", hint) from None
    return exchanges


def _comparable(body: bytes) -> dict[str, Any]:
    """The body without what names the run."""
    whole: dict[str, Any] = msgspec.json.decode(body)
    whole.pop("session_id", None)
    return whole


def _at(event: _Kept, number: int) -> _Kept:
    if isinstance(event, RequestFailed):
        return replace(event, number=number, delay=0.0)
    return replace(event, number=number)
