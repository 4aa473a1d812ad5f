"""outrider show: the record of a run, to read."""

import hashlib
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import click
import msgspec
from msgspec import Raw

from outrider import events as e
from outrider.cli.approve import noted, said_of
from outrider.cli.live import accepted
from outrider.cli.record import is_given_out, is_live, read_run, with_journal
from outrider.cli.text import fitted, flush, note, out, out_json, out_row, to_people
from outrider.errors import SetupError
from outrider.journal import Journal
from outrider.journal.follow import follow as read_along
from outrider.journal.lines import EventLine
from outrider.model import join_body
from outrider.observe.story import story
from outrider.observe.terminal import lines
from outrider.result import Result
from outrider.state import State


@click.command("show")
@click.argument("run")
@click.option(
    "--request",
    type=int,
    metavar="N",
    help="The exact body of request N, checked against its hash; then what came back.",
)
@click.option("--json", "as_json", is_flag=True, help="The entries as JSON Lines.")
@click.option("-f", "--follow", is_flag=True, help="Go on as more comes, until the run rests.")
@click.option(
    "--after",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Only entries above N, as JSON Lines if not followed.",
)
def command(run: str, request: int | None, as_json: bool, follow: bool, after: int) -> int:
    """Read RUN (an id, the beginning of one, or last) as a story, or exactly.

    \b
      outrider show last
      outrider show last --follow
      outrider show 7f3k --json --follow --after 12
      outrider show 7f3k --request 2
      outrider show 7f3k --request 2 | head -n 1 > body.json
    """
    run, entries = read_run(run)
    if request is not None:
        return _show_request(run, entries, request)
    if follow:
        return _follow(run, entries, after, as_json)
    if as_json or after:
        for entry in entries[after:]:
            _line(run, entry)
    else:
        state = State.fold(entries)
        for row in fitted(story(entries, not state.over and is_live(run)), sys.stdout):
            out_row(row)
        for call, word in noted(state).items():
            out(f"noted of {call}: {said_of(word)}; it counts when the run goes on")
    return 0


def _line(run: str, entry: e.Entry) -> None:
    out_json(EventLine(run, entry.seq, entry.at, Raw(e.encode(entry.event))))


def _follow(run: str, entries: Sequence[e.Entry], after: int, as_json: bool) -> int:
    state = State()

    def shown(entry: e.Entry) -> None:
        if entry.seq > after and as_json:
            _line(run, entry)
        elif entry.seq > after:
            for row in lines(entry, state):
                out_row(row)
        state.add(entry)
        flush()

    for entry in entries:
        shown(entry)

    async def rest(journal: Journal) -> None:
        async for entry in read_along(journal, run, state.seq):
            shown(entry)

    with suppress(KeyboardInterrupt):
        with_journal(rest)
        _wait_for_workers(state, lambda: with_journal(rest))
    if not as_json:
        told = str(Result(state, accepted))
        note(told if state.over else f"nobody works on it now: {told.partition(' · ')[2]}")
    return 0


def _wait_for_workers(state: State, read: Callable[[], None]) -> None:
    """Read on while a run that was submitted is not over: where a worker is lost, another one takes its place."""
    waits = False
    while not state.over and is_given_out(state.run):
        if not waits:
            note("no worker is at it now; the next one that is free goes on")
            waits = True
        time.sleep(_LOOK)
        read()


_LOOK = 1.0
"""Seconds between two looks at a run that no worker has."""


def _show_request(run: str, entries: Sequence[e.Entry], number: int) -> int:
    sent, body = compose(run, entries, number)
    came = received(entries, number)
    _out(body)
    if came:
        _out(e.encode(came))
    if hashlib.sha256(body).hexdigest() != sent.sha256:
        note(f"outrider: this is not what was sent: its sha256 differs from the recorded {sent.sha256}")
        return 1
    note(f"request {number} as it was sent, sha256 {sent.sha256}, {_then(came)}")
    return 0


def _out(body: bytes) -> None:
    out(msgspec.json.format(body, indent=2) if to_people() else body)


def _then(came: e.Replied | e.RequestFailed | None) -> str:
    match came:
        case e.Replied():
            return "and the reply, put right in places" if came.repairs else "and the reply"
        case e.RequestFailed():
            return "and how it failed"
        case None:
            return "and no reply is on record"


def received(entries: Sequence[e.Entry], number: int) -> e.Replied | e.RequestFailed | None:
    """What came back for request ``number``: the reply (before repairs: its ``raw``), the failure, or nothing yet."""
    events = (entry.event for entry in entries)
    return next((it for it in events if isinstance(it, e.Replied | e.RequestFailed) and it.number == number), None)


def compose(run: str, entries: Sequence[e.Entry], number: int) -> tuple[e.RequestSent, bytes]:
    """Request ``number`` as recorded, and its body made again. Raises SetupError when there is no such request."""
    state = State()
    for entry in entries:
        state.add(entry)
        if isinstance(entry.event, e.RequestSent) and entry.event.number == number:
            messages = state.messages[: entry.event.messages]
            return entry.event, join_body(messages, state.settings or Raw(b"{}"))
    raise SetupError(f"run {run} has no request {number}", f"It made {state.requests}, counted from 1.")
