"""Times for people: when something was, with the offset from UTC, and how long ago."""

from datetime import datetime

UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
"""Seconds of each unit."""


def when(at: float, to: str = "seconds") -> str:
    """A time in Unix seconds as a clock here shows it, with its offset: ``2026-03-01 14:05:09+01:00``.

    ``to`` is the last unit shown: "seconds" or "minutes".
    """
    return datetime.fromtimestamp(at).astimezone().isoformat(" ", to)


def age(seconds: float) -> str:
    """An age in one unit: "5 s", "3 h"."""
    unit = next((unit for unit in ("d", "h", "min") if seconds >= UNITS[unit]), "s")
    return f"{max(0, int(seconds // UNITS[unit]))} {unit}"


def ago(seconds: float) -> str:
    """An age in words: "just now" in the first minute, "3 h ago"."""
    return f"{age(seconds)} ago" if seconds >= UNITS["min"] else "just now"
