"""The journals that agents share: one for each folder and process, with one writer for all of them."""

import os
from functools import cache
from pathlib import Path

from outrider.journal.sqlite import SQLiteJournal, default_home


def default_journal() -> SQLiteJournal:
    """The journal in ``$OUTRIDER_HOME`` or ``.outrider``; its one writer serves every agent of this process."""
    return journal_in(default_home())


def journal_in(folder: str | Path) -> SQLiteJournal:
    """The journal in this folder, the same one whenever this process asks. ``~`` stands for the user's home."""
    return _journal(os.path.abspath(Path(folder).expanduser()), os.getpid())


@cache
def _journal(home: str, process: int) -> SQLiteJournal:
    return SQLiteJournal(home)
