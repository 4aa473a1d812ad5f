"""outrider approve: a person's word on a call that waits for it."""

import sys
import time
from collections.abc import Sequence
from typing import Any

import click
import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from outrider import commands as c
from outrider import events as e
from outrider.cli.record import BY, call_workers, is_live, read_run, with_journal
from outrider.cli.shape import shape
from outrider.cli.text import fitted, note, out_row
from outrider.errors import SetupError, did_you_mean
from outrider.inbox import answer_to, heard, in_words, leave
from outrider.masking import Masking
from outrider.observe.line import Line, toned
from outrider.observe.terminal import answers_to, result_text, short
from outrider.state import Call, State
from outrider.telling import pretty, typed

Word = e.ApprovalGiven | e.ToolSettled


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
    if call is not None:
        return answer(run, call, **given)
    if any(given.values()) or given["deny"] is not None:
        raise click.UsageError("name the CALL to answer")
    run, entries = read_run(run)
    return _list(State.fold(entries), entries)


def answer(
    run: str,
    call: str,
    deny: str | None = None,
    arguments: str | None = None,
    expires: float | None = None,
    again: bool = False,
    result: str | None = None,
) -> int:
    """Leave a person's word on a call for the owner of its run. Raises SetupError when it comes to nothing."""
    run, entries = read_run(run)
    state = State.fold(entries)
    waiting = _find(state, call)
    given: dict[str, Any] = {"deny": deny, "arguments": arguments, "expires": expires, "again": again, "result": result}
    word = Masking().command(_word(state, waiting, **given))
    before = with_journal(lambda journal: leave(journal, state, word))
    instead = f", in the place of what {before.by} has said ({in_words(before)})" if before else ""
    if call_workers(run):
        note(f"noted{instead}; the workers have been called, and the run goes on")
    else:
        note(f"noted{instead}; it counts when the run goes on, with its flags: {typed('resume', run)}")
    return 0


# ------------------------------------------------------------------------------------------- what waits


def _list(state: State, entries: Sequence[e.Entry]) -> int:
    whys = {entry.seq: getattr(entry.event, "why", "") for entry in entries}
    waiting = [call for call in state.owed_calls() if call.waiting]
    words = noted(state)
    if not waiting:
        note(" ".join(filter(None, (f"run {state.run} waits for nobody.", _unfinished(state)))))
    for call in waiting:
        kind = "in doubt" if call.status == "doubt" else "needs consent"
        lines = [Line(f"{call.call.name} {kind}: {whys.get(call.question, '')}", "warn", "wrap")]
        lines += shape(call.checked)
        if word := words.get(call.call.id):
            lines.append(Line(f"  noted: {said_of(word)}; it counts when the run goes on", fit="wrap"))
        lines += [Line(f"  {command}", fit="keep") for command in answers_to(call, state.run)]
        for row in fitted(toned(lines, "wrap"), sys.stdout):
            out_row(row)
    return 0


def noted(state: State) -> dict[str, Word]:
    """What the words in the inbox come to when the run goes on now, by call; of one that waits for nobody none."""
    if not any(call.waiting for call in state.owed_calls()):
        return {}
    pending = with_journal(lambda journal: journal.pending(state.run))
    found: dict[str, Word] = {}
    for place, (number, command) in enumerate(pending):
        later = [other for _, other in pending[place + 1 :]]
        event = heard(state, number, command, time.time(), later)
        if isinstance(event, e.ApprovalGiven | e.ToolSettled):
            found.setdefault(event.call, event)  # after the first one the call waits no more
    return found


def said_of(word: Word) -> str:
    """What a person has said of a call, in few words."""
    if isinstance(word, e.ToolSettled):
        return "run it again" if word.how == "again" else f"its result is {short(result_text(word.wire))}"
    if not word.allowed:
        return f"deny: {short(word.reason)}" if word.reason else "deny"
    return f"allow, with {short(pretty(word.arguments))}" if word.arguments else "allow"


def _find(state: State, name: str) -> Call:
    """The waiting call of that id, or of its last parts. Raises SetupError."""
    waiting = {call.call.id: call for call in state.owed_calls() if call.waiting}
    found = [id for id in waiting if id == name or id.endswith(f":{name}")]
    if len(found) != 1:
        hint = did_you_mean(name, waiting) or _unfinished(state) or f"Waiting: {', '.join(waiting) or 'none'}."
        raise SetupError(f"run {state.run} has no call {name} that waits for a person", hint)
    return waiting[found[0]]


def _unfinished(state: State) -> str:
    """What to do first about a run whose process died in the middle, perhaps of a call; an empty text for others."""
    if state.over or is_live(state.run):
        return ""
    return f"Its process ended in the middle; resume it first, with its flags: {typed('resume', state.run)}"


# ----------------------------------------------------------------------------------------------- the word


def _word(
    state: State,
    call: Call,
    deny: str | None,
    arguments: str | None,
    expires: float | None,
    again: bool,
    result: str | None,
) -> c.Answer | c.Settle:
    if call.status == "doubt":
        if (deny, arguments, expires) != (None, None, None) or again == (result is not None):
            raise click.UsageError("this call is in doubt: say either --again or --result TEXT")
        return c.Settle(BY, call.call.id, call.question, result)
    if again or result is not None:
        raise click.UsageError("this call waits for consent: --again and --result are for calls in doubt")
    if deny is not None and arguments is not None:
        raise click.UsageError("--deny and --arguments exclude each other")
    answer = answer_to(state, call.call.id, deny is None, _arguments(arguments, state, call), deny or "", BY)
    return replace(answer, expires=time.time() + expires) if expires is not None else answer


def _arguments(given: str | None, state: State, call: Call) -> dict[str, Any] | None:
    """The arguments in the place of the model's. Raises SetupError when they do not fit the tool on record."""
    if given is None:
        return None
    try:
        arguments = msgspec.json.decode(given, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise click.UsageError(f"--arguments is no JSON object: {error}") from error
    from outrider.schema import check_schema

    if problems := check_schema(_parameters(state, call.call.name)).problems(arguments):
        raise SetupError(f"the arguments do not fit {call.call.name}: {'; '.join(problems)}", "Nothing was noted.")
    return arguments


class _Function(Struct):
    name: str
    parameters: dict[str, Any] = {}


class _Offered(Struct):
    function: _Function


class _Settings(Struct):
    tools: list[_Offered] = []


def _parameters(state: State, tool: str) -> dict[str, Any]:
    """The JSON Schema under which the model was offered this tool."""
    settings = msgspec.json.decode(state.settings or Raw(b"{}"), type=_Settings)
    return {offered.function.name: offered.function.parameters for offered in settings.tools}.get(tool, {})
