"""The examples, executed: they run offline on the embedded model."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

from pages import steps

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("[0-9]*.py"))
WATCHDOG = 300.0


@pytest.fixture(autouse=True)
def local_model(missing: Callable[[str], NoReturn]) -> None:
    from outrider.local import weights

    try:
        import xllamacpp  # pyright: ignore # noqa: F401
    except ImportError:
        missing("xllamacpp is not installed: pip install 'outrider[local]'")
    if not weights.embedded_path().is_file():
        missing("the local model's weights are not here: outrider local pull")


Run = Callable[[Path], str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """What an example prints, run once in a folder of its own."""

    @cache
    def printed(example: Path) -> str:
        folder = tmp_path_factory.mktemp(example.stem)
        done = subprocess.run(
            [sys.executable, str(example), "local"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=WATCHDOG,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert [path.name for path in folder.iterdir()] == [".outrider"]
        return done.stdout

    return printed


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_says_how_to_run_it_is_short_and_runs(example: Path, run: Run) -> None:
    source = example.read_text()
    assert source.startswith("# ")
    assert example.name in source.partition("\n")[0]
    assert source.count("\n") < 60
    assert run(example).strip()


def test_the_readme_shows_the_first_example() -> None:
    shown = next(step.text for step in steps(ROOT / "README.md") if step.kind == "python")
    assert EXAMPLES[0].read_text().endswith("\n" + shown)


def test_extraction_gives_the_fields_of_both_texts(run: Run) -> None:
    printed = run(EXAMPLES[1])
    lines = [line.split("   (")[0] for line in printed.splitlines()]
    assert lines == ["Harbor Supplies | INV-2041 | 1250.40 EUR", "Northwind Paper | NP-77 | 89.90 USD"]


def test_the_embedded_example_answers_one_user_and_lets_the_other_go(run: Run) -> None:
    printed = run(EXAMPLES[2])
    ends = {line[1:4]: line.split()[1] for line in printed.splitlines() if " · outrider show " in line}
    assert ends == {"ann": "finished", "ben": "paused:"}
    assert "[ben] paused: its reader left · " in printed
    assert "[ann] has the result" in printed


def test_the_research_is_answered_by_what_was_found(run: Run) -> None:
    lines = run(EXAMPLES[3]).splitlines()
    assert lines[:-1] == [
        "How tall is the lighthouse at Orrin Point, in metres? 41.5",
        "  says so: https://almanac.example/lights/orrin-point",
        "  does not: https://visit.example/orrin-point",
        "  says so: https://news.example/orrin-point-painted",
    ]


def test_the_report_has_a_row_for_each_file(run: Run) -> None:
    _, *rows, last = run(EXAMPLES[4]).splitlines()
    assert [row.split() for row in rows] == [
        ["harbor.txt", "Turin", "5", "July", "positive"],
        ["mill.txt", "Leeds", "9", "August", "negative"],
        ["station.txt", "Porto", "2", "September", "positive"],
    ]
    assert last == "in all $0.0000"


def test_the_misbehaving_server_is_gone_round(run: Run) -> None:
    lines = run(EXAMPLES[5]).splitlines()
    assert lines[:-1] == [
        "request 1 failed: truncated_stream (billed: 0.0001)",
        lines[1],
        "request 2 failed: malformed_reply (billed: unknown)",
        "  then: retry in 0.0 s, mistralai/mistral-small",
        "request 3 answered by mistralai/mistral-small: $0.0004",
        "There are 12 lamps left.",
    ]
    assert lines[1].endswith("the same model, without cheap-host")


def test_a_report_that_adds_up_and_a_purse_that_two_runs_share(run: Run) -> None:
    first, bill, met, so_far, second = run(EXAMPLES[6]).splitlines()
    assert first.startswith("finished: title='Lamps'")
    assert first.endswith("total=42")
    told = "the last answer was asked for by"
    assert bill == f"  $0.04 for 4 requests; 1 rejected; {told} no form: it came of the work"
    assert re.match(
        r"limit: limit purse lamps \d+ reached: \$0.05 of \$0.06, and the next request may cost \$0.02", met
    )
    assert so_far.endswith("'total': 42}")
    assert second == f"  $0.02 for 2 requests; 0 rejected; {told} json_schema strict"


def test_a_killed_task_goes_on_and_no_letter_is_posted_twice(run: Run) -> None:
    printed = [line.strip() for line in run(EXAMPLES[7]).splitlines()]
    assert printed[:5] == ["life 1", "posted to Ada", "posted to Ben", "kill -9", "life 2"]
    assert printed[5:9] == ["posted to Cleo", "posted to Dora", "kill -9", "life 3"]
    assert printed[9].startswith("All four letters are out. It took 9 replies")
    assert printed[10:] == ["letters at the post office: 4, runs on record: 1"]


def test_consent_comes_from_another_process(run: Run) -> None:
    printed = [line.strip() for line in run(EXAMPLES[8]).splitlines()]
    assert printed[0] == "process begin"
    assert re.fullmatch(r"paused: it waits for consent to order \(lamps-\d+:2:0\)", printed[1])
    assert printed[2:5] == ["process approve", "Ada allows 50", "process go_on"]
    assert printed[5] == "ordered: 50 lamps"
    assert printed[6].startswith("Done. ")


def start(example: Path, folder: Path, *args: str, **env: str) -> "subprocess.CompletedProcess[str]":
    left = {name: value for name, value in os.environ.items() if not name.startswith(("OPENROUTER", "OUTRIDER"))}
    command = [sys.executable, str(example), *args]
    return subprocess.run(
        command, cwd=folder, env=left | env, capture_output=True, text=True, timeout=WATCHDOG, check=False
    )


@pytest.mark.parametrize("example", EXAMPLES[:5], ids=lambda path: path.stem)
def test_without_a_key_an_example_says_so_in_two_lines(example: Path, tmp_path: Path) -> None:
    done = start(example, tmp_path)
    told, hint = done.stderr.splitlines()
    assert (done.returncode, told) == (2, "there is no API key for OpenRouter")
    assert "OPENROUTER_API_KEY" in hint


def test_a_search_that_finds_nothing_gives_no_number_as_an_answer(tmp_path: Path) -> None:
    weights = {name: value for name, value in os.environ.items() if name == "OUTRIDER_CACHE"}
    done = start(EXAMPLES[3], tmp_path, "local", "--live", DDGS_PROXY="http://127.0.0.1:9", **weights)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("The search failed or found nothing, so ")
