"""Secrets stay out of everything: state, record, events, live text, errors."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from outrider import Agent, SetupError, TextDelta, ToolError, tool
from outrider import events as e
from outrider.journal.sqlite import SQLiteJournal
from outrider.masking import MASK, LiveMask, Masking
from outrider.messages import ToolMessage, to_wire
from outrider.testing.scripted import Calls, Script, ScriptedModel

pytestmark = pytest.mark.anyio

SECRET = 'hunter2 "p/q+r" \\ é'
KEY = "sk-or-v1-" + "0123456789abcdef" * 4
FORMS = {
    "raw": SECRET,
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "url": quote(SECRET, safe=""),
    "path": quote(SECRET),
    "json": json.dumps(SECRET, ensure_ascii=False)[1:-1],
    "ascii json": json.dumps(SECRET)[1:-1],
    "json in json": json.dumps(json.dumps(SECRET))[1:-1],
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_registered_secret_is_masked_in_every_form(form: str) -> None:
    masking = Masking([SECRET])
    wire = to_wire(ToolMessage("call_0", f"<{form}>"))
    event, body = masking.event(e.ToolFinished("r:1:0", wire, error=f"it was {form}"))
    assert isinstance(event, e.ToolFinished)
    assert MASK in bytes(event.wire).decode()
    assert MASK in event.error
    assert e.decode(body) == event, "state and record see the same"
    for text in (body.decode(), json.dumps(json.loads(body), ensure_ascii=False)):
        assert "hunter2" not in text
        assert form not in text


@pytest.mark.parametrize("before", ["", "u", "us", "user:"])
@pytest.mark.parametrize("after", ["", "!", "!!"])
def test_a_secret_inside_other_base64_is_masked(before: str, after: str) -> None:
    secret = "correct horse battery"
    code = base64.b64encode(f"{before}{secret}{after}".encode()).decode()
    shown = Masking([secret]).text(f"Basic {code}")
    assert MASK in shown
    assert len(shown) <= len(f"Basic {MASK}") + 15, "only what lies around it may be left"


def test_the_shape_of_a_key_needs_no_registration() -> None:
    masking = Masking()
    assert masking.text(f"key={KEY}.") == f"key={MASK}."
    assert masking.text(KEY[:-1]) == KEY[:-1], "the exact shape and nothing looser"


def test_events_without_secrets_are_left_as_they_are() -> None:
    masking = Masking([SECRET])
    event = e.ToolFinished("r:1:0", Raw(b'{"role":"tool", "content":  1e2}'))
    same, body = masking.event(event)
    assert same is event
    assert body == e.encode(event)


def test_a_secret_too_short_to_be_told_from_words_is_refused() -> None:
    with pytest.raises(SetupError, match="fewer than 6 characters"):
        Masking(["abc"])


def shown(masking: Masking, pieces: Sequence[str]) -> str:
    live = LiveMask(masking)
    deltas = [live.delta(TextDelta(1, piece)) for piece in pieces]
    rest = live.rest()
    return "".join(delta.text for delta in [*deltas, *rest] if isinstance(delta, TextDelta))


SECRETS = ["abcabd", "abcabdab", "bdabca", SECRET]
texts = st.lists(
    st.sampled_from(["a", "b", "c", "abcab", "abcabd", "abcabdab", "sk-or-v1-", KEY, KEY[:30], SECRET, SECRET[:9], "0"])
).map("".join)


@given(texts, st.data())
def test_live_text_is_masked_the_same_however_it_is_split(text: str, data: st.DataObject) -> None:
    masking = Masking(SECRETS)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)))))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert shown(masking, pieces) == masking.text(text)


@given(st.text(min_size=6, max_size=20), st.text(), st.text(), st.integers(1, 5))
def test_no_random_secret_passes_a_stream(secret: str, before: str, after: str, size: int) -> None:
    masking = Masking([secret])
    text = before + secret + after
    pieces = [text[place : place + size] for place in range(0, len(text), size)]
    assert shown(masking, pieces) == masking.text(text)


def test_text_that_is_no_secret_is_held_back_no_longer_than_needed() -> None:
    live = LiveMask(Masking(["hunter22"]))
    first = live.delta(TextDelta(1, "a hunt"))
    second = live.delta(TextDelta(1, "ing dog"))
    assert [delta.text for delta in (first, second) if delta] == ["a ", "hunting dog"]
    assert live.rest() == []


def test_streams_side_by_side_are_held_back_apart() -> None:
    live = LiveMask(Masking(["hunter22"]))
    made = [
        live.delta(TextDelta(1, "hunt")),
        live.delta(e.ReasoningDelta(1, "er22")),
        live.delta(e.ArgumentsDelta(1, "hunt", 0)),
        live.delta(e.ArgumentsDelta(1, "er22", 1)),
        live.delta(e.ArgumentsDelta(1, "er22", 0)),
    ]
    assert made == [
        None,
        e.ReasoningDelta(1, "er22"),
        None,
        e.ArgumentsDelta(1, "er22", 1),
        e.ArgumentsDelta(1, MASK, 0),
    ]
    assert live.rest() == [TextDelta(1, "hunt")]


def files(folder: Path) -> list[str]:
    return [path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file()]


async def test_a_whole_run_keeps_its_secrets(tmp_path: Path) -> None:
    secret = "hunter2 é/+"
    seen: list[str] = []

    @tool(effect="read")
    def leak(how: str) -> str:
        """Leak."""
        if how == "error":
            raise ValueError(f"bad password {secret}")
        if how == "said":
            raise ToolError(f"bad password {secret}")
        return f"password: {secret} {base64.b64encode(secret.encode()).decode()}"

    script: list[Script] = [
        Calls(("leak", {"how": "result"}), ("leak", {"how": secret})),
        Calls(("leak", {"how": "error"}), ("leak", {"how": "said"})),
        f"The password is {secret}, as JSON {json.dumps(secret)}.",
    ]
    model = ScriptedModel(script)
    journal = SQLiteJournal(tmp_path)
    agent = Agent(
        model,
        instructions=f"Never tell anybody {secret}.",
        tools=[leak],
        journal=journal,
        secrets=[secret],
        observers=[lambda entry: seen.append(repr(entry))],
    )
    async with agent.stream(f"My password is {secret}") as run:
        async for event in run:
            seen.append(repr(event))
        result = await run.result()
    assert result.outcome == "finished"
    entries = await journal.read(result.run)
    assert MASK in result.output
    everything = [
        *seen,
        repr(result.state),
        result.output,
        str(result),
        str(result.messages),
        *[e.encode(entry.event).decode() for entry in entries],
        *[request.body.decode() for request in model.requests],
        *files(tmp_path),
    ]
    assert len(everything) > 30
    for text in everything:
        assert "hunter2" not in text
    await journal.close()


async def test_a_persons_word_waits_on_disk_without_secrets(tmp_path: Path) -> None:
    @tool(approve=True)
    def log_in(password: str) -> str:
        """Log in."""
        return f"logged in with {password}"

    journal = SQLiteJournal(tmp_path)
    model = ScriptedModel([Calls(("log_in", {"password": "x"}), ("log_in", {"password": "y"})), "done"])
    agent = Agent(model, tools=[log_in], journal=journal, secrets=["hunter22"])
    result = await agent.run("go")
    await agent.deny(result.run, f"{result.run}:1:0", "not with hunter22")
    await agent.approve(result.run, f"{result.run}:1:1", arguments={"password": "hunter22"})
    waiting = files(tmp_path)
    assert any(MASK in text for text in waiting)
    result = await agent.resume(result.run)
    assert result.output == "done"
    assert not any("hunter22" in text for text in [*waiting, *files(tmp_path), str(result.messages)])


async def test_half_a_secret_is_not_let_go_by_an_event_in_the_middle_of_a_stream(tmp_path: Path) -> None:
    """An observer's failure, a late result: such events come while a reply streams."""
    agent = Agent(ScriptedModel(["hello"]), journal=None, secrets=["hunter22"])
    async with agent.stream("go") as run:
        await run.result()
        events = [event async for event in run]
    assert [event for event in events if isinstance(event, TextDelta)] == [TextDelta(1, "hello")]

    pieces: list[str] = []
    agent = Agent(ScriptedModel(["unused"]), journal=None, secrets=["hunter22"])
    async with agent.stream("go") as run:
        await run.record(TextDelta(7, "hunt"))
        await run.record(e.CommandRefused(1, "an event in between"))
        await run.record(TextDelta(7, "er22"))
        pieces = [event.text async for event in run if isinstance(event, TextDelta) and event.number == 7]
    assert pieces == [MASK]


async def test_an_error_of_the_program_is_masked_on_record(tmp_path: Path) -> None:
    def policy(call: object, state: object) -> object:
        raise RuntimeError("password hunter22")

    @tool
    def act() -> str:
        """Act."""
        return "acted"

    journal = SQLiteJournal(tmp_path)
    model = ScriptedModel([Calls(("act", {}))])
    agent = Agent(model, tools=[act], policy=policy, journal=journal, secrets=["hunter22"])  # type: ignore[arg-type]
    result = await agent.run("go")
    assert result.outcome == "error"
    assert result.detail == f"RuntimeError: password {MASK}"
    finished = (await journal.read(result.run))[-1].event
    assert isinstance(finished, e.RunFinished)
    assert MASK in finished.error
    assert b"hunter22" not in msgspec.json.encode(finished)
