"""``outrider`` as a process of its own, in a folder of its own, against a server on loopback."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from outrider import cli
from outrider.testing.fake import FakeOpenRouter, FakeReply

ROOT = Path(__file__).parents[1]
PATIENCE = 60.0
# a shell that runs the tests in the background has set SIGINT to be ignored, and children inherit that
START = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from outrider.cli import main; main()"
APP = '''
import os, signal, time
from pydantic import BaseModel
from outrider import tool

class Forecast(BaseModel):
    city: str
    celsius: float

@tool(effect="read")
def weather(city: str) -> str:
    """Tomorrow's weather for a city."""
    return f"{city}: 21 degrees"

@tool
def pay(amount: int) -> str:
    """Pay an amount."""
    if os.environ.get("DIE"):
        os.kill(os.getpid(), signal.SIGKILL)
    return f"paid {amount}"

@tool(effect="read")
def look() -> str:
    """Look."""
    if os.environ.get("DIE"):
        os.kill(os.getpid(), signal.SIGKILL)
    return "seen"

@tool
async def stuck() -> str:
    """Hold up the event loop."""
    while True:
        time.sleep(0.05)

@tool(when=lambda deps, state: 1 / 0)
def broken() -> str:
    """Never on offer."""
    return ""
'''


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def resume(self) -> list[str]:
        """The arguments of the command that stderr says to type."""
        (command,) = re.findall(r"^to go on: (?:OUTRIDER_\w+=\S+ )+outrider (.*)$", self.err, re.MULTILINE)
        return shlex.split(command)


class Shell:
    """Runs ``outrider`` in a folder of its own."""

    def __init__(self, folder: Path, server: FakeOpenRouter) -> None:
        self.home, self.work = folder / "home", folder / "work"
        self.work.mkdir()
        (self.work / "app.py").write_text(APP)
        self.server = server
        self.env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in ("agent", "tools", "prompts")),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OUTRIDER_HOME": str(self.home),
            "OUTRIDER_BASE_URL": server.base_url,
            "OPENROUTER_API_KEY": "key-for-tests",
            "OUTRIDER_CACHE": os.environ["OUTRIDER_CACHE"],
        }

    def start(self, *args: str, **env: str) -> "subprocess.Popen[str]":
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [sys.executable, "-c", START, *args],
            cwd=self.work,
            env=self.env | env,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            encoding="utf-8",
        )

    def __call__(self, *args: str, stdin: str = "", **env: str) -> Done:
        return end(self.start(*args, **env), stdin)

    def last(self) -> str:
        (run,) = self("runs", "--limit", "1", "--json").lines
        return str(run["run"])


def end(process: "subprocess.Popen[str]", stdin: str = "") -> Done:
    try:
        out, err = process.communicate(stdin, timeout=PATIENCE)
    finally:
        process.kill()
    return Done(process.returncode, out, err)


Say = Callable[..., tuple[int, str, str]]
"""The command line inside this process: takes its arguments; gives the exit code, stdout and stderr."""


def say_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """The command line in a folder of its own, for what needs no process of its own."""
    for name in ("OUTRIDER_MODEL", "OUTRIDER_BASE_URL", "OUTRIDER_HABITS", "OUTRIDER_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OUTRIDER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPENROUTER_API_KEY", "key-for-tests")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    def said(*args: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(args)
        out, err = capsys.readouterr()
        return int(str(ended.value.code)), out, err

    return said


def weather_call() -> FakeReply:
    return FakeReply(calls=[("weather", {"city": "Paris"})])


def pay_call() -> FakeReply:
    return FakeReply(calls=[("pay", {"amount": 3})])


FORECAST = '{"city":"Paris","celsius":21.5}'
