"""The command line, as real processes against a server on loopback: answers, outcomes, signals, going on."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading

import pytest

from outrider.cli.flags import Flags, resume_command
from outrider.errors import OUTCOMES
from outrider.testing.fake import FakeReply
from shell import FORECAST, PATIENCE, START, Shell, end, pay_call, weather_call

# ------------------------------------------------------------------------------------------------ answers


def test_stdout_is_the_answer_and_stderr_tells_the_way(outrider: Shell) -> None:
    outrider.server.add(weather_call(), "Warm.", FORECAST)
    done = outrider("run", "How warm?", "-t", "app:weather", "--output", "app:Forecast")
    assert (done.code, json.loads(done.out)) == (0, {"city": "Paris", "celsius": 21.5})
    assert done.out.count("\n") == 1
    assert '  weather(city="Paris")\n  weather -> Paris: 21 degrees\n' in done.err
    assert re.match(
        r"finished · 3 requests · 1 tool call · .* · OUTRIDER_HOME=\S+ outrider show \w+$", done.err.splitlines()[-1]
    )
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
    "rejected": (["No."] * 4, ["--output", "app:Forecast"]),
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
        front = [f"OUTRIDER_HOME={outrider.home}", f"OUTRIDER_BASE_URL={outrider.server.base_url}"]
        assert shlex.split(report["resume"]) == [*front, "outrider", *done.resume]
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


def test_what_failed_and_what_is_in_doubt_stands_in_the_report_and_at_the_end(outrider: Shell) -> None:
    broken = FakeReply(text="Rather warm, I think.", drop_at=2)
    outrider.server.add(FakeReply(calls=[("weather", {"town": "Paris"})]), broken, "Warm.")
    done = outrider("run", "How warm?", "-t", "app:weather", "--json")
    report = done.json
    assert (report["outcome"], report["output"], report["partial"]) == ("finished", "Warm.", None)
    assert (report["tool_calls"], report["tool_failures"]) == (1, 1)
    assert (report["cost"], report["requests_in_doubt"], report["unpriced"]) == ("0.0002", 1, 0)
    told = " · 1 tool call, 1 failed · 28 tokens · $0.00020 + 1 request in doubt · "
    assert told in done.err
    assert told in outrider("show", "last").out
    listed = outrider("runs")
    assert re.search(r" finished +2 +1, 1 failed +\$0\.00020 \+ 1 request in doubt +How warm\?\n$", listed.out)
    (line,) = outrider("runs", "--json").lines
    counts = ("cost", "requests_in_doubt", "unpriced", "tool_calls", "tool_failures")
    assert {name: line[name] for name in counts} == {name: report[name] for name in counts}


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
    assert f"{'interrupted' if code == 130 else 'paused'}: it was stopped and can be resumed\n" in done.err
    again = outrider(*done.resume)
    assert (again.code, again.out) == (0, "Hello.\n")


def test_a_second_interrupt_ends_a_stuck_process_at_once(outrider: Shell) -> None:
    outrider.server.add(FakeReply(calls=[("stuck", {})]))
    process = outrider.start("run", "Hi", "-t", "app:stuck")
    assert process.stderr
    for wanted in ("stuck()", "stopping"):
        assert wanted in next(line for line in process.stderr if wanted in line)
        process.send_signal(signal.SIGINT)
    done = end(process)
    assert (done.code, done.resume) == (130, ["resume", outrider.last(), "-t", "app:stuck"])


# ------------------------------------------------------------------------------------- resume and approve


def test_a_limit_met_says_the_command_that_goes_on(outrider: Shell) -> None:
    outrider.server.add(weather_call(), "Perhaps warm.", "Warm.")
    done = outrider("run", "How warm?", "-t", "app:weather", "--max-turns", "1")
    assert (done.code, done.out) == (4, "")
    assert done.resume[2:] == ["-t", "app:weather", "--max-turns", "4"]
    assert done.err.count("limit turns reached: 1 of 1; the model is asked for its answer as it stands\n") == 1
    assert done.err.replace(str(outrider.home), "").count("limit") == 3  # the outcome, the heading of the answer
    again = outrider(*done.resume)
    assert (again.code, again.out) == (0, "Warm.\n")
    assert outrider(*done.resume[:2]).out == "Warm.\n"  # finished: the answer again, no flags needed


def test_a_killed_run_goes_on_in_another_process(outrider: Shell) -> None:
    outrider.server.add(FakeReply(calls=[("look", {})]), "Seen.", "Vu.")
    killed = outrider("run", "Look", "-t", "app:look", "--instructions", "Be short.", DIE="1")
    assert killed.code == -signal.SIGKILL
    assert re.search(r"\w+ .* unfinished +0 +0 +cost unknown: 1 request in doubt +Look\n$", outrider("runs").out)
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
    home = f"OUTRIDER_HOME={outrider.home}"
    told = f"paused: it waits for consent to pay ({run}:1:0)\n  {home} outrider approve {run} {run}:1:0\n"
    assert told in paused.err
    assert f"  {home} outrider approve {run} {run}:1:0 --deny REASON\n" in outrider("approve", run).out
    resume = f"{home} OUTRIDER_BASE_URL={outrider.server.base_url} outrider resume {run}"
    assert f"to go on, with its flags: {resume}\n" in outrider("show", run).out
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
    forced = outrider("resume", "last", "-t", "app:weather", "--force")
    assert forced.code == 6
    assert "  changed: tool pay is missing\n" in forced.err


@pytest.mark.parametrize(("kind", "reply"), [("int", "12"), ("list[int]", "[1,2]"), ("date", '"2026-11-01"')])
def test_pythons_own_types_are_output_types_by_name(outrider: Shell, kind: str, reply: str) -> None:
    outrider.server.add(FakeReply(calls=[("weather", {"city": "Paris"})]), reply, reply)
    first = outrider("run", "How many?", "-t", "app:weather", "--output", kind, "--max-turns", "1")
    assert first.code == 4
    missing = outrider("resume", "last", "-t", "app:weather", "--max-turns", "4")
    again = kind if kind.isalpha() else "MODULE:list"  # the record has no more of it
    assert (missing.code, f"--output {again}" in missing.err) == (2, True)
    done = outrider(*first.resume)
    value = json.loads(reply)
    assert (done.code, done.out.strip() if isinstance(value, str) else json.loads(done.out)) == (0, value)


# ------------------------------------------------------------------------------------ stdout is the answer

LOUD = '''
import os, subprocess, sys
from outrider import tool

print("module printed")

@tool(effect="read")
def loud() -> str:
    """Print in every way."""
    print("print printed")
    sys.__stdout__.write("stream printed\\n")
    os.write(1, b"fd printed\\n")
    subprocess.run(["echo", "child printed"], check=True)
    return "done"
'''


@pytest.mark.parametrize("flags", [("--json",), ("--events", "--json"), ()])
def test_what_a_tool_prints_goes_to_stderr(outrider: Shell, flags: tuple[str, ...]) -> None:
    (outrider.work / "noise.py").write_text(LOUD)
    outrider.server.add(FakeReply(calls=[("loud", {})]), "Quiet.")
    done = outrider("run", "Be loud", "-t", "noise:loud", *flags)
    assert done.code == 0
    assert done.lines[-1]["output"] == "Quiet." if flags else done.out == "Quiet.\n"
    ways = ("module", "print", "stream", "fd", "child")
    assert [way for way in ways if f"{way} printed\n" in done.err] == list(ways)


def test_what_a_tool_prints_when_it_is_tried_goes_to_stderr(outrider: Shell) -> None:
    (outrider.work / "noise.py").write_text(LOUD)
    done = outrider("tools", "try", "noise:loud")
    assert (done.code, done.out) == (0, "done\n")
    assert done.err.count(" printed\n") == 5


def test_without_a_stderr_the_answer_is_still_alone(outrider: Shell) -> None:
    (outrider.work / "noise.py").write_text(LOUD)
    outrider.server.add(FakeReply(calls=[("loud", {})]), "Quiet.")
    command = ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-c", START, "run", "Hi", "-t", "noise:loud"]
    done = subprocess.run(command, cwd=outrider.work, env=outrider.env, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, b"Quiet.\n")


# ------------------------------------------------------------------------------------- the command to type


def test_the_command_to_go_on_works_from_any_folder(outrider: Shell) -> None:
    outrider.server.add(weather_call(), "Perhaps warm.", "Warm.")
    jobs, cellar = outrider.work / "jobs", outrider.work / "cellar"
    jobs.mkdir()
    cellar.mkdir()
    (jobs / "warm.toml").write_text('task = "How warm?"\ntools = ["weather_here:weather"]\n')
    (jobs / "weather_here.py").write_text((outrider.work / "app.py").read_text())
    done = outrider("run", "jobs/warm.toml", "--max-turns", "1", OUTRIDER_HOME="../home")
    (line,) = re.findall(r"^to go on: (.*)$", done.err, re.MULTILINE)
    front = [f"OUTRIDER_HOME={outrider.home}", f"OUTRIDER_BASE_URL={outrider.server.base_url}", "outrider"]
    assert shlex.split(line)[:3] == front
    outrider.work = cellar
    assert outrider(*done.resume).out == "Warm.\n"


@pytest.mark.parametrize(
    ("flags", "here"),
    [
        (Flags(tool=("files=inbox", "calculator")), "-t files=inbox -t calculator"),
        (Flags(model="local:m.gguf", output="a.json"), "-m local:m.gguf --output a.json"),
        (Flags(model="a/b", stronger="a/big"), "-m a/b --stronger a/big"),
        (Flags(model="a/b:free", output="app:Answer"), "-m a/b:free --output app:Answer"),
    ],
)
def test_paths_in_it_are_whole_where_it_may_be_typed_elsewhere(
    flags: Flags, here: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OUTRIDER_BASE_URL", "OUTRIDER_HABITS", "OUTRIDER_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert resume_command("7f3k", flags) == f"outrider resume 7f3k {here}"
    monkeypatch.setenv("OUTRIDER_HOME", "/kept")
    for relative in ("inbox", "m.gguf", "a.json"):
        here = here.replace(relative, f"{os.getcwd()}/{relative}")
    assert resume_command("7f3k", flags) == f"OUTRIDER_HOME=/kept outrider resume 7f3k {here}"


def test_the_command_to_go_on_has_the_same_habits(outrider: Shell) -> None:
    (outrider.work / "my.toml").write_text('["qwen/*"]\nthinking = { top_k = 40 }\n')
    outrider.server.add(weather_call(), "Warm.")
    done = outrider("run", "How warm?", "-t", "app:weather", "--max-turns", "1", OUTRIDER_HABITS="my.toml")
    assert f" OUTRIDER_HABITS={outrider.work}/my.toml outrider resume " in done.err
    assert "OUTRIDER_HABITS" not in done.err.splitlines()[-1], "what only reads needs none"
    assert "OUTRIDER_HABITS" in outrider("--help").out


def test_the_help_says_which_limits_hold_where_none_is_given(outrider: Shell) -> None:
    begun = " ".join(outrider("run", "--help").out.split())
    assert re.findall(r"Default: (\w+)\.", begun) == ["25", "none", "none", "600", "1", "3"]
    resumed = " ".join(outrider("resume", "--help").out.split())
    assert resumed.count("Default: as on record.") == 6


def test_a_resumed_run_is_told_what_the_embedded_model_cannot_do(outrider: Shell) -> None:
    outrider.server.add(FakeReply(status=400, error="no such thing"))
    assert outrider("run", "Hi").code == 5
    nowhere = str(outrider.home / "nowhere")
    note, *_ = outrider("resume", "last", "-m", "local", OUTRIDER_CACHE=nowhere).err.splitlines()
    assert note.startswith("note: the embedded model cannot chat")
    assert "-m local:/path/to/model.gguf, or with a key any on OpenRouter" in note


@pytest.mark.parametrize(
    ("arguments", "outcome", "code"),
    [
        (("run", "Hi", "--json", "-t", "nothing"), "usage", 2),
        (("run", "Hi", "--json", "--max-turns", "x"), "usage", 2),
        (("run", "--json"), "usage", 2),
        (("resume", "nothing", "--json"), "usage", 2),
    ],
)
def test_json_has_a_report_also_where_no_run_was_begun(
    outrider: Shell, arguments: tuple[str, ...], outcome: str, code: int
) -> None:
    done = outrider(*arguments)
    assert (done.code, done.json["run"], done.json["outcome"], done.json["exit_code"]) == (code, None, outcome, code)
    assert done.json["detail"] in done.err
    assert done.json["hint"]
