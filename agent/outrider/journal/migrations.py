"""The tables of the journal's file: the newest, and the steps that bring older ones forward.

Steps only add: what a process of an older version goes on writing beside us stays valid, and nothing is moved, so that
a step takes no longer on a large file than on a small one.
"""

import sqlite3

SCHEMA = 2
"""The version of the tables that this code writes; it reads all before."""

_FIRST = """
CREATE TABLE owner(
    id TEXT PRIMARY KEY, host TEXT NOT NULL, boot TEXT NOT NULL, space TEXT NOT NULL,
    pid INTEGER NOT NULL, started INTEGER NOT NULL, beat INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE run(
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, created REAL NOT NULL, updated REAL NOT NULL,
    owner TEXT REFERENCES owner, epoch INTEGER NOT NULL,
    agent TEXT NOT NULL DEFAULT '', model TEXT NOT NULL DEFAULT '', task TEXT NOT NULL DEFAULT '',
    outcome TEXT NOT NULL DEFAULT '', turns INTEGER NOT NULL DEFAULT 0, tool_calls INTEGER NOT NULL DEFAULT 0,
    prompt_tokens INTEGER NOT NULL DEFAULT 0, completion_tokens INTEGER NOT NULL DEFAULT 0,
    reasoning_tokens INTEGER NOT NULL DEFAULT 0, cached_tokens INTEGER NOT NULL DEFAULT 0,
    cost TEXT, seconds REAL NOT NULL DEFAULT 0
);
CREATE INDEX run_owner ON run(owner) WHERE owner IS NOT NULL;

CREATE TABLE event(
    run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE, seq INTEGER NOT NULL,
    at REAL NOT NULL, epoch INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY(run, seq)
);

CREATE TABLE inbox(
    id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
    at REAL NOT NULL, body BLOB NOT NULL, taken INTEGER
);
CREATE INDEX inbox_run ON inbox(run);
CREATE INDEX inbox_untaken ON inbox(run) WHERE taken IS NULL;
"""
# Runs go by number inside the file, and events lie in the order of their arrival: a commit shared by 200 runs
# writes a seventh of the pages it would write with events sorted by the runs' random names.

PURSES = """
CREATE TABLE IF NOT EXISTS purse(
    name TEXT NOT NULL, day TEXT NOT NULL, spent TEXT NOT NULL, factor TEXT NOT NULL, PRIMARY KEY(name, day)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS draw(
    name TEXT NOT NULL, run TEXT NOT NULL, number INTEGER NOT NULL, day TEXT NOT NULL, amount TEXT NOT NULL,
    factor TEXT NOT NULL, PRIMARY KEY(name, run, number)
) WITHOUT ROWID;
"""
"""``spent`` is what was billed, ``draw`` what is put aside for requests without a bill. Dollars, exact.

``factor`` is the one by which it was reckoned; 0 where nobody knew a price, so that nothing is learned from the bill.
Version 1 made them with the first purse.
"""

_SECOND = f"""
CREATE TABLE body(
    run INTEGER NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY(run, seq),
    FOREIGN KEY(run, seq) REFERENCES event(run, seq) ON DELETE CASCADE
);
{PURSES}
"""

_STEPS = (_FIRST, _SECOND)


def bring_forward(connection: sqlite3.Connection, version: int) -> None:
    """Make the tables that came after this version, inside a writing transaction."""
    for step in _STEPS[version:]:
        make(connection, step)
    connection.execute(f"PRAGMA user_version = {SCHEMA}")


def make(connection: sqlite3.Connection, tables: str) -> None:
    """Run the statements one by one: ``executescript`` would end the transaction."""
    for statement in tables.split(";"):
        connection.execute(statement)


def version(connection: sqlite3.Connection) -> int:
    """The version of the tables in the file, 0 when there are none yet."""
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return found
