"""What is wrong with a JSON value, in short lines: ``$.items[2].price: 'abc' is not a number``.

Pydantic and jsonschema each have their own way of saying it; here both say it in the same words.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import msgspec

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError as SchemaViolation
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    Located = tuple[ErrorDetails, "Walk"]

MOST_PROBLEMS = 20
"""Lines given about one text; a model that got more wrong than this starts afresh anyway."""

LONGEST_VALUE = 60
"""Characters of a wrong value that a line shows."""

_WORDS = {
    "string": "a string",
    "number": "a number",
    "integer": "an integer",
    "boolean": "true or false",
    "array": "an array",
    "object": "an object",
    "null": "null",
}
_PYDANTIC_TYPES = {
    "string": "string_type",
    "number": "float_type float_parsing decimal_type decimal_parsing",
    "integer": "int_type int_parsing int_from_float",
    "boolean": "bool_type bool_parsing",
    "array": "list_type tuple_type set_type frozen_set_type",
    "object": "dict_type model_type model_attributes_type dataclass_type mapping_type",
    "null": "none_required",
}
_RULES = {error: f"is not {_WORDS[name]}" for name, errors in _PYDANTIC_TYPES.items() for error in errors.split()}
_SUBJECT = r"^(Input|String|List|Tuple|Set|Frozenset|Dictionary|Data|Bytes|Value|Decimal input) (?=should)"


Path = Sequence[str | int]
Step = tuple[str | int, bool]
Walk = tuple[Step, ...]
Found = tuple[Path, str, str]
"""Where, the value seen (or nothing), and the rule it breaks."""


def explain(error: "ValidationError", instance: object) -> tuple[str, ...]:
    """One line for each value that Pydantic found wrong in ``instance``, the decoded JSON."""
    items = error.errors(include_url=False, include_context=False)
    return _lines(
        _found([step for step, real in walk if real], item["type"], item["msg"], item["input"])
        for item, walk in _nearest([(item, walk_of(item, instance)) for item in items])
    )


def _found(path: Path, kind: str, message: str, value: object) -> Found:
    if kind == "missing":
        return path, "", "is missing"
    if kind == "extra_forbidden":
        return path, "", "there is no such property"
    if kind in _RULES:
        return path, _shown(value), _RULES[kind]
    rule, says_should = re.subn(_SUBJECT, "", message)
    if not says_should:
        rule = "does not fit: " + rule.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return path, _shown(value), rule


def walk_of(item: "ErrorDetails", instance: object) -> Walk:
    """Each step of Pydantic's location, and whether it is one in the JSON; the branches of unions are not."""
    walk: list[Step] = []
    for step in item["loc"]:
        there = isinstance(instance, dict) and step in instance
        if isinstance(instance, list) and isinstance(step, int):
            there = step < len(cast(list[object], instance))
        if there:
            instance = cast(Any, instance)[step]
        walk.append((step, there))
    if item["type"] == "missing":
        walk[-1] = (walk[-1][0], True)
    return tuple(walk)


def _nearest(found: "list[Located]") -> "list[Located]":
    """Leave out what is wrong by the measure of those branches of a union that fit worse than another."""
    for depth in reversed(range(max((len(walk) for _, walk in found), default=0))):
        unions: dict[Walk, dict[Step, list[Located]]] = {}
        for item, walk in found:
            if depth < len(walk) and not walk[depth][1]:
                unions.setdefault(walk[:depth], {}).setdefault(walk[depth], []).append((item, walk))
        worse: set[Walk] = set()
        for before, branches in unions.items():
            badness = {name: _badness(inside, depth + 1) for name, inside in branches.items()}
            worse |= {(*before, name) for name in branches if badness[name] > min(badness.values())}
        found = [(item, walk) for item, walk in found if walk[: depth + 1] not in worse]
    return found


def _badness(inside: "list[Located]", depth: int) -> tuple[bool, bool, int]:
    """The value is not of the branch's kind at all, or says itself that it is of another, or has things wrong."""
    other_kind = any(len(walk) == depth for _, walk in inside)
    other_name = any(len(walk) == depth + 1 and item["type"] == "literal_error" for item, walk in inside)
    return other_kind, other_name, len(inside)


def violations(errors: "Iterable[SchemaViolation]") -> tuple[str, ...]:
    """One line for each value that jsonschema found wrong."""
    return _lines(found for error in errors for found in _violation(error))


def _violation(error: "SchemaViolation") -> Iterator[Found]:
    from jsonschema.exceptions import best_match  # pyright: ignore[reportUnknownVariableType]

    if error.context:  # some anyOf or oneOf: the branch that came nearest says more than "none fits"
        nearest = cast("SchemaViolation", best_match([error]))
        if nearest.context and all(branch.validator == "type" for branch in nearest.context):
            for branch in nearest.context:
                yield from _violation(branch)
            return
        error = nearest
    value, rule = cast(Any, error.instance), cast(Any, error.validator_value)
    path = list(error.absolute_path)
    match error.validator:
        case "required":
            yield from (([*path, name], "", "is missing") for name in rule if name not in value)
        case "additionalProperties" if rule is False:
            names = forbidden(value, cast(dict[str, Any], error.schema))
            yield from (([*path, name], "", "there is no such property") for name in names)
        case "type":
            names = [rule] if isinstance(rule, str) else cast(list[str], rule)
            yield path, _shown(value), f"is not {' or '.join(_WORDS[name] for name in names)}"
        case _:
            yield path, _shown(value), error.message.replace(repr(value), "", 1).strip()


def forbidden(value: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    """The properties for which a schema with ``additionalProperties: false`` has no place."""
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    return [name for name in value if name not in known and not any(re.search(p, name) for p in patterns)]


def _lines(found: Iterable[Found]) -> tuple[str, ...]:
    """A line for each value, with every rule it breaks; values in the order in which they were found."""
    rules: dict[str, list[str]] = {}
    for path, value, rule in found:
        known = rules.setdefault(f"{_path(path)}: {value}".rstrip(), [])
        if rule not in known:
            known.append(rule)
    lines = [f"{subject} {_joined(broken)}" for subject, broken in rules.items()]
    more = len(lines) - MOST_PROBLEMS
    return tuple(lines) if more <= 0 else (*lines[:MOST_PROBLEMS], f"and {more} more problems")


def _joined(rules: list[str]) -> str:
    """The branches of a union each say what a value is not; together: ``is not an integer or null``."""
    kinds = [rule.removeprefix("is not ") for rule in rules if rule.startswith("is not ")]
    others = [rule for rule in rules if not rule.startswith("is not ")]
    return "; ".join([f"is not {' or '.join(kinds)}", *others] if kinds else others)


def _path(steps: Iterable[str | int]) -> str:
    return "$" + "".join(_step(step) for step in steps)


def _step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if step.isidentifier() else f"[{step!r}]"


def _shown(value: object) -> str:
    """A value as a line shows it: JSON, but strings in single quotes, and never long."""
    try:
        text = repr(value) if isinstance(value, str) else msgspec.json.encode(value).decode()
    except (TypeError, ValueError):  # a validator may complain about what is not JSON any more
        text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."
