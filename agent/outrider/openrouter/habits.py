"""Habits of models: how their thinking is switched and which sampling their makers recommend, read from TOML."""

from collections.abc import Mapping
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

from msgspec import Struct

from outrider.errors import SetupError, did_you_mean
from outrider.openrouter.ranges import RANGES
from outrider.rungs import RUNGS
from outrider.toml import Kinds, Toml, shown

_KINDS: Kinds = {
    "switch": (str, '"enabled" or "effort"'),
    "greedy": (bool, "true or false"),
    "least_tokens": (int, "a number of tokens"),
    "thinks_with_format": (bool, "true or false"),
    "tools_with_format": (bool, "true or false"),
    "rungs": (list, 'names of ways to ask for an answer, as in ["final_answer tool", "prompted"]'),
    "text_only": (bool, "true or false"),
    "thinking": (dict, "a table of sampling, as in { temperature = 0.6 }"),
    "plain": (dict, "a table of sampling, as in { temperature = 0.7 }"),
}
_SAMPLED = (
    "temperature", "top_p", "top_k", "min_p", "top_a", "frequency_penalty", "presence_penalty", "repetition_penalty",
)  # fmt: skip


class Habits(Struct, frozen=True):
    """What is known of one model. The defaults are those of a model of which nothing is known.

    ``switch`` is the field of ``reasoning`` that turns thinking on and off; ``greedy`` whether it can think at
    temperature 0; ``least_tokens`` what an answer needs with thinking; ``thinks_with_format`` whether it can think
    where a response_format is sent; ``tools_with_format`` whether it takes both in one request, and works with its
    tools before it answers; ``rungs`` are the only ways to ask it for an answer, where not all are; ``text_only``
    whether it takes no images. ``thinking`` and ``plain`` are sampling: with thinking, and without.
    """

    switch: Literal["enabled", "effort"] = "enabled"
    greedy: bool = True
    least_tokens: int = 0
    thinks_with_format: bool = True
    tools_with_format: bool = False
    rungs: tuple[str, ...] = ()
    text_only: bool = False
    thinking: Mapping[str, float] = {}
    plain: Mapping[str, float] = {}


def habits_of(model: str, own: str | Path | None = None) -> Habits:
    """The habits of a model by the file that comes with Outrider, then by ``own``.

    Raises SetupError, with the line, for a file that cannot be read or says what it may not.
    """
    return _merged(model, None if own is None else str(own))


@cache
def _merged(model: str, own: str | None) -> Habits:
    known: dict[str, Any] = {}
    none: Mapping[str, Mapping[str, Any]] = {}
    for table in (_shipped(), _tables(own) if own else none):
        for pattern, said in table.items():
            if fnmatchcase(model.lower(), pattern.lower()):
                known |= said
    return Habits(**known)


@cache
def _shipped() -> Mapping[str, Mapping[str, Any]]:
    return _tables(str(Path(__file__).with_name("habits.toml")))


def _tables(file: str) -> Mapping[str, Mapping[str, Any]]:
    """What a file says, by pattern."""
    try:
        text = Path(file).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, RuntimeError) as error:
        why = "it is not UTF-8" if isinstance(error, ValueError) else getattr(error, "strerror", None) or str(error)
        raise SetupError(f"the habits in {file} cannot be read: {why}", "Name a TOML file.") from error
    toml = Toml(text, file)
    return {pattern: _table(toml, pattern) for pattern in toml.values}


def _table(toml: Toml, pattern: str) -> Mapping[str, Any]:
    table: Any = toml.values[pattern]
    if not isinstance(table, dict):
        hint = 'Habits stand in tables named by models, as in ["qwen/qwen3-*"].'
        raise toml.wrong(f"{pattern} is {shown(table)}", hint, pattern)
    toml.check(_KINDS, pattern)
    said = cast("dict[str, Any]", table)
    if said.get("switch", "enabled") not in ("enabled", "effort"):
        raise toml.wrong(f"switch is {shown(said['switch'])}", 'Give "enabled" or "effort".', pattern, "switch")
    if "rungs" in said:
        said["rungs"] = tuple(_rung(toml, pattern, name) for name in said["rungs"])
    for mode in ("thinking", "plain"):
        if mode in said:
            said[mode] = {name: _number(toml, pattern, mode, name, value) for name, value in said[mode].items()}
    return said


def _rung(toml: Toml, pattern: str, name: object) -> str:
    if isinstance(name, str) and name in RUNGS:
        return name
    near = did_you_mean(name, RUNGS) if isinstance(name, str) else ""
    raise toml.wrong(f"rungs holds {shown(name)}", near or f"It may hold {', '.join(RUNGS)}.", pattern, "rungs")


def _number(toml: Toml, pattern: str, mode: str, name: str, value: Any) -> float:
    path = (pattern, mode, name)
    if name not in _SAMPLED:
        raise toml.wrong(f"{mode} holds {name!r}", f"It may hold {', '.join(_SAMPLED)}.", *path)
    number = float(value) if isinstance(value, Decimal) else value
    if not RANGES[name].holds(number):
        raise toml.wrong(f"{name} is {shown(value)}", f"Give {RANGES[name]}.", *path)
    return cast(float, number)
