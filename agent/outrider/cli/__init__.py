"""The command line: a thin skin over the API, one verb a file.

stdout is the answer and nothing else, whatever a tool prints; progress and errors go to stderr. The exit code is that
of the run's outcome (``outrider.errors.OUTCOMES``), 2 for wrong usage, 1 for an error of the program.

    run, resume, fork, replay
                    flags.py what makes an agent, names.py tools and types by name, live.py a run watched
                    ask.py a person asked at the terminal, shape.py a call's arguments as that person judges them
    runs, show, approve, deny, say, cancel, local
    export, import
    submit, worker  many machines, by Temporal
    models          table.py a table for people
    tools           trial.py one call without a model
    doctor          checks.py what there is to check
    text.py         what goes to stdout and stderr

Variables: OPENROUTER_API_KEY, OUTRIDER_MODEL (default of --model), OUTRIDER_BASE_URL (another server that speaks
OpenRouter's chat completions), OUTRIDER_HABITS (a file with habits of models), OUTRIDER_HOME (where runs are kept),
OUTRIDER_JOURNAL (a PostgreSQL database in its place), OUTRIDER_DEBUG (tracebacks).
"""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from keyword import iskeyword
from typing import Any, NoReturn

import click

from outrider.cli.text import stdout
from outrider.errors import OutriderError, RunNotFound, SetupError, did_you_mean

VERBS = {
    "run": "Do a task and print the answer.",
    "resume": "Go on with a recorded run.",
    "runs": "List recorded runs.",
    "show": "Read the record of a run.",
    "replay": "Do a recorded run again, for free, and see where it would differ.",
    "fork": "Begin a new run where another one stood.",
    "approve": "Answer what a run asks of a person.",
    "say": "Leave a further message for a run.",
    "cancel": "Stop a run that another process works on.",
    "deny": "Refuse a call that waits for consent.",
    "export": "Write a run as a file: one event a line.",
    "import": "Take in a run from such a file.",
    "submit": "Leave a task to the workers.",
    "worker": "Do the submitted runs of some agents, beside other workers.",
    "tools": "List the tools that are installed, and try one.",
    "models": "List models and their providers, with prices.",
    "local": "The embedded model that needs no key.",
    "doctor": "Say what works here, and what to do about the rest.",
}
"""Each verb with its line of help; its module is loaded when it is used."""

DEBUG = "OUTRIDER_DEBUG"


class Verbs(click.Group):
    """The verbs, loaded one at a time."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs in the order in which one meets them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb of that name. Raises SetupError with close names when there is none."""
        if cmd_name not in VERBS:
            hint = did_you_mean(cmd_name, VERBS) or f'To do a task: outrider run "{cmd_name} ..."'
            raise SetupError(f"there is no verb {cmd_name!r}", hint)
        return import_module(f"outrider.cli.{cmd_name}{'_' if iskeyword(cmd_name) else ''}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of verbs, without loading them."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"outrider {version('outrider')}")
        ctx.exit()


def _set_debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        os.environ[DEBUG] = "1"


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="Say it.")
@click.option(
    "--debug", is_flag=True, expose_value=False, callback=_set_debug, help="Show tracebacks (OUTRIDER_DEBUG)."
)
def outrider() -> None:
    """Run tasks with a model, its tools and a typed answer; every run is on record.

    \b
      outrider run "Name three rivers of Europe"
      outrider run - --tool calculator --json < task.txt
      outrider runs
      outrider show last
      outrider resume last --say "Now in French"

    Exit codes: finished 0, error 1, usage 2, rejected 3, limit 4, provider 5, paused 6, refused 7, truncated 8,
    interrupted 130. Variables: OPENROUTER_API_KEY, OUTRIDER_MODEL (default of --model), OUTRIDER_HOME (where runs
    are kept, default .outrider), OUTRIDER_JOURNAL (a PostgreSQL database in its place), OUTRIDER_BASE_URL (another
    server), OUTRIDER_HABITS (a TOML file: how models think), OUTRIDER_DEBUG.
    """


def main(args: Sequence[str] | None = None) -> NoReturn:
    """The entry point: do what the arguments say and exit."""
    if not sys.stdout:  # closed by the shell, >&-
        sys.exit(_say("stdout is closed", "To throw the answer away: > /dev/null", 1)[2])
    code = _main(sys.argv[1:] if args is None else args)
    for stream in {stdout(), sys.stdout}:
        try:
            stream.flush()
        except OSError:  # said already; the interpreter would flush once more and change the exit code
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)


def _main(args: Sequence[str]) -> int:
    said = _done(args)
    if isinstance(said, int):
        return said
    return _report(*said) if "--json" in args and {"run", "resume", "fork"} & set(args[:2]) else said[2]


Said = tuple[str, str, int]
"""What went wrong before there was a run, what to do about it, and the exit code."""


def _done(args: Sequence[str]) -> int | Said:
    """Do what the arguments say: the exit code, and what has been said on stderr when nothing could be begun."""
    try:
        done: Any = outrider.main(args, prog_name="outrider", standalone_mode=False)
        return done if isinstance(done, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        told = error.format_message().rstrip(".")
        return _say(told[:1].lower() + told[1:], _usage(error, args), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return _say("interrupted; nothing was begun", "", 130)
    except OutriderError as error:
        return _explain(error)
    except Exception as error:  # one line instead of a traceback
        if os.environ.get(DEBUG):
            raise
        return _say(f"{type(error).__name__}: {error}", f"The traceback: {DEBUG}=1 and the same command.", 1)


def _usage(error: click.ClickException, args: Sequence[str]) -> str:
    """How the command is written that was not understood."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        verb = next((word for word in args[:1] if word in VERBS), "")
        return f"What there is: {' '.join(filter(None, ('outrider', verb)))} --help"
    command = context.command_path
    task = context.command.name in ("run", "submit") and "extra argument" in error.message
    quoted = "A task of several words stands in quotes. " if task else ""
    pieces = " ".join(context.command.collect_usage_pieces(context))
    return f"{quoted}Write: {command} {pieces} (what there is: {command} --help)"


def _explain(error: OutriderError) -> Said:
    if os.environ.get(DEBUG):
        import traceback

        traceback.print_exception(error)
    return _say(error.message, error.hint, 2 if isinstance(error, SetupError | RunNotFound) else 1)


def _say(message: str, hint: str, code: int) -> Said:
    click.echo(f"outrider: {message}", err=True)
    if hint:
        click.echo(f"  {hint}", err=True)
    return message, hint, code


def _report(message: str, hint: str, code: int) -> int:
    """The report of a run that there was not, for programs that read one."""
    from outrider.cli.live import no_run
    from outrider.cli.text import out_json

    with suppress(OutriderError):  # nobody reads it
        out_json(no_run(message, hint, code))
    return code
