"""The command line: reading the record, and what it says to mistakes."""

import re
import sqlite3
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path
from typing import Literal

import pytest

from outrider.cli.flags import Flags, resume_command
from outrider.local import weights
from outrider.messages import Effect, Limits, Usage
from outrider.policy import Proposed
from outrider.state import State
from outrider.testing.fake import FakeReply
from shell import FORECAST, PATIENCE, ROOT, Say, Shell, end, weather_call

# ---------------------------------------------------------------------------------------------- the record


def test_a_request_is_shown_as_it_was_sent_and_checked(outrider: Shell) -> None:
    outrider.server.add(weather_call(), "Warm.")
    assert outrider("run", "How warm?", "-t", "app:weather").code == 0
    shown = outrider("show", "last", "--request", "2")
    sent, reply = shown.out.splitlines()
    assert (shown.code, sent.encode()) == (0, outrider.server.requests[1].body)
    assert '"content":"Warm."' in reply
    assert "and the reply" in shown.err
    assert outrider("show", "last", "--request", "3").code == 2
    database = sqlite3.connect(outrider.home / "journal.db")
    with database:
        database.execute("UPDATE event SET body = replace(body, 'How warm', 'How cold') WHERE seq = 1")
    database.close()
    changed = outrider("show", "last", "--request", "2")
    assert (changed.code, "How cold" in changed.out) == (1, True)
    assert "sha256 differs" in changed.err


def test_a_request_that_failed_is_shown_with_what_came(outrider: Shell) -> None:
    outrider.server.add(FakeReply(status=400, error="no such thing"))
    assert outrider("run", "How warm?").code == 5
    shown = outrider("show", "last", "--request", "1")
    assert (shown.code, "no such thing" in shown.out.splitlines()[1]) == (0, True)
    assert "and how it failed" in shown.err


def test_a_story_tells_the_run(outrider: Shell) -> None:
    outrider.server.add(FakeReply(status=429, error="slow down", headers={"Retry-After": "0"}), weather_call())
    outrider.server.add("Rather \x1b[31mwarm\x07.", FORECAST)
    assert outrider("run", "How warm?", "-t", "app:weather", "--output", "app:Forecast").code == 0
    story = outrider("show", "last").out
    for told in ("How warm?", "slow down", '{"city": "Paris"}', "Paris: 21 degrees", "Rather", '"celsius": 21.5'):
        assert told in story
    assert "\x1b" not in story
    assert story.splitlines()[-1].startswith("finished · 4 requests · 1 tool call · ")


# ------------------------------------------------------------------------------------------------ mistakes


def test_without_a_key_it_says_what_to_do_and_records_nothing(outrider: Shell) -> None:
    done = outrider("run", "Hi", OPENROUTER_API_KEY="")
    assert (done.code, done.out) == (2, "")
    assert all(word in done.err for word in ("OPENROUTER_API_KEY", "openrouter.ai/keys"))
    assert "go on without a key: -m local on the command line," in done.err
    assert not outrider.home.exists()


def test_a_broken_module_is_one_line_and_a_traceback_on_request(outrider: Shell) -> None:
    (outrider.work / "bad.py").write_text("1 / 0")
    done = outrider("run", "Hi", "-t", "bad:tool")
    assert (done.code, "Traceback" in done.err) == (2, False)
    assert "ZeroDivisionError" in done.err
    assert "bad.py" in outrider("--debug", "run", "Hi", "-t", "bad:tool").err


def test_a_closed_stdout_is_no_traceback(outrider: Shell) -> None:
    outrider.server.add(FakeReply(text="Hello.", hold=(hold := threading.Event())))
    process = outrider.start("run", "Hi")
    assert process.stdout
    outrider.server.wait(lambda: bool(outrider.server.requests), PATIENCE)
    process.stdout.close()
    process.stdout = None
    hold.set()
    done = end(process)
    assert (done.code, "Traceback" in done.err) == (1, False)
    assert "stdout was closed" in done.err


def test_a_stdout_closed_by_the_shell_is_one_line_and_nothing_is_begun(outrider: Shell) -> None:
    command = ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-m", "outrider.cli", "run", "Hi"]
    done = subprocess.run(command, cwd=outrider.work, env=outrider.env, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        1, "outrider: stdout is closed\n  To throw the answer away: > /dev/null\n"
    )  # fmt: skip
    assert not outrider.server.requests


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["rum", "x"], "Did you mean run"),
        (["run", "x", "-t", "calculatr"], "Did you mean calculator"),
        (["run", "x", "-t", "outrider_tools.files:file_tool"], "Did you mean file_tools"),
        (["run", "x", "-t", "outrider_tools.files:MAX_BYTES"], "is no tool but of type int"),
        (
            ["run", "x", "-t", "no_such_module:tool"],
            "or installed\n  Run outrider from the folder that no_such_module.py is in, or install the package",
        ),
        (["run", "x", "--output", "Forecast"], "neither a .json file nor module:Type"),
        (["run", "x", "--output", "nothing.json"], "cannot be read"),
        (["run", "x", "--max-turns", "-1"], "limit turns is -1"),
        (["run", "x", "--max-dollars", "lots"], "'lots' is not a number"),
        (["run", "x", "--max-seconds", "5m"], "'5m' is not a number; in seconds it is 300"),
        (["run", "x", "--approve", "sometimes"], "'sometimes' is not one of"),
        (["run", " "], "the task is empty"),
        (["resume", "abc"], "outrider"),
        (["show", "last"], "no run on record"),
        (["approve", "abc", "--again"], "outrider"),
    ],
)
def test_wrong_usage_says_what_is_right(say: Say, args: list[str], told: str, tmp_path: Path) -> None:
    code, out, err = say(*args)
    assert (code, out) == (2, "")
    assert told in err
    assert not (tmp_path / "home").exists()


def test_a_journal_that_cannot_be_used_is_exit_code_1(say: Say, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "journal.db").write_text("this is no database, however long it may be " * 50)
    code, out, err = say("runs")
    assert (code, out) == (1, "")
    assert err.startswith("outrider: ")


def test_nothing_on_record_is_an_empty_list(say: Say) -> None:
    assert say("runs") == (0, "", "there is no run on record here\n")


def test_the_list_of_runs_is_filtered_by_word_outcome_and_age(outrider: Shell) -> None:
    (outrider.work / "nightly.toml").write_text('name = "Nightly"\ntask = "Look."\n')
    outrider.server.add("Hello.", FakeReply(status=400, error="no"), "Seen.")
    assert outrider("run", "Hi there").code == 0
    assert outrider("run", "Broken, alas").code == 5
    assert outrider("run", "nightly.toml").code == 0

    def tasks(*args: str) -> list[str]:
        done = outrider("runs", "--json", *args)
        assert done.code == 0
        return [line["task"] for line in done.lines]

    assert tasks() == ["Look.", "Broken, alas", "Hi there"]
    assert tasks("-n", "1") == ["Look."]
    assert tasks("HI") == ["Hi there"], "in the task"
    assert tasks("night") == ["Look."], "in the agent's name"
    assert tasks("--outcome", "finished", "-n", "1") == ["Look."]
    assert tasks("--outcome", "provider", "--since", "2d") == ["Broken, alas"]
    assert tasks("--outcome", "limit") == []
    head, first, *_ = outrider("runs").out.splitlines()
    assert head.split() == ["run", "begun", "outcome", "turns", "calls", "cost", "agent", "task"]
    assert first.split()[-2:] == ["Nightly", "Look."]
    assert re.search(r"  \d{4}-\d\d-\d\d \d\d:\d\d[+-]\d\d:\d\d  ", first), "a time says its zone"
    assert "no run on record here is like that" in outrider("runs", "--outcome", "limit").err
    wrong = outrider("runs", "--since", "yesterday")
    assert (wrong.code, "'yesterday' is no time such as 90s, 5min, 3h or 2d" in wrong.err) == (2, True)


def test_version_and_help_load_nothing_heavy(tmp_path: Path) -> None:
    heavy = "openai|pydantic|sqlite3|jsonschema|jinja2|rich|aiohttp|structlog|outrider.cli.run"
    code = f"""
import atexit, sys
atexit.register(lambda: print(*[name for name in {heavy.split("|")} if name in sys.modules], file=sys.stderr))
from outrider.cli import main
main(sys.argv[1:])
"""
    for flag, told in (("--help", "approve"), ("--version", "outrider ")):
        done = subprocess.run(
            [sys.executable, "-c", code, flag], cwd=ROOT / "agent", capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr.strip()) == (0, "")
        assert told in done.stdout


def test_local_says_what_is_missing(say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTRIDER_CACHE", str(tmp_path / "cache"))
    code, out, _ = say("local")
    assert code == 1
    assert "outrider local pull" in out
    assert not (tmp_path / "cache").exists()


def test_local_says_how_to_get_what_runs_the_weights(say: Say, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def no_spec(name: str) -> None:
        """Nothing is installed."""

    def pulled(progress: object) -> Path:
        return tmp_path / "weights.gguf"

    monkeypatch.setattr("outrider.cli.local.find_spec", no_spec)
    monkeypatch.setattr(weights, "pull", pulled)
    told = "missing: pip install 'outrider[local]'\n"
    assert told in say("local")[1]
    code, out, err = say("local", "pull")
    assert (code, out) == (0, f"{tmp_path / 'weights.gguf'}\n")
    assert told in err


OWN_TOOLS = """
from pathlib import Path
from outrider import tool

@tool(effect="read")
def weather(city: str) -> str:
    \"\"\"Tomorrow's weather for a city.\"\"\"
    return city

def _hidden(): ...
ALL = [weather]
"""


def test_a_module_of_the_folder_says_how_its_tools_are_named(
    say: Say, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "my_own_tools.py").write_text(OWN_TOOLS)
    monkeypatch.setitem(sys.modules, "my_own_tools", None)  # put back afterwards
    monkeypatch.delitem(sys.modules, "my_own_tools")
    for name in ("my_own_tools", "my_own_tools.py"):
        assert "my_own_tools is a module here: write my_own_tools:NAME" in say("run", "x", "-t", name)[2]
    assert "It has: ALL, weather.\n" in say("run", "x", "-t", "my_own_tools:nope")[2]


def test_help_names_the_installed_tools(say: Say) -> None:
    told = " ".join(say("run", "--help")[1].split())
    assert all(f"{name}," in told for name in ("calculator", "clock", "files"))


@pytest.mark.parametrize(
    ("limits", "limit", "flags"),
    [
        (Limits(turns=0), "turns", "--max-turns 6"),
        (Limits(turns=3), "turns", "--max-turns 6"),
        (Limits(tokens=10), "tokens", "--max-tokens 4000000"),
        (Limits(seconds=0.5), "seconds", "--max-seconds 60"),
        (Limits(dollars=Decimal("0.0001")), "dollars", "--max-dollars 0.05"),
        (Limits(dollars=Decimal(10)), "dollars", "--max-dollars 20"),
        (Limits(tool_calls=0), "tool_calls", "--max-tool-calls 1"),
    ],
)
def test_the_limit_to_go_on_with_is_above_what_was_used(limits: Limits, limit: str, flags: str) -> None:
    used = Usage(2_000_000, cost=Decimal("0.025"))
    state = State(
        limits=limits, turns=3, usage=used, seconds=7.2, outcome="limit", detail=f"limit {limit} reached: ..."
    )
    assert resume_command("7f3k", Flags(), state) == f"outrider resume 7f3k {flags}"


@pytest.mark.parametrize(
    ("approve", "asked"),
    [("never", ""), (None, "marked"), ("writes", "marked write egress"), ("always", "marked read write egress")],
)
def test_approve_says_which_calls_ask(approve: Literal["never", "writes", "always"] | None, asked: str) -> None:
    effects: tuple[Effect, ...] = ("read", "write", "egress")
    calls = {effect: Proposed("1", "tool", effect, {}) for effect in effects}
    calls["marked"] = Proposed("1", "tool", "read", {}, asks=True)
    policy = Flags(approve=approve).policy()
    verdicts = {name: policy(call, State()).action for name, call in calls.items()}
    assert verdicts == {name: "ask" if name in asked.split() else "allow" for name in calls}
