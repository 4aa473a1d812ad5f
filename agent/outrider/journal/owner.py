"""Who owns a run: one row for each process that has runs open, and whether that process still lives.

On this machine the kernel answers, and at once: process id and start time name a process for good, within one
boot and one pid namespace. Of a process that cannot be seen from here, only its heartbeat tells.
"""

import os
import secrets
from pathlib import Path
from socket import gethostname

from msgspec import Struct

from outrider.journal.store import Connection

BEAT = 10.0
"""Seconds between two heartbeats."""

VOID = 60.0
"""Seconds without a heartbeat after which an owner that cannot be seen from here counts as dead."""


class Owner(Struct, frozen=True):
    """A process that owns runs. Fields that the system does not tell are empty or 0."""

    id: str
    host: str
    boot: str
    space: str
    """The pid namespace: two containers of one host each have a process 1."""
    pid: int
    started: int
    """Start time of the process, in clock ticks since boot."""


at_work: set[str] = set()
"""Ids of this process's own owners that still have a writer."""


def this_process() -> Owner:
    """This process, under a new id."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = os.readlink("/proc/self/ns/pid")
    except OSError:  # no /proc, as on macOS
        boot = space = ""
    pid = os.getpid()
    _, started = _look(pid)
    return Owner(secrets.token_hex(8), gethostname(), boot, space, pid, started)


def owners(connection: Connection, id: str | None = None) -> list[tuple[Owner, float]]:
    """All owners on record, or one, each with the seconds since its last heartbeat."""
    rows = connection.execute(
        f"SELECT id, host, boot, space, pid, started, {connection.now} - beat FROM owner WHERE id = coalesce(?, id)",
        (id,),
    )
    return [(Owner(*row[:6]), row[6]) for row in rows]


def beat(connection: Connection, owner: Owner) -> None:
    """Put the owner on record as alive now."""
    connection.execute(
        f"INSERT INTO owner(id, host, boot, space, pid, started, beat) VALUES(?, ?, ?, ?, ?, ?, {connection.now})"
        " ON CONFLICT(id) DO UPDATE SET beat = excluded.beat",
        (owner.id, owner.host, owner.boot, owner.space, owner.pid, owner.started),
    )


def forget_dead(connection: Connection, here: Owner) -> None:
    """Forget the processes that are certainly gone, so that the table does not grow."""
    for owner, _ in owners(connection):
        if certainly_dead(owner, here):
            connection.execute("UPDATE run SET owner = NULL WHERE owner = ?", (owner.id,))
            connection.execute("DELETE FROM owner WHERE id = ?", (owner.id,))


def sign_off(connection: Connection, owner: Owner) -> None:
    """Take the owner off the record, unless a run is still in its name."""
    connection.execute(
        "DELETE FROM owner WHERE id = ? AND NOT EXISTS (SELECT 1 FROM run WHERE run.owner = owner.id)",
        (owner.id,),
    )


def certainly_dead(owner: Owner, here: Owner) -> bool:
    """Whether this machine knows that the process is gone."""
    if owner.host != here.host:
        return False
    if owner.boot != here.boot:
        return True  # the machine has restarted since
    return owner.space == here.space and os.name == "posix" and not _lives(owner)


def is_void(owner: Owner, here: Owner, age: float) -> bool:
    """Whether the owner's runs may be taken; ``age`` is the seconds since its last heartbeat."""
    if owner.host == here.host and owner.boot == here.boot and owner.space == here.space and os.name == "posix":
        return not _lives(owner)
    return certainly_dead(owner, here) or age > VOID


def _lives(owner: Owner) -> bool:
    if owner.pid == os.getpid() and owner.started == _look(owner.pid)[1]:
        return owner.id in at_work  # if not, it failed to sign off
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's, and alive
    state, started = _look(owner.pid)
    return state not in ("Z", "X") and not (started and owner.started and started != owner.started)


def _look(pid: int) -> tuple[str, int]:
    """State letter and start time of a process; empty and 0 where they cannot be seen."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return fields[0], int(fields[19])
    except (OSError, IndexError, ValueError):
        return "", 0
