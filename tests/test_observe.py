"""Readers of a run's events."""

import asyncio
import io
import logging
import sys
import time
from decimal import Decimal
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from structlog.testing import CapturingLogger

from outrider import Agent, tool
from outrider.events import (
    ApprovalGiven,
    Detour,
    Entry,
    MessageAdded,
    OutputRejected,
    Replied,
    RequestFailed,
    RunFinished,
    RunResumed,
    RunStarted,
)
from outrider.messages import AssistantMessage, Limits, ToolCall, Usage, UserMessage, WireCall, WireFunction, to_wire
from outrider.observe.glass import Glass
from outrider.observe.line import Line, toned
from outrider.observe.logs import log_events
from outrider.observe.paint import cells, end, rows
from outrider.observe.status import Now, now_of, status
from outrider.observe.story import story
from outrider.observe.terminal import call_name, call_text, lines, short
from outrider.state import Call, State
from outrider.telling import clean, figures, pretty
from outrider.testing.scripted import Calls, ScriptedModel
from outrider.times import when

pytestmark = pytest.mark.anyio


@tool(effect="read")
def weather(city: str) -> str:
    """Tomorrow's weather for a city."""
    return f"{city}: 21 degrees"


def agent(observer: Any, model: ScriptedModel | None = None) -> Agent[None, str]:
    script = model or ScriptedModel([Calls(("weather", {"city": "Paris"})), "Warm."])
    return Agent(script, tools=[weather], journal=None, observers=[observer])


async def test_every_entry_is_logged_with_its_run() -> None:
    logger = CapturingLogger()
    one = agent(log_events(logger))
    results = await asyncio.gather(*(one.run(f"task {number}") for number in range(3)))
    for result in results:
        calls = [call for call in logger.calls if call.kwargs["run"] == result.run]
        assert [call.kwargs["seq"] for call in calls] == list(range(1, result.state.seq + 1))
        assert [call.args[0] for call in calls][-2:] == ["output_accepted", "run_finished"]
        assert {call.method_name for call in calls} == {"info"}


async def test_what_goes_wrong_is_a_warning() -> None:
    logger = CapturingLogger()
    await agent(log_events(logger), ScriptedModel([])).run("task")
    (warning,) = [call for call in logger.calls if call.method_name == "warning"]
    assert (warning.args[0], warning.kwargs["reason"]) == ("request_failed", "script_exhausted")


async def test_lines_and_story_tell_a_run_and_any_beginning_of_it() -> None:
    entries: list[Entry] = []
    await agent(entries.append).run("How warm?")
    state, told = State(), list[str]()
    for entry in entries:
        told += lines(entry, state)
        state.add(entry)
    assert '  weather(city="Paris")' in told
    assert "  weather -> Paris: 21 degrees" in told
    for length in range(len(entries)):
        assert "unfinished" in list(story(entries[:length]))[-1].text
    assert list(story(entries))[-1].text.startswith("finished · 2 requests · 1 tool call")


async def test_a_story_shows_what_a_person_said_and_the_arguments_put_in_place() -> None:
    entries = [
        Entry(1, 0.0, RunStarted("r", "task", "agent", "local", (), Limits())),
        Entry(2, 0.0, MessageAdded(to_wire(UserMessage("In French,\nplease")), "user")),
        Entry(3, 0.0, Replied(1, to_wire(AssistantMessage("Vu.")), "stop", Usage(5), "some", "some")),
        Entry(4, 0.0, ApprovalGiven("r:1:0", 3, True, "cli", Raw(b'{"amount":2}'))),
    ]
    told = "\n".join(line.text for line in story(entries))
    assert "a message from user\n    In French,\n    please\n" in told
    assert f"allowed by cli, with other arguments · {when(0.0)}\n    {{\n" in told
    assert '"amount": 2' in told
    assert "  5 tokens · cost unknown · some\n" in told


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        (Limits(), "25 turns, 600 seconds, $1, 3 repeats"),
        (Limits(turns=1, tool_calls=2, seconds=None, dollars=0.05, repeats=None), "1 turn, 2 tool calls, $0.05"),
        (Limits(turns=None, seconds=None, dollars=None, repeats=None), "none"),
    ],
)
def test_limits_are_told_as_people_write_them(limits: Limits, told: str) -> None:
    lines = [line.text for line in story([Entry(1, 0.0, RunStarted("r", "task", "agent", "local", (), limits))])]
    assert f"limits: {told}" in lines


def test_times_say_how_far_they_are_from_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        started = RunStarted("r", "task", "agent", "local", (), Limits())
        told = [line.text for line in story([Entry(1, 0.0, started), Entry(2, 60.0, RunResumed("cli", Limits()))])]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert told[0] == "run r · agent · local · 1970-01-01 05:30:00+05:30"
    assert any(line.startswith("resumed · 1970-01-01 05:31:00+05:30 · ") for line in told)


def test_a_traceback_is_followed_by_one_blank_line() -> None:
    failed = RunFinished("error", detail="it broke", error="Traceback:\n  ValueError: no\n")
    entries = [Entry(1, 0.0, RunStarted("r", "task", "agent", "local", (), Limits())), Entry(2, 0.0, failed)]
    told = [row for line in story(entries) for row in line.text.split("\n")]
    after = told[told.index("      ValueError: no") + 1 :]
    assert (after[0].strip(), after[1].startswith("to go on, with its flags: ")) == ("", True)


def test_a_failure_that_is_tried_again_is_one_sentence() -> None:
    failed = RequestFailed(1, "overloaded", "The server is overloaded.", "retry", 503, 0.5)
    (line,) = lines(Entry(1, 0.0, failed), State())
    assert line == "request 1 failed: overloaded 503: The server is overloaded; again in 0.5 s · not billed"


def test_a_retry_that_fails_alike_is_told_in_short_and_the_last_one_whole() -> None:
    state, told = State(), list[str]()
    failures = [
        RequestFailed(1, "connection", "No network.", "retry", delay=0.5),
        RequestFailed(2, "connection", "No network.", "retry", delay=1.0),
        RequestFailed(3, "overloaded", "It is busy.", "retry", 503, 2.0),
        RequestFailed(4, "overloaded", "It is busy.", "retry", 503),
        RequestFailed(5, "overloaded", "It is busy.", "stop", 503, hint="Wait."),
    ]
    for seq, failed in enumerate(failures):
        entry = Entry(seq, 0.0, failed)
        told += lines(entry, state)
        state.add(entry)
    assert told == [
        "request 1 failed: connection: No network; again in 0.5 s · not billed",
        "request 2 failed: connection; again in 1.0 s · not billed",
        "request 3 failed: overloaded 503: It is busy; again in 2.0 s · not billed",
        "request 4 failed: overloaded 503 · not billed",
        "request 5 failed: overloaded 503: It is busy. · not billed",
        "  Wait.",
    ]


def test_a_reply_by_rule_does_not_look_like_one_that_nobody_counted() -> None:
    by_rule = Replied(1, to_wire(AssistantMessage("{}")), "stop", Usage(cost=Decimal(0)), "local", "local")
    assert lines(Entry(1, 0.0, by_rule), State()) == ["  by rule, without asking the model · $0.00"]
    state = State(model="local", requests=1, turns=1, usage=by_rule.usage)
    assert figures(state) == "1 request · 0 tool calls · $0.00 · 0.0 s"


def test_a_call_without_arguments_is_shown_without_them() -> None:
    calls = [WireCall("a", WireFunction("clock", "{\n}")), WireCall("b", WireFunction("look", '{"at":1}'))]
    replied = Replied(1, to_wire(AssistantMessage(tool_calls=tuple(calls))), "tool_calls", Usage(5))
    told = "\n".join(line.text for line in story([Entry(1, 0.0, replied)]))
    assert '  calls clock\n  calls look\n    {"at":1}\n' in told


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (Raw(b'"a\\nb"'), "a\nb"),
        ({"a": {}}, '{\n  "a": {}\n}'),
        (b"{}", "{}"),
        (b"{\xff", "{\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_json_for_people(value: object, told: str) -> None:
    assert pretty(value) == told


async def test_how_a_run_ends_is_said_once() -> None:
    for script, reason in (([], "the script has 0 replies"), ([Calls(("weather", {"city": "P"}))], "limit turns")):
        state, told = State(), list[str]()

        def watch(entry: Entry, state: State = state, told: list[str] = told) -> None:
            told.extend(lines(entry, state))
            state.add(entry)

        limits = Limits(turns=1)
        await Agent(ScriptedModel(script), tools=[weather], limits=limits, journal=None, observers=[watch]).run("x")
        assert sum(reason in line for line in told) == 1


async def test_a_long_text_is_cut_and_says_so() -> None:
    entries: list[Entry] = []
    await agent(entries.append).run("x" * 5000)
    assert "1000 more characters" in "\n".join(line.text for line in story(entries))


def test_texts_cannot_steer_a_terminal() -> None:
    family = "\U0001f468\u200d\U0001f469"
    assert clean(family) == family
    assert clean("a\x1b[2Jb\x07\u202ec\n\td") == "a�[2Jb��c\n\td"
    assert short("one\n  two " + "x" * 1000, 10) == "one two xx…"
    assert call_text("pay", '{"amount": 3, "to": "a\\nb"}') == 'pay(amount=3, to="a\\nb")'
    assert call_text("pay", "not JSON") == "pay(not JSON)"


# ------------------------------------------------------------------------------------------------ on a terminal


def test_what_came_to_nothing_says_its_price() -> None:
    def said(event: Any, before: State | None = None) -> str:
        (line,) = lines(Entry(1, 0.0, event), before or State())
        return line

    failed = RequestFailed(1, "cut_off", "The stream broke off.", "retry", 0, 0.0, "unknown")
    assert said(failed).endswith("The stream broke off. · may have been billed")
    billed = RequestFailed(1, "empty", "Empty.", "retry", 0, 0.0, "usage", Usage(cost=Decimal("0.0003")))
    assert said(billed).endswith("Empty. · $0.00030")
    before = State(phase="answer")
    before.last_reply = Replied(1, to_wire(AssistantMessage("?")), "stop", Usage(cost=Decimal("0.002")))
    rejected = OutputRejected(("$.city is missing",), to_wire(UserMessage("again")))
    assert said(rejected, before) == "  answer rejected: $.city is missing · that reply: $0.0020"


def test_the_status_says_what_is_used_and_allowed() -> None:
    state = State(run="r", limits=Limits(turns=None, tokens=10_000), turns=2, last_at=100.0, seconds=5.0)
    state.usage = Usage(1000, 204, cost=Decimal("0.0012"))
    state.open_request = 3
    full, few = status(now_of(state), 107.9)
    assert full == "turn 3 · 1,204 of 10,000 tokens · $0.0012 of $1.00 · 12 s of 600 s · asking the model"
    assert few == "turn 3 · 1204 tok · $0.0012/1 · 12/600 s · asking the model"
    state.open_request, state.delay = 0, 1.5
    assert status(now_of(state), 100.2)[0].endswith("waiting 1.3 s to ask again")
    state.delay, state.limits = 0.0, Limits(None, None, None, None, None)
    assert status(now_of(state), 100.0)[0] == "turn 3 · 1,204 tokens · $0.0012 · 5 s"
    assert status(Now(), 100.0) == ("getting ready", "getting ready")


def test_the_status_names_what_runs() -> None:
    state = State(run="r", turns=1, last_at=1.0)
    for name in ("look", "pay"):
        state.calls[name] = Call(ToolCall(name, "", name, "{}"), "started")
        (running,) = {status(now_of(state), 1.0)[0].rpartition(" · ")[2]}
        assert running == ("look runs" if name == "look" else "2 tools run: look, pay")
    assert status(now_of(state), 1.0)[0].startswith("turn 1 of 25")


@pytest.mark.parametrize("width", [20, 60, 200])
@given(text=st.text(st.characters(codec="utf-8"), max_size=400), depth=st.integers(0, 30))
def test_rows_are_never_wider_than_the_terminal_nor_is_anything_lost(width: int, text: str, depth: int) -> None:
    (line,) = toned([" " * depth + text], "wrap")
    wrapped = [cells(row) for row in rows(line, width)]
    assert max(wrapped) <= width
    shown = "".join("".join(rows(line, width)).split())
    assert shown == "".join(line.text.split())
    (row,) = rows(Line(line.text, "warn", "cut"), width)
    assert cells(row) <= width
    assert "\n".join(rows(Line(line.text, "plain", "keep"), width)) == line.text.expandtabs(4)


def test_the_end_of_a_text_fits_in() -> None:
    assert [end("abcdef", 3), end("東京東京", 5), end("", 5)] == ["def", "東京", ""]


class Tty(io.StringIO):
    """A terminal without a size."""

    def isatty(self) -> bool:
        return True


def test_what_others_print_goes_above_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    tty = Tty()
    monkeypatch.setattr(sys, "stderr", tty)
    monkeypatch.setenv("COLUMNS", "80")
    with Glass(tty) as glass:
        assert glass.draw(["one"], "status")
        print("two", file=tty)
        assert glass.draw([], "status")
        print("three, ", end="", file=tty)
        assert glass.draw([], "not now")
        print("and more", end="", file=tty)
        assert glass.draw(["four"], "status")
        print("five", end="", file=tty)
    print("six", file=tty)
    clear = "\r\x1b[J"
    expected = ["one\nstatus", "two\nstatus", "three, and more\nfour\nstatus", "five\nsix\n"]
    assert tty.getvalue() == clear.join(expected)


async def test_logging_configures_nothing() -> None:
    root = (logging.getLogger().level, list(logging.getLogger().handlers), logging.getLogger().disabled)
    await agent(log_events(CapturingLogger())).run("task")
    log_events()
    assert not structlog.is_configured()
    assert (logging.getLogger().level, list(logging.getLogger().handlers), logging.getLogger().disabled) == root


@pytest.mark.parametrize(
    ("detour", "told"),
    [
        (Detour(avoid=("bad-host",)), "again without bad-host, in 0.5 s"),
        (Detour(model="other/big"), "again with other/big, in 0.5 s"),
        (Detour(plain=True), "again without thinking, in 0.5 s"),
        (Detour(think=True), "again with thinking, in 0.5 s"),
        (Detour(loose=True), "again of any provider, in 0.5 s"),
        (Detour(lower=True), "again for the answer in another form, in 0.5 s"),
        (Detour(), "again in 0.5 s"),
    ],
)
def test_a_retry_says_what_it_does_differently(detour: Detour, told: str) -> None:
    failed = RequestFailed(1, "truncated_stream", "It broke off.", "retry", delay=0.5, detour=detour)
    [line] = lines(Entry(1, 0.0, failed), State())
    assert told in (line if isinstance(line, str) else line.text)


def test_what_a_provider_has_escaped_is_shown_as_it_reads() -> None:
    assert pretty(b'{"city": "\\u4eac\\u90fd"}') == '{\n  "city": "\u4eac\u90fd"\n}'


def test_calls_of_one_tool_in_one_reply_are_told_apart() -> None:
    state = State(run="r")
    for number in (0, 1):
        call = ToolCall(f"r:1:{number}", f"c{number}", "look", "{}")
        state.calls[call.id] = Call(call)
    assert [call_name(call, state) for call in state.calls] == ["look #1", "look #2"]
