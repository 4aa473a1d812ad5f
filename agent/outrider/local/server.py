"""llama.cpp in a child process, spoken to over loopback with a random key; one for each model file.

A child process, because it can be stopped at once, because a crash in native code must not take a run
along, and because llama.cpp prints what it likes. It ends by itself when this process ends, even by kill
-9.
"""

import atexit
import importlib.util
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, Any

from outrider.errors import SetupError
from outrider.local.weights import INSTALL, embedded_path, is_whole

START_SECONDS = 300.0
"""A large file on a slow disk may take this long to load."""

PLAIN_TEMPLATE = "{% for message in messages %}{{ message.content }}{% endfor %}"
"""Hands the text over as it is: the embedded model goes on with examples, it does not chat."""

SLOTS = 4
"""Prompts whose beginnings a server keeps: the first slot serves usual requests, the others are for scoring."""

_lock = threading.Lock()
_servers: dict[Path, "Server"] = {}


class Server:
    """A running llama.cpp server. Raises SetupError when it cannot start."""

    def __init__(self, path: Path, embedded: bool) -> None:
        self.path = path
        self.key = secrets.token_hex(16)
        self.patience = 120.0
        """Seconds until an answer to one question about likelihoods counts as missing."""
        self.busy = threading.Lock()
        """Held while likelihoods are asked for: other questions in between would change the numbers."""
        self.habits: dict[Any, list[float]] = {}
        """What choices score for texts that say nothing, by prompt and choices."""
        self._kept: dict[str, int] = {}
        settings = {
            "path": str(path),
            "key": self.key,
            "template": PLAIN_TEMPLATE if embedded else "",
            "context": 2048 * SLOTS if embedded else 8192,
            "slots": SLOTS if embedded else 1,
            "max_tokens": 256 if embedded else 1024,
            "threads": 1 if embedded else max(1, (os.cpu_count() or 2) // 2),
        }
        with _noise() as noise:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(Path(__file__).with_name("child.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=noise,
                process_group=0,  # Ctrl-C is for this process; it decides when the model stops
            )
            try:
                self.url = self._begin(settings) + "/v1"
            except BaseException as error:
                self.stop()
                noise.seek(0)
                if isinstance(error, SetupError):
                    error.add_note(noise.read()[-2000:].decode(errors="replace"))
                raise

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def slot(self, beginning: str) -> tuple[int, bool]:
        """The slot that keeps a prompt's beginning, and whether it has to be put there first."""
        new = beginning not in self._kept
        if not new:
            slot = self._kept.pop(beginning)
        elif len(self._kept) < SLOTS - 1:
            slot = len(self._kept) + 1
        else:
            slot = self._kept.pop(next(iter(self._kept)))  # the one not used for longest
        self._kept[beginning] = slot
        return slot, new

    def stop(self) -> None:
        """End the process at once; it holds nothing worth saving."""
        self._process.kill()
        self.disown()

    def disown(self) -> None:
        """Close the pipes to the process, which ends by itself when nobody holds them any more."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()  # returns at once when it is another process's child

    def _begin(self, settings: dict[str, str | int]) -> str:
        """Hand over the settings and return the URL."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        watchdog = threading.Timer(START_SECONDS, self._process.kill)
        watchdog.daemon = True
        watchdog.start()
        try:
            stdin.write(json.dumps(settings).encode() + b"\n")
            stdin.flush()
            answer: dict[str, str] = json.loads(stdout.readline() or b"{}")
        except (BrokenPipeError, json.JSONDecodeError):
            answer = {}
        finally:
            watchdog.cancel()
        if "url" not in answer:
            raise _not_started(self.path, answer.get("error", "its process ended"))
        return answer["url"]


def _noise() -> IO[bytes]:
    """Where llama.cpp's words go until it has started: into memory if possible, for no file is written."""
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("llama.cpp"), "w+b")
    return tempfile.TemporaryFile()


def running(path: Path, embedded: bool) -> Server:
    """The server of a model file, started when there is none. Takes seconds: keep it off the event loop.

    Raises SetupError, with the command to type, when it cannot start.
    """
    with _lock:
        server = _servers.get(path)
        if server is None or not server.alive:
            if server is not None:
                server.stop()
            _require_package()
            server = _servers[path] = Server(path, embedded)
        return server


def stop_all() -> None:
    """Stop every server of this process; the next request starts one again."""
    with _lock:
        while _servers:
            _servers.popitem()[1].stop()


def _require_package() -> None:
    if importlib.util.find_spec("xllamacpp") is None:
        raise SetupError("the local model needs the package xllamacpp", f"Install it: {INSTALL}")


def _not_started(path: Path, error: str) -> SetupError:
    if "libgomp" in error:
        return SetupError("llama.cpp needs the system library libgomp.so.1", "Install it: apt-get install libgomp1")
    if error.startswith(("ImportError", "ModuleNotFoundError")):
        hint = "Install it again: pip install --force-reinstall 'outrider[local]'"
        return SetupError(f"llama.cpp cannot be loaded: {error}", hint)
    if path == embedded_path() and not is_whole(path):
        return SetupError(f"the embedded model's weights are damaged: {path}", "Fetch them again: outrider local pull")
    return SetupError(
        f"llama.cpp could not serve {path}: {error}",
        "Give a GGUF file of a chat model that fits into memory.",
    )


def _forget() -> None:
    """After a fork: the servers belong to the parent, and the child must not keep them alive."""
    global _lock  # noqa: PLW0603 (the parent's lock may be held by a thread that does not exist here)
    _lock = threading.Lock()
    for server in _servers.values():
        server.disown()
    _servers.clear()


atexit.register(stop_all)
os.register_at_fork(after_in_child=_forget)
