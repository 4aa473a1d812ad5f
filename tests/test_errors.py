"""Every way in which a newcomer can fail, done for real; what is then printed is docs/errors.md.

OUTRIDER_WRITE=1 writes the page anew.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest
from msgspec import Struct

from error_cases import CASES, KEY, Case
from outrider.errors import JournalError, NoOutput
from outrider.local import weights
from outrider.result import Result
from outrider.state import State
from outrider.testing.fake import FakeOpenRouter
from shell import PATIENCE, ROOT

PAGE = ROOT / "docs" / "errors.md"
HEAD = """<!-- made by: tests/test_errors.py -->
# What can go wrong, and what to do

Whatever goes wrong, Outrider says in one line what happened and in the next what to do, on stderr; the exit code says
which kind it was (the table in the README). The whole traceback, where there is one, comes with `OUTRIDER_DEBUG=1`.
`outrider doctor` looks at everything a run needs before there is one.

Everything here was printed by the commands shown. Where a request failed, a server of ours stood in the place of
OpenRouter, and what follows the status is the server's own sentence.
"""
NAMED = {f"{group}: {case.title}": case for group, cases in CASES.items() for case in cases}
NOTHING = Case(title="", typed="")
UNSEEN = ("app.py", "book.txt", "sitecustomize.py")
"""Files of which nothing needs to be known."""

WEIGHTS = weights.embedded_path().name
OBEDIENT = """
import ctypes, os, sys
if sys.platform == "linux":  # permissions of files hold for root, too: PR_CAPBSET_DROP, CAP_DAC_OVERRIDE
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Shown(Struct, frozen=True):
    """What the page says of a case: what happened, what to do, and the whole section."""

    what: str
    todo: str
    section: str


Told = dict[str, Future[Shown]]


class Desk:
    """A newcomer's folder, with ``outrider`` and ``python`` at hand and a server in the place of OpenRouter."""

    def __init__(self, folder: Path, server: FakeOpenRouter, case: Case = NOTHING) -> None:
        self.work, programs = folder / "work", folder / "bin"
        self.work.mkdir(parents=True)
        programs.mkdir()
        scripts = {"outrider": '-m outrider.cli "$@"', "python": '"$@"'}
        commands = {name: f"{sys.executable} {rest}" for name, rest in scripts.items()}
        for name, command in (commands | OLD).items():
            (programs / name).write_text(f"#!/bin/sh\nexec {command}\n")
            (programs / name).chmod(0o755)
        for name, text in case.files.items():
            (self.work / name).write_text(text)
        sources = [str(ROOT / name) for name in ("agent", "tools", "prompts")]
        self._env = {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join([str(self.work), *sources]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(folder),
            "OUTRIDER_CACHE": str(self.work / "cache"),
            "OPENROUTER_API_KEY": KEY,
        } | ({} if case.real else {"OUTRIDER_BASE_URL": server.base_url})

    def type(self, command: str) -> tuple[int, str]:
        """What a shell makes of it: the exit code, and everything printed."""
        done = subprocess.run(
            [sys.executable, "-ISc", OBEDIENT, "sh", "-c", command.replace("WEIGHTS", WEIGHTS)],
            cwd=self.work, env=self._env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            encoding="utf-8", timeout=PATIENCE, check=False,
        )  # fmt: skip
        return done.returncode, self._same_everywhere(done.stdout)

    def _same_everywhere(self, text: str) -> str:
        for run in re.findall(r"\b(?:run|show|resume) ([a-z2-9]{10})\b", text):
            text = text.replace(run, "RUN")
        text = text.replace(f"OUTRIDER_BASE_URL={self._env.get('OUTRIDER_BASE_URL')} ", "")
        text = text.replace(str(self.work), "/home/you").replace(WEIGHTS, "weights.gguf")
        text = re.sub(r"Installed: [\w, ]+;", "Installed: calculator, files, ...;", text)
        return re.sub(r"\b\d+\.\d+ s\b", "N s", re.sub(r"this is 3\.\d+", "this is 3.8", text))


def old_python() -> str:
    """A command for a Python older than 3.11 if there is one; else for this one, which takes itself for one."""
    for version in ("3.10", "3.9", "3.8"):
        installed = [shutil.which(f"python{version}"), *Path.home().glob(f".pyenv/versions/{version}.*/bin/python")]
        for python in filter(None, installed):
            if subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0:
                return f'{python} "$@"'
    return f'{sys.executable} -c "import sys; sys.version_info = (3, 8, 0); import outrider"'


OLD = {"python3.8": old_python()}


def done(case: Case, folder: Path) -> Shown:
    """What the page says of a case, after doing it. Raises AssertionError unless it is one line and what to do."""
    with FakeOpenRouter(case.replies) as server:
        desk = Desk(folder, server, case)
        if case.first:
            desk.type(case.first)
        code, text = desk.type(case.typed)
    assert code == case.code, text
    assert ("Traceback" in text) == bool(case.ends), text
    what, todo = pair(case, text.splitlines())
    return Shown(what.removeprefix("outrider: "), todo.strip(), section(case, text))


def pair(case: Case, lines: list[str]) -> tuple[str, str]:
    """The line on what happened and the one on what to do. Raises AssertionError where one of them is missing."""
    if case.ends:
        at = len(lines) - 2
        assert re.match(r"\w[\w.]*: \S", lines[at]), lines
        assert re.match(r"\S.*\S", lines[-1]), lines
    elif case.code == 5:
        at = next(number for number, line in enumerate(lines) if re.match(r"request \d+ failed: |provider: ", line))
        assert re.match(r"  \S", lines[at + 1]), lines
        assert any(re.match(r"to go on: (OUTRIDER_BASE_URL=\S+ )?outrider resume RUN", line) for line in lines), lines
    else:
        at = next(number for number, line in enumerate(lines) if re.match(r"outrider: [^A-Z]", line))
        assert re.match(r"  \S", lines[at + 1]), lines
        assert len(lines) == at + 2 or case.more, lines
    return lines[at], lines[at + 1]


def section(case: Case, text: str) -> str:
    lines = text.splitlines()
    shown = ["...", *lines[-case.ends :]] if case.ends else lines
    parts = [f"### {case.title}"]
    for name, content in case.files.items():
        if name not in UNSEEN:
            parts += [f"`{name}`:", f"```text\n{content.strip()}\n```"]
    parts += ["```text\n" + "\n".join([f"$ {case.typed}", *shown]) + "\n```", f"Exit code {case.code}.\n"]
    return "\n\n".join(parts)


def table(told: Told) -> str:
    """All cases at a glance: the two lines of each, with a link to the whole of it."""
    rows = ["| | what happened | what to do | exit |", "|---|---|---|---|"]
    for name, case in NAMED.items():
        shown = told[name].result()
        anchor = re.sub(r"[^\w -]", "", case.title.lower()).replace(" ", "-")
        cells = [text.replace("|", "\\|") for text in (shown.what, shown.todo)]
        rows.append(f"| [{case.title}](#{anchor}) | {cells[0]} | {cells[1]} | {case.code} |")
    return "\n".join([*rows, ""])


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str], NoReturn]) -> Iterator[Told]:
    """The section of each case. They are done side by side, since most of the time goes into starting programs."""
    if not find_spec("xllamacpp"):
        missing("xllamacpp is not installed")
    folder = tmp_path_factory.mktemp("errors")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {name: pool.submit(done, case, folder / str(at)) for at, (name, case) in enumerate(NAMED.items())}


@pytest.mark.parametrize("name", NAMED)
def test_a_mistake_is_a_line_and_what_to_do(name: str, told: Told) -> None:
    assert told[name].result().todo


def test_the_page_shows_what_is_printed(told: Told) -> None:
    parts = [HEAD, table(told)]
    for group, cases in CASES.items():
        parts += [f"## {group}\n", *(told[f"{group}: {case.title}"].result().section for case in cases)]
    page = "\n".join(parts)
    if os.environ.get("OUTRIDER_WRITE") == "1":
        PAGE.write_text(page, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page, "OUTRIDER_WRITE=1 and the same test"


def test_an_old_python_can_read_as_far_as_the_refusal() -> None:
    source = (ROOT / "agent" / "outrider" / "__init__.py").read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 8))
    assert source.index("sys.version_info") < source.index("from outrider")


def test_a_journal_in_a_folder_that_cannot_be_written_to_is_read(tmp_path: Path) -> None:
    with FakeOpenRouter(["Hello."]) as server:
        desk = Desk(tmp_path, server)
        desk.type("outrider run Hi --quiet; chmod 400 .outrider/journal.db; chmod 500 .outrider")
        before = sorted(path.name for path in (desk.work / ".outrider").iterdir())
        code, story = desk.type("outrider show last")
        assert (code, "Hello." in story) == (0, True)
        assert " finished " in desk.type("outrider runs")[1]
        code, refusal = desk.type("outrider resume last --say More")
        assert (code, "OUTRIDER_HOME" in refusal) == (1, True)
    assert sorted(path.name for path in (desk.work / ".outrider").iterdir()) == before


def test_what_to_do_is_said_once() -> None:
    problem = JournalError("the disk is full", "Free some space.")
    result = Result(State(run="one"), lambda state: "", problem)
    with pytest.raises(NoOutput) as caught:
        _ = result.output
    assert str(caught.value) == "run one has no output: error: the disk is full\nFree some space."


def test_a_journal_left_in_the_middle_of_work_says_how_it_is_read(tmp_path: Path) -> None:
    with FakeOpenRouter(["Hello."]) as server:
        desk = Desk(tmp_path, server)
        desk.type("outrider run Hi --quiet; echo waiting > .outrider/journal.db-wal; chmod 500 .outrider")
        code, refusal = desk.type("outrider runs")
    assert (code, "in the middle of work" in refusal, "cp -r" in refusal) == (1, True, True)
