"""The journals that agents share: one for each place and process, with one writer for all of them."""

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from outrider.errors import SetupError, without_extra
from outrider.journal import SCHEMES, Journal
from outrider.journal.sqlite import SQLiteJournal, default_home

if TYPE_CHECKING:
    from outrider.journal.postgres import PostgresJournal


def default_journal() -> Journal:
    """The journal at ``$OUTRIDER_JOURNAL``, a database, or else in ``$OUTRIDER_HOME`` or ``.outrider``.

    Its one writer serves every agent of this process.
    """
    if address := os.environ.get("OUTRIDER_JOURNAL"):
        return journal_at(address)
    return journal_in(default_home())


def journal_in(folder: str | Path) -> SQLiteJournal:
    """The journal in this folder, the same one whenever this process asks. ``~`` stands for the user's home."""
    return _journal(os.path.abspath(Path(folder).expanduser()), os.getpid())


def journal_at(address: str) -> "PostgresJournal":
    """The journal in the database at this address, the same one whenever this process asks."""
    if not address.startswith(SCHEMES):
        raise SetupError(
            "the journal's address (OUTRIDER_JOURNAL) is no PostgreSQL URI",
            "It looks like postgresql://user@host/database; OUTRIDER_HOME names a folder.",
        )
    return _in_database(address, os.getpid())


@cache
def _journal(home: str, process: int) -> SQLiteJournal:
    return SQLiteJournal(home)


@cache
def _in_database(address: str, process: int) -> "PostgresJournal":
    try:
        from outrider.journal.postgres import PostgresJournal
    except ImportError as error:
        raise without_extra("a journal in PostgreSQL", "postgres", error) from None
    return PostgresJournal(address)
