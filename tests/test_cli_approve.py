"""A person's word from the command line, in this process: what is checked, what is noted, what waits for nobody."""

import asyncio
import re
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from outrider import Agent, tool
from outrider.commands import AnyCommand
from outrider.errors import RunNotFound
from outrider.events import Entry, ToolStarted, encode
from outrider.journal.nothing import NoJournal
from outrider.journal.sqlite import SQLiteJournal, SQLiteLog
from outrider.policy import allow_all, ask_before
from outrider.result import Result
from outrider.testing.scripted import Calls, ScriptedModel
from shell import Say, Shell, pay_call


@tool
def pay(amount: int) -> str:
    """Pay an amount."""
    return f"paid {amount}"


def begin(home: Path, asks: bool = True) -> tuple[Result[str], list[Entry]]:
    """A run that pays 3, at rest, with its record."""
    entries: list[Entry] = []
    model = ScriptedModel([Calls(("pay", {"amount": 3})), "Paid."])
    policy = ask_before("write") if asks else allow_all
    agent = Agent(model, tools=[pay], policy=policy, journal=SQLiteJournal(home), observers=[entries.append])

    async def run() -> Result[str]:
        try:
            return await agent.run("Pay 3")
        finally:
            await agent.journal.close()

    return asyncio.run(run()), entries


def inbox(home: Path, run: str) -> list[AnyCommand]:
    """The commands that wait for the owner of a run."""
    return [command for _, command in asyncio.run(SQLiteJournal(home).pending(run))]


def test_arguments_that_do_not_fit_the_recorded_tool_are_not_noted(say: Say, tmp_path: Path) -> None:
    result, _ = begin(tmp_path / "home")
    for wrong, told in (('{"amount": "two"}', "$.amount"), ("{}", "amount"), ('{"amount": 2, "to": "me"}', "to")):
        code, out, err = say("approve", "last", "1:0", "--arguments", wrong)
        assert (code, out) == (2, "")
        assert "the arguments do not fit pay: " in err
        assert told in err
        assert "Nothing was noted." in err
    assert inbox(tmp_path / "home", result.run) == []
    assert say("approve", "last", "1:0", "--arguments", '{"amount": 2}')[0] == 0
    assert len(inbox(tmp_path / "home", result.run)) == 1


def test_the_list_says_what_is_noted_and_what_of_it_counts(say: Say, tmp_path: Path) -> None:
    begin(tmp_path / "home")
    assert "noted" not in say("approve", "last")[1]
    assert "it counts when the run goes on" in say("approve", "last", "1:0", "--arguments", '{"amount": 2}')[2]
    assert '  noted: allow, with { "amount": 2 }; it counts when the run goes on\n' in say("approve", "last")[1]
    code, _, err = say("approve", "last", "1:0", "--deny", "too dear")
    assert (code, "in the place of what cli has said (allow, with other arguments); it counts" in err) == (0, True)
    assert "  noted: deny: too dear; it counts" in say("approve", "last")[1]


def test_a_word_that_contradicts_is_refused_and_the_same_one_is_noted_once(say: Say, tmp_path: Path) -> None:
    result, _ = begin(tmp_path / "home")
    assert say("approve", "last", "1:0", "--deny", "too dear")[0] == 0
    for again in ("too dear", ""):
        assert say("approve", "last", "1:0", "--deny", again)[0] == 0
    for contrary in ((), ("--deny", "no"), ("--arguments", '{"amount": 2}')):
        code, out, err = say("approve", "last", "1:0", *contrary)
        assert (code, out) == (2, "")
        when = r"\(\d{4}-\d\d-\d\d [\d:]{8}[+-]\d\d:\d\d\)"
        said = rf"outrider: cli has said already: deny: too dear {when}\n  That counts when run "
        assert re.search(said, err)
    assert len(inbox(tmp_path / "home", result.run)) == 1


def test_consent_may_be_given_twice_and_changed(say: Say, tmp_path: Path) -> None:
    result, _ = begin(tmp_path / "home")
    for flags in ((), (), ("--arguments", '{"amount": 2}')):
        assert say("approve", "last", "1:0", *flags)[0] == 0
    assert len(inbox(tmp_path / "home", result.run)) == 2
    assert 'noted: allow, with { "amount": 2 }' in say("approve", "last")[1]


def test_an_answer_that_has_expired_contradicts_nothing(say: Say, tmp_path: Path) -> None:
    begin(tmp_path / "home")
    assert say("approve", "last", "1:0", "--deny", "no", "--expires", "-1")[0] == 0
    assert say("approve", "last", "1:0")[0] == 0
    assert "noted: allow;" in say("approve", "last")[1]


def test_a_call_in_doubt_has_one_word(outrider: Shell) -> None:
    outrider.server.add(pay_call(), "Paid.")
    assert outrider("run", "Pay 3", "-t", "app:pay", DIE="1").code == -signal.SIGKILL
    assert outrider("resume", "last", "-t", "app:pay").code == 6
    assert [outrider("approve", "last", "1:0", "--again").code for _ in range(2)] == [0, 0]
    done = outrider("approve", "last", "1:0", "--result", "paid by hand")
    assert (done.code, "cli has said already: run it again" in done.err) == (2, True)
    final = outrider("resume", "last", "-t", "app:pay")
    assert (final.code, "command refused" in final.err) == (0, False)


def test_nobody_can_note_anything_where_nothing_is_kept() -> None:
    with pytest.raises(RunNotFound, match="not on record"):
        asyncio.run(NoJournal().pending("abc"))


async def _record(home: Path, entries: Sequence[Entry]) -> SQLiteLog:
    """These entries as a run that its process holds."""
    log = await SQLiteJournal(home).create(entries[0].run)
    for entry in entries:
        log.append(entry, encode(entry.event))
    await log.flush()
    return log


def test_a_run_killed_in_a_write_is_to_be_resumed_before_anybody_is_asked(say: Say, tmp_path: Path) -> None:
    result, entries = begin(tmp_path / "elsewhere", asks=False)
    (started,) = [place for place, entry in enumerate(entries) if isinstance(entry.event, ToolStarted)]
    first = f"resume it first, with its flags: OUTRIDER_HOME={tmp_path / 'home'} outrider resume {result.run}"

    async def live() -> None:
        log = await _record(tmp_path / "home", entries[: started + 1])
        code, _, err = await asyncio.to_thread(say, "approve", result.run, "1:0")
        assert (code, first in err) == (2, False)
        await log.close()

    asyncio.run(live())
    for args, expected in (((), 0), (("1:0",), 2)):
        code, out, err = say("approve", result.run, *args)
        assert (code, out) == (expected, "")
        assert first in err
    assert "  unfinished  1      1      $0.001" in say("runs")[1]


def test_a_message_waits_for_a_run_that_rests_and_is_heard_when_it_goes_on(outrider: Shell) -> None:
    outrider.server.add("First.", "Second.")
    outrider("run", "Go.", "--id", "told", "-q")
    noted = outrider("say", "told", "And in French?")
    assert (noted.code, noted.out) == (0, "")
    assert "it counts when the run goes on" in noted.err
    assert outrider("resume", "told", "-q").out == "Second.\n"
    assert outrider.server.requests[-1].json["messages"][-1]["content"] == "And in French?"
    empty = outrider("say", "told", "")
    assert (empty.code, "the message is empty" in empty.err) == (2, True)
