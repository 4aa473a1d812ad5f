"""Whether a folder lies on a file system of the network, where a journal cannot be kept.

SQLite's write-ahead log needs memory that all who use the file share. Between machines there is none, and a file that
two of them write to is damaged without a word (https://www.sqlite.org/wal.html, the disadvantages).
"""

import os
import re
from pathlib import Path

TABLE = Path("/proc/self/mountinfo")
"""Linux says there what is mounted (man 5 proc_pid_mountinfo). Elsewhere nothing is known, and nothing refused."""

_PLAIN = "nfs nfs4 cifs smb3 smbfs ncpfs afs ceph lustre gpfs beegfs glusterfs ocfs2 gfs2 davfs"
_FUSE = "sshfs glusterfs ceph ceph-fuse s3fs gcsfuse rclone juicefs blobfuse2 davfs2 lizardfs moosefs mfs"
_KINDS = frozenset([*_PLAIN.split(), *(f"fuse.{kind}" for kind in _FUSE.split())])
# Not among them: 9p and virtiofs, which bring a host's disk into the one machine that runs on it.


def network(folder: Path, table: str) -> str:
    """The kind of network file system that this folder lies on, "" where it is none. ``table`` is as in ``TABLE``."""
    whole = os.path.realpath(folder)
    place, kind = "", ""
    for line in table.splitlines():
        about, _, rest = line.partition(" - ")
        fields = about.split(" ")
        if len(fields) < 5 or not rest:
            continue
        mounted = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), fields[4])
        inside = whole == mounted or whole.startswith(mounted.rstrip("/") + "/")
        if inside and len(mounted) >= len(place):  # of two on one place the later one is seen
            place, kind = mounted, rest.split(" ", 1)[0]
    return kind if kind in _KINDS else ""


def network_of(folder: Path) -> str:
    """The same, by this machine's table."""
    try:
        return network(folder, TABLE.read_text(encoding="utf-8", errors="surrogateescape"))
    except OSError:
        return ""
