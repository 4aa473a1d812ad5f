"""The examples, executed: they run offline on the embedded model."""

import subprocess
import sys
from collections.abc import Callable
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


def run(example: Path, folder: Path) -> str:
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
    return done.stdout


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_says_how_to_run_it_is_short_and_runs(example: Path, tmp_path: Path) -> None:
    source = example.read_text()
    assert source.startswith("# ")
    assert example.name in source.partition("\n")[0]
    assert source.count("\n") < 60
    assert run(example, tmp_path).strip()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".outrider"]


def test_the_readme_shows_the_first_example() -> None:
    shown = next(step.text for step in steps(ROOT / "README.md") if step.kind == "python")
    assert EXAMPLES[0].read_text().endswith("\n" + shown)


def test_extraction_gives_the_fields_of_both_texts(tmp_path: Path) -> None:
    printed = run(EXAMPLES[1], tmp_path)
    lines = [line.split("   (")[0] for line in printed.splitlines()]
    assert lines == ["Harbor Supplies | INV-2041 | 1250.40 EUR", "Northwind Paper | NP-77 | 89.90 USD"]


def test_the_embedded_example_answers_one_user_and_lets_the_other_go(tmp_path: Path) -> None:
    printed = run(EXAMPLES[2], tmp_path)
    ends = {line[1:4]: line.split()[1] for line in printed.splitlines() if " · outrider show " in line}
    assert ends == {"ann": "finished", "ben": "paused"}
    assert "[ann] has the result" in printed
