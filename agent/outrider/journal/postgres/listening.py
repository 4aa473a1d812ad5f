"""A thread that hears PostgreSQL's notifications. They only wake: whoever misses one looks a moment later anyhow."""

import os
import selectors
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import sql

AGAIN = 1.0
"""Seconds between two tries to reach a server that is away."""

Raw = psycopg.Connection[tuple[Any, ...]]


class Listening:
    """Calls ``woken`` for each batch of notifications on ``channel``, from now until ``stop``."""

    def __init__(self, connect: Callable[[], Raw], channel: str, woken: Callable[[], None]) -> None:
        self._connect, self._woken = connect, woken
        self._command = sql.SQL("LISTEN {}").format(sql.Identifier(channel))
        self._ended, self._end = os.pipe()
        self._thread = threading.Thread(target=self._work, name="outrider-journal-listen", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it; its thread and its connection are gone when this returns."""
        os.write(self._end, b".")
        self._thread.join()
        os.close(self._end)
        os.close(self._ended)

    def _work(self) -> None:
        going = True
        while going:
            with suppress(psycopg.Error), self._connect() as connection:
                connection.execute(self._command)
                self._woken()  # for what came before
                while going := self._heard(connection.fileno()):
                    list(connection.notifies(timeout=0))
                    self._woken()
            going = going and not self._waited(None, AGAIN)

    def _heard(self, connection: int) -> bool:
        """Wait for the connection; False when it is time to end."""
        return not self._waited(connection, None)

    def _waited(self, connection: int | None, seconds: float | None) -> bool:
        """Wait until told to end, which is True, or until the connection has something or the time is up."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._ended, selectors.EVENT_READ)
            if connection is not None:
                selector.register(connection, selectors.EVENT_READ)
            return any(key.fd == self._ended for key, _ in selector.select(seconds))
