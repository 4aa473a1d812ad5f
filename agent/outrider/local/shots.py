"""The examples a small model is shown before its own task, told in the field names of the user's schema."""

import json
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from itertools import chain
from typing import Any

import msgspec
from msgspec import Struct

from outrider.local.asked import Offered, Schema
from outrider.local.texts import WORDS

Fact = str | int | float


class Shot(Struct, frozen=True):
    """A worked example: a request, the facts in it by kind, what a tool said, and a sentence made of that."""

    text: str
    facts: dict[str, Fact]
    result: str | None = None
    say: str = ""


class Told(Struct, frozen=True):
    """A shot in the words of a schema; ``json`` is the object it should lead to."""

    text: str
    json: str = ""
    result: str | None = None
    say: str = ""
    choice: str = ""


class _Library(Struct, frozen=True):
    kinds: dict[str, list[str]]
    forms: dict[str, list[str]]
    cues: dict[str, str]
    others: dict[str, str]
    ends: dict[str, str]
    feelings: dict[str, str]
    shots: list[Shot]

    def value(self, shot: Shot, field: str, schema: Schema) -> Fact | None:
        """What the shot knows of a field, in the field's type."""
        for kind, names in self.kinds.items():
            if field.lower() in names and kind in shot.facts:
                return _typed(shot.facts[kind], schema)
        return None


@cache
def _library() -> _Library:
    body = (files("outrider.local") / "shots.toml").read_bytes()
    return msgspec.toml.decode(body, type=_Library)


@cache
def kind_of(field: str) -> str:
    """What a field's name says of it, or an empty text."""
    return next((kind for kind, names in _library().kinds.items() if field.lower() in names), "")


@cache
def forms_of(kind: str) -> list[re.Pattern[str]]:
    """How a text of a kind is written, the surest form first; empty where nothing is known of it."""
    nameless = "|".join(map(re.escape, [*WORDS.nameless, *WORDS.currencies]))
    name = rf"(?!(?i:{nameless})\.?(?:\s|$))[A-Z\u00c0-\u017d][^\d\s]*"
    return [re.compile(form.replace("NAME", name)) for form in _library().forms.get(kind, ())]


def cue_of(kind: str) -> str:
    """A pattern of the words that stand before a text of a kind; empty where none do."""
    return _library().cues.get(kind, "")


def others_cue_of(kind: str) -> str:
    """A pattern of the words that stand before somebody else's text of a kind; empty where nothing is known."""
    return _library().others.get(kind, "")


def ending_of(kind: str) -> str:
    """A pattern of what the surest texts of a kind end with; empty where nothing is known."""
    return _library().ends.get(kind, "")


def feelings(labels: Sequence[str]) -> list[str]:
    """The plain words for labels of mood; none when one of them is something else."""
    known = _library().feelings
    return [known[label] for label in labels] if all(label in known for label in labels) else []


def for_label(labels: Sequence[str]) -> list[list[Told]]:
    """Two sets of shots for labels of mood, each with every label in turn."""
    turns = [[shot for shot in _library().shots if shot.facts.get("label") == label] for label in labels]
    told = [
        [_tell(shot, {}, feelings([str(shot.facts["label"])])[0]) for shot in turn]
        for turn in zip(*turns, strict=False)
    ]
    half = len(told) // 2
    return [list(chain.from_iterable(part)) for part in (told[:half], told[half:])]


def for_fields(schema: Schema, most: int) -> list[Told]:
    """The shots that know the most of a schema's fields; others as they are when none knows any."""
    library = _library()
    fields: dict[str, Schema] = schema.get("properties", {})
    known: list[tuple[int, Told]] = []
    for shot in library.shots:
        values = {name: library.value(shot, name, field) for name, field in fields.items()}
        told = {name: value for name, value in values.items() if value is not None}
        if told:
            known.append((len(told), _tell(shot, told)))
    if not known:
        return [_tell(shot, shot.facts) for shot in library.shots[-most:]]
    best = max(score for score, _ in known)
    return [told for score, told in known if score == best][:most]


def for_choice(tools: tuple[Offered, ...], each: int) -> list[Told]:
    """Shots for choosing among tools, taking turns so that none is favoured by its place."""
    by_tool = [
        [msgspec.structs.replace(told, choice=tool.name) for told in for_fields(tool.parameters, each)]
        for tool in tools
    ]
    return [turn[index] for index in range(each) for turn in by_tool if index < len(turn)]


def for_sentence(results: list[str], most: int) -> list[Told]:
    """Shots that make a sentence of a result like these: of a bare number, or of a text."""
    bare = all(result.replace(".", "", 1).lstrip("-").isdecimal() for result in results)
    spoken = [shot for shot in _library().shots if shot.say and (shot.result is None) == bare]
    return [_tell(shot, shot.facts) for shot in spoken[:most]]


def _tell(shot: Shot, told: dict[str, Fact], choice: str = "") -> Told:
    result = shot.result
    if result is None and "result" in shot.facts:
        result = str(shot.facts["result"])
    return Told(shot.text, json.dumps(told, ensure_ascii=False), result, shot.say, choice)


def _typed(fact: Fact, schema: Schema) -> Fact | None:
    """The fact in a field's type; None when it has none there."""
    choices: list[Any] = schema.get("enum", [fact])
    if fact not in choices:
        return None
    match schema.get("type"):
        case "number" | "integer" as kind:
            if isinstance(fact, str):
                return int(fact) if fact.isdecimal() else None
            return fact if kind == "number" or isinstance(fact, int) else None
        case "string":
            return str(fact)
        case _:
            return fact
