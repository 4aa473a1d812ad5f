"""OpenRouter as the owner of a key sees it: through the frame, and past it, with one purse for everything asked."""

import json
import os
from decimal import Decimal
from typing import Any, TypeVar, cast
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from outrider import Agent, Limits, Result, Settings
from outrider.openrouter.settings import DEFAULT_MODEL

PURSE = Decimal("0.01")
"""Dollars that all checks together may cost."""

SECONDS = 180.0
T = TypeVar("T")


class Live:
    """OpenRouter, asked. ``spent`` is the bill so far, in dollars, ``seen`` what there is to tell."""

    def __init__(self, key: str) -> None:
        self.spent = Decimal(0)
        self.seen: list[str] = []
        self.base_url = os.environ.get("OUTRIDER_BASE_URL") or Settings().base_url
        self._key = key

    @property
    def settings(self) -> Settings:
        """Settings for short replies: a thinking model needs some room."""
        return Settings(api_key=self._key, base_url=self.base_url, max_tokens=1500, retries=2)

    @property
    def limits(self) -> Limits:
        """What is left in the purse, and no more than a check needs."""
        assert self.spent < PURSE, f"the checks have cost {self.spent} dollars"
        return Limits(turns=6, tool_calls=6, seconds=SECONDS, dollars=min(PURSE - self.spent, PURSE / 4))

    def run(self, agent: "Agent[None, T]", task: str) -> Result[T]:
        """Run a task and put its bill to the others."""
        result = agent.run_sync(task)
        self.spent += result.cost or 0
        return result

    def saw(self, fact: str, *found: object) -> None:
        """Note what was seen, for the list at the end."""
        self.seen.append(f"{fact}: {' '.join(map(str, found))}")

    def get(self, path: str) -> tuple[int, Any]:
        """Status and JSON of a GET."""
        status, body = self._call(Request(self.base_url + path))
        return status, _json(body)

    def post(self, **body: Any) -> tuple[int, bytes]:
        """Status and bytes of a chat request past the frame, its bill noted. Sends nothing once the purse is empty."""
        assert self.spent < PURSE, f"the checks have cost {self.spent} dollars"
        told: dict[str, Any] = {"model": DEFAULT_MODEL, "max_tokens": 600, **body}
        data = json.dumps(told).encode()
        status, answer = self._call(Request(self.base_url + "/chat/completions", data, method="POST"))
        for found in (_json(answer), *chunks(answer)):
            self.spent += Decimal(str(at(found, "usage", "cost") or 0))
        return status, answer

    def _call(self, request: Request) -> tuple[int, bytes]:
        request.add_header("Authorization", f"Bearer {self._key}")
        request.add_header("Content-Type", "application/json")
        try:
            with urlopen(request, timeout=SECONDS) as answer:
                return answer.status, answer.read()
        except HTTPError as error:
            with error:
                return error.code, error.read()


def chunks(stream: bytes) -> list[Any]:
    """The JSON of a stream's events."""
    return [_json(line[5:]) for line in stream.splitlines() if line.startswith(b"data:") and b"[DONE]" not in line]


def at(value: Any, *path: str) -> Any:
    """What is at a path of names, or None."""
    for name in path:
        value = cast("dict[str, Any]", value).get(name) if isinstance(value, dict) else None
    return value


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return {}
