"""outrider deny: a person's refusal of a call that waits for consent."""

import click

from outrider.cli import approve


@click.command("deny")
@click.argument("run")
@click.argument("call")
@click.argument("reason", default="")
def command(run: str, call: str, reason: str) -> int:
    """Refuse CALL of RUN; the model is told the REASON. The same as approve with --deny.

    \b
      outrider deny 7f3k 7f3k:1:0 "too expensive"
      outrider deny last 1:0
    """
    return approve.answer(run, call, deny=reason)
