"""What goes to stdout and to stderr."""

import os
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from io import TextIOWrapper
from typing import Any, TextIO, cast

import click
import msgspec
from msgspec.structs import replace

from outrider.errors import OutriderError
from outrider.observe.line import Line
from outrider.telling import clean

_KEPT: list[TextIO] = []
"""What was stdout before it was left to answers; empty before."""


@contextmanager
def stdout_for_answers() -> Generator[None]:
    """From here on only ``out`` writes to stdout: what tools, modules and their child processes print goes to stderr.

    The process's own stdout stays so to its end, since a thread that a tool has left behind may still print.
    """
    if _KEPT:
        yield
    elif _is_fd_1(sys.stdout):
        _KEPT.append(_set_aside(cast("TextIOWrapper", sys.stdout)))
        yield
    else:
        _KEPT.append(sys.stdout)
        try:
            with redirect_stdout(sys.stderr):
                yield
        finally:
            _KEPT.clear()


def _is_fd_1(stream: TextIO) -> bool:
    try:
        return stream.fileno() == 1
    except OSError:
        return False


def _set_aside(before: TextIOWrapper) -> TextIO:
    """A new stream to where fd 1 led; fd 1 itself leads to stderr from now on."""
    before.flush()
    if not sys.stderr:  # closed by the shell: a new file would otherwise become 2
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    aside = open(os.dup(1), "w", encoding=before.encoding)  # noqa: SIM115 - for as long as the process lasts
    os.dup2(2, 1)
    before.reconfigure(line_buffering=True)  # a pipe waits for a full block; what is printed now is for people
    return aside


def stdout() -> TextIO:
    """Where answers go."""
    return _KEPT[0] if _KEPT else sys.stdout


def out(text: str | bytes) -> None:
    """A line on stdout, as UTF-8 whatever the locale says, and at once.

    On a terminal without what could steer it: models and tools say what strangers wrote.
    """
    line = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
    out_row(clean(line.decode("utf-8", "replace")) if to_people() else line)


def out_row(row: str | bytes) -> None:
    """A line on stdout as it is, colours included: for rows that ``fitted`` has made."""
    stdout().buffer.write((row if isinstance(row, bytes) else row.encode("utf-8", "replace")) + b"\n")
    flush()


def flush() -> None:
    """Write out what waits. Raises OutriderError, now and at each later call, when stdout takes no more: nobody reads
    it, or the disk is full."""
    try:
        stdout().flush()
        stdout().buffer.flush()
    except OSError as error:
        what = "was closed" if isinstance(error, BrokenPipeError) else f"could not be written to ({error.strerror})"
        hint = "What a run has done is on record: outrider show last"
        raise OutriderError(f"stdout {what} before all was written", hint) from None


def out_json(value: Any) -> None:
    """A value as one line of JSON on stdout."""
    out(msgspec.json.encode(value))


def note(text: str) -> None:
    """A line for people on stderr; without what could steer a terminal."""
    click.echo(clean(text), err=True)


def tell(*lines: Line) -> None:
    """Lines for people on stderr."""
    for row in fitted(lines, sys.stderr):
        click.echo(row, err=True)


def fitted(lines: Iterable[Line], stream: TextIO | None) -> Iterator[str]:
    """Lines as they go to a stream: fitted to a terminal's width, coloured where it takes that; else as they are.

    Without a stream, which the shell may have closed, they go nowhere.
    """
    if not stream or not stream.isatty() or not _is_utf(stream):
        yield from (line.text for line in lines)
        return
    from outrider.observe.paint import rows, width_of

    width, plain = width_of(stream), not coloured(stream)
    for line in lines:
        yield from rows(replace(line, tone="plain") if plain else line, width)


def coloured(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal that takes colours: not under NO_COLOR or TERM=dumb."""
    if not stream or not stream.isatty() or os.environ.get("NO_COLOR"):
        return False
    return os.environ.get("TERM", "dumb") != "dumb" and _is_utf(stream)


def _is_utf(stream: TextIO) -> bool:
    return stream.encoding.lower().startswith("utf")


def to_people() -> bool:
    """Whether stdout is a terminal."""
    return stdout().isatty()
