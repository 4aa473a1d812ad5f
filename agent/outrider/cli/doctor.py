"""outrider doctor: what works here, and what to do about the rest."""

import sys
from collections.abc import Iterable

import click
from msgspec import Struct

from outrider.cli.checks import Check, checks, ready
from outrider.cli.text import fitted, note, out, out_json
from outrider.observe.line import Line, Tone, toned


class Diagnosis(Struct, frozen=True):
    """What ``--json`` writes. ``ready`` says whether runs can be made; it agrees with the exit code."""

    ready: bool
    checks: list[Check]
    schema: int = 1


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(as_json: bool) -> int:
    """Look at everything a run needs, one line each, with what to do about what is wrong.

    The server at OUTRIDER_BASE_URL (OpenRouter, unless it is set) is asked about the key, and nothing else on the
    network; the key itself is never shown. Exit code 0 when runs can be made, with a key or on the embedded model.
    """
    found = checks()
    able = ready(found)
    if as_json:
        out_json(Diagnosis(able, found))
    else:
        for row in fitted(toned(_lines(found), "wrap"), sys.stdout):
            out(row)
        note(_verdict(found, able))
    return 0 if able else 1


def _verdict(found: Iterable[Check], able: bool) -> str:
    state = {check.name: check.ok for check in found}
    if able:
        ways = [way for name, way in (("server", "with the key"), ("local", "with -m local")) if state[name]]
        return f"runs can be made: {' and '.join(ways)}"
    if state["journal"] is False:
        return "no run can be made: there is no place for its record"
    return "no run can be made: give a key that the server takes, or get the local model"


def _lines(found: Iterable[Check]) -> Iterable[Line]:
    words: dict[bool | None, tuple[str, Tone]] = {True: ("ok", "plain"), False: ("no", "bad"), None: ("-", "dim")}
    for check in found:
        word, tone = words[check.ok]
        yield Line(f"{word:<3} {check.name:<9} {check.says}", tone, "wrap")
        if check.fix:
            yield Line(f"{'':14}{check.fix}", fit="wrap")
        if check.note:
            yield Line(f"{'':14}{check.note}", "dim", "wrap")
