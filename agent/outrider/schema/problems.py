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
_RULES = {
    error: f"is not {_WORDS[name]}" for name, errors in _PYDANTIC_TYPES.items() for error in errors.split()
}
_SUBJECT = re.compile(
    r"^(Input|String|List|Tuple|Set|Frozenset|Dictionary|Data|Bytes|Value|Decimal input) (?=should)"
)


def explain(error: "ValidationError", instance: object) -> tuple[str, ...]:
    """One line for each thing Pydantic found wrong with ``instance``, the decoded JSON."""
    return at_most(
        _line(_real_path(item["loc"], instance, item["type"]), item["type"], item["msg"], item["input"])
        for item in error.errors(include_url=False, include_context=False)
    )


def _line(path: Sequence[str | int], kind: str, message: str, value: object) -> str:
    if kind == "missing":
        return f"{_path(path)}: is missing"
    if kind == "extra_forbidden":
        return f"{_path(path)}: there is no such property"
    if kind in _RULES:
        return f"{_path(path)}: {_shown(value)} {_RULES[kind]}"
    rule = _SUBJECT.sub("", message.removeprefix("Value error, ").removeprefix("Assertion failed, "))
    return f"{_path(path)}: {_shown(value)}{' ' if rule != message and rule[:6] == 'should' else ': '}{rule}"


def _real_path(loc: Sequence[str | int], instance: object, kind: str) -> list[str | int]:
    """Pydantic's location without its own words for the members of a union, which no JSON path has."""
    path: list[str | int] = []
    for step in loc:
        if isinstance(instance, dict) and step in instance:
            instance = cast(dict[Any, object], instance)[step]
        elif (
            isinstance(instance, list) and isinstance(step, int) and step < len(cast(list[object], instance))
        ):
            instance = cast(list[object], instance)[step]
        else:
            continue
        path.append(step)
    return [*path, loc[-1]] if kind == "missing" else path


def violation(error: "SchemaViolation") -> Iterator[str]:
    """The lines of one error of jsonschema."""
    from jsonschema.exceptions import best_match  # pyright: ignore[reportUnknownVariableType]

    if error.context:  # some anyOf or oneOf: the branch that came nearest says more than "none fits"
        error = cast("SchemaViolation", best_match([error]))
    value, rule = cast(Any, error.instance), cast(Any, error.validator_value)
    path = list(error.absolute_path)
    match error.validator:
        case "required":
            yield from (f"{_path([*path, name])}: is missing" for name in rule if name not in value)
        case "type":
            names = [rule] if isinstance(rule, str) else cast(list[str], rule)
            yield f"{_path(path)}: {_shown(value)} is not {' or '.join(_WORDS[name] for name in names)}"
        case _:
            yield f"{_path(path)}: {error.message.replace(repr(value), _shown(value), 1)}"


def at_most(lines: Iterable[str]) -> tuple[str, ...]:
    """These lines, none twice, and no more than MOST_PROBLEMS of them."""
    kept = list(dict.fromkeys(lines))
    more = len(kept) - MOST_PROBLEMS
    return tuple(kept) if more <= 0 else (*kept[:MOST_PROBLEMS], f"and {more} more problems")


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
