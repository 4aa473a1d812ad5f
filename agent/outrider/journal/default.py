"""The journal that agents share unless told otherwise: one for each folder and process."""

import os
from functools import cache

from outrider.journal.sqlite import SQLiteJournal, default_home


def default_journal() -> SQLiteJournal:
    """The journal in ``$OUTRIDER_HOME`` or ``.outrider``; its one writer serves every agent of this process."""
    return _journal(str(default_home().absolute()), os.getpid())


@cache
def _journal(home: str, process: int) -> SQLiteJournal:
    return SQLiteJournal(home)
