"""Certificates for encrypted lines on loopback, made by openssl: an authority, and what it vouches for."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

NAMES = "subjectAltName=IP:127.0.0.1,DNS:localhost"


class Authority:
    """Vouches for certificates; its own is ``certificate``. All lie in ``folder``."""

    def __init__(self, folder: Path, name: str, missing: Callable[[str], NoReturn]) -> None:
        if not shutil.which("openssl"):
            missing("openssl is not installed: apt-get install openssl")
        self._folder, self._name = folder, name
        self.certificate = _made(folder, name, "-addext", "keyUsage=keyCertSign")[0]

    def certify(self, name: str) -> tuple[Path, Path]:
        """A certificate for this machine's loopback, and its key."""
        signed = ("-CA", f"{self._name}.crt", "-CAkey", f"{self._name}.key", "-addext", "basicConstraints=CA:FALSE")
        return _made(self._folder, name, *signed, "-addext", NAMES)


def _made(folder: Path, name: str, *more: str) -> tuple[Path, Path]:
    command = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
        "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.crt", *more,
    ]  # fmt: skip
    subprocess.run(command, cwd=folder, check=True, timeout=60, capture_output=True)
    return folder / f"{name}.crt", folder / f"{name}.key"
