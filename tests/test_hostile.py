"""Five hundred rows and files that are broken or meant to harm: each is refused clearly, and nothing is executed."""

import base64
import json
import pickle
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from journal_kit import sql
from outrider import Agent, OutriderError, tool
from outrider.errors import JournalError
from outrider.events import CommandRefused
from outrider.journal.lines import lines, read_lines
from outrider.journal.sqlite import SQLiteJournal
from outrider.testing import Calls, Recorder, ScriptedModel

pytestmark = pytest.mark.anyio
ROWS, INBOXES, FILES = 300, 100, 100


class Bomb:
    """Goes off where somebody unpickles it."""

    file = ""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return open, (self.file, "w")


def harmful(lot: random.Random, good: bytes, file: Path) -> bytes:
    """Bytes that are no such JSON, much like it, or something else altogether."""
    bomb = Bomb()
    bomb.file = str(file)
    whole: dict[str, Any] = json.loads(good)
    name = lot.choice(list(whole))
    odd: list[Any] = [None, [], {}, -1, 1e308, "x" * 9, True, [[]], {"py/object": "os.system"}, 10**400, "\ud800"]
    ways: list[Callable[[], bytes]] = [
        lambda: good[: lot.randrange(len(good))],
        lambda: good + lot.choice([b"}", b"\0", b"{}", b" x"]),
        lambda: pickle.dumps(bomb),
        lambda: base64.b64encode(pickle.dumps(bomb)),
        lambda: b"[" * lot.choice([10, 1_000, 100_000]),
        lambda: b'{"kind":' * lot.choice([10, 100_000]),
        lambda: json.dumps(
            whole | {"kind": lot.choice(["no_such", "", "__class__", "os.system", "run_started "])}
        ).encode(),
        lambda: json.dumps({key: value for key, value in whole.items() if key != "kind"}).encode(),
        lambda: json.dumps(whole | {"kind": lot.choice(odd)}).encode("utf-8", "surrogatepass"),
        lambda: good.replace(b"{", b"{\xff\xfe", 1),
        lambda: bytes(lot.randrange(256) for _ in range(lot.randrange(1, 40))),
        lambda: b"!!python/object/apply:os.system ['touch " + str(file).encode() + b"']",
        lambda: b"__import__('os').mknod('" + str(file).encode() + b"')",
        lambda: b'{"kind": NaN, "x": Infinity}',
        lambda: json.dumps({**whole, name: lot.choice(odd)}).encode("utf-8", "surrogatepass") + b"]",
        lambda: b"",
        lambda: good.replace(b'"', b"'"),
    ]
    return lot.choice(ways)()


@tool(approve=True)
def pay(amount: int) -> str:
    """Pay."""
    raise AssertionError("nobody consented")


async def waiting(journal: SQLiteJournal) -> tuple[Agent, str]:
    agent = Agent(ScriptedModel([Calls(("pay", {"amount": 1})), "done"]), tools=[pay], journal=journal)
    return agent, (await agent.run("go")).run


async def test_broken_rows_are_named_and_hold_nothing_else_up(tmp_path: Path) -> None:
    journal, lot, bomb = SQLiteJournal(tmp_path / "home"), random.Random(1), tmp_path / "bomb"
    agent, run = await waiting(journal)
    _, other = await waiting(journal)
    ((number,),) = sql(journal.home, "SELECT number FROM run WHERE id = ?", run)
    rows = sql(journal.home, "SELECT seq, body FROM event WHERE run = ? ORDER BY seq", number)
    for _ in range(ROWS):
        seq, body = lot.choice(rows)
        assert isinstance(body, bytes)
        sql(journal.home, "UPDATE event SET body = ? WHERE run = ? AND seq = ?", harmful(lot, body, bomb), number, seq)
        for work in (journal.read(run), agent.resume(run), agent.replay(run)):
            with pytest.raises(JournalError, match=f"entry {seq} of run {run} cannot be read") as caught:
                await work
            assert caught.value.hint
        sql(journal.home, "UPDATE event SET body = ? WHERE run = ? AND seq = ?", body, number, seq)
    assert len(await journal.read(other)) > 3
    assert len(await journal.runs()) == 2
    assert (await agent.resume(run)).state.paused == "approval"
    assert not bomb.exists()


async def test_broken_words_in_the_inbox_are_refused_one_by_one(tmp_path: Path) -> None:
    journal, lot, bomb = SQLiteJournal(tmp_path / "home"), random.Random(2), tmp_path / "bomb"
    agent, run = await waiting(journal)
    ((number,),) = sql(journal.home, "SELECT number FROM run WHERE id = ?", run)
    said: dict[str, Any] = {
        "by": "Eve",
        "call": f"{run}:1:0",
        "tool": "pay",
        "arguments": {},
        "question": 1,
        "allowed": True,
    }
    good = json.dumps({"kind": "answer", **said}).encode()
    for _ in range(INBOXES):
        sql(journal.home, "INSERT INTO inbox(run, at, body) VALUES(?, 0, ?)", number, harmful(lot, good, bomb))
    again = await agent.resume(run)
    refused = [entry.event for entry in await journal.read(run) if isinstance(entry.event, CommandRefused)]
    assert (len(refused), again.state.paused) == (INBOXES, "approval")
    assert not bomb.exists()


def files(lot: random.Random, rows: list[bytes], bomb: Path) -> Iterator[bytes]:
    """A run's file with one event of it replaced."""
    while True:
        place = lot.randrange(len(rows))
        before, mark, good = rows[place].partition(b'"event":')
        wrong = before + mark + harmful(lot, good[:-1], bomb).replace(b"\n", b" ") + b"}"
        yield b"\n".join([*rows[:place], wrong, *rows[place + 1 :]])


async def test_broken_files_are_refused(tmp_path: Path) -> None:
    journal, lot, bomb = SQLiteJournal(tmp_path / "home"), random.Random(3), tmp_path / "bomb"
    _, run = await waiting(journal)
    made = files(lot, list(lines(run, await journal.read(run))), bomb)
    for number in range(FILES):
        text = next(made)
        with pytest.raises(JournalError) as caught:
            read_lines(text, "x")
        assert (caught.value.message.startswith("x:"), bool(caught.value.hint)) == (True, True)
        if number % 2:
            file = tmp_path / "recorded.jsonl"
            file.write_bytes(text)
            with pytest.raises(OutriderError, match="this is no recording"):
                Recorder(file)
    assert not bomb.exists()


@pytest.mark.parametrize("what", ["zeros", "text", "half", "other", "folder", "loop"])
async def test_a_journal_that_is_something_else_is_refused(tmp_path: Path, what: str) -> None:
    home = tmp_path / "home"
    await waiting(SQLiteJournal(home))
    file = home / "journal.db"
    for beside in home.glob("journal.db*"):
        beside.unlink()
    match what:
        case "zeros":
            file.write_bytes(b"\0" * 100_000)
        case "text":
            file.write_text("hello " * 1000)
        case "half":
            file.write_bytes(b"SQLite format 3\0" + random.Random(4).randbytes(20_000))
        case "other":
            with closing(sqlite3.connect(file)) as database:
                database.execute("CREATE TABLE run(id TEXT)")
        case "folder":
            file.mkdir()
        case _:
            file.symlink_to(file)
    journal = SQLiteJournal(home)
    agent = Agent(ScriptedModel(["one"]), journal=journal)
    for work in (journal.read("x"), agent.run("go")):
        with pytest.raises(JournalError) as caught:
            await work
        assert "journal" in caught.value.message
    await journal.close()


def test_the_decoder_of_events_makes_events_only() -> None:
    from outrider.events import decode

    with pytest.raises(msgspec.DecodeError):
        decode(b'{"kind":"builtins.print"}')
