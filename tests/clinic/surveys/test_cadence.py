"""What is asked when: by delivered sessions and phase, and what a history of moves, pauses and ends does to it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings

from clinic.surveys.cadence import CourseFacts, due
from clinic.surveys.plans import rhythm_of
from tests.clinic.surveys.histories import WHOLE, History, expected, histories, state_at, ticks

FIRST = datetime(2026, 11, 24, 18, tzinfo=UTC)
STATES = {"booked": "booked", "running": "running", "paused": "paused", "whole": "completed", "stopped": "discontinued"}


def rhythm(protocol: str = "tms_10hz_left_standard", planned: int = WHOLE) -> Any:
    found = rhythm_of(protocol, planned)
    assert found is not None
    return found


def facts(**overrides: Any) -> CourseFacts:
    delivered = overrides.get("delivered", 0)
    values: dict[str, Any] = {
        "rhythm": rhythm(),
        "state": "running" if delivered else "booked",
        "delivered": 0,
        "first_starts_at": FIRST,
        "first_delivered_at": FIRST if delivered else None,
        "last_delivered_at": FIRST + timedelta(days=delivered) if delivered else None,
        "asked": {},
    }
    return CourseFacts(**values | overrides)


def after(delivered: int, hours: float = 1, **overrides: Any) -> str | None:
    """What is due some hours after the last of so many sessions, a day apart; the baseline was asked long ago."""
    overrides.setdefault("asked", {"baseline": FIRST - timedelta(days=1)})
    now = FIRST + timedelta(days=delivered, hours=hours)
    asking = due(facts(delivered=delivered, **overrides), now)
    return asking.occasion if asking is not None else None


def asked(*occasions: str, at: datetime = FIRST - timedelta(days=1)) -> dict[str, datetime]:
    return dict.fromkeys(("baseline", *occasions), at)


@pytest.mark.parametrize(
    ("delivered", "before", "wanted"),
    [
        (4, (), None),
        (5, (), "session:5"),
        (6, ("session:5",), None),
        (10, ("session:5",), "session:10"),
        (12, ("session:5",), "session:10"),
        (30, ("session:25",), "session:30"),
        (36, ("session:30",), "session:36"),
    ],
)
def test_every_fifth_delivered_session_and_the_end(delivered: int, before: tuple[str, ...], wanted: str | None) -> None:
    assert after(delivered, asked=asked(*before)) == wanted


def test_the_ends_of_the_phases_ask_for_more() -> None:
    assert "gad7" in rhythm().at_session[30]
    assert "gad7" in rhythm().at_session[36]
    assert "gad7" not in rhythm().at_session[25]


def test_a_shorter_course_ends_with_a_check_in() -> None:
    assert max(rhythm(planned=12).at_session) == 12
    assert after(12, rhythm=rhythm(planned=12), asked=asked("session:10"), state="completed") == "session:12"


def test_the_baseline_opens_a_day_before_the_first_session() -> None:
    assert due(facts(), FIRST - timedelta(hours=24, seconds=1)) is None
    asking = due(facts(), FIRST - timedelta(hours=24))
    assert asking is not None
    assert (asking.occasion, asking.instruments) == ("baseline", ("phq9", "gad7", "sleep_clinic"))


@pytest.mark.parametrize(("days", "wanted"), [(14, None), (15, "baseline")])
def test_a_score_of_the_last_fourteen_days_is_the_baseline(days: int, wanted: str | None) -> None:
    asking = due(facts(complete_at=[FIRST - timedelta(days=days)]), FIRST)
    assert (asking.occasion if asking else None) == wanted


@pytest.mark.parametrize(("delivered", "wanted"), [(1, "baseline"), (2, None)])
def test_a_missed_baseline_is_asked_for_until_the_second_session(delivered: int, wanted: str | None) -> None:
    assert after(delivered, asked={}) == wanted


def test_a_point_of_last_month_is_not_asked_for() -> None:
    assert after(10, hours=7 * 24) == "session:10"
    assert after(10, hours=7 * 24 + 1) is None


def test_two_check_ins_are_three_days_apart() -> None:
    at = FIRST + timedelta(days=3)
    assert after(5, hours=23, last_asked_at=at) is None
    assert after(5, hours=24, last_asked_at=at) == "session:5"


@pytest.mark.parametrize("state", ["paused", "discontinued", "cancelled"])
def test_a_paused_or_ended_course_asks_nothing(state: str) -> None:
    assert after(5, state=state) is None
    assert due(facts(state=state), FIRST) is None


@pytest.mark.parametrize(
    ("days", "wanted"),
    [(29, None), (30, "after:30"), (43, "after:30"), (44, None), (90, "after:90"), (180, "after:180")],
)
def test_follow_ups_count_from_the_last_delivered_session(days: int, wanted: str | None) -> None:
    assert after(36, hours=24 * days, state="completed", asked=asked("session:36")) == wanted


def test_a_later_course_takes_the_follow_ups_place() -> None:
    assert after(36, hours=24 * 90, state="completed", has_later_course=True) is None


@pytest.mark.parametrize(("hours", "wanted"), [(23, None), (24, "hours:2"), (47, "hours:2"), (48, None)])
def test_ketamine_is_asked_a_day_after_each_session(hours: int, wanted: str | None) -> None:
    assert after(2, hours=hours, rhythm=rhythm("iv_ketamine_induction", 6)) == wanted


def test_esketamine_asks_weekly_while_induction_lasts() -> None:
    weeks = {"rhythm": rhythm("esketamine_trd", 12), "last_delivered_at": FIRST + timedelta(days=6)}
    now = FIRST + timedelta(days=8)
    asking = due(facts(delivered=3, asked=asked("hours:3"), **weeks), now)
    assert asking is not None
    assert asking.occasion == "week:1"
    assert due(facts(delivered=8, asked=asked("hours:8", "session:8"), **weeks), now) is None


def test_a_payer_may_ask_for_weekly() -> None:
    week = {"delivered": 3, "last_delivered_at": FIRST + timedelta(days=7)}
    now = FIRST + timedelta(days=8)
    assert due(facts(asked=asked(), **week), now) is None
    asking = due(facts(asked=asked(), is_weekly=True, **week), now)
    assert asking is not None
    assert asking.occasion == "week:1"
    assert due(facts(asked=asked("session:5", at=FIRST + timedelta(days=4)), is_weekly=True, **week), now) is None


def test_five_days_ask_for_the_mood_each_day_and_the_phq9_after() -> None:
    days = rhythm("saint_snt", 50)
    assert days.at_session[10] == ("mood_clinic", "side_effects_tms")
    assert sorted(days.after_days) == [12, 30, 90, 180]


# -- any history --------------------------------------------------------------------------------------------------------


def opened_by(history: History) -> dict[str, int]:
    """What the rule opens when it is asked at each tick."""
    opened: dict[str, int] = {}
    for hour in ticks(history):
        done = [event.hour for event in history.events if event.kind == "give" and event.hour <= hour]
        instants = {name: FIRST + timedelta(hours=at) for name, at in opened.items()}
        asking = due(
            facts(
                state=STATES[state_at(history.events, hour)],
                delivered=len(done),
                first_delivered_at=FIRST + timedelta(hours=done[0]) if done else None,
                last_delivered_at=FIRST + timedelta(hours=done[-1]) if done else None,
                asked=instants,
                last_asked_at=max(instants.values(), default=None),
                complete_at=[FIRST - timedelta(days=3)] if history.has_baseline else [],
                is_weekly=history.is_weekly,
            ),
            FIRST + timedelta(hours=hour),
        )
        if asking is not None:
            opened[asking.occasion] = hour
    return opened


@settings(max_examples=60, deadline=None)
@given(histories())
def test_any_history_opens_exactly_what_a_plain_model_says(history: History) -> None:
    assert opened_by(history) == expected(history, ticks(history))


@pytest.mark.soak
@settings(max_examples=5000, deadline=None)
@given(histories())
def test_many_histories_open_exactly_what_a_plain_model_says(history: History) -> None:
    assert opened_by(history) == expected(history, ticks(history))
