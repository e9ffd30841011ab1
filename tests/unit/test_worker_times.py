"""When the worker starts what: cron over changes of clocks, misfires, coalescing, no overlap."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vdbcluster.errors import UsageError
from vdbcluster.worker.agenda import Agenda, Entry, Skip, Start
from vdbcluster.worker.timetable import Timetable, cron, every

BERLIN = "Europe/Berlin"
NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)  # a Sunday


def times(table: Timetable, after: str, count: int) -> list[str]:
    at, found = datetime.fromisoformat(after).replace(tzinfo=UTC), []
    for _ in range(count):
        at = table.after(at)
        assert at.tzinfo is UTC
        found.append(at.strftime("%m-%d %H:%M:%S"))
    return found


def test_a_time_that_the_clock_skips_comes_at_the_end_of_the_gap() -> None:
    found = times(cron("30 2 * * *", BERLIN), "2025-03-29T00:00", 3)
    assert found == ["03-29 01:30:00", "03-30 01:00:00", "03-31 00:30:00"]


def test_a_time_that_comes_twice_counts_once() -> None:
    found = times(cron("30 2 * * *", BERLIN), "2025-10-25T00:00", 4)
    assert found == ["10-25 00:30:00", "10-26 00:30:00", "10-27 01:30:00", "10-28 01:30:00"]


def test_a_steady_line_goes_on_through_the_hour_that_comes_twice() -> None:
    found = times(cron("*/30 * * * *", BERLIN), "2025-10-25T23:45", 6)
    assert found == [f"10-26 0{hour}:{minute}:00" for hour in (0, 1, 2) for minute in ("00", "30")]


def test_weekdays_are_those_of_cron() -> None:
    assert times(cron("0 3 * * 0", "UTC"), "2025-06-02T00:00", 1) == ["06-08 03:00:00"]
    assert times(cron("0 3 * * 7", "UTC"), "2025-06-02T00:00", 1) == ["06-08 03:00:00"]
    assert times(cron("0 3 * * mon", "UTC"), "2025-06-03T00:00", 1) == ["06-09 03:00:00"]
    either = times(cron("0 0 1 * 1", "UTC"), "2025-06-01T12:00", 3)
    assert either == ["06-02 00:00:00", "06-09 00:00:00", "06-16 00:00:00"]


def test_six_fields_begin_with_seconds() -> None:
    found = times(cron("*/20 * * * * *", "UTC"), "2025-06-01T12:00", 3)
    assert found == ["06-01 12:00:20", "06-01 12:00:40", "06-01 12:01:00"]


def test_intervals_do_not_depend_on_when_one_asks() -> None:
    assert times(every("10m"), "2025-06-01T12:03:07", 2) == ["06-01 12:10:00", "06-01 12:20:00"]
    assert times(every("10m"), "2025-06-01T12:10:00", 1) == ["06-01 12:20:00"]
    assert every("1h30m").step == timedelta(minutes=90)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("61 * * * *", "'61 * * * *' is no cron line (Bad minute)"),
        ("* * * *", "is no cron line"),
        ("@daily", "is no cron line"),
        ("0 0 31 2,4 *", "is no cron line"),
    ],
)
def test_a_wrong_cron_line_is_told(line: str, told: str) -> None:
    with pytest.raises(UsageError) as error:
        cron(line, "UTC")
    assert told in str(error.value)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "/etc/passwd"])
def test_a_wrong_time_zone_is_told(zone: str) -> None:
    with pytest.raises(UsageError, match="there is no time zone"):
        cron("0 3 * * *", zone)


@pytest.mark.parametrize("text", ["", "5", "m", "10 m", "-5s", "0s", "5s!", "5x", "9" * 30 + "d"])
def test_a_wrong_interval_is_told(text: str) -> None:
    with pytest.raises(UsageError, match="interval"):
        every(text)


TABLES = [
    cron("*/7 * * * *", "UTC"),
    cron("30 2 * * *", BERLIN),
    cron("*/30 * * * *", BERLIN),
    cron("*/13 * * * * *", "America/New_York"),
    cron("0 3 * * 1", "Asia/Kathmandu"),
    every("7m"),
    every("1h1s"),
]


@settings(deadline=None, max_examples=60)
@given(
    table=st.sampled_from(TABLES),
    start=st.datetimes(datetime(2025, 3, 28), datetime(2025, 11, 5)),
    away=st.integers(0, 20_000),
)
def test_what_has_come_is_what_one_by_one_would_have_come(
    table: Timetable, start: datetime, away: int
) -> None:
    due = table.after(start.replace(tzinfo=UTC))
    now = due + timedelta(seconds=away)
    come = [due]
    while (later := table.after(come[-1])) <= now:
        come.append(later)
    assert table.since(due, now) == (come[-1], len(come))


def agenda(*entries: tuple[str, str, str], grace: float = 3600) -> Agenda:
    made = (
        Entry(job, command, every(step), every(step).after(NOON)) for job, command, step in entries
    )
    return Agenda(made, timedelta(seconds=grace))


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_nothing_is_started_before_it_is_due_nor_twice() -> None:
    plan = agenda(("news", "run", "10s"))
    assert plan.take(at(9.9), (), 1) == []
    assert plan.take(at(10), (), 1) == [Start("news", "run", at(10), 0)]
    assert plan.take(at(10), (), 1) == []
    assert plan.take(at(20.5), (), 1) == [Start("news", "run", at(20), 0)]


def test_what_came_while_a_job_was_busy_becomes_one() -> None:
    plan = agenda(("news", "run", "10s"), ("news", "assign", "10s"))
    assert plan.take(at(35), {"news"}, 4) == []
    assert plan.take(at(35), (), 4) == [Start("news", "run", at(30), 2)]
    assert plan.take(at(35), {"news"}, 3) == []
    assert plan.take(at(35), (), 4) == [Start("news", "assign", at(30), 2)]
    assert plan.take(at(35), (), 4) == []


def test_jobs_wait_for_a_free_slot_the_longest_due_first() -> None:
    plan = agenda(("late", "run", "20s"), ("early", "run", "15s"))
    assert plan.take(at(21), (), 0) == []
    assert plan.take(at(21), (), 1) == [Start("early", "run", at(15), 0)]
    assert plan.take(at(21), {"early"}, 1) == [Start("late", "run", at(20), 0)]
    both = agenda(("late", "run", "20s"), ("early", "run", "15s"))
    assert [start.job for start in both.take(at(21), (), 2)] == ["early", "late"]


def test_a_misfire_is_made_up_for_within_the_grace_and_skipped_after_it() -> None:
    within = agenda(("news", "run", "1h"), grace=600)
    assert within.take(at(3600 + 600), (), 1) == [Start("news", "run", at(3600), 0)]
    beyond = agenda(("news", "run", "1h"), grace=600)
    assert beyond.take(at(3 * 3600 + 601), (), 1) == [Skip("news", "run", at(3 * 3600), 3)]
    assert beyond.take(at(3 * 3600 + 602), (), 1) == []
    assert beyond.take(at(4 * 3600), (), 1) == [Start("news", "run", at(4 * 3600), 0)]


def test_a_clock_that_is_set_back_starts_nothing_again() -> None:
    plan = agenda(("news", "run", "10s"))
    assert len(plan.take(at(30), (), 1)) == 1
    assert plan.take(at(5), (), 1) == []
    assert plan.take(at(39), (), 1) == []
    assert plan.take(at(40), (), 1) == [Start("news", "run", at(40), 0)]
