"""Secrets never enter the record: they are masked when an event is made.

So the live state, the model and the journal see the same text. A secret is found raw, base64-coded, URL-coded and
as JSON writes it; whatever has the exact shape of an OpenRouter key is a secret without being registered.
"""

import base64
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Raw

from outrider import events as e
from outrider.errors import SetupError

MASK = "[masked]"
SHORTEST = 6
"""Registered secrets shorter than this are refused: masking them would tear ordinary words apart."""

_KEY_SHAPE = r"sk-or-v1-[0-9a-f]{64}"
_KEY_START = "sk-or-v1-"


def _forms(secret: str) -> set[str]:
    raw = secret.encode()
    forms = {secret, quote(secret), quote(secret, safe=""), base64.b64encode(raw).decode().rstrip("=")}
    forms.add(base64.urlsafe_b64encode(raw).decode().rstrip("="))
    for form in tuple(forms):  # arguments are JSON inside JSON
        forms.add(msgspec.json.encode(form).decode()[1:-1])
    return forms


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
        # Inside the event's JSON a secret may be escaped once or twice, so the search knows those forms as well.
        escaped = {msgspec.json.encode(form).decode()[1:-1] for form in self._forms}
        twice = {msgspec.json.encode(form).decode()[1:-1] for form in escaped}
        known = sorted(escaped | twice, key=len, reverse=True)
        self._bytes = re.compile("|".join([*map(re.escape, known), _KEY_SHAPE]).encode())

    def text(self, text: str) -> str:
        """The text without secrets."""
        return self._text.sub(MASK, text)

    def event(self, event: e.Durable) -> tuple[e.Durable, bytes]:
        """The event without secrets, and its JSON."""
        body = e.encode(event)
        if not self._bytes.search(body):
            return event, body
        body = msgspec.json.encode(self._walk(msgspec.json.decode(body)))
        return e.decode(body), body

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


def _overlap(text: str, form: str) -> int:
    start = text.find(form[0], max(0, len(text) - len(form) + 1))
    while start >= 0:
        if form.startswith(text[start:]):
            return len(text) - start
        start = text.find(form[0], start + 1)
    return 0


def _key_overlap(text: str) -> int:
    start = text.rfind(_KEY_START, max(0, len(text) - len(_KEY_START) - 63))
    if start < 0:
        return _overlap(text, _KEY_START)
    return len(text) - start if re.fullmatch(r"[0-9a-f]{0,63}", text[start + len(_KEY_START) :]) else 0


class LiveMask:
    """Masks a stream of deltas, holding back what may be the beginning of a secret until it is known."""

    def __init__(self, masking: Masking) -> None:
        self._masking = masking
        self._held: dict[tuple[type, int, int], str] = {}

    def delta(self, event: e.Live) -> e.Live | None:
        """The delta as it may be shown, or None while all of it is held back."""
        key = (type(event), event.number, event.index if isinstance(event, e.ArgumentsDelta) else 0)
        text = self._masking.text(self._held.pop(key, "") + event.text)
        if keep := self._masking.held_back(text):
            self._held[key] = text[-keep:]
            text = text[:-keep]
        return msgspec.structs.replace(event, text=text) if text else None

    def rest(self) -> list[e.Live]:
        """What was held back and turned out to be no secret."""
        held, self._held = self._held, {}
        made: list[e.Live] = []
        for (kind, number, index), text in held.items():
            made.append(kind(number, text, index) if kind is e.ArgumentsDelta else kind(number, text))
        return made
