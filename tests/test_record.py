"""What docs/ says of the record and the reports is what the code does; OUTRIDER_WRITE=1 writes it anew."""

import asyncio
import json
import os
import re
import sqlite3
from functools import cache
from pathlib import Path
from typing import Any, cast, get_args

import jsonschema
import pytest
from hypothesis import given
from msgspec import Raw

from catalogue_kit import ENDPOINTS, MODELS, put
from journal_kit import sql, written
from outrider import events as e
from outrider.journal import database
from outrider.journal.migrations import SCHEMA
from outrider.journal.sqlite import SQLiteJournal
from outrider.journal.tables import LARGE
from outrider.testing.fake import FakeReply
from published import SCHEMAS, Json, events_page
from random_events import events
from shell import FORECAST, ROOT, Done, Shell, pay_call, weather_call

DOCS = ROOT / "docs"
RECORD = ROOT / "tests" / "record"
PAGE = DOCS / "record.md"
MARK = "<!-- events: what follows is made from agent/outrider/events.py -->\n"


def published(path: Path, content: bytes) -> bytes:
    """What the file holds; written first when that is asked for."""
    if os.environ.get("OUTRIDER_WRITE") == "1":
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    return path.read_bytes()


def sealed(schema: Any) -> Any:
    """The schema, taking no field that it does not name."""
    if isinstance(schema, list):
        return [sealed(part) for part in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    parts = {name: sealed(part) for name, part in cast(Json, schema).items()}
    return parts | {"additionalProperties": False} if "properties" in parts and "type" in parts else parts


@cache
def schema(name: str) -> Any:
    return jsonschema.Draft202012Validator(sealed(json.loads(SCHEMAS[name]())))


# ----------------------------------------------------------------------------------------------- the words


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_schemas_are_those_of_the_code(name: str) -> None:
    made = SCHEMAS[name]()
    assert published(DOCS / "schemas" / f"{name}.json", made) == made, "OUTRIDER_WRITE=1 and the same test"
    jsonschema.Draft202012Validator.check_schema(json.loads(made))


def test_the_page_tells_every_event() -> None:
    text = PAGE.read_text(encoding="utf-8")
    made = text.partition(MARK)[0] + MARK + "\n" + events_page() + "\n"
    assert published(PAGE, made.encode()).decode() == made, "OUTRIDER_WRITE=1 and the same test"
    assert re.findall(r"^### `(\w+)`", made, re.MULTILINE) == [
        kind.__struct_config__.tag for kind in get_args(e.Durable)
    ]


def test_the_page_tells_every_column(outrider: Shell) -> None:
    outrider.server.add("Hello.")
    assert outrider("run", "Hi").code == 0
    connection = sqlite3.connect(outrider.home / database.FILE)
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    columns = {
        table: [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        for table in tables
        if not table.startswith("sqlite_")
    }
    pragmas = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    connection.close()
    text = PAGE.read_text(encoding="utf-8")
    sections = re.findall(r"^### Table `(\w+)`\n(.*?)(?=^##)", text, re.DOTALL | re.MULTILINE)
    assert {name: re.findall(r"^\| `(\w+)` \|", body, re.MULTILINE) for name, body in sections} == columns
    assert re.findall(r"is (\d+), `PRAGMA user_version` the version of the tables: (\d+)", text) == [
        tuple(map(str, pragmas))
    ]


# ----------------------------------------------------------------------------------------- and what is said


@given(events)
def test_every_event_fits_its_schema(event: e.Durable) -> None:
    line: Json = {"run": "r", "seq": 1, "at": 1.5, "event": json.loads(e.encode(event))}
    assert not list(schema("events").iter_errors(line))


ENDS: dict[str, tuple[list[str], list[FakeReply | str]]] = {
    "finished": (["Hi"], [FakeReply(text="Hello.", cost=None)]),
    "paused": (["Pay.", "-t", "app:pay", "--approve", "writes"], [pay_call()]),
    "limit": (["How warm?", "-t", "app:weather", "--max-turns", "1"], [weather_call()]),
    "provider": (["Hi"], [FakeReply(status=400, error="no such thing")]),
    "truncated": (["Hi"], [FakeReply(text="Hel", finish="length")]),
}
"""Runs by how they end: the arguments, and what the model says."""


def test_reports_and_the_list_of_runs_fit_their_schemas(outrider: Shell) -> None:
    for outcome, (args, replies) in ENDS.items():
        outrider.server.add(*replies)
        said = outrider("run", *args, "--json")
        (report,) = fitting(said, "report")
        assert (report["outcome"], report["exit_code"]) == (outcome, said.code)
    listed = fitting(outrider("runs", "--json"), "runs")
    assert [line["outcome"] for line in listed] == list(reversed(ENDS))
    assert {line["by"] for line in fitting(outrider("runs", "--cost", "--json"), "costs")} == {
        "day",
        "model",
        "provider",
    }


def test_what_the_doctor_says_fits_its_schema(outrider: Shell, tmp_path: Path) -> None:
    for args in ((), ("-m", "local"), ("nowhere.toml",)):
        said = outrider("doctor", *args, "--json", OPENROUTER_API_KEY="", OUTRIDER_CACHE=str(tmp_path))
        (diagnosis,) = fitting(said, "doctor")
        assert diagnosis["ready"] == (said.code == 0)


def test_what_is_listed_of_models_fits_its_schemas(outrider: Shell, tmp_path: Path) -> None:
    put(outrider.server, models=[*MODELS, {"id": "bare"}], endpoints=[*ENDPOINTS, {}])
    for args, name in (((), "models"), (("qwen/qwen3-14b",), "providers")):
        fitting(outrider("models", *args, "--json", OUTRIDER_CACHE=str(tmp_path)), name)


def test_events_fit_their_schema_as_they_happen_and_from_the_record(outrider: Shell) -> None:
    busy = FakeReply(status=503, error="busy", headers={"Retry-After": "0"})
    outrider.server.add(busy, weather_call(), "Rather.", FORECAST)
    run = outrider("run", "How warm?", "-t", "app:weather", "--output", "app:Forecast", "--events")
    live = fitting(run, "events")
    assert live == fitting(outrider("show", "last", "--json"), "events")
    assert [line["seq"] for line in live] == list(range(1, len(live) + 1))
    assert {"request_failed", "output_rejected", "tool_finished"} <= {line["event"]["kind"] for line in live}


def fitting(done: Done, name: str) -> list[Json]:
    for line in done.lines:
        schema(name).validate(line)
    assert done.lines
    return done.lines


# ------------------------------------------------------------------------------------- what older ones wrote


def holds(now: Any, before: Any) -> bool:
    """Whether all that was recorded is still there; limits have been added since."""
    if isinstance(before, dict):
        then = cast("dict[str, Any]", before)
        return set(now) - set(then) <= {"repeats", "purse"} and all(
            holds(now[name], value) for name, value in then.items()
        )
    return now == before


def test_events_of_version_1_are_read_and_written_as_they_were() -> None:
    lines = (RECORD / "events-1.jsonl").read_bytes().splitlines()
    for line in lines:
        assert holds(json.loads(e.encode(e.decode(line))), json.loads(line))
    assert len({json.loads(line)["kind"] for line in lines}) == len(lines) == 22


@pytest.mark.parametrize("version", range(1, SCHEMA + 1))
def test_a_journal_of_each_version_is_listed_read_and_gone_on_with(version: int, outrider: Shell) -> None:
    written(outrider.home, version)
    (line,) = fitting(outrider("runs", "--json"), "runs")
    assert (line["outcome"], line["turns"]) == ("paused", 2)
    assert {line["cost"] for line in outrider("runs", "--cost", "--json").lines} == {"0.0002"}
    assert "Paris: 21 degrees" in outrider("show", "last").out
    assert outrider("show", "last", "--request", "2").code == 0
    assert outrider("approve", "last", f"{line['run']}:2:0").code == 0
    assert sql(outrider.home, "PRAGMA user_version") == [(version,)], "reading and answering leave it to older ones"
    outrider.server.add("Paid.")
    resumed = outrider("resume", "last", "-t", "app:weather", "-t", "app:pay", "--approve", "writes")
    assert (resumed.code, resumed.out) == (0, "Paid.\n")
    assert sql(outrider.home, "PRAGMA user_version") == [(SCHEMA,)]
    (request,) = outrider.server.requests
    assert [message["content"] for message in request.json["messages"] if message["role"] == "tool"] == [
        "Paris: 21 degrees",
        "paid 3",
    ]


@pytest.mark.anyio
async def test_a_process_of_version_1_goes_on_beside_one_that_brings_the_tables_forward(tmp_path: Path) -> None:
    written(tmp_path / "home", 1)
    older = sqlite3.connect(tmp_path / "home" / database.FILE, isolation_level=None)
    (columns,) = older.execute("SELECT count(*) FROM event").fetchone()
    journals = [SQLiteJournal(tmp_path / "home") for _ in range(4)]
    logs = await asyncio.gather(*(journal.create(f"new{place}") for place, journal in enumerate(journals)))
    large = "x" * LARGE
    for log in logs:
        event = e.MessageAdded(Raw(json.dumps({"role": "user", "content": large})), "test")
        log.append(e.Entry(1, 1000.0, event), e.encode(event))
        await log.flush()
    older.execute("INSERT INTO event SELECT run, 12, at, epoch, body FROM event WHERE seq = 3")
    older.close()
    assert [entry.seq for entry in await journals[0].read("h4kqmmaap5")] == [*range(1, columns + 2)]
    (entry,) = await journals[0].read("new0")
    assert isinstance(entry.event, e.MessageAdded)
    assert json.loads(bytes(entry.event.wire))["content"] == large
    apart = "SELECT CAST(event.body AS TEXT), count(*) FROM event JOIN body USING (run, seq) GROUP BY 1"
    assert sql(tmp_path / "home", apart) == [('{"kind":"message_added"}', len(journals))]
    for journal in journals:
        await journal.close()
