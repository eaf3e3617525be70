"""The values of the room are those of the clinical files."""

import pytest

from clinic.eligibility.engine import knowledge
from clinic.protocols.base import catalogue
from clinic.treatment import rules
from clinic.treatment.recording import concerns_of

SCREENS = knowledge.safety_screens()


def test_the_watch_of_esketamine_is_that_of_the_label() -> None:
    monitoring = SCREENS["esketamine_screen"]["monitoring"]
    watch = rules.watches()["esketamine"]
    assert watch.minimum_minutes == monitoring["minimum_minutes"] == 120
    assert list(watch.pressure_minutes) == monitoring["blood_pressure_minutes"] == [0, 40]
    limit = next(row for row in SCREENS["esketamine_screen"]["precautions"] if row["id"] == "bp_pre_dose")["threshold"]
    assert watch.hold_over == {"systolic": limit["systolic_over"], "diastolic": limit["diastolic_over"]}
    assert "task due day 7 per session" in SCREENS["rems"]["system_must"]
    assert watch.form is not None
    assert watch.form["due_days"] == 7


def test_the_watch_of_ketamine_is_that_of_the_screens() -> None:
    screen = SCREENS["iv_ketamine"]
    watch = rules.watches()["iv_ketamine"]
    assert list(watch.pressure_minutes) == screen["monitoring"]["blood_pressure_minutes"]
    assert watch.minimum_minutes == screen["typical_dose"]["minutes"] + screen["recovery_minutes_min"]
    stop = screen["monitoring"]["stop_thresholds"]
    assert watch.stop_over == {
        "systolic": stop["systolic_over"],
        "diastolic": stop["diastolic_over"],
        "spo2_below": stop["spo2_below_percent"],
    }


def test_the_checks_of_the_day_are_those_of_the_screens() -> None:
    asked = {"sleep_hours", "headache_score", *rules.CONCERNS, *rules.MUST_BE_DONE}
    assert asked == set(SCREENS["tms_screen"]["day_of_session_checklist"])
    sleep = next(row for row in SCREENS["tms_screen"]["questions"] if row["id"] == "sleep_loss")
    assert f"under {rules.LEAST_SLEEP_HOURS} hours" in sleep["threshold"]


def test_what_holds_a_treatment_is_what_the_screens_stop_for() -> None:
    named = SCREENS["tms_screen"]["adverse_events"]
    assert {"seizure", "syncope", "hearing_change", "mania_switch"} <= set(rules.HOLDING)
    assert set(named) <= set(rules.EVENTS)


def test_every_watched_modality_is_one_of_the_protocols() -> None:
    assert set(rules.watches()) == {protocol.modality for protocol in catalogue().values()} - {"tms"}


@pytest.mark.parametrize(("sleep", "concern"), [(3.9, ["sleep_hours"]), (4, []), (0, ["sleep_hours"])])
def test_less_than_four_hours_of_sleep_is_for_the_prescriber(sleep: float, concern: list[str]) -> None:
    assert concerns_of({"sleep_hours": sleep}) == concern


@pytest.mark.parametrize("pressure", [(141, 80), (120, 91)])
def test_over_one_limit_is_over(pressure: tuple[int, int]) -> None:
    assert rules.is_high(*pressure, rules.watches()["esketamine"].hold_over)
    assert not rules.is_high(140, 90, rules.watches()["esketamine"].hold_over)
