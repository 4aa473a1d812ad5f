"""The time now in any time zone, and the counting of days, which models get wrong in their heads."""

import difflib
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, TypedDict
from zoneinfo import ZoneInfo, available_timezones

from outrider import Tool, ToolError, tool

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Now(TypedDict):
    """A moment; ``iso`` is all of it in ISO 8601."""

    date: str
    weekday: str
    time: str
    timezone: str
    utc_offset: str
    iso: str


class Day(TypedDict):
    """A day of the calendar."""

    date: str
    weekday: str


@tool(effect="read", trust="trusted")
def now(timezone: str = "") -> Now:
    """The date, weekday and time now.

    Args:
        timezone: A name such as "Europe/Paris" or "UTC"; empty: the time zone of this machine.
    """
    moment = datetime.now(_zone(timezone) if timezone else UTC)
    if not timezone:
        moment = moment.astimezone()
    return Now(
        date=moment.date().isoformat(),
        weekday=_DAYS[moment.weekday()],
        time=moment.strftime("%H:%M:%S"),
        timezone=timezone or moment.tzname() or "",
        utc_offset=moment.isoformat(timespec="seconds")[19:],
        iso=moment.isoformat(timespec="seconds"),
    )


@tool(effect="read", trust="trusted")
def add_days(start: str, days: int) -> Day:
    """The day that comes so many days after a day, or before it.

    Args:
        start: A day as YYYY-MM-DD.
        days: How many days later; negative: earlier.
    """
    try:
        found = _day(start) + timedelta(days=days)
    except OverflowError:
        raise ToolError(f"{days} days from {start} lie outside the years 1 to 9999.") from None
    return Day(date=found.isoformat(), weekday=_DAYS[found.weekday()])


@tool(effect="read", trust="trusted")
def days_between(start: str, end: str) -> int:
    """How many days after one day another one comes; negative when it comes before.

    Args:
        start: A day as YYYY-MM-DD.
        end: A day as YYYY-MM-DD.
    """
    return (_day(end) - _day(start)).days


clock: list[Tool[..., Any]] = [now, add_days, days_between]
"""The three of them."""


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError as error:
        raise ToolError(f"{text!r} is no day written as YYYY-MM-DD: {error}.") from None


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name.strip())
    except (KeyError, ValueError, OSError):  # unknown; no name at all, such as ../x; a folder, such as Europe
        raise ToolError(f"There is no time zone {name!r}. {_close(name)}") from None


def _close(name: str) -> str:
    known = sorted(available_timezones())
    wanted = name.strip().casefold().replace(" ", "_")
    close = [zone for zone in known if wanted in zone.casefold().split("/")[-1]] if len(wanted) > 2 else []
    close = close[:3] or difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    return f"Did you mean {' or '.join(close)}?" if close else 'Write "Europe/Paris", "America/New_York" or "UTC".'
