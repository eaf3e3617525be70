"""Whose check is due: the next duty from the facts, and what stands against leaving."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clinic.treatment import rules, watching
from clinic.treatment.watching import Duty, Reading, Watched, following, missing_to_close, missing_to_dose

DOSED = datetime(2026, 11, 23, 18, 2, tzinfo=UTC)
ESKETAMINE, KETAMINE = rules.watches()["esketamine"], rules.watches()["iv_ketamine"]


def minute(n: float) -> datetime:
    return DOSED + timedelta(minutes=n)


def read(moment: str, at: float = 0, pressure: tuple[int, int] = (120, 80)) -> Reading:
    return Reading(taken_at=minute(at), moment=moment, systolic=pressure[0], diastolic=pressure[1], spo2=98)


def seen(**overrides: Any) -> Watched:
    values: dict[str, Any] = {
        "starts_at": minute(-10),
        "is_here": True,
        "watch": ESKETAMINE,
        "readings": [read("before", -5)],
        "dosed_at": DOSED,
        "has_ride": True,
    }
    return Watched(**values | overrides)


def duty(watched: Watched, at: float) -> tuple[Duty, datetime]:
    step = following(watched, minute(at))
    return step.duty, step.at


def test_before_the_dose_the_pressure_comes_first() -> None:
    assert following(seen(dosed_at=None, readings=[]), minute(-8)).duty is Duty.PRESSURE_BEFORE
    assert following(seen(dosed_at=None), minute(-4)).duty is Duty.DOSE


@pytest.mark.parametrize(
    ("here", "ride", "wanted"), [(False, True, Duty.WAIT), (False, False, Duty.RIDE), (True, False, Duty.RIDE)]
)
def test_a_ride_is_named_before_the_dose(here: bool, ride: bool, wanted: Duty) -> None:
    assert following(seen(dosed_at=None, is_here=here, has_ride=ride), minute(-4)).duty is wanted


def test_a_high_pressure_holds_until_somebody_decides_or_it_falls() -> None:
    high = read("before", -5, (152, 94))
    assert following(seen(dosed_at=None, readings=[high]), minute(-4)).duty is Duty.DECIDE
    assert following(seen(dosed_at=None, readings=[high], is_decided=True), minute(-4)).duty is Duty.DOSE
    assert following(seen(dosed_at=None, readings=[high, read("before", -3)]), minute(-2)).duty is Duty.DOSE


def test_the_check_at_40_minutes_then_the_end_then_the_leaving_list() -> None:
    assert duty(seen(), 38) == (Duty.CHECK, minute(40))
    with_check = seen(readings=[read("before"), read("40", 41)])
    assert duty(with_check, 60) == (Duty.WATCH, minute(120))
    assert duty(with_check, 120) == (Duty.LEAVE, minute(120))


def test_a_check_is_near_five_minutes_before_and_late_after() -> None:
    assert not following(seen(), minute(34)).is_soon
    assert following(seen(), minute(35)).is_soon
    assert following(seen(), minute(41)).is_over


def test_ketamine_has_a_check_at_each_of_its_minutes() -> None:
    done = [read("before"), read("10", 10), read("20", 20)]
    assert duty(seen(watch=KETAMINE, readings=done), 22) == (Duty.CHECK, minute(30))


def test_soonest_duty_first_and_who_left_last() -> None:
    left = following(seen(left_at=minute(0)), minute(50))
    late, later = following(seen(), minute(50)), following(seen(readings=[read("before"), read("40", 40)]), minute(50))
    assert sorted([left, later, late], key=watching.order_key) == [late, later, left]


WHOLE: dict[str, Any] = {
    "readings": [read("before"), read("40", 41), read("leaving", 121)],
    "sedation_gone": True,
    "dissociation_gone": True,
    "ride_here": True,
    "is_stable": True,
}


def test_with_everything_done_nothing_is_missing() -> None:
    assert missing_to_close(seen(**WHOLE), minute(120)) == []


def test_a_second_too_early_is_too_early() -> None:
    assert missing_to_close(seen(**WHOLE), minute(120) - timedelta(seconds=1)) == [
        "120 minutes of watching: 1 min left"
    ]


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        ({"readings": WHOLE["readings"][1:]}, "The blood pressure before the dose"),
        ({"readings": [WHOLE["readings"][0], WHOLE["readings"][2]]}, "The blood pressure at 40 minutes"),
        ({"readings": WHOLE["readings"][:2]}, "The last blood pressure, before leaving"),
        ({"sedation_gone": False}, "Sleepiness gone"),
        ({"dissociation_gone": False}, "Feeling of distance gone"),
        ({"ride_here": False}, "The ride is here"),
        ({"is_stable": False}, "A clinician judges the person stable"),
        ({"dosed_at": None}, "The dose was not given"),
    ],
)
def test_each_missing_thing_is_named(gone: dict[str, Any], words: str) -> None:
    assert missing_to_close(seen(**WHOLE | gone), minute(125)) == [words]


def test_the_dose_waits_for_its_list() -> None:
    nothing = missing_to_dose(seen(dosed_at=None, readings=[]), ())
    assert len(nothing) == len(ESKETAMINE.before_dose) + 1
    assert missing_to_dose(seen(dosed_at=None), ESKETAMINE.before_dose) == []
