"""The clock and the counting of days."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider import Context, ToolError
from outrider_tools.clock import add_days, clock, days_between, now


def moment(timezone: str = "") -> datetime:
    return datetime.fromisoformat(now(timezone)["iso"])


def test_it_tells_the_time_of_this_machine() -> None:
    before = datetime.now().astimezone().replace(microsecond=0)
    told = moment()
    assert before <= told <= datetime.now().astimezone()
    assert told.utcoffset() == before.utcoffset()


@pytest.mark.parametrize(
    ("timezone", "offset"), [("UTC", "+00:00"), ("Asia/Kolkata", "+05:30"), ("Africa/Lagos", "+01:00")]
)
def test_it_tells_the_time_elsewhere(timezone: str, offset: str) -> None:
    told = now(timezone)
    assert (told["timezone"], told["utc_offset"]) == (timezone, offset)
    assert told["iso"] == f"{told['date']}T{told['time']}{offset}"
    assert datetime.fromisoformat(told["iso"]).strftime("%A") == told["weekday"]


@pytest.mark.parametrize(
    ("timezone", "hint"),
    [
        ("Berlin", "Did you mean Europe/Berlin?"),
        ("new york", "Did you mean America/New_York?"),
        ("Europe/Pariss", "Did you mean Europe/Paris or"),
        ("Europe", "Did you mean Europe/"),
        ("../etc/passwd", 'Write "Europe/Paris"'),
        ("UTC+99", "no time zone 'UTC+99'"),
    ],
)
def test_what_is_no_time_zone_is_said_with_what_is_near(timezone: str, hint: str) -> None:
    with pytest.raises(ToolError, match="There is no time zone") as error:
        now(timezone)
    assert hint in str(error.value)


def test_days_are_counted_over_leap_years() -> None:
    assert days_between("2028-02-28", "2028-03-01") == 2
    assert days_between("2026-03-01", "2026-02-28") == -1
    assert add_days("2028-02-28", 2) == {"date": "2028-03-01", "weekday": "Wednesday"}
    assert add_days("2026-01-01", -1) == {"date": "2025-12-31", "weekday": "Wednesday"}


@given(st.dates(), st.integers(-100_000, 100_000))
def test_what_is_added_is_what_lies_between(start: datetime, days: int) -> None:
    try:
        expected = start + timedelta(days=days)
    except OverflowError:
        return
    found = add_days(start.isoformat(), days)["date"]
    assert found == expected.isoformat()
    assert days_between(start.isoformat(), found) == days


def test_what_is_no_day_is_said() -> None:
    with pytest.raises(ToolError, match="'2026-02-30' is no day written as YYYY-MM-DD: day is out of range"):
        days_between("2026-02-30", "2026-03-01")
    with pytest.raises(ToolError, match="'tomorrow' is no day"):
        add_days("tomorrow", 1)
    with pytest.raises(ToolError, match="outside the years"):
        add_days("2026-01-01", 10**9)


def test_a_model_gets_json() -> None:
    context: Context[None] = Context(deps=None)
    found = add_days.invoke('{"start": "2026-03-05", "days": "7"}', context)
    assert add_days.render(found) == '{"date":"2026-03-12","weekday":"Thursday"}'
    assert [tool.name for tool in clock] == ["now", "add_days", "days_between"]
