"""The catalogue on this machine: what OpenRouter lists, fetched now and then and kept with the time it was fetched.

What is kept serves at any age, and its age is told; a file that cannot be read counts as not there. Each server has a
folder of its own in the cache (cache.py).
"""

import os
import time
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Literal, TypeVar, cast
from urllib.parse import quote

import msgspec
from msgspec import Struct

from outrider.cache import cache_home
from outrider.errors import SetupError
from outrider.messages import decoder_of
from outrider.openrouter.catalogue import Endpoint, ModelCard, endpoints_from, find, models_from
from outrider.openrouter.page import Refused, asked
from outrider.openrouter.settings import Settings, is_openrouter

if TYPE_CHECKING:
    from outrider.openrouter.transport import Line

DAY = 86400.0
FETCH_SECONDS = 30.0
LOOK_SECONDS = 5.0
MOST_IN_MEMORY = 100

_DYNAMIC = (":nitro", ":floor", ":exacto", ":online")
"""Ways to choose among the providers of a model; not models of their own."""

Row = TypeVar("Row", ModelCard, Endpoint)


class Kept(Struct, Generic[Row], frozen=True):
    """Rows of the catalogue, and when they were ``fetched`` in Unix seconds."""

    fetched: float
    rows: tuple[Row, ...]
    schema: Literal[1] = 1

    @property
    def age(self) -> float:
        """Seconds since they were fetched; a time ahead, from a clock that was wrong, counts as one behind."""
        return abs(time.time() - self.fetched)


_read: dict[Path, tuple[tuple[int, int], object]] = {}
"""What was in each file when it was last written, by its time and size."""


def kept_models(settings: Settings) -> Kept[ModelCard] | None:
    """The models that are kept of this server, or None."""
    try:
        return _kept(_models_file(settings), Kept[ModelCard])
    except SetupError:  # no place for a cache
        return None


def kept_endpoints(settings: Settings, model: str) -> Kept[Endpoint] | None:
    """The providers that are kept of a model, or None."""
    try:
        return _kept(_endpoints_file(settings, model), Kept[Endpoint])
    except SetupError:
        return None


async def fetch_models(settings: Settings) -> Kept[ModelCard]:
    """Ask for the list of models and keep it; this needs no key. Raises Refused, and SetupError for the cache."""
    rows = await asked(settings, key_or_none(settings), "/models", FETCH_SECONDS, models_from)
    return _keep(_models_file(settings), Kept(time.time(), rows))


async def fetch_endpoints(
    settings: Settings, model: str, seconds: float = FETCH_SECONDS, line: "Line | None" = None
) -> Kept[Endpoint]:
    """Ask for the providers of a model and keep them. With a key OpenRouter says also how fast they are."""
    path = f"/models/{quote(plain_name(settings, model), safe='/:')}/endpoints"
    rows = await asked(settings, key_or_none(settings), path, seconds, endpoints_from, line)
    return _keep(_endpoints_file(settings, model), Kept(time.time(), rows))


async def look(settings: Settings, model: str, line: "Line") -> None:
    """Fetch the providers of a model unless that was tried within a day. What fails changes nothing.

    Only of OpenRouter's own server, unless ``settings.catalogue`` says otherwise; within five seconds.
    """
    if not asks(settings):
        return
    try:
        tried = _endpoints_file(settings, model).with_suffix(".tried")
        kept = kept_endpoints(settings, model)
        if (kept and kept.age < DAY) or (tried.exists() and 0 <= time.time() - tried.stat().st_mtime < DAY):
            return
        tried.parent.mkdir(parents=True, exist_ok=True)
        tried.touch()
        await fetch_endpoints(settings, model, LOOK_SECONDS, line)
    except (Refused, SetupError, OSError):
        pass  # the catalogue is a help: a request tells what it would have told


def asks(settings: Settings) -> bool:
    """Whether the server is asked for its lists unbidden: OpenRouter's own is, and any that ``catalogue`` says."""
    return is_openrouter(settings.base_url) if settings.catalogue is None else settings.catalogue


def plain_name(settings: Settings, model: str) -> str:
    """The model whose providers serve this name: without a preset and a way to choose among them."""
    name = model.partition("@")[0] or model
    kept = kept_models(settings)
    if kept and (card := find(kept.rows, name)):
        return card.name
    base, _, variant = name.rpartition(":")
    return base if f":{variant}" in _DYNAMIC else name


def key_or_none(settings: Settings) -> str:
    """The key, or an empty text: what is asked here needs none."""
    try:
        return settings.key()
    except SetupError:
        return ""


def _models_file(settings: Settings) -> Path:
    return _folder(settings) / "models.json"


def _endpoints_file(settings: Settings, model: str) -> Path:
    return _folder(settings) / "endpoints" / f"{quote(plain_name(settings, model), safe='')}.json"


def _folder(settings: Settings) -> Path:
    url = settings.base_url.rstrip("/")
    host = quote(url.partition("://")[2].partition("/")[0], safe="")
    return cache_home() / "catalogue" / f"{host}-{sha256(url.encode()).hexdigest()[:8]}"


def _kept(path: Path, kind: type[Kept[Row]]) -> Kept[Row] | None:
    """What is in a file, read once for each time it is written."""
    try:
        about = path.stat()
        stamp = (about.st_mtime_ns, about.st_size)
        known = _read.get(path)
        if known is None or known[0] != stamp:
            if len(_read) > MOST_IN_MEMORY:
                _read.clear()
            known = _read[path] = (stamp, _decoded(path.read_bytes(), kind))
    except OSError:
        return None
    return cast("Kept[Row] | None", known[1])  # a path has one kind of rows


def _decoded(data: bytes, kind: type[Kept[Row]]) -> Kept[Row] | None:
    try:
        return decoder_of(kind).decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _keep(path: Path, kept: Kept[Row]) -> Kept[Row]:
    """Write a file whole or not at all. A cache that cannot be written to is no mistake: all is fetched again then."""
    import tempfile  # costs the start of a program more than the rest of this file

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, fresh = tempfile.mkstemp(dir=path.parent, prefix="fresh-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.encode(kept))
            os.replace(fresh, path)
        except BaseException:
            os.unlink(fresh)
            raise
    except OSError:
        pass
    return kept
