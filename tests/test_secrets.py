"""Five hundred runs with canaries wherever a text comes in; then they are looked for in all that is left."""

import asyncio
import base64
import json
import random
import string
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import structlog
from pydantic import SecretStr

from outrider import Agent, Limits, Result, ToolError, ask_before, tool
from outrider import commands as c
from outrider import events as e
from outrider.journal.lines import lines
from outrider.journal.sqlite import SQLiteJournal
from outrider.observe.logs import log_events
from outrider.policy import default_policy
from outrider.testing import Calls, ScriptedModel

pytestmark = pytest.mark.anyio
RUNS = 500
LETTERS = string.ascii_letters + string.digits + '+/ "\\&=é%'


def canary(lot: random.Random) -> str:
    """A secret with a word in it that is nowhere else; every third has the shape of a key, registered by nobody."""
    if not lot.randrange(3):
        return "sk-or-v1-" + "".join(lot.choices("0123456789abcdef", k=64))
    return "".join(lot.choices(LETTERS, k=lot.randint(4, 12))) + "".join(lot.choices(string.ascii_letters, k=14))


def forms(secret: str) -> list[str]:
    raw = secret.encode()
    return [
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode(),
        base64.b64encode(b"user:" + raw + b"!").decode(),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
    ]


def traces(secret: str) -> Iterator[str]:
    """What would show that it is there: the word of it, and the middle of what it is in base64."""
    yield secret[-12:]
    for before in range(3):
        yield base64.b64encode(bytes(before) + secret.encode()).decode()[8:-8]


async def one_run(number: int, lot: random.Random, journal: SQLiteJournal, seen: list[str]) -> tuple[str, Result[Any]]:
    secret = canary(lot)
    by_shape = secret.startswith("sk-or-v1-")
    said = lambda: f"<{lot.choice(forms(secret) if not by_shape else [secret])}>"  # noqa: E731

    @tool
    def leak(way: str, about: str = "") -> str:
        """Leak."""
        if way == "error":
            raise ToolError(said())
        if way == "raise":
            try:
                raise KeyError(said())
            except KeyError as error:
                error.add_note(said())
                raise RuntimeError(said()) from error
        return said()

    def observer(entry: e.Entry) -> None:
        seen.append(repr(entry))
        if entry.seq == 4:
            raise ValueError(said())

    way = lot.choice(["result", "error", "raise"])
    script: list[Any] = [
        Calls(("leak", {"way": way, "about": said()}), (said(), {})),
        e.RequestFailed(0, "busy", said(), "retry", status=503, raw=said()),
        Calls(("leak", {"way": way}), ("leak", said())),
        lot.choice([said(), {"answer": said()}, e.RequestFailed(0, "bad", said(), "stop", hint=said(), raw=said())]),
    ]
    secrets: Sequence[str | SecretStr] = () if by_shape else [lot.choice([secret, SecretStr(secret)])]
    agent = Agent(
        ScriptedModel(script),
        instructions=said(),
        tools=[leak],
        journal=journal,
        secrets=secrets,
        policy=ask_before("write") if number % 2 else default_policy,
        observers=[observer, log_events()],
        limits=Limits(turns=lot.choice([2, 9])),
        output=dict[str, str] if number % 3 else None,
    )

    def objects(answer: Any) -> None:
        raise ValueError(said())

    checked = agent.checked(objects) if not number % 5 else agent
    async with checked.stream(said()) as run:
        seen.extend([repr(event) async for event in run])
        result: Result[Any] = await run.result()
    result = await answered(checked, result, said)
    return secret, result


async def answered(agent: Agent[None, Any], result: Result[Any], said: Callable[[], str]) -> Result[Any]:
    """The run, after people have consented, refused and said more."""
    for round_of_words in range(4):
        if result.state.paused != "approval":
            break
        for place, call in enumerate(result.state.owed_calls()):
            if place % 2 == round_of_words % 2:
                await agent.approve(result.run, call.call.id, arguments={"way": "result", "about": said()}, by=said())
            else:
                await agent.deny(result.run, call.call.id, said(), by=said())
        await agent.journal.tell(result.run, agent._masking.command(c.Say(said(), said())))  # pyright: ignore[reportPrivateUsage]
        result = await agent.resume(result)
    return result


def all_of(result: Result[Any]) -> Iterator[str]:
    yield from (repr(result.messages), str(result), repr(result), repr(result.partial), result.detail)
    yield repr(result.state)
    try:
        yield repr(result.output)
    except Exception as error:  # noqa: BLE001 - whatever it says
        yield f"{error} {error!r}"


def on_disk(folder: Path) -> str:
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file()).decode("latin-1")


async def test_five_hundred_canaries_are_nowhere(tmp_path: Path) -> None:
    lot, journal, seen = random.Random(5), SQLiteJournal(tmp_path), list[str]()
    secrets: list[str] = []
    outcomes: set[str] = set()
    with structlog.testing.capture_logs() as logs:
        for number in range(RUNS):
            secret, result = await asyncio.wait_for(one_run(number, lot, journal, seen), 60)
            secrets.append(secret)
            outcomes.add(result.outcome)
            seen.extend(all_of(result))
            seen.extend(line.decode() for line in lines(result.run, await journal.read(result.run)))
    files = on_disk(tmp_path)
    await journal.close()
    assert {"finished", "provider", "limit"} <= outcomes
    assert len(logs) > RUNS
    haystack = "\n".join([*seen, repr(logs), files])
    found = [(secret, trace) for secret in secrets for trace in traces(secret) if trace in haystack]
    assert len(secrets) == RUNS
    assert not found, f"{len(found)} found, the first: {found[0]}"
