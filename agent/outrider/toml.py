"""TOML with an eye on its lines: whatever is wrong in it is said with the line on which it stands."""

import re
import tomllib
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, cast

from msgspec import Struct

from outrider.errors import SetupError, did_you_mean

Kinds = Mapping[str, tuple[type | tuple[type, ...], str]]
"""The keys that a table may have: the types of each, and in words what to give."""

_AT = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_TOKEN = re.compile(
    r"""\"{3}(?:\\.|[^\\])*?(?:\"{3}(?!\")|\Z)|'{3}.*?(?:'{3}(?!')|\Z)|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|\#[^\n]*|[][{}\n]""",
    re.DOTALL,
)
"""What decides where a statement ends: its strings, comments, brackets and ends of lines."""

_DEPTH = {"[": 1, "{": 1, "]": -1, "}": -1}
_CLOSINGS = ("\n]", '\n"""', "\n'''")


class _Statement(Struct, frozen=True):
    """A table's header, or a key with its value. ``start`` counts from 0; ``table`` is what stood above it."""

    start: int
    lines: list[str]
    table: tuple[str, ...]


class Toml:
    """A TOML text. ``values`` is what it says, fractions as Decimal.

    ``file`` is named in complaints, ``first`` is the line of the file on which the text begins. Raises SetupError.
    """

    def __init__(self, text: str, file: str, first: int = 1) -> None:
        self.file = file
        self.text = text.replace("\r\n", "\n")
        self._first = first
        try:
            self.values: dict[str, Any] = tomllib.loads(self.text, parse_float=Decimal)
        except tomllib.TOMLDecodeError as error:
            raise self._broken(str(error)) from error

    def check(self, kinds: Kinds, *table: str) -> None:
        """Raise SetupError for a key that a table (default: the whole) may not have, or a value of another type."""
        values: dict[str, Any] = self.values
        for name in table:
            values = values.get(name, {})
        for key, value in values.items():
            if key not in kinds:
                near = did_you_mean(key, kinds) or f"The keys: {', '.join(kinds)}."
                where = f" in [{'.'.join(table)}]" if table else ""
                raise self.wrong(f"there is no key {key!r}{where}", near, *table, key)
            kind, wanted = kinds[key]
            if not isinstance(value, kind):
                raise self.wrong(f"{key} is {shown(value)}", f"Give {wanted}.", *table, key)
            if isinstance(value, str) and not value.strip():
                raise self.wrong(f"{key} is empty", f"Give {wanted}.", *table, key)

    def wrong(self, message: str, hint: str, *path: str, at: int | None = None) -> SetupError:
        """A SetupError that names the line of a key, or, with ``at``, of a place inside its value."""
        line = self.line(*path) if at is None else self.line_within(*path, at=at)
        return SetupError(f"{self.file}:{line}: {message}" if path else f"{self.file}: {message}", hint)

    def line(self, *path: str) -> int:
        """The line of a key; of the nearest table around it when it is not there."""
        return self._first + self._statement(path).start

    def line_within(self, *path: str, at: int) -> int:
        """The line on which the item or character number ``at`` (from 0) of a list or text stands."""
        statement = self._statement(path)
        name = path[len(statement.table) :]

        def length(end: int) -> int | None:
            """That of the value, if it ended with this line of the statement; None if it cannot."""
            read = "\n".join(statement.lines[:end])
            values = (_value(read + closing, name) for closing in _CLOSINGS)
            return next((len(value) for value in values if value is not None), None)

        ends = range(1, len(statement.lines))
        if isinstance(_value("\n".join(statement.lines), name), str):  # of any length, and can end with any line
            return self._first + statement.start + bisect_left(ends, True, key=lambda end: (length(end) or 0) > at)
        found = statement.start
        for end in ends:
            if (items := length(end)) is not None:
                if items > at:
                    return self._first + statement.start + end - 1
                found = statement.start + end
        return self._first + found

    def _statement(self, path: tuple[str, ...]) -> _Statement:
        places: dict[tuple[str, ...], _Statement] = {}
        for statement in _statements(self.text):
            said = tomllib.loads("\n".join(statement.lines))
            for inner in _paths(said):
                places.setdefault((*statement.table, *inner), statement)
        while path and path not in places:
            path = path[:-1]
        return places.get(path, _Statement(0, [], ()))

    def _broken(self, said: str) -> SetupError:
        at = _AT.search(said)
        if at and at[1]:
            number = int(at[1]) - 1
        else:  # what is never closed shows only at the end; what matters is where it begins
            number = next((each.start for each in _statements(self.text) if not _is_toml(each)), 0)
        line = self.text.split("\n")[number]
        why = _AT.sub("", said)
        return SetupError(
            f"{self.file}:{self._first + number}: this is not TOML ({why}): {line.strip():.80}",
            'Write name = "text", name = 3, name = ["a", "b"] or [table]; each name once.',
        )


def shown(value: object) -> str:
    """A value, in words that fit behind "is"."""
    match value:
        case dict():
            return "a table"
        case list():
            return "a list"
        case bool():
            return str(value).lower()
        case str():
            return f"{value!r:.60}"
        case _:
            return str(value)


def _statements(text: str) -> Iterator[_Statement]:
    """The statements of a text, and its empty lines; the last one may be unfinished."""
    start = offset = depth = 0
    table: tuple[str, ...] = ()
    for token in _TOKEN.finditer(f"{text}\n"):
        depth += _DEPTH.get(token[0], 0)
        if token[0] != "\n" or depth > 0:
            continue
        lines = text[offset : token.start()].split("\n")
        header = lines[0].lstrip().startswith("[")
        table = () if header else table
        yield _Statement(start, lines, table)
        if header:
            table = max(_paths(tomllib.loads(lines[0])), key=len)
        start, offset = start + len(lines), token.end()
    if offset < len(text):
        yield _Statement(start, text[offset:].split("\n"), table)


def _is_toml(statement: _Statement) -> bool:
    try:
        tomllib.loads("\n".join(statement.lines))
    except tomllib.TOMLDecodeError:
        return False
    return True


def _paths(said: object) -> Iterator[tuple[str, ...]]:
    """The keys in there, and the keys in their tables."""
    if isinstance(said, list) and said:  # [[name]]
        yield from _paths(cast("list[object]", said)[0])
    if isinstance(said, dict):
        for key, value in cast("dict[str, object]", said).items():
            yield (key,)
            yield from ((key, *inner) for inner in _paths(value))


def _value(text: str, path: tuple[str, ...]) -> str | list[Any] | None:
    """The text or list at a path; None when there is none, or when this is not TOML."""
    try:
        value: Any = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
    for key in path:
        value = cast("dict[str, Any]", value).get(key) if isinstance(value, dict) else None
    return cast("str | list[Any]", value) if isinstance(value, str | list) else None
