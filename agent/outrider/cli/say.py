"""outrider say: a further message for a run."""

import click

from outrider.cli.record import BY, call_workers, is_live, read_run, with_journal
from outrider.cli.text import note
from outrider.commands import Say
from outrider.errors import SetupError
from outrider.masking import Masking
from outrider.telling import typed


@click.command("say")
@click.argument("run")
@click.argument("message")
def command(run: str, message: str) -> int:
    """Leave MESSAGE for RUN (an id, the beginning of one, or last), wherever it is at work.

    It joins the conversation before the next request. A run that rests hears it when it is resumed.

    \b
      outrider say inbox-monday "Leave the newsletters"
    """
    run, _ = read_run(run)
    if not message.strip():
        raise SetupError("the message is empty", "Say something.")
    word = Masking().command(Say(BY, message))
    with_journal(lambda journal: journal.tell(run, word))
    if is_live(run):
        note(f"noted; run {run} hears it before its next request")
    elif call_workers(run):
        note("noted; the workers have been called, and the run goes on")
    else:
        note(f"noted; it counts when the run goes on, with its flags: {typed('resume', run)}")
    return 0
