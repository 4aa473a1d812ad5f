"""outrider doctor: what works here, and what to do about the rest."""

from collections.abc import Iterable, Sequence

import click
from msgspec import Struct

from outrider.cli.checks import TO_ASK, Check, Wanted, checks, lacking, wanted
from outrider.cli.text import fitted, out_json, out_row, stdout, stdout_for_answers
from outrider.observe.line import Line, Tone, toned


class Diagnosis(Struct, frozen=True):
    """What ``outrider doctor --json`` writes.

    `ready`: a run with `model` can be made; it agrees with the exit code, and `verdict` says it in a sentence.
    """

    ready: bool
    model: str
    verdict: str
    checks: list[Check]
    schema: int = 1


@click.command("doctor")
@click.argument("file", required=False)
@click.option("-m", "--model", help="The model to look at; default: that of a run without -m.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@stdout_for_answers()
def command(file: str | None, model: str | None, as_json: bool) -> int:
    """Look at everything a run needs, one line each, with what to do about what is wrong.

    Exit code 0 when a plain outrider run can be made. With -m or a task FILE, just what such a run needs is looked at.
    The server at OUTRIDER_BASE_URL (OpenRouter, unless it is set) is asked about the key, OpenRouter also about the
    model's providers, and nothing else on the network; the key itself is never shown.

    \b
      outrider doctor -m local
      outrider doctor nightly.toml
    """
    run, told = wanted(model, file)
    found = [*told, *checks(run)]
    missing = lacking(run, found)
    verdict = _verdict(run, found, missing)
    if as_json:
        out_json(Diagnosis(not missing, run.model, verdict, found))
    else:
        last = Line(verdict, "bad" if missing else "good", "wrap")
        for row in fitted(toned([*_lines(found), "", last], "wrap"), stdout()):
            out_row(row)
    return 1 if missing else 0


def _verdict(run: Wanted, found: Iterable[Check], missing: Sequence[str]) -> str:
    what = run.file or f"a run with {run.model}"
    if not missing:
        return f"ready for {what}"
    local = any(check.name == "local" and check.ok for check in found) and set(missing) <= {*TO_ASK}
    instead = "; one with -m local can be made" if local else ""
    return f"not ready for {what}: mend {', '.join(missing)}{instead}"


def _lines(found: Iterable[Check]) -> Iterable[Line]:
    words: dict[bool | None, tuple[str, Tone]] = {True: ("ok", "plain"), False: ("no", "bad"), None: ("-", "dim")}
    for check in found:
        word, tone = words[check.ok]
        yield Line(f"{word:<3} {check.name:<9} {check.says}", tone, "wrap", hang=14)
        if check.fix:
            yield Line(f"{'':14}{check.fix}", fit="wrap")
        if check.note:
            yield Line(f"{'':14}{check.note}", "dim", "wrap")
