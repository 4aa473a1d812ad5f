"""Where two JSON values differ first."""

from typing import Any, cast


def first_difference(was: Any, now: Any, path: str = "$") -> str:
    """The path to it with what stood and stands there, or "" for equal values."""
    if was == now:
        return ""
    match was, now:
        case dict(), dict():
            one, other = cast("dict[str, Any]", was), cast("dict[str, Any]", now)
            name = next(
                name for name in [*one, *other] if (name in one, one.get(name)) != (name in other, other.get(name))
            )
            if name in one and name in other:
                return first_difference(one[name], other[name], f"{path}.{name}")
            return f"{path}.{name}, which is {'gone' if name in one else 'new'}"
        case list(), list():
            first, second = cast("list[Any]", was), cast("list[Any]", now)
            for place in range(min(len(first), len(second))):
                if first[place] != second[place]:
                    return first_difference(first[place], second[place], f"{path}[{place}]")
            return f"{path}, which had {len(first)} items and has {len(second)}"
        case _:
            return f"{path}: it was {_cut(was, now)} and is {_cut(now, was)}"


def _cut(value: Any, other: Any) -> str:
    """The value, of long texts the part around the first difference."""
    if not isinstance(value, str) or len(value) <= _LONG:
        return f"{value!r:.80}"
    same = next(
        (n for n, (a, b) in enumerate(zip(value, str(other), strict=False)) if a != b), min(len(value), len(str(other)))
    )
    start = max(0, same - _LONG // 2)
    return f"{'...' if start else ''}{value[start : start + _LONG]!r}{'...' if start + _LONG < len(value) else ''}"


_LONG = 80
"""Characters of a text that are shown of it."""
