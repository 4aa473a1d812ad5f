"""A call's arguments as a person judges them: a command, a change of a file, or JSON."""

from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path
from typing import Any

import msgspec

from outrider.observe.line import Line, Tone
from outrider.telling import pretty

COMMANDS = ("command", "cmd", "shell", "script")
PATHS = ("path", "file", "filename", "file_path")
CONTENTS = ("content", "contents", "text", "new_text")
PAIRS = (("old", "new"), ("old_text", "new_text"), ("old_string", "new_string"), ("old_str", "new_str"))
MOST_BYTES = 1_000_000
"""The size up to which a file on disk is read to compare it."""


def shape(given: bytes | None, most: int | None = None) -> list[Line]:
    """A call's arguments, a JSON object, as lines: ``$ command`` or a diff where they are such, and the rest as JSON.

    Of more than ``most`` lines the first are shown, and how many there are more.
    """
    arguments = fields(given)
    lines, used = _command(arguments) or _replacement(arguments) or _change(arguments) or _nothing()
    rest = {name: value for name, value in arguments.items() if name not in used}
    if rest or not lines:
        lines = [*lines, *_plain(pretty(rest))]
    if most is None or len(lines) <= most:
        return lines
    return [*lines[:most], Line(f"  … {len(lines) - most} more lines; e shows them all", "warn")]


def fields(given: bytes | None) -> dict[str, Any]:
    """The arguments as values."""
    return msgspec.json.decode(given or b"{}", type=dict[str, Any])


def difference(old: str, new: str, old_name: str, new_name: str) -> list[Line]:
    """What turns one text into the other, as a unified diff."""
    lines = unified_diff(old.splitlines(), new.splitlines(), old_name, new_name, lineterm="")
    return [Line(f"  {line}", _tone(line), "wrap") for line in lines] or [Line("  no difference", "dim")]


_Shaped = tuple[list[Line], tuple[str, ...]]
"""Lines, and the names of the arguments that they show."""


def _nothing() -> _Shaped:
    return [], ()


def _command(arguments: dict[str, Any]) -> _Shaped | None:
    name = _first(arguments, COMMANDS)
    if not name:
        return None
    first, *more = arguments[name].split("\n")
    lines = [Line(f"  $ {first}", "bold", "wrap"), *(Line(f"  > {line}", "bold", "wrap") for line in more)]
    return lines, (name,)


def _replacement(arguments: dict[str, Any]) -> _Shaped | None:
    for old, new in PAIRS:
        if isinstance(arguments.get(old), str) and isinstance(arguments.get(new), str):
            path = _first(arguments, PATHS)
            where = arguments[path] if path else "text"
            lines = difference(arguments[old], arguments[new], f"{where} (now)", f"{where} (then)")
            return lines, (old, new, path)
    return None


def _change(arguments: dict[str, Any]) -> _Shaped | None:
    path, content = _first(arguments, PATHS), _first(arguments, CONTENTS)
    if not path or not content:
        return None
    where, now = arguments[path], _text_at(arguments[path])
    if now is None:
        lines = [Line(f"  {where}: there is no such text file here", "dim", "wrap")]
        lines += [Line(f"  +{line}", "good", "wrap") for line in arguments[content].splitlines()]
    else:
        lines = difference(now, arguments[content], f"{where} (now)", f"{where} (then)")
    return lines, (path, content)


def _text_at(path: str) -> str | None:
    """What the file holds, if it is a text file of bearable size."""
    try:
        file = Path(path)
        return file.read_text(encoding="utf-8") if file.is_file() and file.stat().st_size <= MOST_BYTES else None
    except (OSError, ValueError):  # a name that is none, or no UTF-8
        return None


def _first(arguments: dict[str, Any], names: tuple[str, ...]) -> str:
    """The first of these names that stands for a text; an empty one when none does."""
    return next((name for name in names if isinstance(arguments.get(name), str)), "")


def _plain(text: str) -> Iterator[Line]:
    return (Line(f"  {line}", fit="wrap") for line in text.split("\n"))


def _tone(line: str) -> Tone:
    if line.startswith(("---", "+++", "@@")):
        return "dim"
    return "good" if line.startswith("+") else "bad" if line.startswith("-") else "plain"
