"""Narrow a JSON Schema to what can be copied from the texts at hand.

A model of this size misspells what it copies. So where a schema leaves a text or a number open, the decoder
is given the words and numbers of the task and of the tools' results to choose from; much of the work moves
to the grammar.
"""

import re
from typing import Any, cast

from msgspec import Struct
from msgspec.structs import replace

from outrider.local.asked import Asked, Schema, arguments
from outrider.local.shots import cue_of, ending_of, forms_of, kind_of, others_cue_of
from outrider.local.sums import sums
from outrider.local.texts import amounts, currencies, dates, numbers, phrases, unique

OPEN_TEXT = 200
"""Characters of a text that cannot be copied; unbounded ones run on until the token limit."""
MOST_ITEMS = 8

SIGNED = r"(?i:regards|wishes|sincerely|faithfully|cheers|thanks|thank you|greetings|best)[\s,.!-]+"
"""What ends a letter, before the name of who wrote it."""

_AMOUNT = re.compile(r"(?<!\S)(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.\d+)(?!\S)")


class Source(Struct, frozen=True):
    """What may be copied: phrases and numbers in the order of the text; the arguments of earlier calls."""

    phrases: tuple[str, ...]
    numbers: tuple[int | float, ...]
    words: frozenset[str]
    amounts: tuple[int | float, ...] = ()
    currencies: tuple[str, ...] = ()
    sums: tuple[str, ...] = ()
    text: str = ""
    said: dict[str, Any] = {}


def source(asked: Asked) -> Source:
    """What task and results offer for copying. Numbers are those of the results, when these hold any."""
    results = [done.result for done in asked.done]
    texts = [*results, asked.lines or asked.task]
    numbered = results if any(map(numbers, results)) else [asked.lines or asked.task]
    return Source(
        tuple(unique(phrase for text in texts for phrase in phrases(text))),
        tuple(unique(number for text in numbered for number in numbers(text))),
        frozenset(word for text in texts for word in re.findall(r"[^\W\d_]+", text)),
        tuple(unique(amount for text in numbered for amount in amounts(text))),
        tuple(unique(code for text in texts for code in currencies(text))),
        tuple(sums(asked.task)),
        " ".join(texts),
        {name: value for done in asked.done for name, value in arguments(done).items()},
    )


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
            return {"enum": list(given.phrases)} if given.phrases else {"maxLength": OPEN_TEXT} | schema
        case "number" | "integer" as kind if "const" not in schema:
            fitting = [n for n in given.numbers if _fits(n, kind, schema)]
            unsaid = {"enum": [schema["default"]]} if "default" in schema else schema
            return {"enum": fitting} if fitting else unsaid
        case _:
            return schema | {"anyOf": _choices(schema["anyOf"], given)} if "anyOf" in schema else schema


def closed(schema: Schema) -> list[Any]:
    """All that a narrowed schema allows; nothing when it is open."""
    match schema:
        case {"enum": choices}:
            return choices
        case {"const": only}:
            return [only]
        case {"type": "boolean"}:
            return [True, False]
        case {"type": "null"}:
            return [None]
        case {"anyOf": [*parts]}:
            found = [closed(part) for part in cast("list[Schema]", parts)]
            return [choice for choices in found for choice in choices] if all(found) else []
        case _:
            return []


def is_judged(schema: Schema, choices: list[Any]) -> bool:
    """Whether a closed field of the user's schema is to be judged by the text, and not copied out of it."""
    return schema.get("type") == "boolean" or schema.get("enum") == choices


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
    """What a field's name says of it narrows it further; one named like an argument of an earlier call is that one."""
    said, kind = given.said.get(name), kind_of(name)
    if field.get("type") == "string" and "enum" not in field:
        if isinstance(said, str):
            return {"enum": [said]}
        given = replace(given, phrases=_fitting(kind, given))
    elif kind == "total":
        given = replace(given, numbers=given.amounts or _unnumbered(given))
    return narrow(field, given)


def has_all(schema: Schema, given: Source) -> bool:
    """Whether the texts hold something of the surest form for every field."""
    fields: dict[str, Schema] = schema.get("properties", {})
    return all(_sure(kind_of(name), given) for name in fields)


def _sure(kind: str, given: Source) -> bool:
    forms = forms_of(kind)
    return bool(given.sums) if kind == "expression" else not forms or bool(_written(forms[0], given))


def _fitting(kind: str, given: Source) -> tuple[str, ...]:
    """The phrases written as a field of this kind is, in whole; all phrases when none is."""
    if kind == "expression":
        return given.sums or given.phrases
    if kind == "currency":
        return given.currencies or given.phrases
    if kind in ("date", "due_date"):
        return tuple(dates(given.text, due=kind == "due_date")) or given.phrases
    sure, *others = [_written(form, given) for form in forms_of(kind)] or [list[str]()]
    found = _longest(_unlabelled(sure, given)) or next(filter(None, others), list[str]())
    if others := others_cue_of(kind):
        found = [phrase for phrase in found if not _follows(others, phrase, given)] or found
    if kind == "vendor":
        found = _sellers(found, given)
    if cue := cue_of(kind):
        found = [phrase for phrase in found if _follows(cue, phrase, given)] or found
    if end := ending_of(kind):
        found = [phrase for phrase in found if re.search(rf"\s(?:{end})\.?$", phrase)] or found
    return tuple(found) or given.phrases


def _sellers(found: list[str], given: Source) -> list[str]:
    """Without people: those who own a mailbox, and those who sign a letter above the name of their firm."""
    text = given.text
    people = [
        phrase
        for phrase in found
        if re.search(re.escape(phrase) + r'"?\s*<\S+@', text)
        or any(re.search(rf"{SIGNED}{re.escape(phrase)}\s*\n\s*{re.escape(firm)}", text) for firm in found)
    ]
    return [phrase for phrase in found if phrase not in people] or found


def _follows(cue: str, phrase: str, given: Source) -> bool:
    """Whether the phrase stands behind one of these words somewhere."""
    follows = rf"\b(?:{cue})\b[\s.:#\u00b0(\"\u201c]*(?:(?:is|of|with the|name|number|num|no|nr|id)\b[\s.:#]+)?"
    return re.search(rf"{follows}{re.escape(phrase)}(?![/-]?\w)", given.text, re.IGNORECASE) is not None


def _unnumbered(given: Source) -> tuple[int | float, ...]:
    """The numbers that are no invoice's, where there are others."""
    cue = cue_of("number")
    return tuple(number for number in given.numbers if not _follows(cue, str(number), given)) or given.numbers


def _written(form: re.Pattern[str], given: Source) -> list[str]:
    return [phrase for phrase in given.phrases if form.fullmatch(phrase)]


def _unlabelled(found: list[str], given: Source) -> list[str]:
    """Without words that announce what follows, as in "Subject: ...", where there are others."""
    return [phrase for phrase in found if not phrase.isalpha() or f"{phrase}: " not in given.text] or found


def _longest(found: list[str]) -> list[str]:
    """Those that are no part of another."""
    return [phrase for phrase in found if not any(f" {phrase} " in f" {other} " for other in found if other != phrase)]


def _codes(choices: list[Any], given: Source) -> list[Any]:
    """Of a list of codes such as EUR and USD, those the text names; labels are judged, not copied."""
    if not all(isinstance(choice, str) and choice.isupper() for choice in choices):
        return choices
    return [choice for choice in choices if choice in given.words or choice in given.currencies] or choices


def _fits(number: int | float, kind: str, schema: Schema) -> bool:
    low, high = schema.get("minimum", number), schema.get("maximum", number)
    return low <= number <= high and (kind == "number" or isinstance(number, int))
