"""A run on a terminal, through a real pseudo-terminal: what it looks like, and how a person answers it."""

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from outrider.testing.fake import FakeReply
from shell import START, Shell, pay_call, weather_call
from typist import Glass, Typist

TALK = '''
import sys
from outrider import tool

@tool(effect="read")
def talk(words: str) -> str:
    """Print."""
    print("printed by a tool")
    print("and half a line, ", end="", file=sys.stderr)
    return words

@tool
def shell(command: str, seconds: int = 3) -> str:
    """Run a command."""
    return f"ran {command}"
'''
WIDE = "東京の天気は晴れ☀ [red]not markup[/red] " * 12
NOW = {
    60: re.compile(r"turn 2/25 · \d+ tok · \$0\.00010/1 · (\d+)/600 s · "),
    200: re.compile(r"turn 2 of 25 · \d+ tokens · \$0\.00010 of \$1\.00 · (\d+) s of 600 s · "),
}


@pytest.fixture
def outrider(outrider: Shell) -> Shell:
    (outrider.work / "talking.py").write_text(TALK)
    return outrider


Terminal = Callable[..., Typist]
"""Starts ``outrider`` on a terminal: its arguments, and those of Typist."""


@pytest.fixture
def terminal(outrider: Shell) -> Iterator[Terminal]:
    typists: list[Typist] = []
    del outrider.env[
        "OUTRIDER_HOME"
    ]  # in the current folder, as people have it: the commands that are printed are short
    outrider.home = outrider.work / ".outrider"

    def start(*args: str, **given: Any) -> Typist:
        typists.append(Typist(outrider, *args, **given))
        return typists[-1]

    yield start
    for typist in typists:
        typist.leaves()


def too_wide(glass: Glass) -> list[str]:
    """The lines that are wider than the terminal, except those that end in a command to be copied."""
    wide = [glass.lines[row] for row in sorted(glass.wrapped)]
    return [line for line in wide if "outrider " not in line and not line.startswith("to go on: ")]


# ---------------------------------------------------------------------------------------------- how it looks


@pytest.mark.parametrize("columns", [60, 200])
def test_lines_that_stay_and_one_of_now(outrider: Shell, terminal: Terminal, columns: int) -> None:
    hold = threading.Event()
    outrider.server.add(
        FakeReply(status=503, error="The server is overloaded. " * 9),
        FakeReply(reasoning=WIDE, calls=[("weather", {"city": WIDE}), ("talk", {"words": WIDE})]),
        FakeReply(text="It is 晴れ.", hold=hold, hold_at=2),
    )
    typist = terminal("run", "How warm?", "-t", "app:weather", "-t", "talking:talk", columns=columns)
    now = NOW[columns]
    typist.waits(lambda: len(set(now.findall(typist.raw))) > 1, "it does not tick while it waits")
    typist.waits(lambda: bool(now.match(typist.glass.lines[-1])), "the status is not the last line")
    hold.set()
    assert typist.ends() == 0
    glass = typist.glass
    assert too_wide(glass) == []
    assert "600 s" not in glass.text
    assert glass.lines.count("It is 晴れ.") == 1
    assert "printed by a tool" in glass.lines
    assert "and half a line," in glass.lines
    assert "[red]not markup[/red]" in glass.text
    assert "again in" in glass.text.replace("\n", " ")
    assert "not billed" in glass.text.replace("\n", " ")
    assert glass.lines[-2].startswith(("finished", "outrider show"))
    assert "\x1b[2m" in typist.raw
    assert "\x1b[33m" in typist.raw
    assert "\x1b[?" not in typist.raw  # the cursor was never hidden


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_questions_can_be_plain(outrider: Shell, terminal: Terminal, env: dict[str, str]) -> None:
    outrider.server.add(pay_call(), "Paid.")
    typist = paying(terminal, env=env).types("y\n")
    assert typist.ends() == 0
    assert "\x1b" not in typist.raw
    assert '    "amount": 3\r\n' in typist.raw


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_that_wants_none_gets_plain_lines(outrider: Shell, terminal: Terminal, env: dict[str, str]) -> None:
    outrider.server.add(weather_call(), "Warm.")
    typist = terminal("run", "How warm?", "-t", "app:weather", env=env)
    assert typist.ends() == 0
    assert "\x1b" not in typist.raw
    assert "600 s" not in typist.raw
    assert "  weather -> Paris: 21 degrees\r\n" in typist.raw


def test_piped_it_is_plain_and_does_not_load_rich(outrider: Shell) -> None:
    outrider.server.add(weather_call(), "Warm.")
    code = f"import atexit, sys; atexit.register(lambda: print(*sys.modules, file=open('loaded', 'w'))); {START}"
    run = [sys.executable, "-c", code, "run", "How warm?", "-t", "app:weather"]
    done = subprocess.run(run, cwd=outrider.work, env=outrider.env, capture_output=True, timeout=60, check=True)
    assert (done.stdout, b"\x1b" in done.stderr) == (b"Warm.\n", False)
    loaded = (outrider.work / "loaded").read_text().split()
    assert "outrider.observe.terminal" in loaded
    assert not {"rich", "outrider.observe.paint", "outrider.cli.ask"} & set(loaded)


def test_a_terminal_that_gets_narrower_keeps_no_leftovers(outrider: Shell, terminal: Terminal) -> None:
    hold = threading.Event()
    outrider.server.add(FakeReply(text="Yes.", hold=hold, hold_at=-1))
    typist = terminal("run", "Well?", columns=120).sees("asking the model")
    typist.resizes(30)
    typist.sees("\x1b[2A\r\x1b[J")  # the old line stands on three rows now
    hold.set()
    assert typist.ends() == 0


# -------------------------------------------------------------------------------------------------- stopping


@pytest.mark.parametrize(("number", "code"), [(None, 130), (signal.SIGTERM, 6)])
def test_a_stop_leaves_clean_lines(
    outrider: Shell, terminal: Terminal, number: signal.Signals | None, code: int
) -> None:
    outrider.server.add(FakeReply(text="Yes.", hold=threading.Event(), hold_at=1))
    typist = terminal("run", "Well?", columns=140)
    outrider.server.wait(lambda: bool(outrider.server.requests))
    typist.sees("600 s").kills(number) if number else typist.types("\x03")
    assert typist.ends() == code
    *_, stopping, outcome, command, figures, empty = typist.glass.lines
    assert stopping.endswith("stopping; once more ends it at once")
    assert outcome == f"{'interrupted' if code == 130 else 'paused'}: it was stopped and can be resumed"
    assert re.match(r"to go on: (OUTRIDER_\w+=\S+ )outrider resume \w+$", command)
    assert re.match(r"(interrupted|paused: stopped) · 1 request · ", figures)
    assert empty == ""


def test_a_second_interrupt_leaves_a_clean_line_too(outrider: Shell, terminal: Terminal) -> None:
    outrider.server.add(FakeReply(calls=[("stuck", {})]))
    typist = terminal("run", "Well?", "-t", "app:stuck", columns=100).sees("stuck runs")
    typist.types("\x03").sees("stopping; once more").types("\x03")
    assert typist.ends() == 130
    assert "600 s" not in typist.glass.text
    assert f"outrider resume {outrider.last()} -t app:stuck" in typist.glass.text.replace("\n", "")


def test_a_setting_that_cannot_work_takes_the_status_line_away(outrider: Shell, terminal: Terminal) -> None:
    typist = terminal("run", "Well?", columns=100, env={"OPENROUTER_API_KEY": ""})
    assert typist.ends() == 2
    assert "getting ready" not in typist.glass.text
    assert typist.glass.lines[0].startswith("outrider: ")


# ------------------------------------------------------------------------------------------------- answering


def paying(terminal: Terminal, stdout: int | None = None, env: dict[str, str] | None = None) -> Typist:
    run = terminal("run", "Pay 3", "-t", "app:pay", "--approve", "writes", stdout=stdout, env=env)
    return run.sees("later > ")


def test_yes_and_the_run_goes_on(outrider: Shell, terminal: Terminal) -> None:
    outrider.server.add(pay_call(), "Paid.")
    typist = paying(terminal).types("perhaps\n").sees("later > ", 2).types("y\n")
    assert typist.ends() == 0
    lines = typist.glass.lines
    assert "  'perhaps' is no answer here" in lines
    assert "pay needs consent: its effect is write" in lines
    assert '    "amount": 3' in lines
    assert "  pay allowed by cli" in lines
    assert not any("waits for consent" in line for line in lines)  # it is asked, and need not be said as well
    assert "  pay -> paid 3" in lines
    assert "Paid." in lines
    assert not [line for line in lines if line.startswith("paused")]


def test_no_with_a_reason_that_the_model_hears(outrider: Shell, terminal: Terminal) -> None:
    outrider.server.add(pay_call(), "Not paid.")
    typist = paying(terminal).types("n\n").sees("the reason, for the model").types("too dear\n")
    assert typist.ends() == 0
    assert "Not paid." in typist.glass.lines
    assert "too dear" in outrider.server.requests[-1].json["messages"][-1]["content"]


def test_edited_arguments_are_checked_shown_and_asked_about_once_more(outrider: Shell, terminal: Terminal) -> None:
    outrider.server.add(pay_call(), "Paid.")
    script = outrider.work / "editor"
    script.write_text('#!/bin/sh\nread text < next\necho "$text" > "$1"\n')
    script.chmod(0o755)

    def edit(text: str) -> None:
        (outrider.work / "next").write_text(text + "\n")
        typist.types("e\n")

    with open(outrider.work / "out", "wb") as file:
        typist = paying(terminal, env={"VISUAL": str(script)}, stdout=file.fileno())
        edit("no JSON")
        typist.sees("this is no JSON object").sees("later > ", 2)
        edit('{"amount": "two"}')
        typist.sees("the arguments do not fit: ").sees("allow it?", 3)
        edit('{"amount": 2}')
        typist.sees('\x1b[32m  +  "amount": 2').sees("allow yours?").types("y\n")
        assert typist.ends() == 0
    assert '  -  "amount": 3' in typist.glass.lines
    assert "  pay -> A person changed" in typist.glass.text
    assert (outrider.work / "out").read_text() == "Paid.\n"


def test_without_an_editor_it_says_what_to_do_and_asks_again(outrider: Shell, terminal: Terminal) -> None:
    outrider.server.add(pay_call(), "Paid.")
    empty = outrider.work / "empty"
    empty.mkdir()
    typist = paying(terminal, env={"VISUAL": "", "EDITOR": "", "PATH": str(empty)}).types("e\n")
    typist.sees("there is no editor here").sees("later > ", 2)
    assert typist.types("y\n").ends() == 0
    assert "Paid." in typist.glass.lines
    assert outrider.server.requests[-1].json["messages"][-1]["content"] == "paid 3"


@pytest.mark.parametrize("key", ["\n", "\x03", "\x04", None])
def test_what_is_left_can_be_answered_later(outrider: Shell, terminal: Terminal, key: str | None) -> None:
    outrider.server.add(pay_call(), "Paid.")
    typist = paying(terminal)
    typist.types(key) if key else typist.kills(signal.SIGTERM)
    assert typist.ends() == 6
    text = typist.glass.text
    run = outrider.last()
    assert "left as it is; to answer later:\n  outrider approve " in text
    assert f" outrider approve {run} {run}:1:0\n" in text
    assert f"outrider resume {run} -t app:pay --approve writes" in text.replace("\n", "")
    again = terminal("resume", run, "-t", "app:pay", "--approve", "writes").sees("later > ").types("y\n")
    assert again.ends() == 0
    assert "Paid." in again.glass.lines


def test_of_two_calls_one_is_answered_and_one_is_left(outrider: Shell, terminal: Terminal) -> None:
    outrider.server.add(FakeReply(calls=[("pay", {"amount": 3}), ("pay", {"amount": 4})]), "Paid.")
    typist = paying(terminal).types("y\n").sees("later > ", 2).types("\n")
    assert typist.ends() == 6
    run = outrider.last()
    assert f" outrider approve {run} {run}:1:1\n" in typist.glass.text
    assert f" outrider approve {run} {run}:1:0" not in typist.glass.text
    assert "noted: allow" in outrider("approve", run).out


def test_a_command_is_shown_as_one_and_cannot_steer_the_terminal(outrider: Shell, terminal: Terminal) -> None:
    command = "rm -r build\x1b[2J && [bold]make[/bold]\necho " + "x" * 90
    outrider.server.add(FakeReply(calls=[("shell", {"command": command, "seconds": 9})]), "Done.")
    typist = terminal("run", "Build", "-t", "talking:shell", "--approve", "writes").sees("later > ").types("y\n")
    assert typist.ends() == 0
    lines = typist.glass.lines
    assert "  $ rm -r build\N{REPLACEMENT CHARACTER}[2J && [bold]make[/bold]" in lines
    assert [line for line in lines if line.startswith("  > echo")]
    assert sum(line.count("x") for line in lines[lines.index("shell needs consent: its effect is write") :]) >= 90
    assert '    "seconds": 9' in lines
    assert too_wide(typist.glass) == []


def test_a_call_in_doubt_is_asked_about(outrider: Shell, terminal: Terminal) -> None:
    outrider.server.add(pay_call(), "Paid.")
    assert outrider("run", "Pay 3", "-t", "app:pay", DIE="1").code == -signal.SIGKILL
    typist = terminal("resume", "last", "-t", "app:pay", columns=100).sees("later > ")
    typist.types("r\n").sees("its result, for the model > ").types("paid by hand\n")
    assert typist.ends() == 0
    assert "pay in doubt (crash): nobody knows whether it happened · write" in typist.glass.lines
    assert outrider.server.requests[-1].json["messages"][-1]["content"] == "paid by hand"


def test_a_call_in_doubt_runs_again_if_a_person_says_so(outrider: Shell, terminal: Terminal) -> None:
    outrider.server.add(pay_call(), "Paid.")
    assert outrider("run", "Pay 3", "-t", "app:pay", DIE="1").code == -signal.SIGKILL
    typist = terminal("resume", "last", "-t", "app:pay", columns=100).sees("later > ").types("a\n")
    assert typist.ends() == 0
    assert "  pay -> paid 3" in typist.glass.lines


@pytest.mark.parametrize("flag", ["--json", "--events", "-q"])
def test_programs_are_not_asked(outrider: Shell, terminal: Terminal, flag: str) -> None:
    outrider.server.add(pay_call(), "Paid.")
    typist = terminal("run", "Pay 3", "-t", "app:pay", "--approve", "writes", flag)
    assert typist.ends() == 6
    assert "later >" not in typist.raw
    assert "outrider approve" in typist.raw


# ------------------------------------------------------------------------------------------------- the record


def test_story_and_list_fit_the_terminal(outrider: Shell, terminal: Terminal) -> None:
    outrider.server.add(weather_call(), "Warm. " * 40, pay_call())
    assert outrider("run", WIDE, "-t", "app:weather").code == 0
    assert outrider("run", "Pay 3", "-t", "app:pay", "--approve", "always").code == 6
    for columns in (60, 200):
        listed = terminal("runs", columns=columns)
        assert listed.ends() == 0
        head, paused, finished, _ = listed.glass.lines
        assert head.split()[-1] == "task"
        assert ("turns" in head) is (columns == 200)
        assert "\x1b[33mpaused" in listed.raw
        assert "\x1b[32mfinished" in listed.raw
        assert "Pay 3" in paused
        assert finished.endswith("…")
        told = terminal("show", outrider("runs", "--json").lines[1]["run"], columns=columns)
        assert told.ends() == 0
        assert too_wide(listed.glass) + too_wide(told.glass) == []
        assert told.glass.text.count("    Warm.") == (10 if columns == 60 else 4)
    outrider.server.add(FakeReply(calls=[("weather", {})]), FakeReply(text="Rather warm.", drop_at=1), "Warm.")
    assert outrider("run", "How warm?", "-t", "app:weather").code == 0
    listed = terminal("runs", columns=60)
    assert listed.ends() == 0
    head, failed, *_ = listed.glass.lines
    assert (head.split(), too_wide(listed.glass)) == (["run", "outcome", "calls", "cost", "task"], [])
    assert "finished  1, 1 failed  $0.00020 + 1 re…  " in failed
    plain = outrider("show", "last").out
    assert "\x1b" not in plain + outrider("runs").out


def test_an_answer_cannot_steer_the_terminal(outrider: Shell, terminal: Terminal) -> None:
    outrider.server.add("so \x1b[31mRED \x1b]0;title\x07 \x9b2J it is")
    typist = terminal("run", "How?")
    assert typist.ends() == 0
    assert "it is" in typist.glass.text
    assert not any(sign in typist.raw for sign in ("\x1b[31mRED", "\x1b]0", "\x07", "\x9b"))
