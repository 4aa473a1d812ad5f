"""outrider export: a run as a file."""

import click

from outrider.cli.record import read_run
from outrider.cli.text import out
from outrider.journal.lines import lines


@click.command("export")
@click.argument("run")
def command(run: str) -> int:
    """Write RUN (an id, the beginning of one, or last) to stdout, an event a line: all there is of it.

    The file can be read with jq, taken in elsewhere with outrider import, and kept as a test: see replay in
    outrider.testing. What was masked stays masked.

    \b
      outrider export last > run.jsonl
    """
    run, entries = read_run(run)
    for line in lines(run, entries):
        out(line)
    return 0
