"""Every snippet of the README and of docs/ runs, and what a page says is printed is printed."""

import ast
import asyncio
import contextlib
import inspect
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import pytest
from msgspec.structs import replace

from outrider import given
from outrider.cache import cache_home
from outrider.local import weights
from outrider.model import Model
from outrider.openrouter.settings import Settings
from outrider.testing.fake import FakeOpenRouter, FakeReply
from pages import Step, steps

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PATIENCE = 300.0
PROGRAMS = ("jq", "sqlite3")

Missing = Callable[[str], NoReturn]


class Untrue(AssertionError):
    """A page says something that is not so."""


class Reader:
    """Somebody who types in a page, step by step, in a folder of their own."""

    def __init__(self, page: Path, server: FakeOpenRouter, env: Callable[[str, str], None]) -> None:
        self.page, self._server, self._env = page, server, env
        self._module = ModuleType("page")
        sys.modules["page"] = self._module
        self._printed = ""

    def do(self, step: Step) -> None:
        """One step. Raises Untrue, naming the line, when it does not go as the page says."""
        if step.marks.get("not run"):
            return
        if step.file:
            self._keep(step)
        kinds: dict[str, Callable[[Step], None]] = {
            "python": self._python, "sh": self._shell, "text": self._output, "env": self._set, "replies": self._replies,
            "lists": self._lists, "toml": _parses, "json": _parses, "md": _named, "jinja": _named,
        }  # fmt: skip
        try:
            if "not run" in step.marks:
                raise Untrue("say why it is not run")
            if step.kind not in kinds:
                raise Untrue(f"a block is one of {', '.join(kinds)}, not {step.kind!r}")
            kinds[step.kind](step)
        except Exception as error:
            said = str(error) if isinstance(error, Untrue) else f"{type(error).__name__}: {error}"
            raise Untrue(f"{self.page.name}:{step.line}: {said}") from error

    def _keep(self, step: Step) -> None:
        path = Path(step.file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(step.text, encoding="utf-8")

    def _python(self, step: Step) -> None:
        source = "\n" * (step.line - 1) + step.text  # a traceback then names the line of the page
        code = compile(source, str(self.page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        if step.file:  # a module for a later block
            return
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            done: Any = eval(code, vars(self._module))
            if inspect.iscoroutine(done):
                asyncio.run(done)
        self._printed = printed.getvalue()

    def _shell(self, step: Step) -> None:
        done = subprocess.run(
            ["sh", "-e", "-c", step.text],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=PATIENCE, check=False,
        )  # fmt: skip
        self._printed = done.stdout
        if done.returncode != int(step.marks.get("exit", 0)):
            raise Untrue(f"exit code {done.returncode}\n{done.stdout}")

    def _output(self, step: Step) -> None:
        wanted, found = without_chance(step.text), without_chance(self._printed)
        pattern = ".*?".join(re.escape(part) for part in wanted.split("..."))
        if not re.fullmatch(pattern, found, re.DOTALL):
            raise Untrue(f"it printed\n{self._printed}")

    def _set(self, step: Step) -> None:
        name, _, value = step.text.partition("=")
        self._env(name, value)

    def _lists(self, step: Step) -> None:
        for path, data in json.loads(step.text).items():
            self._server.pages[path] = FakeReply(body=json.dumps({"data": data}).encode())

    def _replies(self, step: Step) -> None:
        for reply in json.loads(step.text):
            self._server.add(reply if isinstance(reply, str) else FakeReply(**reply))


def _parses(step: Step) -> None:
    (tomllib if step.kind == "toml" else json).loads(step.text)


def _named(step: Step) -> None:
    if not step.file:
        raise Untrue("say under which name it is kept: <!-- file: name.md -->")


def without_chance(text: str) -> str:
    """The text without what differs from run to run: names of runs, seconds, dates, the server here."""
    text = re.sub(r"OUTRIDER_BASE_URL=http://127\.0\.0\.1:\S+ ", "", text)
    text = re.sub(r"\b[0-9a-z]{10}\b", "RUN", text)
    text = re.sub(r"\b\d+\.\d+ s\b", "N s", text)
    return re.sub(r"\b\d{4}-\d\d-\d\d \d\d:\d\d\b", "DATE", text).strip()


def check_parts(page: list[Step], missing: Missing) -> None:
    text = "\n".join(step.text for step in page if "not run" not in step.marks)
    for program in PROGRAMS:
        if re.search(rf"\b{program}\b", text) and not shutil.which(program):
            missing(f"{program} is not installed")
    if re.search(r"-m local\b|[\"=]local\b", text) and not weights.embedded_path().is_file():
        missing("the local model's weights are not here: outrider local pull")


@pytest.fixture
def desk(tmp_path: Path, server: FakeOpenRouter, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An empty folder, ``outrider`` on the path, and a server in the place of OpenRouter."""

    def model_here(model: str | Model, settings: Settings) -> Model:
        elsewhere = settings.base_url != Settings().base_url
        return given.model_from(model, settings if elsewhere else replace(settings, base_url=server.base_url))

    monkeypatch.setattr("outrider.agent.model_from", model_here)
    monkeypatch.setattr("outrider.openrouter.lists.cache_home", cache_home)  # that of the page's commands
    monkeypatch.setenv("OUTRIDER_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENROUTER_API_KEY", "key-for-tests")
    monkeypatch.setenv("OUTRIDER_CACHE", str(cache_home()))
    monkeypatch.setenv("PATH", os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])))
    for name in ("OUTRIDER_MODEL", "OUTRIDER_HOME", "OUTRIDER_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "argv", ["page"])
    return monkeypatch


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_shows_is_true(
    page: Path, desk: pytest.MonkeyPatch, server: FakeOpenRouter, missing: Missing
) -> None:
    found = steps(page)
    if makers := [step.text for step in found if step.kind == "made by"]:
        assert (ROOT / makers[0]).is_file(), f"{page.name} is made by {makers[0]}, which is not there"
        return  # the test that made it has run it
    check_parts(found, missing)
    read(page, server, desk)


def read(page: Path, server: FakeOpenRouter, desk: pytest.MonkeyPatch) -> None:
    before = set(sys.modules)
    reader = Reader(page, server, desk.setenv)
    try:
        for step in steps(page):
            reader.do(step)
    finally:  # a page's app.py is not that of the next page
        for name in set(sys.modules) - before:
            if (getattr(sys.modules[name], "__file__", None) or "").startswith(os.getcwd()) or name == "page":
                del sys.modules[name]


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as they stand in links."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"], ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    lost: list[str] = []
    for link in links:
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if "://" not in link and not (target.exists() and (not anchor or anchor in anchors(target))):
            lost.append(link)
    assert not lost


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("```sh\nexit 3\n```\n", "page.md:2: exit code 3"),
        ("```python\nprint(1)\n```\n\n```text\n2\n```\n", "page.md:6: it printed\n1"),
        ("```python\n\n1 / 0\n```\n", "page.md:2: ZeroDivisionError"),
        ("```toml\nx =\n```\n", "page.md:2: TOMLDecodeError"),
        ("```\nls\n```\n", "page.md:2: a block is one of"),
        ("<!-- not run: -->\n```sh\nmake\n```\n", "page.md:3: say why"),
        ("<!-- replies: [1 -->\n", "page.md:1: JSONDecodeError"),
        (" ```sh\n ls\n ```\n", "indented"),
    ],
)
def test_what_is_not_as_the_page_says_is_named(
    desk: pytest.MonkeyPatch, server: FakeOpenRouter, text: str, told: str
) -> None:
    page = Path("page.md").absolute()
    page.write_text(text)
    with pytest.raises((Untrue, ValueError), match=re.escape(told)):
        read(page, server, desk)


PAGE = """
<!-- replies: [{"calls": [["weather", {"city": "Paris"}]]}, "Warm."] -->
<!-- hidden python
shown = "weather"
-->
```python
# app.py
from outrider import tool

@tool(effect="read")
def weather(city: str) -> str:
    \"\"\"Tomorrow's weather for a city.\"\"\"
    return f"{city}: 21 degrees"
```
```sh
outrider run "How warm?" --tool app:weather --quiet
```
```text
Warm.
```
<!-- replies: ["Hello."] -->
```python
from outrider import Agent

result = await Agent().run("Hi")
print(result, shown)
```
```text
finished · 1 request · ... · 2.5 s · outrider show 0123456789 weather
```
<!-- exit: 2 -->
```sh
outrider rum
```
"""


def test_a_page_is_read_from_top_to_bottom(desk: pytest.MonkeyPatch, server: FakeOpenRouter) -> None:
    page = Path("page.md").absolute()
    page.write_text(PAGE)
    read(page, server, desk)
    assert [request.json["messages"][-1]["content"] for request in server.requests] == [
        "How warm?",
        "Paris: 21 degrees",
        "Hi",
    ]
