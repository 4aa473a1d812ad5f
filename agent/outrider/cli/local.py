"""outrider local: the embedded model."""

from importlib.util import find_spec

import click

from outrider.cli.text import note, out


@click.group("local", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> int:
    """The embedded model that needs no key: say what of it is here.

    \b
      outrider local pull
      outrider run -m local "..."
    """
    if ctx.invoked_subcommand is not None:
        return 0
    from outrider.local.weights import INSTALL, LIMITS, embedded_path

    runs, path = find_spec("xllamacpp") is not None, embedded_path()
    here = path.is_file()
    out(f"llama.cpp  {'here' if runs else f'missing: {INSTALL}'}")
    out(f"weights    {path if here else f'missing: outrider local pull (to {path})'}")
    note(LIMITS)
    if not (runs and here):
        return 1
    note('try it: outrider run -m local "What is 23 * 19?" -t calculator')
    return 0


@command.command("pull")
def pull() -> int:
    """Bring the weights to this machine (93 MB, once)."""
    from outrider.local.weights import INSTALL, pull

    out(str(pull(note)))
    if not find_spec("xllamacpp"):
        note(f"what runs them is missing: {INSTALL}")
    return 0
