"""The command line, as real processes against a server on loopback."""

import json
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from outrider import cli
from outrider.errors import OUTCOMES
from outrider.testing.fake import FakeOpenRouter, FakeReply

ROOT = Path(__file__).parents[1]
PATIENCE = 60.0
# a shell that runs the tests in the background has set SIGINT to be ignored, and children inherit that
START = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from outrider.cli import main; main()"
APP = '''
import os, signal, time
from pydantic import BaseModel
from outrider import tool

class Forecast(BaseModel):
    city: str
    celsius: float

@tool(effect="read")
def weather(city: str) -> str:
    """Tomorrow's weather for a city."""
    return f"{city}: 21 degrees"

@tool
def pay(amount: int) -> str:
    """Pay an amount."""
    if os.environ.get("DIE"):
        os.kill(os.getpid(), signal.SIGKILL)
    return f"paid {amount}"

@tool(effect="read")
def look() -> str:
    """Look."""
    if os.environ.get("DIE"):
        os.kill(os.getpid(), signal.SIGKILL)
    return "seen"

@tool
async def stuck() -> str:
    """Hold up the event loop."""
    while True:
        time.sleep(0.05)

@tool(when=lambda deps, state: 1 / 0)
def broken() -> str:
    """Never on offer."""
    return ""
'''


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def resume(self) -> list[str]:
        """The arguments of the command that stderr says to type."""
        (command,) = re.findall(r"^to go on: outrider (.*)$", self.err, re.MULTILINE)
        return shlex.split(command)


class Shell:
    """Runs ``outrider`` in a folder of its own."""

    def __init__(self, folder: Path, server: FakeOpenRouter) -> None:
        self.home, self.work = folder / "home", folder / "work"
        self.work.mkdir()
        (self.work / "app.py").write_text(APP)
        self.server = server
        self.env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in ("agent", "tools", "prompts")),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OUTRIDER_HOME": str(self.home),
            "OUTRIDER_BASE_URL": server.base_url,
            "OPENROUTER_API_KEY": "key-for-tests",
        }

    def start(self, *args: str, **env: str) -> "subprocess.Popen[str]":
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [sys.executable, "-c", START, *args],
            cwd=self.work,
            env=self.env | env,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            encoding="utf-8",
        )

    def __call__(self, *args: str, stdin: str = "", **env: str) -> Done:
        return end(self.start(*args, **env), stdin)

    def last(self) -> str:
        (run,) = self("runs", "--limit", "1", "--json").lines
        return str(run["run"])


def end(process: "subprocess.Popen[str]", stdin: str = "") -> Done:
    try:
        out, err = process.communicate(stdin, timeout=PATIENCE)
    finally:
        process.kill()
    return Done(process.returncode, out, err)


@pytest.fixture
def server() -> Iterator[FakeOpenRouter]:
    with FakeOpenRouter() as server:
        yield server


@pytest.fixture
def outrider(tmp_path: Path, server: FakeOpenRouter) -> Shell:
    return Shell(tmp_path, server)


def weather_call() -> FakeReply:
    return FakeReply(calls=[("weather", {"city": "Paris"})])


def pay_call() -> FakeReply:
    return FakeReply(calls=[("pay", {"amount": 3})])


FORECAST = '{"city":"Paris","celsius":21.5}'


# ------------------------------------------------------------------------------------------------ answers


def test_stdout_is_the_answer_and_stderr_tells_the_way(outrider: Shell) -> None:
    outrider.server.add(weather_call(), "Warm.", FORECAST)
    done = outrider("run", "How warm?", "-t", "app:weather", "--output", "app:Forecast")
    assert (done.code, json.loads(done.out)) == (0, {"city": "Paris", "celsius": 21.5})
    assert done.out.count("\n") == 1
    assert '  weather(city="Paris")\n  weather -> Paris: 21 degrees\n' in done.err
    assert re.match(r"finished · 3 requests · 1 tool call · .* · outrider show \w+$", done.err.splitlines()[-1])
    assert [path.name for path in outrider.work.iterdir()] == ["app.py"]


def test_a_task_from_stdin_an_installed_tool_and_quiet(outrider: Shell) -> None:
    outrider.server.add(FakeReply(calls=[("calculator", {"expression": "2*3"})]), "It is\n6 — süß.")
    done = outrider("run", "-", "-t", "calculator", "-q", stdin="Wie viel ist 2*3? Süß!\n")
    assert (done.code, done.out, done.err) == (0, "It is\n6 — süß.\n", "")
    first, second = outrider.server.requests
    assert first.json["messages"] == [{"role": "user", "content": "Wie viel ist 2*3? Süß!\n"}]
    assert second.json["messages"][-1]["content"] == "6"


def test_a_schema_in_a_file_is_an_output_type(outrider: Shell) -> None:
    schema = {"title": "City", "type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    (outrider.work / "city.json").write_text(json.dumps(schema))
    outrider.server.add('{"name": "Paris"}')
    done = outrider("run", "Which?", "--output", "city.json", "--json", "-m", "qwen/qwen3-8b")
    assert (done.code, done.json["output"]) == (0, {"name": "Paris"})
    (request,) = outrider.server.requests
    assert request.json["response_format"]["json_schema"]["name"] == "City"
    assert request.json["model"] == done.json["model"] == "qwen/qwen3-8b"


OUTCOME_SCRIPTS: dict[str, tuple[list[FakeReply | str], list[str]]] = {
    "finished": (["Yes."], []),
    "error": (["Yes."], ["-t", "app:broken"]),
    "rejected": (["No."] * 3, ["--output", "app:Forecast"]),
    "limit": ([weather_call()], ["-t", "app:weather", "--max-turns", "1", "--max-dollars", "none"]),
    "provider": ([FakeReply(status=400, error="no such thing")], []),
    "paused": ([pay_call()], ["-t", "app:pay", "--approve", "writes"]),
    "refused": ([FakeReply(text="I", finish="content_filter")], []),
    "truncated": ([FakeReply(text="I", finish="length")], []),
}


@pytest.mark.parametrize("outcome", OUTCOME_SCRIPTS)
def test_outcome_exit_code_and_json_agree(outrider: Shell, outcome: str) -> None:
    replies, flags = OUTCOME_SCRIPTS[outcome]
    outrider.server.add(*replies)
    done = outrider("run", "Do it", *flags, "--json")
    report = done.json
    assert report["outcome"] == outcome
    assert report["exit_code"] == done.code == OUTCOMES[outcome][0]
    assert done.err.splitlines()[-1].startswith(f"{outcome} · ")
    assert "Traceback" not in done.err
    if outcome == "finished":
        assert (report["output"], report["resume"], report["cost"]) == ("Yes.", None, "0.0001")
    else:
        assert report["output"] is None
        assert report["detail"]
        assert shlex.split(report["resume"])[1:] == done.resume
        assert done.resume[:2] == ["resume", report["run"]]


def test_events_are_json_lines_with_the_report_last(outrider: Shell) -> None:
    outrider.server.add("Hello.")
    done = outrider("run", "Hi", "--events", "--json", "-q")
    *events, report = done.lines
    assert [line["seq"] for line in events] == list(range(1, len(events) + 1))
    assert {line["run"] for line in events} == {report["run"]}
    kinds = [line["event"]["kind"] for line in events]
    assert kinds[0] == "run_started"
    assert kinds[-2:] == ["output_accepted", "run_finished"]
    assert outrider("show", report["run"], "--json").lines == events


def test_a_dry_run_prints_the_request_and_sends_nothing(outrider: Shell) -> None:
    done = outrider("run", "Hi", "-t", "app:weather", "--instructions", "Be short.", "--dry-run", OPENROUTER_API_KEY="")
    assert done.code == 0
    assert [message["content"] for message in done.json["messages"]] == ["Be short.", "Hi"]
    assert done.json["tools"][0]["function"]["name"] == "weather"
    assert not outrider.server.requests
    assert not outrider.home.exists()


# ------------------------------------------------------------------------------------------------ signals


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 6)])
def test_a_signal_stops_the_run_and_the_command_shown_resumes_it(outrider: Shell, number: int, code: int) -> None:
    outrider.server.add(FakeReply(text="Never said.", hold=threading.Event()), "Hello.")
    process = outrider.start("run", "Hi")
    outrider.server.wait(lambda: bool(outrider.server.requests), PATIENCE)
    process.send_signal(number)
    done = end(process)
    assert (done.code, done.out) == (code, "")
    again = outrider(*done.resume)
    assert (again.code, again.out) == (0, "Hello.\n")


def test_a_second_interrupt_ends_a_stuck_process_at_once(outrider: Shell) -> None:
    outrider.server.add(FakeReply(calls=[("stuck", {})]))
    process = outrider.start("run", "Hi", "-t", "app:stuck")
    assert process.stderr
    for wanted in ("stuck()", "stopping"):
        assert wanted in next(line for line in process.stderr if wanted in line)
        process.send_signal(signal.SIGINT)
    assert end(process).code == 130


# ------------------------------------------------------------------------------------- resume and approve


def test_a_limit_met_says_the_command_that_goes_on(outrider: Shell) -> None:
    outrider.server.add(weather_call(), "Warm.")
    done = outrider("run", "How warm?", "-t", "app:weather", "--max-turns", "1")
    assert done.code == 4
    assert done.resume[2:] == ["-t", "app:weather", "--max-turns", "2"]
    again = outrider(*done.resume)
    assert (again.code, again.out) == (0, "Warm.\n")
    assert outrider(*done.resume[:2]).out == "Warm.\n"  # finished: the answer again, no flags needed


def test_a_killed_run_goes_on_in_another_process(outrider: Shell) -> None:
    outrider.server.add(FakeReply(calls=[("look", {})]), "Seen.", "Vu.")
    killed = outrider("run", "Look", "-t", "app:look", "--instructions", "Be short.", DIE="1")
    assert killed.code == -signal.SIGKILL
    assert re.search(r"\w+ .* unfinished +\? .* Look\n$", outrider("runs").out)
    assert "outrider resume" in outrider("show", "last").out
    done = outrider("resume", "last", "-t", "app:look")
    assert (done.code, done.out) == (0, "Seen.\n")
    assert "changed" not in done.err
    said = outrider("resume", "last", "-t", "app:look", "--say", "In French")
    assert (said.code, said.out) == (0, "Vu.\n")
    assert outrider.server.requests[-1].json["messages"][-1] == {"role": "user", "content": "In French"}


def test_consent_is_given_in_another_process(outrider: Shell) -> None:
    outrider.server.add(pay_call(), "Paid.")
    paused = outrider("run", "Pay 3", "-t", "app:pay", "--approve", "writes")
    run = paused.resume[1]
    assert f"  outrider approve {run} {run}:1:0\n" in paused.err
    waiting = outrider("approve", run[:6])
    assert '"amount": 3' in waiting.out
    assert outrider("approve", run, "1:0", "--arguments", '{"amount": 2}').code == 0
    done = outrider(*paused.resume)
    assert (done.code, done.out) == (0, "Paid.\n")
    assert "paid 2" in done.err


def test_what_is_refused_is_told_to_the_model(outrider: Shell) -> None:
    outrider.server.add(pay_call(), "Not paid.")
    paused = outrider("run", "Pay 3", "-t", "app:pay", "--approve", "always", "-q")
    assert f"outrider approve {paused.resume[1]}" in paused.err
    assert outrider("approve", "last", "1:0", "--deny", "too dear").code == 0
    assert outrider(*paused.resume).out == "Not paid.\n"
    assert "too dear" in outrider.server.requests[-1].json["messages"][-1]["content"]


def test_a_call_in_doubt_waits_for_word(outrider: Shell) -> None:
    outrider.server.add(pay_call(), "Paid.")
    assert outrider("run", "Pay 3", "-t", "app:pay", DIE="1").code == -signal.SIGKILL
    doubt = outrider("resume", "last", "-t", "app:pay")
    assert doubt.code == 6
    assert "--again" in outrider("approve", "last").out
    assert outrider("approve", "last", "1:0").code == 2
    assert outrider("approve", "last", "1:0", "--result", "paid by hand").code == 0
    assert outrider(*doubt.resume).out == "Paid.\n"
    assert outrider.server.requests[-1].json["messages"][-1]["content"] == "paid by hand"


def test_resume_lists_what_is_missing_with_the_command(outrider: Shell) -> None:
    outrider.server.add(FakeReply(calls=[("calculator", {"expression": "1+1"}), ("pay", {"amount": 3})]), FORECAST)
    flags = ["-t", "app:pay", "-t", "calculator", "--output", "app:Forecast", "--approve", "writes"]
    assert outrider("run", "Pay", *flags).code == 6
    less = outrider("resume", "last", "-t", "app:weather")
    assert (less.code, less.out) == (2, "")
    more = "-t app:weather -t MODULE:pay -t calculator --output MODULE:Forecast --approve writes"
    assert f"outrider resume {outrider.last()} {more}\n" in less.err


# ---------------------------------------------------------------------------------------------- the record


def test_a_request_is_shown_as_it_was_sent_and_checked(outrider: Shell) -> None:
    outrider.server.add(weather_call(), "Warm.")
    assert outrider("run", "How warm?", "-t", "app:weather").code == 0
    shown = outrider("show", "last", "--request", "2")
    assert (shown.code, shown.out.encode()) == (0, outrider.server.requests[1].body + b"\n")
    assert outrider("show", "last", "--request", "3").code == 2
    database = sqlite3.connect(outrider.home / "journal.db")
    with database:
        database.execute("UPDATE event SET body = replace(body, 'How warm', 'How cold') WHERE seq = 1")
    database.close()
    changed = outrider("show", "last", "--request", "2")
    assert (changed.code, "How cold" in changed.out) == (1, True)
    assert "sha256 differs" in changed.err


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
    assert all(word in done.err for word in ("OPENROUTER_API_KEY", "openrouter.ai/keys", "--model local"))
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


Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """The command line inside this process, for what needs no process of its own."""
    for name in ("OUTRIDER_MODEL", "OUTRIDER_BASE_URL", "OUTRIDER_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OUTRIDER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPENROUTER_API_KEY", "key-for-tests")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    def said(*args: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(args)
        out, err = capsys.readouterr()
        return int(str(ended.value.code)), out, err

    return said


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["rum", "x"], "Did you mean run"),
        (["run", "x", "-t", "calculatr"], "Did you mean calculator"),
        (["run", "x", "-t", "outrider_tools.files:file_tool"], "Did you mean file_tools"),
        (["run", "x", "-t", "outrider_tools.files:MAX_BYTES"], "is no tool but of type int"),
        (["run", "x", "-t", "no_such_module:tool"], "there is no module"),
        (["run", "x", "--output", "Forecast"], "neither a .json file nor module:Type"),
        (["run", "x", "--output", "nothing.json"], "cannot be read"),
        (["run", "x", "--max-turns", "-1"], "limit turns is -1"),
        (["run", "x", "--max-dollars", "lots"], "'lots' is not a number"),
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
