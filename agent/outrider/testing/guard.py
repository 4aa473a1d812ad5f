"""No test reaches the network: only this machine may be spoken to."""

import ipaddress
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch


class NetworkBlocked(RuntimeError):
    """Something tried to reach another machine. Not an OSError, so that no retry swallows it."""


@contextmanager
def only_loopback() -> Generator[None]:
    """While this is open, sockets of this process connect to loopback addresses and Unix sockets only.

    Looking up a host name other than ``localhost`` is blocked as well. Child processes are not covered.
    """
    connect, connect_ex, look_up = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def guarded(self: socket.socket, address: Any) -> None:
        _check(self, address)
        connect(self, address)

    def guarded_ex(self: socket.socket, address: Any) -> int:
        _check(self, address)
        return connect_ex(self, address)

    def guarded_look_up(host: Any, *rest: Any, **more: Any) -> Any:
        if host is not None and not _is_here(host):
            raise NetworkBlocked(f"the network is closed in tests: look-up of {host!r}")
        return look_up(host, *rest, **more)

    with (
        patch.object(socket.socket, "connect", guarded),
        patch.object(socket.socket, "connect_ex", guarded_ex),
        patch.object(socket, "getaddrinfo", guarded_look_up),
    ):
        yield


def _check(sock: socket.socket, address: Any) -> None:
    if sock.family in (socket.AF_INET, socket.AF_INET6) and not _is_here(address[0]):
        raise NetworkBlocked(f"the network is closed in tests: connection to {address}")


def _is_here(host: Any) -> bool:
    name = host.decode() if isinstance(host, bytes) else str(host)
    if name in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
