"""Narrow a JSON Schema to what can be copied from the texts at hand.

A model of this size misspells what it copies. So where a schema leaves a text or a number open, the decoder
is given the words and numbers of the task and of the tools' results to choose from; much of the work moves
to the grammar.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar, cast

from msgspec import Struct
from msgspec.structs import replace

from outrider.local.asked import Asked, Schema, arguments

T = TypeVar("T")

MOST_SPANS = 400
LONGEST_SPAN = 8
"""In words."""
OPEN_TEXT = 200
"""Characters of a text that cannot be copied; unbounded ones run on until the token limit."""
MOST_ITEMS = 8

_QUOTES = "\"'`\u201c\u201d\u2018\u2019\u00ab\u00bb"
_STOPS = ".,;:?!"
_OPERATOR = r"[-+*/%^\u00d7\u00f7]+|\b(?:plus|minus|times|x|mod|(?:divided|multiplied) by|to the power of)\b"
_OPERAND = r"[(\d.-]*\d[\d.,)]*"
_TERM = re.compile(rf"(?<!\S){_OPERAND}(?:\s*(?:{_OPERATOR})\s*{_OPERAND})+(?<![.,])")
_WHOLE = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_ALONE = re.compile(
    rf"""(?<![^\s(\u20ac$\u00a3\#:])              # after a space, a bracket or a sign of money
         [-+]?(?:{_WHOLE})
         (?=[.,;:?!)%\u20ac$\u00a3]*(?:\s|$))      # the word ends here
         (?!\s+{_MONTH})                           # and is no day of a month""",
    re.VERBOSE,
)
_ANYWHERE = re.compile(_WHOLE)
_AMOUNT = re.compile(r"(?<!\S)(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.\d+)(?!\S)")


class Source(Struct, frozen=True):
    """What may be copied: phrases and numbers in the order of the text; the arguments of earlier calls."""

    phrases: tuple[str, ...]
    numbers: tuple[int | float, ...]
    words: frozenset[str]
    said: dict[str, Any] = {}


def source(asked: Asked) -> Source:
    """What task and results offer for copying. Numbers are those of the results, when these hold any."""
    results = [done.result for done in asked.done]
    texts = [*results, asked.task]
    found = [number for text in results for number in numbers(text)] or numbers(asked.task)
    return Source(
        tuple(_unique(phrase for text in texts for phrase in spans(text))),
        tuple(_unique(found)),
        frozenset(word for text in texts for word in re.findall(r"[^\W\d_]+", text)),
        {name: value for done in asked.done for name, value in arguments(done).items()},
    )


def spans(text: str) -> list[str]:
    """The runs of words in a text, without the punctuation around them; fewer words a run in longer texts."""
    words = _words(text)
    longest = max(1, min(LONGEST_SPAN, MOST_SPANS // max(1, len(words))))
    found = (
        _trimmed(" ".join(words[start:end]))
        for start in range(len(words))
        for end in range(start + 1, min(start + longest, len(words)) + 1)
    )
    return list(_unique(span for span in found if span))[:MOST_SPANS]


def _words(text: str) -> list[str]:
    """The words of a text; a run of numbers, operators and brackets is one, as is 9 plus 4."""
    end, words = 0, list[str]()
    for term in _TERM.finditer(text):
        words += [*text[end : term.start()].split(), term.group()]
        end = term.end()
    return words + text[end:].split()


def numbers(text: str) -> list[int | float]:
    """The numbers in a text, ``1,240`` being 1240; those inside other words only when no number stands alone."""
    return list(_unique(_number(found) for found in _ALONE.findall(text) or _ANYWHERE.findall(text)))


def written_numbers(text: str) -> list[str]:
    """The numbers in a text as they are written."""
    return _ANYWHERE.findall(text)


def narrow(schema: Schema, given: Source) -> Schema:
    """The schema with its open texts and numbers replaced by what ``given`` offers; the rest as it was."""
    if "enum" in schema:
        return schema | {"enum": _codes(schema["enum"], given)}
    match schema.get("type"):
        case "object":
            return _narrow_object(schema, given)
        case "array" if isinstance(schema.get("items"), dict):
            bound = {"maxItems": schema.get("maxItems", MOST_ITEMS)}
            return schema | bound | {"items": narrow(schema["items"], given)}
        case "string" if not {"const", "format", "pattern"} & schema.keys():
            if given.phrases:
                return {"enum": list(given.phrases)}
            return {"maxLength": OPEN_TEXT} | schema
        case "number" | "integer" as kind if "const" not in schema:
            fitting = [n for n in given.numbers if _fits(n, kind, schema)]
            return {"enum": fitting} if fitting else schema
        case _:
            return schema | {"anyOf": _choices(schema["anyOf"], given)} if "anyOf" in schema else schema


def _narrow_object(schema: Schema, given: Source) -> Schema:
    fields = cast("dict[str, Schema]", schema.get("properties", {}))
    if any(map(_numeric, fields.values())):  # amounts go there, not into texts
        texts = tuple(phrase for phrase in given.phrases if not _AMOUNT.search(phrase))
        given = replace(given, phrases=texts)
    narrowed = schema | {"properties": {name: _field(name, field, given) for name, field in fields.items()}}
    if fields:
        narrowed |= {"required": list(fields), "additionalProperties": False}
    if "$defs" in schema:
        narrowed["$defs"] = {name: narrow(part, given) for name, part in schema["$defs"].items()}
    return narrowed


def _choices(choices: list[Schema], given: Source) -> list[Schema]:
    """The alternatives, narrowed; where a number can be copied, it is not spelled out as text as well."""
    narrowed = [narrow(choice, given) for choice in choices]
    copied = any(_numeric(old) and "enum" in new for old, new in zip(choices, narrowed, strict=True))
    return [choice for choice in narrowed if not (copied and "pattern" in choice)]


def _numeric(schema: Schema) -> bool:
    return schema.get("type") == "number" or any(map(_numeric, schema.get("anyOf", ())))


def _field(name: str, field: Schema, given: Source) -> Schema:
    """A field named like an argument of an earlier call is that argument."""
    said = given.said.get(name)
    if isinstance(said, str) and field.get("type") == "string" and "enum" not in field:
        return {"enum": [said]}
    return narrow(field, given)


def _codes(choices: list[Any], given: Source) -> list[Any]:
    """Of a list of codes such as EUR and USD, those the text names; labels are judged, not copied."""
    if not all(isinstance(choice, str) and choice.isupper() for choice in choices):
        return choices
    return [choice for choice in choices if choice in given.words] or choices


def _fits(number: int | float, kind: str, schema: Schema) -> bool:
    low, high = schema.get("minimum", number), schema.get("maximum", number)
    return low <= number <= high and (kind == "number" or isinstance(number, int))


def _number(text: str) -> int | float:
    value = float(text.replace(",", ""))
    return int(value) if value.is_integer() else value


def _trimmed(span: str) -> str:
    """The span without punctuation and stray brackets at its ends; nothing when those inside do not match."""
    span = span.strip(_QUOTES).rstrip(_STOPS + " ").strip(_QUOTES)
    if span and not _balanced(span):
        span = span.strip("()[]{}" + _STOPS)
    words = span.split()
    whole = words and any(map(str.isalnum, words[0])) and any(map(str.isalnum, words[-1]))
    return span if whole and _balanced(span) else ""


def _balanced(span: str) -> bool:
    open_brackets: list[str] = []
    for character in span:
        if character in "([{":
            open_brackets.append(character)
        elif character in ")]}" and (not open_brackets or open_brackets.pop() + character not in ("()", "[]", "{}")):
            return False
    return not open_brackets


def _unique(items: Iterable[T]) -> Iterator[T]:
    return iter(dict.fromkeys(items))
