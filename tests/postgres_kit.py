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
    """A server that can be stopped and started again. ``address`` is that of its first database.

    One that follows a ``primary`` has all that is written there, and can take its place.
    """

    def __init__(self, folder: Path, *settings: str, primary: "Cluster | None" = None) -> None:
        self._folder, self._programs, self._settings = folder, programs() or Path(), settings
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            self.port: int = free.getsockname()[1]
        self.address = f"postgresql://outrider@127.0.0.1:{self.port}/postgres"
        if primary:
            whence = ("--host=127.0.0.1", f"--port={primary.port}", "--username=outrider")
            self._do("pg_basebackup", *whence, "--write-recovery-conf", "--checkpoint=fast", "--no-sync")
        else:
            self._do("initdb", "--auth=trust", "--username=outrider", "--encoding=UTF8", "--no-sync", "--locale=C")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = " ".join(f"-c {setting}" for setting in (*_SETTINGS, *self._settings, f"port={self.port}"))
        self._do("pg_ctl", "start", "--wait", f"--log={self._folder}/log", f"--options={settings}")

    def stop(self, how: str = "fast") -> None:
        """Stop it, if it runs: "fast" ends its sessions, "immediate" is a crash."""
        if not (self._folder / "data" / "postmaster.pid").exists():
            return
        self._do("pg_ctl", "stop", "--wait", f"--mode={how}")

    def guard(self, certificate: Path, key: Path) -> None:
        """Speak under this certificate from now on, and to nobody who does not."""
        for source, name in ((certificate, "server.crt"), (key, "server.key")):
            file = self._folder / "data" / name
            shutil.copyfile(source, file)
            os.chmod(file, 0o600)
            if os.geteuid() == 0:
                shutil.chown(file, _owner())
        (self._folder / "data" / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 trust\n")
        self._settings += ("ssl=on",)
        self.stop()
        self.start()

    def promote(self) -> None:
        """Take the place of the primary; returns when it can be written to."""
        self._do("pg_ctl", "promote", "--wait")

    def _do(self, program: str, *arguments: str) -> None:
        user = _owner() if os.geteuid() == 0 else None
        command = [self._programs / program, "-D", self._folder / "data", *arguments]
        subprocess.run(
            command, cwd=self._folder, user=user, check=True, timeout=WATCHDOG,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip


@contextmanager
def cluster(*settings: str, primary: Cluster | None = None) -> Generator[Cluster]:
    """A server for as long as the block lasts, with settings of its own; one that follows a ``primary``."""
    with TemporaryDirectory(prefix="outrider-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if os.geteuid() == 0:
            shutil.chown(folder, _owner())
        server = Cluster(folder, *settings, primary=primary)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")


def _owner() -> str:
    """Who runs the server in the place of root."""
    return next(name for name in _USERS if _known(name))


def _known(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
