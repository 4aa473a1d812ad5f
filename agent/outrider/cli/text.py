"""What goes to stdout and to stderr."""

import sys
from typing import Any

import click
import msgspec

from outrider.errors import OutriderError


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
        raise OutriderError("stdout was closed before all was written") from None


def out_json(value: Any) -> None:
    """A value as one line of JSON on stdout."""
    out(msgspec.json.encode(value))


def note(text: str) -> None:
    """A line for people on stderr."""
    click.echo(text, err=True)


def to_people() -> bool:
    """Whether stdout is a terminal."""
    return sys.stdout.isatty()
