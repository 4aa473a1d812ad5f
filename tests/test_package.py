"""The package in other people's environments: what a wheel holds, and an installed one beside a user's own files.

The wheel is installed, with nothing from the network, into an environment made for these tests. A .pth file lends it
the dependencies of the environment that the tests run in; the repository itself is not on its path.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest

from outrider.testing.fake import FakeOpenRouter, FakeReply

ROOT = Path(__file__).parents[1]
HOMES = {"outrider": ROOT / "agent", "outrider_tools": ROOT / "tools", "outrider_prompts": ROOT / "prompts"}
PATIENCE = 300.0
NOT_SHIPPED = shutil.ignore_patterns(".*", "__pycache__", "dist", "*.pyc")

Missing = Callable[[str], NoReturn]


def call(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    """The stdout of a command that has to succeed."""
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
    return done.stdout


def build(target: str, tree: Path, to: Path) -> Path:
    call(sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", to, cwd=tree)
    (built,) = to.iterdir()
    return built


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory, missing: Missing) -> Path:
    """A copy of the repository, which nobody edits meanwhile."""
    if not find_spec("hatchling"):
        missing("hatchling is not installed")
    tree = tmp_path_factory.mktemp("copy") / "tree"
    shutil.copytree(ROOT, tree, ignore=NOT_SHIPPED)
    shutil.copy(ROOT / ".gitignore", tree)  # hatchling reads it
    return tree


@pytest.fixture(scope="module")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", tree, tmp_path_factory.mktemp("wheel"))


# ----------------------------------------------------------------------------------------------- the wheel


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_wheel_holds_the_three_packages_and_nothing_else(wheel: Path, tree: Path) -> None:
    expected = {
        path.relative_to(tree / home.name).as_posix()
        for package, home in HOMES.items()
        for path in (tree / home.name / package).rglob("*")
        if path.is_file()
    }
    assert {f"{package}/py.typed" for package in HOMES} <= expected
    assert expected == {name for name in contents(wheel) if ".dist-info/" not in name}


def test_the_wheel_from_the_tree_is_the_wheel_from_the_sdist(wheel: Path, tree: Path, tmp_path: Path) -> None:
    sdist = build("sdist", tree, tmp_path / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    again = build("wheel", tmp_path / sdist.name.removesuffix(".tar.gz"), tmp_path / "wheel")
    assert again.name == wheel.name
    assert contents(again) == contents(wheel)


def test_the_sdist_holds_what_its_own_tests_and_make_need(tree: Path, tmp_path: Path) -> None:
    with tarfile.open(build("sdist", tree, tmp_path)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"Makefile", "LICENSE", "requirements/run.txt", "tests/shell.py", "examples/01_hello.py"} <= names


# ----------------------------------------------------------------------------------------------- installed


@dataclass
class Place:
    """An environment in which Outrider is installed, and a folder of its user."""

    env: Path
    folder: Path

    @property
    def bin(self) -> Path:
        return self.env / "bin"

    @property
    def site(self) -> Path:
        return Path(sysconfig.get_path("purelib", "venv", {"base": str(self.env), "platbase": str(self.env)}))

    def variables(self, **more: str) -> dict[str, str]:
        path = os.pathsep.join((str(self.bin), os.environ["PATH"]))
        return {"PATH": path, "HOME": os.environ["HOME"], "PYTHONDONTWRITEBYTECODE": "1", **more}

    def __call__(self, *command: str | Path, **env: str) -> str:
        return call(*command, cwd=self.folder, env=self.variables(**env))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory, missing: Missing) -> Place:
    if not find_spec("pip"):
        missing("pip is not installed")
    folder = tmp_path_factory.mktemp("installed")
    place = Place(folder / "env", folder)
    call(sys.executable, "-m", "venv", "--without-pip", place.env, cwd=folder)
    python = place.bin / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python, "install"]
    call(*pip, "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
    (place.site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return place


@pytest.fixture
def place(installed: Place, tmp_path: Path) -> Place:
    folder = tmp_path / "user"
    folder.mkdir()
    return Place(installed.env, folder)


AGENT = """
import outrider
import outrider_prompts
import outrider_tools
import prompts
import tests
import tools
from outrider import Agent
from outrider.testing.scripted import Calls, ScriptedModel
from outrider_tools.calculator import calculator

for module in (outrider, outrider_tools, outrider_prompts, tools, prompts, tests):
    print(module.__file__)
script = [Calls(("calculator", {"expression": "6*7"}), ("greet", {"name": "Ann"})), "42 it is."]
result = Agent(ScriptedModel(script), tools=[calculator, tools.greet]).run_sync("What is 6*7?")
print([message.content for message in result.messages][2:])
"""
TOOLS = '''
from outrider import tool

@tool(effect="read", trust="trusted")
def greet(name: str) -> str:
    """Greet somebody."""
    return f"Good morning, {name}."
'''


def test_it_works_beside_a_users_own_folders_and_a_script_called_agent(place: Place) -> None:
    for name in ("tools", "prompts", "tests"):
        (place.folder / name).mkdir()
        (place.folder / name / "__init__.py").write_text(TOOLS if name == "tools" else "")
    (place.folder / "agent.py").write_text(AGENT)
    *files, said = place("python", "agent.py").splitlines()
    ours = [str(place.site / package / "__init__.py") for package in ("outrider", "outrider_tools", "outrider_prompts")]
    assert files == ours + [str(place.folder / name / "__init__.py") for name in ("tools", "prompts", "tests")]
    assert said == "['42', 'Good morning, Ann.', '42 it is.']"
    with FakeOpenRouter([FakeReply(calls=[("greet", {"name": "Ben"})]), "Done."]) as server:
        there = {"OUTRIDER_BASE_URL": server.base_url, "OPENROUTER_API_KEY": "key-for-tests"}
        assert place("outrider", "run", "Greet Ben.", "--tool", "tools:greet", **there) == "Done.\n"
    assert server.requests[1].json["messages"][-1]["content"] == "Good morning, Ben."


# ----------------------------------------------------------------------------------------- what it writes

FOLDERS = ("work", "home", "tmp")
WATCH = """
import os, sys

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = ("os.mkdir", "os.rename", "os.link", "os.symlink", "os.remove", "os.truncate", "sqlite3.connect")
log = os.open(os.environ["WATCH"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def heard(event, args):
    if event in CHANGES or (event == "open" and args[2] & WRITING and not isinstance(args[0], int)):
        path = os.fsdecode(args[1] if event == "os.rename" else args[0]).removeprefix("file://").partition("?")[0]
        os.write(log, os.path.abspath(path).encode() + b"\\n")

sys.addaudithook(heard)
"""
UNKEPT = """
from outrider import Agent
from outrider.testing.scripted import ScriptedModel

print(Agent(ScriptedModel(["Hello."]), journal=None).run_sync("Hi").output)
"""


@dataclass
class World:
    """A fresh home, working folder and TMPDIR; each Python process in it notes down what it opens for writing."""

    place: Place
    root: Path

    def __call__(self, *command: str | Path, **env: str) -> str:
        folders = {"HOME": str(self.root / "home"), "TMPDIR": str(self.root / "tmp"), "WATCH": str(self._log)}
        return call(*command, cwd=self.root / "work", env=self.place.variables(**folders) | env)

    @property
    def files(self) -> set[str]:
        """What there is, the database's own companions aside."""
        found = {path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file()}
        return {name for name in found if not name.endswith(("-wal", "-shm"))}

    @property
    def touched(self) -> set[str]:
        """Each path that a process made, changed, or opened to write."""
        given = {Path(os.devnull), *(self.root / name for name in FOLDERS)}
        paths = {Path(line) for line in self._log.read_text().splitlines()} - given
        return {
            path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path) for path in paths
        }

    @property
    def _log(self) -> Path:
        return self.place.folder / "written"


@pytest.fixture
def world(place: Place) -> Iterator[World]:
    root = place.folder / "world"
    for name in FOLDERS:
        (root / name).mkdir(parents=True)
    (place.folder / "written").write_text("")
    (place.site / "watch.py").write_text(WATCH)
    (place.site / "watch.pth").write_text("import os; os.environ.get('WATCH') and __import__('watch')\n")
    yield World(place, root)
    (place.site / "watch.pth").unlink()


JOURNAL = {"work/.outrider/.gitignore", "work/.outrider/journal.db"}


def test_a_run_writes_to_its_journal_and_nowhere_else(world: World) -> None:
    with FakeOpenRouter([FakeReply(calls=[("calculator", {"expression": "6*7"})]), "It is 42."]) as server:
        there = {"OUTRIDER_BASE_URL": server.base_url, "OPENROUTER_API_KEY": "key-for-tests"}
        assert world("outrider", "run", "What is 6*7?", "-t", "calculator", **there) == "It is 42.\n"
    assert "It is 42." in world("outrider", "show", "last")
    assert (world.files, world.touched) == (JOURNAL, JOURNAL | {"work/.outrider"})


def test_outrider_home_moves_all_of_it(world: World) -> None:
    with FakeOpenRouter(["Hello."]) as server:
        there = {"OUTRIDER_BASE_URL": server.base_url, "OPENROUTER_API_KEY": "key-for-tests"}
        world("outrider", "run", "Hi", OUTRIDER_HOME=str(world.root / "home" / "runs"), **there)
    moved = {"home/runs/.gitignore", "home/runs/journal.db"}
    assert (world.files, world.touched) == (moved, moved | {"home/runs"})


def test_without_a_journal_nothing_is_written(world: World) -> None:
    assert world("python", "-c", UNKEPT) == "Hello.\n"
    assert (world.files, world.touched) == (set(), set())


@pytest.fixture
def local_cache(missing: Missing) -> Path:
    """The folder of the embedded model's weights."""
    from outrider.local import weights

    if not find_spec("xllamacpp") or not weights.embedded_path().is_file():
        missing("the local model is not here: pip install 'outrider[local]', outrider local pull")
    return weights.cache_home()


def test_the_embedded_model_works_and_writes_nothing_more(world: World, local_cache: Path) -> None:
    (world.root / "work" / "agent.py").write_text("raise SystemExit('the wrong agent was imported')\n")
    before = sorted(path.name for path in local_cache.iterdir())
    run = ["outrider", "run", "-m", "local", "What is 23*19+7?", "--tool", "calculator", "--json"]
    report = json.loads(world(*run, OUTRIDER_CACHE=str(local_cache)))
    assert (report["outcome"], report["tool_calls"], "444" in report["output"]) == ("finished", 1, True)
    assert (world.files, world.touched) == (JOURNAL | {"work/agent.py"}, JOURNAL | {"work/.outrider"})
    assert sorted(path.name for path in local_cache.iterdir()) == before


# ------------------------------------------------------------------------------------------------- its types


WRONG = """
from pydantic import BaseModel
from outrider import Agent

class Forecast(BaseModel):
    celsius: float

result = Agent(output=Forecast).run_sync("How warm?")
warm: float = result.output.celsius
wrong = result.output.fahrenheit
Agent(modle="some/model")
"""


def test_examples_fit_the_installed_types_and_wrong_use_is_an_error(place: Place, missing: Missing) -> None:
    if not find_spec("pyright"):
        missing("pyright is not installed")
    examples = place.folder / "examples"
    shutil.copytree(ROOT / "examples", examples, ignore=NOT_SHIPPED)
    (examples / "wrong.py").write_text(WRONG)
    (place.folder / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    python = str(place.bin / "python")
    command = [sys.executable, "-m", "pyright", "--pythonpath", python, "--outputjson", str(examples)]
    done = subprocess.run(command, cwd=place.folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
    report = json.loads(done.stdout)
    found = {(Path(each["file"]).name, each["range"]["start"]["line"]) for each in report["generalDiagnostics"]}
    wrong = WRONG.splitlines().index("wrong = result.output.fahrenheit")
    assert found == {("wrong.py", wrong), ("wrong.py", wrong + 1)}, done.stdout
    assert report["summary"]["filesAnalyzed"] == len(list(examples.glob("*.py"))) > 3
