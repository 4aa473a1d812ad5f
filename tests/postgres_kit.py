"""A PostgreSQL server of the tests' own: a scratch cluster on loopback, run as an ordinary user."""

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

WATCHDOG = 120
_USERS = ("postgres", "nobody")
"""Who runs the server when we are root, which PostgreSQL refuses to be run by."""
_SETTINGS = ("fsync=off", "max_connections=200", "unix_socket_directories=''", "listen_addresses=127.0.0.1")


def programs() -> Path | None:
    """The folder of PostgreSQL's server programs, or None: Debian keeps them off the PATH."""
    known = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    found = [Path(there).parent] if (there := shutil.which("postgres")) else []
    return next((folder for folder in [*known, *found] if (folder / "initdb").exists()), None)


class Cluster:
    """A server that can be stopped and started again. ``address`` is that of its first database."""

    def __init__(self, folder: Path, *settings: str) -> None:
        self._folder, self._programs, self._settings = folder, programs() or Path(), settings
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            self.port: int = free.getsockname()[1]
        self.address = f"postgresql://outrider@127.0.0.1:{self.port}/postgres"
        self._do("initdb", "--auth=trust", "--username=outrider", "--encoding=UTF8", "--no-sync", "--locale=C")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = " ".join(f"-c {setting}" for setting in (*_SETTINGS, *self._settings, f"port={self.port}"))
        self._do("pg_ctl", "start", "--wait", f"--log={self._folder}/log", f"--options={settings}")

    def stop(self, how: str = "fast") -> None:
        """Stop it: "fast" ends its sessions, "immediate" is a crash."""
        self._do("pg_ctl", "stop", "--wait", f"--mode={how}")

    def _do(self, program: str, *arguments: str) -> None:
        user = next(name for name in _USERS if _known(name)) if os.geteuid() == 0 else None
        command = [self._programs / program, "-D", self._folder / "data", *arguments]
        subprocess.run(
            command, cwd=self._folder, user=user, check=True, timeout=WATCHDOG,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip


@contextmanager
def cluster(*settings: str) -> Generator[Cluster]:
    """A server for as long as the block lasts, with settings of its own."""
    with TemporaryDirectory(prefix="outrider-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if os.geteuid() == 0:
            owner = next(name for name in _USERS if _known(name))
            shutil.chown(folder, owner)
        server = Cluster(folder, *settings)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")


def _known(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
