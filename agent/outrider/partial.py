"""What there is of an answer: the part of a text, cut off anywhere, that the answer's type does not refuse.

A string that has not ended is shown as far as it goes where any text would do; a number, a word of a choice or a date
is not, for half of it is another one.
"""

from collections.abc import Collection
from typing import Any, cast

import msgspec
from msgspec import UNSET, Struct

from outrider import events as e
from outrider.schema import WRAP, Checker, Nulls
from outrider.schema.places import Faults, Place
from outrider.syntax import begun, extent, read

_PROBE = "\N{REPLACEMENT CHARACTER}"


class _Draft(Struct):
    """A text as JSON: ``sure`` is without the string that has not ended, ``shown`` with it.

    ``deep`` counts the objects and lists that have not ended either. What has no value is UNSET.
    """

    sure: Any
    shown: Any
    deep: int


def valid_part(
    checker: Checker[Any], text: str, whole: bool = False, wrapped: bool = False, nulls: Nulls | None = None
) -> Any:
    """What of this text is valid so far, as a JSON value, or None when there is nothing.

    No value in it is one that the type refuses at its place; what is required may be missing. ``whole`` says that no
    more will come, ``wrapped`` that the answer may be the one property of an object; ``nulls`` takes out those that
    stand for what was left out. Never raises because of the text.
    """
    draft = _draft(text, whole)
    if draft is None:
        return None
    if nulls:
        draft.sure, draft.shown = nulls.taken_out(draft.sure), nulls.taken_out(draft.shown)
    if wrapped:
        _unwrap(draft)
    value = _valid(checker, draft)
    return None if value is UNSET else value


# -------------------------------------------------------------------------------------------- the text


def _draft(text: str, whole: bool) -> _Draft | None:
    if whole:
        value: Any
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            value = msgspec.json.decode(plain.text) if (plain := read(text)) else UNSET
        if value is not UNSET:
            return _Draft(value, value, 0)
    from pydantic_core import from_json

    start = begun(text)
    ends, deep, in_string = extent(start)
    start = start[:ends]
    try:
        sure = from_json(start, allow_partial="on", allow_inf_nan=False)
        shown = from_json(start, allow_partial="trailing-strings", allow_inf_nan=False) if in_string else sure
    except ValueError:
        return None
    return _Draft(sure, shown, deep)


def _unwrap(draft: _Draft) -> None:
    """Take the envelope off, where the answer is in one; an object without anything is one that has just begun."""
    match draft.shown:
        case {**shown} if not shown:
            draft.sure = draft.shown = UNSET
        case {**shown} if list(shown) == [WRAP]:
            draft.sure, draft.shown = draft.sure.get(WRAP, UNSET), shown[WRAP]
            draft.deep = max(0, draft.deep - 1)
        case _:
            pass


# ----------------------------------------------------------------------------------- what of it is valid


def _valid(checker: Checker[Any], draft: _Draft) -> Any:
    """What of the draft fits; the string that has not ended is in it if any text would do in its place."""
    if draft.shown is draft.sure or draft.shown == draft.sure:
        return _kept(checker, draft.sure, draft.deep)
    within = [draft.shown]  # so that an answer that is a mere text has a place in something, too
    spine = _spine(draft.shown, draft.deep)
    parent, last = (spine[-1], _last(spine[-1])) if spine else (within, 0)
    text = parent[last]
    if not isinstance(text, str) or not text:
        return _kept(checker, draft.sure, draft.deep)
    tried: list[Faults] = []
    for words in (text[:-1] + _PROBE, text):
        parent[last] = words
        tried.append(_faults(checker, within[0], spine))
    if not any(tried):
        return within[0]
    without = {} if draft.sure is UNSET else _faults(checker, draft.sure, _spine(draft.sure, draft.deep))
    shown = all(faults == without for faults in tried)
    return _kept(checker, within[0] if shown else draft.sure, draft.deep)


def _kept(checker: Checker[Any], value: Any, deep: int) -> Any:
    """The value without what its type refuses, or UNSET when nothing is left of it."""
    spine = _spine(value, deep)
    while value is not UNSET and (faults := _faults(checker, value, spine)):
        if () in faults or not _take_out(value, faults, ()):
            return UNSET
    return value


def _faults(checker: Checker[Any], value: Any, spine: list[Any]) -> Faults:
    """What is wrong in a value, of which the containers on the spine have not ended, if they are still in it."""
    unfinished: set[Place] = set()
    place: Place = ()
    inner = value
    for container in spine:
        if inner is not container:
            break
        unfinished.add(place)
        if not container:
            break
        last = _last(container)
        inner, place = container[last], (*place, last)
    return checker.faults(value, unfinished)


def _spine(value: Any, deep: int) -> list[Any]:
    """The objects and lists that had not ended, outermost first: each is the last in the one before."""
    spine: list[Any] = []
    while len(spine) < deep and isinstance(value, dict | list):
        spine.append(cast(Any, value))
        if not value:
            break
        value = cast(Any, value)[_last(cast(Any, value))]
    return spine


def _last(container: Any) -> Any:
    return next(reversed(container)) if hasattr(container, "keys") else len(container) - 1


def _take_out(value: Any, places: Collection[Place], here: Place) -> int:
    """Delete what is at these places, and say how many there were."""
    if not isinstance(value, dict | list):
        return 0
    container = cast(Any, value)
    steps: list[Any] = [*container] if isinstance(value, dict) else [*range(len(container))][::-1]
    taken = 0
    for step in steps:
        if (*here, step) in places:
            del container[step]
            taken += 1
        else:
            taken += _take_out(container[step], places, (*here, step))
    return taken


# -------------------------------------------------------------------------------------- while it streams


class Coming:
    """The pieces of the reply that is under way, of its text and of the arguments of its first call."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._arguments: list[str] = []

    def add(self, delta: e.Live) -> None:
        """One more piece; thinking is none."""
        if isinstance(delta, e.TextDelta):
            self._text.append(delta.text)
        elif isinstance(delta, e.ArgumentsDelta) and delta.index == 0:
            self._arguments.append(delta.text)

    def clear(self) -> None:
        """The reply is whole, or came to nothing."""
        self._text.clear()
        self._arguments.clear()

    def text(self, called: bool) -> str:
        """What has come so far: the arguments where the answer is ``called`` for as a tool, else the text."""
        pieces = self._arguments if called and self._arguments else self._text
        pieces[:] = ["".join(pieces)]
        return pieces[0]
