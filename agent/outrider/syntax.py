"""An answer whose JSON is written wrongly, read for what it plainly says. Syntax is put right, never meaning.

Nothing here guesses: each way of reading is an exact grammar (JSON, JSON5, Python literals), and what stands around an
answer is left off only where it stands apart. What is cut off, or could be read in two ways, is not read.
"""

import ast
import json
import math
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, cast

import msgspec
from msgspec import Struct

MOST_CHARACTERS = 200_000
"""Longer texts are not read: the grammars besides JSON are slow."""

_FENCED = re.compile(r"^[ \t]*(```+|~~~+)[^\n`]*\n(.*?)^[ \t]*\1[ \t]*$", re.DOTALL | re.MULTILINE)
_FENCE_OPENED = re.compile(r"^[ \t]*(```+|~~~+)[^\n`]*\n", re.MULTILINE)
_MARK = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*("|\\?\Z)|[{}\[\]]', re.DOTALL)
_NUMBER_AT_END = re.compile(r"-?\d[-+.\deE]*\Z")
_OPEN, _CLOSED = re.compile(r"^[ \t]*[{\[]", re.MULTILINE), re.compile(r"[}\]][ \t]*$", re.MULTILINE)
_LED_IN = re.compile(r":[ \t]*(\{.*\}|\[.*\])([.!]?(?:\s[^{}\[\]]*)?)\Z", re.DOTALL)
_LITERALS = {"True": "true", "False": "false"}


_PAIR = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_OTHER_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\[^\"'\\/bfnrtux\n]")
_encoder = msgspec.json.Encoder(decimal_format="number")


class Read(Struct, frozen=True):
    """``text`` is JSON; ``repairs`` says, a phrase each, what had to be put right for that."""

    text: str
    repairs: tuple[str, ...]


def read(text: str) -> Read | None:
    """The JSON that a text plainly means, or None. A text that is JSON as it stands needs no reading."""
    if len(text) > MOST_CHARACTERS:
        return None
    for candidate, left in _candidates(text):
        for grammar, parse in _GRAMMARS:
            try:
                found = parse(candidate)
            except (ValueError, SyntaxError, ArithmeticError, RecursionError, MemoryError):
                continue
            repairs = tuple(phrase for phrase in (left, grammar) if phrase)
            return Read(found, repairs)
    return None


def bare(text: str, schema: dict[str, Any]) -> Read | None:
    """The JSON that a text without quotes plainly means, where ``schema`` leaves only certain texts: one of its
    words, a date, true or false. None for a schema that takes any text, and for a text that is more than that."""
    word = text.strip().strip("`*\"'\u201c\u201d").removesuffix(".")
    if "\n" in word:
        return None
    choices: list[Any] = schema.get("enum", [schema["const"]] if "const" in schema else [])
    near = [choice for choice in choices if isinstance(choice, str) and choice.casefold() == word.casefold()]
    closed = schema.get("type") == "string" and {"format", "pattern"} & schema.keys()
    if word in near or (closed and not choices):
        return Read(json.dumps(word), ("a text without quotes was read as JSON",))
    if len(near) == 1:
        return Read(json.dumps(near[0]), ("a text without quotes, and its capitals, were read as JSON",))
    if schema.get("type") == "boolean" and word in _LITERALS:
        return Read(_LITERALS[word], ("Python literals were read as JSON",))
    return None


def begun(text: str) -> str:
    """An answer that may be cut off, from its beginning: after the code fence, or from the line that opens it."""
    whole = text.lstrip().lstrip("\N{ZERO WIDTH NO-BREAK SPACE}")
    if whole.startswith(("{", "[")):
        return whole
    start = _FENCE_OPENED.search(text)
    opened = _OPEN.search(text, start.end() if start else 0)
    return text[opened.start() :].lstrip() if opened else ""


def extent(text: str) -> tuple[int, int, bool]:
    """Of JSON that may be cut off: where what is sure of it ends, how deep inside of it that is, and if in a string.

    Not sure is a number at the very end, which may go on.
    """
    deep, open_string = 0, False
    for found in _MARK.finditer(text):
        mark = found[0]
        if mark[0] == '"':
            open_string = found[1] != '"'
            continue
        deep += 1 if mark in "{[" else -1
        if deep <= 0:
            return found.end(), 0, False
    number = None if open_string else _NUMBER_AT_END.search(text)
    return (number.start() if number else len(text)), deep, open_string


def _candidates(text: str) -> Iterator[tuple[str, str]]:
    """Where the answer may stand, and what is left off around it."""
    whole = text.strip().lstrip("\N{ZERO WIDTH NO-BREAK SPACE}")
    yield whole, ""
    fenced = [found[2] for found in _FENCED.finditer(text)]
    if fenced:
        if len(fenced) == 1:
            yield fenced[0].strip(), "the code fence was left off"
        return
    starts, ends = list(_OPEN.finditer(whole)), list(_CLOSED.finditer(whole))
    if starts and ends and starts[0].start() < ends[-1].end():
        yield whole[starts[0].start() : ends[-1].end()].strip(), "the text around the answer was left off"
    elif led_in := _LED_IN.search(whole):
        around = "around" if led_in[2].strip() else "before"
        yield led_in[1], f"the text {around} the answer was left off"


def _json(text: str) -> str:
    json.loads(text, parse_constant=_refuse, object_pairs_hook=_once)
    return text


def _lenient(text: str) -> str:
    """JSON whose strings hold line ends as they are."""
    return _written(
        json.loads(text, strict=False, parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=_once)
    )


def _json5(text: str) -> str:
    import json5

    if _OTHER_ESCAPE.search(text):  # JSON5 takes \U for a U; whoever wrote that meant something else
        raise ValueError("an escape that JSON does not have")
    whole = _PAIR.sub(lambda pair: json.loads(f'"{pair[0]}"'), text)  # it reads the halves as two characters
    return _written(json5.loads(whole, parse_float=Decimal, parse_constant=_refuse, allow_duplicate_keys=False))


def _literal(text: str) -> str:
    tree = ast.parse(text, mode="eval")
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            _once([(key.value if isinstance(key, ast.Constant) else key, None) for key in node.keys])
    return _written(ast.literal_eval(tree))


def _once(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """The object of these pairs. Raises ValueError when a key stands there twice: which was meant?"""
    whole = dict(pairs)
    if len(whole) < len(pairs):
        raise ValueError("a key stands there twice")
    return whole


_GRAMMARS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("", _json),
    ("line ends inside strings were escaped", _lenient),
    ("JSON5 was read as JSON", _json5),
    ("Python literals were read as JSON", _literal),
)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _written(value: object) -> str:
    """The value as JSON. Raises ValueError for one that JSON does not have."""
    if not isinstance(value, dict | list):
        raise ValueError("a lone value says too little of what was meant")
    _check(cast("dict[object, object] | list[object]", value))
    return _encoder.encode(value).decode()


def _check(value: object) -> None:
    match value:
        case dict():
            for key, item in cast("dict[object, object]", value).items():
                if not isinstance(key, str):
                    raise ValueError("a key is no text")
                _check(item)
        case list():
            for item in cast("list[object]", value):
                _check(item)
        case float() if not math.isfinite(value):
            raise ValueError("no number of JSON")
        case str() | int() | float() | Decimal() | None:
            pass
        case _:
            raise ValueError(f"JSON has no {type(value).__name__}")
