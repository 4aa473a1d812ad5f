"""What users' type checkers see: tests/typing holds, checked by pyright."""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parents[1]
CASES = sorted((ROOT / "tests" / "typing").glob("*.py"))


def test_the_types_are_what_they_say(missing: Callable[[str], NoReturn]) -> None:
    if not find_spec("pyright"):
        missing("pyright is not installed")
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", *map(str, CASES)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    report = json.loads(done.stdout)
    found = [
        f"{Path(problem['file']).name}:{problem['range']['start']['line'] + 1}: {problem['message']}"
        for problem in report["generalDiagnostics"]
    ]
    assert not found, "\n".join(found)
    assert report["summary"]["filesAnalyzed"] == len(CASES) > 1
