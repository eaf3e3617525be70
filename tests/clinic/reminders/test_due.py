"""When a message goes out. Instants are written by hand; properties hold in every zone and across clock changes."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinic.reminders import due
from clinic.reminders.due import Purpose, Visit

LA = "America/Los_Angeles"
ZONES = ("America/Los_Angeles", "America/New_York", "Pacific/Honolulu", "Europe/London", "Australia/Lord_Howe")
BOOKED = datetime(2026, 1, 1, tzinfo=UTC)

instants = st.integers(0, 2 * 365 * 24 * 12).map(lambda steps: BOOKED + timedelta(days=3, minutes=5 * steps))
zones = st.sampled_from(ZONES)


def utc(month: int, day: int, hour: int, minute: int = 0, year: int = 2026) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


def visit(starts_at: datetime, booked_at: datetime = BOOKED, revision: int = 0) -> Visit:
    return Visit(session_id=7, starts_at=starts_at, revision=revision, booked_at=booked_at)


def test_day_before_opens_at_four_in_the_afternoon() -> None:
    found = due.day_before(visit(utc(11, 24, 16, 20)), LA, utc(11, 23, 18))  # 8:20 in Los Angeles
    assert found is not None
    assert found.not_before == utc(11, 24, 0)  # 16:00 on the 23rd
    assert found.deadline == utc(11, 24, 15, 20)


@pytest.mark.parametrize(
    ("starts_at", "opens"),
    [
        (utc(3, 9, 16), utc(3, 8, 23)),  # the 8th is the spring change: 16:00 is 23:00 UTC by then
        (utc(3, 8, 16), utc(3, 8, 0)),  # the day before it still is 24:00 UTC
        (utc(11, 2, 17), utc(11, 2, 0)),  # the 1st is the autumn change
    ],
)
def test_day_before_keeps_wall_time_across_clock_changes(starts_at: datetime, opens: datetime) -> None:
    found = due.day_before(visit(starts_at), LA, opens)
    assert found is not None
    assert found.not_before == opens


def test_a_visit_booked_in_the_evening_is_told_at_once() -> None:
    found = due.day_before(visit(utc(11, 24, 18), booked_at=utc(11, 24, 2)), LA, utc(11, 24, 2))
    assert found is not None
    assert found.not_before == utc(11, 24, 2)


def test_a_visit_booked_at_night_is_told_at_eight() -> None:
    found = due.day_before(visit(utc(11, 24, 18), booked_at=utc(11, 24, 7)), LA, utc(11, 24, 7))
    assert found is not None
    assert found.not_before == utc(11, 24, 16)


def test_a_visit_booked_at_night_for_eight_has_no_reminder_of_the_day_before() -> None:
    assert due.day_before(visit(utc(11, 24, 16, 30), booked_at=utc(11, 24, 7)), LA, utc(11, 24, 7)) is None


def test_a_day_before_that_falls_in_quiet_hours_goes_in_the_last_quarter_hour_before() -> None:
    assert due.before_quiet(utc(11, 24, 6), LA) == utc(11, 24, 4, 45)  # 22:00 -> 20:45
    assert due.before_quiet(utc(11, 24, 13), LA) == utc(11, 24, 4, 45)  # 5:00 -> 20:45 the evening before
    assert due.before_quiet(utc(11, 24, 20), LA) == utc(11, 24, 20)


def test_two_hours_before_is_skipped_in_quiet_hours() -> None:
    early = due.two_hours_before(visit(utc(11, 24, 17, 59)), LA, utc(11, 23, 18))
    late = due.two_hours_before(visit(utc(11, 24, 18)), LA, utc(11, 23, 18))
    assert early is not None
    assert late is not None
    assert (early.is_quiet, late.is_quiet) == (True, False)
    assert late.not_before == utc(11, 24, 16)


def test_quiet_hours_run_from_nine_to_eight() -> None:
    quiet = [due.is_quiet(utc(11, 24, hour, minute), LA) for hour, minute in ((4, 59), (5, 0), (15, 59), (16, 0))]
    assert quiet == [False, True, True, False]


def test_digest_goes_out_on_sunday_at_five() -> None:
    found = due.weekly_digest(date(2026, 11, 30), utc(11, 30, 18), BOOKED, LA)
    assert found is not None
    assert found.not_before == utc(11, 30, 1)
    assert found.occurrence == "w:2026-11-30"


def test_a_week_booked_after_its_sunday_has_no_digest() -> None:
    assert due.weekly_digest(date(2026, 11, 23), utc(11, 25, 18), utc(11, 23, 18), LA) is None


@pytest.mark.parametrize(
    ("now", "weeks"),
    [
        (utc(11, 21, 23), []),  # Saturday
        (utc(11, 22, 3), [date(2026, 11, 23)]),  # Sunday 17:00 in Auckland is 4:00 UTC
        (utc(11, 23, 1), [date(2026, 11, 23)]),  # Sunday 17:00 in Los Angeles
        (utc(11, 25, 18), []),
    ],
)
def test_digests_are_looked_for_around_sunday(now: datetime, weeks: list[date]) -> None:
    assert due.digest_weeks(now) == weeks


def test_a_change_at_night_of_an_early_visit_can_only_be_told_by_a_call() -> None:
    found = due.changed(Purpose.SESSION_MOVED, 7, 2, utc(11, 24, 16, 10), LA, utc(11, 24, 6))
    assert found is not None
    assert found.not_before > found.deadline


def test_no_word_of_a_change_that_is_past() -> None:
    assert due.changed(Purpose.SESSION_CANCELLED, 7, 0, utc(11, 23, 18), LA, utc(11, 23, 18)) is None


@pytest.mark.parametrize(("hours", "step"), [(0, "v:4.0"), (23, "v:4.0"), (24, "v:4.1"), (49, "v:4.2"), (72, None)])
def test_a_check_in_is_reminded_after_one_and_two_days(hours: int, step: str | None) -> None:
    found = due.survey_due(4, utc(11, 23, 18), LA, utc(11, 23, 18) + timedelta(hours=hours))
    assert (found.occurrence if found else None) == step


@pytest.mark.parametrize(
    ("at", "step"), [(utc(11, 24, 4), "v:4.0"), (utc(11, 24, 5), None), (utc(11, 24, 16), "v:4.1")]
)
def test_no_check_in_is_written_in_a_night_that_it_would_not_outlast(at: datetime, step: str | None) -> None:
    found = due.survey_due(4, utc(11, 23, 8), LA, at)  # midnight: each step opens at 8:00, 16:00 UTC
    assert (found.occurrence if found else None) == step


@pytest.mark.parametrize(
    ("hours", "is_due"), [(57, False), (58, True), (71, True), (82, True), (87, True), (94, False)]
)
def test_what_is_missing_is_asked_for_from_the_morning_and_still_on_the_next_one(hours: int, is_due: bool) -> None:
    left = utc(11, 23, 6)  # 22:00: two days later it is quiet
    found = due.answers_missing("i:1", left, LA, left + timedelta(hours=hours))
    assert (found is not None) == is_due
    assert found is None or (found.not_before, found.deadline) == (
        left + timedelta(hours=58),
        left + timedelta(hours=94),
    )


def test_nothing_missing_is_asked_for_in_a_night_that_it_would_not_outlast() -> None:
    since = utc(11, 24, 4)  # 20:00; the window ends at 8:00
    assert due.documents_missing("p:1", since, LA, since + timedelta(days=2, hours=25)) is None
    assert due.documents_missing("p:1", since, LA, since + timedelta(days=2, hours=24)) is not None


def called(minutes: int, *, is_urgent: bool = True, failed: tuple[int, ...] = (), people: int = 3) -> list[str]:
    """Who is told, and how often everyone was told before: "0", "1", "2", "0 again 1". A call due after an hour."""
    opened = utc(11, 23, 18)
    now, call_by = opened + timedelta(minutes=minutes), opened + timedelta(minutes=60)
    calls = due.on_call(1, opened, call_by, is_urgent=is_urgent, failed=failed, people=people, now=now)
    return [
        f"{place} again {found.occurrence.split('.')[1]}" if "." in found.occurrence else str(place)
        for place, found in calls
    ]


@pytest.mark.parametrize(
    ("minutes", "told"),
    [
        (0, ["0"]),
        (19, ["0"]),
        (20, ["0", "1"]),
        (40, ["0", "1", "2"]),
        (59, ["0", "1", "2"]),
        (60, ["0", "1", "2", "0 again 1"]),
        (80, ["0", "1", "2", "1 again 1"]),
        (130, ["0", "1", "2", "0 again 2"]),
        (60 * 24 * 3, ["0", "1", "2", "0 again 72"]),
    ],
)
def test_an_urgent_call_goes_round_every_twenty_minutes_until_someone_acknowledges(
    minutes: int, told: list[str]
) -> None:
    assert called(minutes) == told


@pytest.mark.parametrize(
    ("minutes", "told"),
    [(0, ["0"]), (59, ["0"]), (60, ["0", "1"]), (80, ["0", "1", "2"]), (100, ["0", "1", "2", "0 again 1"])],
)
def test_a_call_of_the_same_day_goes_round_once_it_is_late(minutes: int, told: list[str]) -> None:
    assert called(minutes, is_urgent=False) == told


def test_where_one_cannot_be_reached_the_next_is_told_without_waiting() -> None:
    assert called(1, is_urgent=False, failed=(0,)) == ["0", "1"]
    assert called(1, failed=(0, 1)) == ["0", "1", "2"]


def test_one_person_alone_is_told_again() -> None:
    assert [called(minutes, people=1) for minutes in (0, 20, 45)] == [["0"], ["0", "0 again 1"], ["0", "0 again 2"]]
    assert called(500, people=0) == []


@given(minutes=st.integers(0, 5000), people=st.integers(1, 5), is_urgent=st.booleans())
@settings(max_examples=100)
def test_nobody_is_told_twice_in_one_look(minutes: int, people: int, is_urgent: bool) -> None:
    told = called(minutes, people=people, is_urgent=is_urgent)
    assert len(told) == len(set(told)) <= people + 1


def test_retries_end_after_six_tries_or_at_the_deadline() -> None:
    now, far = utc(11, 23, 18), utc(11, 24, 18)
    waits = [due.retry_at(Purpose.LINK, tries, far, None, now) for tries in range(1, 7)]
    assert [wait and int((wait - now).total_seconds()) for wait in waits] == [30, 120, 480, 1200, 3600, None]
    assert due.retry_at(Purpose.LINK, 2, now + timedelta(minutes=2), None, now) is None


@given(starts=instants, tz=zones, late=st.integers(0, 4000))
@settings(max_examples=150)
def test_reminders_open_outside_quiet_hours_and_before_their_deadline(starts: datetime, tz: str, late: int) -> None:
    known = starts - timedelta(minutes=late)
    for make in (due.day_before, due.two_hours_before):
        found = make(visit(starts, booked_at=known), tz, known)
        if found is None:
            continue
        assert found.not_before < found.deadline < starts
        assert found.is_quiet or not due.is_quiet(found.not_before, tz)


@given(starts=instants, tz=zones)
@settings(max_examples=150)
def test_day_before_is_on_the_day_before(starts: datetime, tz: str) -> None:
    found = due.day_before(visit(starts), tz, BOOKED)
    assert found is not None
    local, of_visit = found.not_before.astimezone(ZoneInfo(tz)), starts.astimezone(ZoneInfo(tz))
    assert (of_visit.date() - local.date(), local.hour, local.minute) == (timedelta(days=1), 16, 0)


@given(at=instants, tz=zones)
@settings(max_examples=150)
def test_quiet_hours_are_left_in_both_directions(at: datetime, tz: str) -> None:
    before, after = due.before_quiet(at, tz), due.after_quiet(at, tz)
    assert before <= at <= after
    assert not due.is_quiet(before, tz)
    assert not due.is_quiet(after, tz)
    assert after - at <= timedelta(hours=12)
