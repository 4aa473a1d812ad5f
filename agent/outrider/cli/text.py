"""What goes to stdout and to stderr."""

import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

import click
import msgspec

from outrider.errors import OutriderError
from outrider.observe.line import Line


def out(text: str | bytes) -> None:
    """A line on stdout, as UTF-8 whatever the locale says, and at once."""
    line = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
    sys.stdout.buffer.write(line + b"\n")
    flush()


def flush() -> None:
    """Write out what waits. Raises OutriderError, now and at each later call, when nobody reads stdout any more."""
    try:
        sys.stdout.flush()
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        hint = "The whole answer is on record: outrider show last"
        raise OutriderError("stdout was closed before all was written", hint) from None


def out_json(value: Any) -> None:
    """A value as one line of JSON on stdout."""
    out(msgspec.json.encode(value))


def note(text: str) -> None:
    """A line for people on stderr."""
    click.echo(text, err=True)


def tell(*lines: Line) -> None:
    """Lines for people on stderr."""
    for row in fitted(lines, sys.stderr):
        note(row)


def fitted(lines: Iterable[Line], stream: TextIO) -> Iterator[str]:
    """Lines as they go to a stream: coloured and fitted to the width of a terminal, else as they are."""
    if not coloured(stream):
        yield from (line.text for line in lines)
        return
    from outrider.observe.paint import rows, width_of

    width = width_of(stream)
    for line in lines:
        yield from rows(line, width)


def coloured(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal that takes colours: not under NO_COLOR or TERM=dumb."""
    if not stream or not stream.isatty() or os.environ.get("NO_COLOR"):
        return False
    return os.environ.get("TERM", "dumb") != "dumb" and stream.encoding.lower().startswith("utf")


def to_people() -> bool:
    """Whether stdout is a terminal."""
    return sys.stdout.isatty()
