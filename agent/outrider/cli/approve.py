"""outrider approve: a person's word on a call that waits for it."""

import time
from collections.abc import Sequence
from typing import Any

import click
import msgspec
from msgspec.structs import replace

from outrider import events as e
from outrider.cli.record import read_run, with_journal
from outrider.cli.text import note, out
from outrider.errors import SetupError, did_you_mean
from outrider.inbox import answer_to
from outrider.observe.story import block, pretty
from outrider.observe.terminal import clean
from outrider.state import Call, State

BY = "cli"


@click.command("approve")
@click.argument("run")
@click.argument("call", required=False)
@click.option("--deny", is_flag=False, flag_value="", metavar="[REASON]", help="Refuse; the model is told why.")
@click.option("--arguments", metavar="JSON", help="Consent, with these arguments instead.")
@click.option("--expires", type=float, metavar="SECONDS", help="The answer is void after that.")
@click.option("--again", is_flag=True, help="Of a call in doubt: run it once more.")
@click.option("--result", metavar="TEXT", help="Of a call in doubt: it had this result.")
def command(run: str, call: str | None, **given: Any) -> int:
    """Consent to CALL of RUN; without CALL, list what waits.

    A call in doubt may have had its effect before its process died: find out, then say --result or --again.

    \b
      outrider approve last
      outrider approve 7f3k 7f3k:1:0
      outrider approve 7f3k 1:0 --deny "too expensive"
    """
    run, entries = read_run(run)
    state = State.fold(entries)
    if call is None:
        if any(given.values()) or given["deny"] is not None:
            raise click.UsageError("name the CALL to answer")
        return _list(state, entries)
    word = _word(state, _find(state, call), **given)
    with_journal(lambda journal: journal.tell(run, word))
    note(f"noted; it counts when the run goes on: outrider resume {run} and its flags")
    return 0


def _list(state: State, entries: Sequence[e.Entry]) -> int:
    whys = {entry.seq: getattr(entry.event, "why", "") for entry in entries}
    waiting = [call for call in state.owed_calls() if call.waiting]
    if not waiting:
        note(f"run {state.run} waits for nobody")
    for call in waiting:
        doubt = call.status == "doubt"
        kind = "in doubt" if doubt else "needs consent"
        out(clean(f"{call.call.name} {kind}: {whys.get(call.question, '')}"))
        out(clean(block(pretty(call.arguments or (call.intent.arguments if call.intent else b"")))))
        choices = ["--again", "--result TEXT"] if doubt else ["", "--deny REASON"]
        for choice in choices:
            out(f"  outrider approve {state.run} {call.call.id} {choice}".rstrip())
    return 0


def _find(state: State, name: str) -> Call:
    """The waiting call of that id, or of its last parts. Raises SetupError."""
    waiting = {call.call.id: call for call in state.owed_calls() if call.waiting}
    found = [id for id in waiting if id == name or id.endswith(f":{name}")]
    if len(found) != 1:
        hint = did_you_mean(name, waiting) or f"Waiting: {', '.join(waiting) or 'none'}."
        raise SetupError(f"run {state.run} has no call {name} that waits for a person", hint)
    return waiting[found[0]]


def _word(
    state: State,
    call: Call,
    deny: str | None,
    arguments: str | None,
    expires: float | None,
    again: bool,
    result: str | None,
) -> e.Answer | e.Settle:
    if call.status == "doubt":
        if (deny, arguments, expires) != (None, None, None) or again == (result is not None):
            raise click.UsageError("this call is in doubt: say either --again or --result TEXT")
        return e.Settle(BY, call.call.id, call.question, result)
    if again or result is not None:
        raise click.UsageError("this call waits for consent: --again and --result are for calls in doubt")
    if deny is not None and arguments is not None:
        raise click.UsageError("--deny and --arguments exclude each other")
    answer = answer_to(state, call.call.id, deny is None, _arguments(arguments), deny or "", BY)
    return replace(answer, expires=time.time() + expires) if expires is not None else answer


def _arguments(given: str | None) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(given, type=dict[str, Any]) if given is not None else None
    except msgspec.DecodeError as error:
        raise click.UsageError(f"--arguments is no JSON object: {error}") from error
