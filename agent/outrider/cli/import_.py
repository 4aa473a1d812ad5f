"""outrider import: a run from a file."""

import sys
from pathlib import Path

import click

from outrider.cli.record import with_journal
from outrider.cli.text import note, out
from outrider.errors import SetupError
from outrider.journal.lines import bring_in, read_lines
from outrider.state import State
from outrider.telling import typed


@click.command("import")
@click.argument("file")
def command(file: str) -> int:
    """Take in the run in FILE (- for stdin), as outrider export wrote it, under its own name, which is printed.

    It can then be shown, resumed, forked and replayed here. A run that somebody else may still resume should be
    resumed in one place only: what it does is guarded against being done twice within a journal, not between two.

    \b
      outrider import run.jsonl
      ssh server outrider export last | outrider import -
    """
    entries = read_lines(_text(file), "stdin" if file == "-" else file)
    run = with_journal(lambda journal: bring_in(journal, entries))
    out(run)
    if not State.fold(entries).over:
        note(f"it was cut off, or was still going on; to go on with it, with its flags: {typed('resume', run)}")
    return 0


def _text(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise SetupError(
            f"{file} cannot be read: {error.strerror}", "Give a file that outrider export wrote."
        ) from None
