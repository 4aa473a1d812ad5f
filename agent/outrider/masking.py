"""Secrets never enter the record: they are masked when an event is made.

So the live state, the model and the journal see the same text. A secret is found raw, base64-coded, URL-coded and
as JSON writes it; whatever has the exact shape of an OpenRouter key is a secret without being registered.
"""

import base64
import re
from collections.abc import Iterable
from typing import Any, TypeVar, cast
from urllib.parse import quote, quote_plus

import msgspec
from msgspec import Raw

from outrider import commands as c
from outrider import events as e
from outrider.errors import SetupError

AnyEvent = TypeVar("AnyEvent", bound=e.Durable)
AnyCommand = TypeVar("AnyCommand", bound=c.AnyCommand)

MASK = "[masked]"
SHORTEST = 6
"""Registered secrets shorter than this are refused: masking them would tear ordinary words apart."""

_KEY_SHAPE = r"sk-or-v1-[0-9a-f]{64}"
_KEY_START = "sk-or-v1-"


def _forms(secret: str) -> set[str]:
    forms = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), *_base64(secret.encode())}
    for _ in range(2):  # arguments are JSON inside JSON
        forms |= {escaped for form in forms for escaped in _escaped(form)}
    return forms


def _escaped(text: str) -> tuple[str, str, str]:
    """The text as it stands in JSON, which may write what is not ASCII as it is or as numbers, and in Python's repr.

    The message of a KeyError, for one, is the repr of what it was given.
    """
    import json  # only those who register secrets pay for it

    return msgspec.json.encode(text).decode()[1:-1], json.dumps(text)[1:-1], repr(text)[1:-1]


def _base64(raw: bytes) -> set[str]:
    """The secret alone and, as in ``user:secret``, inside other text: what of the code its bytes alone decide."""
    alone = base64.b64encode(raw).decode().rstrip("=")
    found = {alone}
    for before in range(3):
        inside = base64.b64encode(bytes(before) + raw).decode()
        found.add(inside[-(-before * 4 // 3) : (before + len(raw)) * 8 // 6])
    return found | {form.translate(str.maketrans("+/", "-_")) for form in found}


class Masking:
    """Replaces secrets in events and in live text by ``[masked]``."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        secrets = set(secrets)
        if any(len(secret) < SHORTEST for secret in secrets):
            raise SetupError(
                f"a secret of fewer than {SHORTEST} characters cannot be masked",
                "It would be found inside ordinary words. Use a longer secret, or leave it out of secrets.",
            )
        forms = {form for secret in secrets for form in _forms(secret)}
        self._forms = sorted(forms, key=len, reverse=True)
        self._text = re.compile("|".join([*map(re.escape, self._forms), _KEY_SHAPE]))
        escaped = {escaped for form in self._forms for escaped in _escaped(form)}  # as it stands in an event
        self._signs = tuple(sign.encode() for sign in {_KEY_START, *self._forms, *escaped})

    def text(self, text: str) -> str:
        """The text without secrets."""
        return self._text.sub(MASK, text)

    def event(self, event: AnyEvent) -> tuple[AnyEvent, bytes]:
        """The event without secrets, and its JSON."""
        body = e.encode(event)
        masked = self._masked(body)
        return (cast(AnyEvent, e.decode(masked)), masked) if masked else (event, body)

    def raw(self, json: Raw) -> Raw:
        """This JSON without secrets."""
        masked = self._masked(bytes(json))
        return Raw(masked) if masked else json

    def command(self, command: AnyCommand) -> AnyCommand:
        """The command without secrets: it waits on disk until the run takes it in."""
        masked = self._masked(msgspec.json.encode(command))
        return cast(AnyCommand, c.decode(masked)) if masked else command

    def _masked(self, body: bytes) -> bytes | None:
        """This JSON without secrets, or None when it has none."""
        if not any(sign in body for sign in self._signs):  # far faster than a pattern
            return None
        return msgspec.json.encode(self._walk(msgspec.json.decode(body)))

    def _walk(self, value: Any) -> Any:
        match value:
            case str():
                return self.text(value)
            case list():
                return [self._walk(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
            case dict():
                return {self.text(str(k)): self._walk(v) for k, v in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            case _:
                return value

    def held_back(self, text: str) -> int:
        """How many characters at the end of a growing text may be the beginning of a secret."""
        return max([_overlap(text, form) for form in self._forms] + [_key_overlap(text)])

    def settled(self, text: str) -> tuple[str, str]:
        """What of a growing text is known, without secrets, and the end of it that may still become one."""
        known, place = "", 0
        while True:
            unsure = len(text) - self.held_back(text[place:])
            found = self._text.search(text, place)
            if found is None or found.start() >= unsure:
                return known + text[place:unsure], text[unsure:]
            known += text[place : found.start()] + MASK
            place = found.end()


def _overlap(text: str, form: str) -> int:
    start = text.find(form[0], max(0, len(text) - len(form) + 1))
    while start >= 0:
        if form.startswith(text[start:]):
            return len(text) - start
        start = text.find(form[0], start + 1)
    return 0


def _key_overlap(text: str) -> int:
    start = text.rfind(_KEY_START, max(0, len(text) - len(_KEY_START) - 63))
    if start >= 0 and re.fullmatch(r"[0-9a-f]{0,63}", text[start + len(_KEY_START) :]):
        return len(text) - start
    return _overlap(text, _KEY_START)


class LiveMask:
    """Masks a stream of deltas, holding back what may be the beginning of a secret until it is known."""

    def __init__(self, masking: Masking) -> None:
        self._masking = masking
        self._held: dict[tuple[type, int, int], str] = {}

    def delta(self, event: e.Live) -> e.Live | None:
        """The delta as it may be shown, or None while all of it is held back."""
        key = (type(event), event.number, event.index if isinstance(event, e.ArgumentsDelta) else 0)
        text, held = self._masking.settled(self._held.pop(key, "") + event.text)
        if held:
            self._held[key] = held
        return msgspec.structs.replace(event, text=text) if text else None

    def rest(self) -> list[e.Live]:
        """What was held back, at the end of a reply: it did not grow into a longer secret."""
        held, self._held = self._held, {}
        made: list[e.Live] = []
        for (kind, number, index), unsure in held.items():
            text = self._masking.text(unsure)
            made.append(kind(number, text, index) if kind is e.ArgumentsDelta else kind(number, text))
        return made
