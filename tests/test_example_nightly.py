"""The nightly script: what each exit code of a run makes it do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from outrider.testing.fake import FakeOpenRouter, FakeReply
from shell import PATIENCE, ROOT

SCRIPT = ROOT / "examples" / "06_nightly.sh"
ANSWER = json.dumps({"vendor": "Harbor", "number": "7", "total": 5.5, "currency": "EUR"})


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty folder, and beside it two texts and an ``outrider`` on the path."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "outrider"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m outrider.cli "$@"\n')
    command.chmod(0o755)
    (tmp_path / "bin" / "python3").symlink_to(sys.executable)
    (tmp_path / "inbox").mkdir()
    for name in ("a", "b"):
        (tmp_path / "inbox" / f"{name}.txt").write_text(f"Invoice {name}")
    (tmp_path / "work").mkdir()
    return tmp_path


def night(place: Path, server: FakeOpenRouter, **env: str) -> "subprocess.CompletedProcess[str]":
    known = {
        "PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "OUTRIDER_CACHE": os.environ["OUTRIDER_CACHE"],
        "PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in ("agent", "tools", "prompts")),
        "OUTRIDER_BASE_URL": server.base_url,
        "OPENROUTER_API_KEY": "sk-or-for-tests",
        "INBOX": str(place / "inbox"),
    }
    command = ["sh", str(SCRIPT), "some/model"]
    return subprocess.run(
        command, cwd=place / "work", env=known | env, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def table(place: Path) -> list[str]:
    return (place / "work" / "invoices.csv").read_text().splitlines()


def test_it_is_short_and_says_what_runs_it() -> None:
    source = SCRIPT.read_text()
    assert source.startswith("# sh examples/06_nightly.sh")
    assert source.count("\n") < 60


def test_each_text_becomes_a_line_and_the_bill_is_the_sum(place: Path) -> None:
    with FakeOpenRouter([FakeReply(text=ANSWER, cost=0.001)] * 2) as server:
        done = night(place, server)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "spent: 0.002 dollars\n"
    assert table(place) == ["Harbor;7;5.5;EUR"] * 2
    assert sorted(path.name for path in (place / "work").iterdir()) == [".outrider", "invoices.csv"]


def test_a_run_that_can_go_on_is_named_and_the_night_goes_on(place: Path) -> None:
    with FakeOpenRouter([FakeReply(text="no", cost=0.03), ANSWER]) as server:
        done = night(place, server)
    assert done.returncode == 4
    assert f"to go on: OUTRIDER_BASE_URL={server.base_url} outrider resume " in done.stderr
    assert table(place) == ["Harbor;7;5.5;EUR"]


def test_an_answer_that_never_fits_needs_a_look(place: Path) -> None:
    with FakeOpenRouter(["no"] * 4 + [ANSWER]) as server:
        done = night(place, server)
    assert done.returncode == 3
    assert "a.txt needs a look: outrider show " in done.stderr
    assert table(place) == ["Harbor;7;5.5;EUR"]


def test_the_budget_of_the_night_ends_it(place: Path) -> None:
    with FakeOpenRouter([FakeReply(text=ANSWER, cost=0.01)]) as server:
        done = night(place, server, BUDGET="0.01")
    assert done.returncode == 4
    assert "used up before" in done.stderr
    assert table(place) == ["Harbor;7;5.5;EUR"]


def test_what_would_be_wrong_for_every_text_ends_it_at_once(place: Path) -> None:
    with FakeOpenRouter([]) as server:
        done = night(place, server, OPENROUTER_API_KEY="")
    assert done.returncode == 2
    assert done.stderr.count("no API key") == 1
    assert done.stdout == ""
