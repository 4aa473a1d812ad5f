"""What jobs that nobody watches may meet: other folders, modules that end their process, full disks, each other."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from outrider.testing.fake import FakeReply
from shell import APP, START, Shell, end, pay_call, weather_call


def test_another_folder_is_never_read_by_a_command_typed_there(outrider: Shell) -> None:
    listing = FakeReply(calls=[("list_files", {})])
    outrider.server.add(listing, "Perhaps.", "Nothing.")
    cellar = outrider.work / "cellar"
    cellar.mkdir()
    first = outrider("run", "What is here?", "-t", "files=cellar", "--max-turns", "1", OUTRIDER_HOME="../home")
    assert f"files={cellar}" in first.resume
    bare = outrider("resume", "last", "-t", "files", "--max-turns", "4")
    assert (bare.code, bare.out) == (2, "")
    assert f"worked in {cellar}, and here it would work in {outrider.work}" in bare.err
    again = outrider("resume", "last", "--max-turns", "5")
    assert f"--max-turns 5 -t files.list_files={cellar}" in again.err
    forced = outrider("resume", "last", "-t", "files", "--max-turns", "4", "--force")
    assert (forced.code, f"changed: tool list_files worked in {cellar}" in forced.err) == (0, True)


def test_a_module_that_ends_the_process_is_a_mistake_like_others(outrider: Shell) -> None:
    (outrider.work / "night.py").write_text(f"{APP}\nimport sys\nsys.exit(0)\n")
    done = outrider("run", "Hi", "-t", "night:weather", "--json")
    assert (done.code, done.json["outcome"]) == (2, "usage")
    assert "module night cannot be imported: SystemExit: 0" in done.err
    assert "Mend night.py, line " in done.err


@pytest.mark.parametrize("flag", ["-m", "--output", "--stronger", "--id"])
def test_an_empty_flag_is_a_variable_that_is_not_set(outrider: Shell, flag: str) -> None:
    done = outrider("run", "Hi", flag, "")
    assert (done.code, done.out, len(outrider.server.requests)) == (2, "", 0)
    assert " is empty\n" in done.err


def test_a_full_disk_behind_stdout_is_told_with_where_the_answer_is(outrider: Shell) -> None:
    outrider.server.add("Hello.")
    command = [sys.executable, "-c", START, "run", "Hi", "-q"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, cwd=outrider.work, env=outrider.env, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert "stdout could not be written to (No space left on device)" in done.stderr
    assert "outrider show last" in done.stderr
    assert "Traceback" not in done.stderr


def test_who_waits_for_another_process_says_so_and_can_be_stopped(outrider: Shell) -> None:
    outrider.server.add(FakeReply(text="Warm.", hold=threading.Event()))
    first = outrider.start("run", "How warm?", "--id", "night")
    outrider.server.wait(lambda: len(outrider.server.requests) == 1)
    second = outrider.start("run", "How warm?", "--id", "night")
    told = ""
    while "another process does run night" not in told:
        assert second.stderr
        told = second.stderr.readline()
        assert told, "it ended without a word"
    second.terminate()
    assert end(second).code == 130
    first.kill()
    end(first)


def test_the_report_names_the_calls_that_wait(outrider: Shell) -> None:
    outrider.server.add(pay_call())
    done = outrider("run", "Pay", "-t", "app:pay", "--approve", "writes", "--json")
    run = done.json["run"]
    call = {"call": f"{run}:1:0", "tool": "pay", "arguments": {"amount": 3}, "in_doubt": False}
    assert (done.code, done.json["waiting"]) == (6, [call])
    assert outrider("deny", run, "1:0", "no").code == 0
    assert f"noted of {run}:1:0: deny: no; it counts when" in outrider("show", run).out
    assert "said already" in outrider("deny", run, "1:0", "too dear").err


def test_a_purse_that_is_empty_says_with_how_much_more_to_go_on(outrider: Shell) -> None:
    outrider.server.add(weather_call(), "Warm.", "Warm.")
    done = outrider("run", "How warm?", "-t", "app:weather", "--purse", "p=0.00001")
    assert done.code == 4
    assert "--purse" in done.resume
