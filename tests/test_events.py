"""The union of events: its JSON, its version, what is flushed."""

import json
import os
import subprocess
import sys
from typing import get_args

import msgspec
import pytest
from hypothesis import given

from outrider import Limits
from outrider import commands as c
from outrider import events as e
from random_events import commands, events, live


@given(events)
def test_a_durable_event_survives_json(event: e.Durable) -> None:
    body = e.encode(event)
    assert e.decode(body) == event
    assert e.encode(e.decode(body)) == body


@given(live)
def test_a_live_event_has_json_and_is_no_durable_one(event: e.Live) -> None:
    body = e.encode(event)
    assert json.loads(body)["text"] == event.text
    with pytest.raises(msgspec.ValidationError):
        e.decode(body)


@given(commands)
def test_a_command_survives_json(command: c.AnyCommand) -> None:
    assert c.decode(msgspec.json.encode(command)) == command


def test_kinds_are_the_names_of_the_classes_and_each_is_used_once() -> None:
    def snake(name: str) -> str:
        return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")

    kinds = {kind.__name__: kind.__struct_config__.tag for kind in get_args(e.Durable | e.Live)}
    assert kinds == {name: snake(name) for name in kinds}
    assert len(kinds) == 29


def test_every_record_says_the_version_of_its_events() -> None:
    started = e.RunStarted("r", "task", "agent", "model", (), Limits())
    assert json.loads(e.encode(started))["schema"] == e.SCHEMA
    newer = msgspec.structs.replace(started, schema=e.SCHEMA + 1)
    assert e.decode(e.encode(newer)) == newer


def test_fields_of_a_newer_version_are_ignored_and_newer_kinds_are_not() -> None:
    assert e.decode(b'{"kind":"run_paused","reason":"approval","mood":"calm"}') == e.RunPaused("approval")
    with pytest.raises(msgspec.DecodeError):
        e.decode(b'{"kind":"run_danced"}')


def test_absent_json_is_left_out() -> None:
    assert e.encode(e.RunFinished("limit")) == b'{"kind":"run_finished","outcome":"limit"}'
    assert not e.NOTHING


def test_what_must_not_happen_twice_is_on_disk_before_it_happens() -> None:
    def intent(effect: str) -> e.Intent:
        return e.Intent("r:1:0", "act", msgspec.Raw(b"{}"), "r:1:0", effect)  # type: ignore[arg-type]

    assert not e.ToolStarted((intent("read"), intent("read"))).flush
    assert e.ToolStarted((intent("read"), intent("write"))).flush
    assert e.ToolStarted((intent("egress"),)).flush
    flushed = {kind.__name__ for kind in get_args(e.Durable) if kind.flush is True}
    assert flushed == {"RunStarted", "RunResumed", "RunPaused", "RunFinished", "RequestSent"}


def test_events_cannot_be_changed() -> None:
    event = e.RunPaused("approval")
    with pytest.raises(AttributeError):
        event.reason = "doubt"  # type: ignore[misc]


AT_ONCE = """
import sys, threading
sys.setswitchinterval(1e-6)
from outrider.events import decode
start = threading.Barrier(8)
def first():
    start.wait()
    decode(b'{"kind":"run_paused","reason":"approval"}')
threads = [threading.Thread(target=first) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_threads_that_read_their_first_events_at_once_do_not_take_the_process_down() -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ends = [subprocess.run([sys.executable, "-c", AT_ONCE], env=env, timeout=60, check=False) for _ in range(15)]
    assert [end.returncode for end in ends] == [0] * 15
