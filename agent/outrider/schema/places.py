"""Where a JSON value does not fit, as paths: what to take out of it so that the rest does.

What is only missing is no fault here: the value may be cut off. ``unfinished`` are the paths of the objects and lists
that had not ended where it was; those are not blamed either for what more of them could still mend.
"""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any, cast

from outrider.schema.problems import Walk, forbidden, walk_of

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError as SchemaViolation
    from pydantic import ValidationError

Place = tuple[str | int, ...]
"""The steps from the root to a value: names of properties, indices of lists."""

Faults = dict[Place, str]
"""Places with the kind of what is wrong there."""

_MISSING = frozenset(
    (
        *("missing", "missing_argument", "missing_keyword_only_argument", "missing_positional_only_argument"),
        *("required", "dependentRequired"),
    )
)
_MENDABLE = frozenset(
    (
        *("too_short", "value_error", "assertion_error"),
        *("minItems", "minProperties", "contains", "minContains", "not", "oneOf", "anyOf"),
    )
)


def misplaced(error: "ValidationError", instance: object, unfinished: Collection[Place]) -> Faults:
    """The places that Pydantic found wrong in ``instance``, the decoded JSON."""
    items = error.errors(include_url=False, include_context=False)
    return _within([(item["type"], walk_of(item, instance)) for item in items], (), 0, unfinished)


def _within(items: list[tuple[str, Walk]], here: Place, depth: int, unfinished: Collection[Place]) -> Faults:
    faults: Faults = {}
    below: dict[tuple[str | int, bool], list[tuple[str, Walk]]] = {}
    for kind, walk in items:
        if len(walk) > depth:
            below.setdefault(walk[depth], []).append((kind, walk))
        elif _counts(kind, here, unfinished):
            faults[here] = kind
    branches: list[Faults] = []
    for (step, real), inside in below.items():
        found = _within(inside, (*here, step) if real else here, depth + 1, unfinished)
        if real:
            faults |= found
        else:
            branches.append(found)
    return faults | _least(branches, here)


def violated(errors: "Iterable[SchemaViolation]", unfinished: Collection[Place]) -> Faults:
    """The places that jsonschema found wrong."""
    faults: Faults = {}
    for error in errors:
        faults |= _violation(error, unfinished)
    return faults


def _violation(error: "SchemaViolation", unfinished: Collection[Place]) -> Faults:
    here, kind = tuple(error.absolute_path), str(error.validator)
    if error.context:
        branches: dict[str | int, list[SchemaViolation]] = {}
        for inner in error.context:
            branches.setdefault(inner.schema_path[0], []).append(inner)
        return _least([violated(inside, unfinished) for inside in branches.values()], here)
    if kind == "additionalProperties" and cast(Any, error.validator_value) is False:
        value, schema = cast("dict[str, Any]", error.instance), cast("dict[str, Any]", error.schema)
        return {(*here, name): kind for name in forbidden(value, schema)}
    return {here: kind} if _counts(kind, here, unfinished) else {}


def _counts(kind: str, here: Place, unfinished: Collection[Place]) -> bool:
    return kind not in _MISSING and not (kind in _MENDABLE and here in unfinished)


def _least(branches: list[Faults], here: Place) -> Faults:
    """What is wrong by the branch of a union that fits best: of the value's kind, of its tag, with least amiss."""

    def badness(faults: Faults) -> tuple[bool, bool, int]:
        other_tag = any(
            len(place) == len(here) + 1 and kind in ("literal_error", "const") for place, kind in faults.items()
        )
        return here in faults, other_tag, len(faults)

    return min(branches, key=badness) if branches else {}
