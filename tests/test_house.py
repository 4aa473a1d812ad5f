"""The walls of the house: sizes, names, pins, what an import loads."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOMES = {"outrider": ROOT / "agent", "outrider_tools": ROOT / "tools", "outrider_prompts": ROOT / "prompts"}
SOURCES = sorted(path for package, home in HOMES.items() for path in (home / package).rglob("*.py"))

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def definitions() -> Iterator[tuple[Path, Definition]]:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, Definition):
                yield path, node


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_no_file_is_over_400_lines() -> None:
    too_long = [f"{short(path)} has {lines(path)} lines: split it" for path in SOURCES if lines(path) > 400]
    assert SOURCES
    assert not too_long, "\n".join(too_long)


def test_the_loop_is_under_200_lines() -> None:
    assert lines(ROOT / "agent/outrider/loop.py") < 200


def test_no_function_is_over_60_lines() -> None:
    too_long = [
        f"{short(path)}:{node.lineno} {node.name} has {length} lines: split it"
        for path, node in definitions()
        if not isinstance(node, ast.ClassDef) and (length := (node.end_lineno or 0) - node.lineno + 1) > 60
    ]
    assert not too_long, "\n".join(too_long)


def test_names_say_what_a_thing_is() -> None:
    empty = {"manager", "handler", "helper", "helpers", "util", "utils", "factory"}

    def words(name: str) -> set[str]:
        return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)}

    named = [(path, node.name) for path, node in definitions()] + [(path, path.stem) for path in SOURCES]
    wrong = [f"{short(path)}: {name}" for path, name in named if words(name) & empty]
    assert not wrong, "\n".join(wrong)


def test_no_file_names_a_registry() -> None:
    hosts = re.compile(
        r"pypi[.]org|pythonhosted[.]org|npmjs[.](org|com)|yarnpkg[.]com|(deb|security)[.]debian[.]org|--(extra-)?index-url\s"
    )
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        need("a git checkout: the files under version control are what is searched")
    tracked = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    named = [
        f"{short(path)}: {found[0]}"
        for path in tracked
        if path.is_file() and (found := hosts.search(path.read_text(encoding="utf-8", errors="replace")))
    ]
    assert tracked
    assert not named, "\n".join(named)


def test_the_pins_cover_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["local"]]
    run, dev = (pins(ROOT / "requirements" / name) for name in ("run.txt", "dev.txt"))
    missing = [name for line in wanted if (name := re.split(r"[\[<>=~! ]", line)[0]) not in run]
    assert not missing, f"make pins: {missing}"
    assert run.items() <= dev.items(), f"make pins: {dict(run.items() - dev.items())} differ in dev.txt"


def pins(path: Path) -> dict[str, str]:
    text = path.read_text(encoding="utf-8")
    found = re.findall(r"^([a-z0-9-]+)==(\S+)(?: ;[^\\]*)? \\\n +--hash=sha256:", text, re.MULTILINE)
    assert len(found) == len(re.findall(r"^[a-z]", text, re.MULTILINE)), f"a pin without hash in {path.name}"
    return dict(found)


def test_importing_outrider_loads_nothing_heavy() -> None:
    heavy = "openai|httpx2|structlog|jsonschema|jinja2|click|rich|aiohttp|sqlite3|ddgs|lxml|xllamacpp"
    running = "outrider.loop|outrider.toolbox|outrider.threads"
    assert not loaded("import outrider", f"{heavy}|{running}")


def test_a_server_that_is_ready_has_loaded_what_its_runs_need() -> None:
    code = """
import asyncio
from outrider import Agent
from outrider.testing.scripted import ScriptedModel
asyncio.run(Agent(ScriptedModel(["hello"]), journal=None).ready())"""
    assert loaded(code, "outrider.loop|jinja2") == ["outrider.loop", "jinja2"]


def loaded(code: str, names: str) -> list[str]:
    """Those of the modules with these names, separated by |, that a new process has loaded after this code."""
    asked = f"{code}\nimport sys; print(*[name for name in {names.split('|')} if name in sys.modules])"
    path = os.pathsep.join(str(home) for home in HOMES.values())
    done = subprocess.run(
        [sys.executable, "-c", asked],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("lacks", "line"),
    [
        ("version_info", "older than 3.11"),
        ("ensurepip", "apt-get install python3-venv"),
        ("libgomp", "apt-get install libgomp1"),
    ],
)
def test_make_names_the_part_of_the_system_that_is_missing(tmp_path: Path, lacks: str, line: str) -> None:
    if not shutil.which("make"):
        need("make")
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    python = tmp_path / "python"
    script = ["#!/bin/sh", f'case "$*" in *{lacks}*) exit 1;; esac']
    script.append('case "$*" in "-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python;; esac')
    python.write_text("\n".join(script))
    python.chmod(0o755)
    run = ["make", "run", f"PYTHON={python}"]
    own = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(run, cwd=tmp_path, env=own, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert line in done.stderr.splitlines()[0]


def need(what: str) -> None:
    """Skip for want of something, or fail where everything is expected to be there."""
    (pytest.fail if os.environ.get("OUTRIDER_ALL") else pytest.skip)(f"needs {what}")


NEVER = {
    "pickle",
    "cPickle",
    "marshal",
    "shelve",
    "dill",
    "cloudpickle",
    "joblib",
    "jsonpickle",
    "yaml",
    "code",
    "codeop",
}
"""Modules that make code or objects of bytes."""

CALLS = {"eval", "exec", "compile", "__import__", "import_module", "load", "find_spec", "run_path", "run_module"}
"""What runs or loads something by its name; harmless where the name stands in the source."""

BY_A_PERSONS_WORD = {
    ("agent/outrider/cli/__init__.py", "import_module"): "a verb typed on the command line, one of VERBS",
    (
        "agent/outrider/cli/names.py",
        "import_module",
    ): "-t module:name, --output module:Type",
    ("agent/outrider/cli/names.py", "load"): "an installed package's entry point, named by -t",
}


def test_nothing_is_executed_or_imported_by_a_name_from_stored_data() -> None:
    found: set[tuple[str, str]] = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert not {module.partition(".")[0] for module in modules} & NEVER, short(path)
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            of = (
                node.func.value.id
                if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name)
                else ""
            )
            if name not in CALLS or (of, name) == ("re", "compile"):
                continue
            if not (node.args and all(isinstance(given, ast.Constant) for given in node.args)):
                found.add((short(path), name))
    assert found == set(BY_A_PERSONS_WORD)
