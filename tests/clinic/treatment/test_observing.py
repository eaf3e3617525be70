"""A watched visit from the list before the dose to the form; the database refuses what the operation would."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from clinic import clock
from clinic.db import db
from clinic.errors import AlreadyOver, Conflict, Invalid
from clinic.tasks.models import Task
from clinic.treatment import observing, queries, rules
from tests.builders import TESTER
from tests.clinic.treatment.conftest import NOW

ALL = tuple(key for key in rules.watches()["esketamine"].before_dose if key not in rules.ON_RECORD)
MARKS = ("sedation", "dissociation", "ride", "stable")


def prepare(scene: Any) -> None:
    known = set(rules.watches()[queries.protocol_of_session(scene.session).modality].before_dose)
    observing.prepare(
        scene.session.id, checks=[key for key in ALL if key in known], ride="brother, 555 0100", by=TESTER
    )


def measure(scene: Any, moment: str, pressure: tuple[int, int] = (120, 80), **more: Any) -> bool:
    return observing.record_reading(
        scene.session.id,
        moment=moment,
        systolic=pressure[0],
        diastolic=pressure[1],
        staff_id=scene.nurse.id,
        by=TESTER,
        **{"spo2": 98, **more},
    )


def dose(scene: Any, mg: int = 56) -> None:
    observing.give_dose(scene.session.id, dose_mg=mg, lot="L1", by=TESTER)


def leave(scene: Any, minutes: float = 121) -> None:
    with clock.frozen(NOW + timedelta(minutes=minutes)):
        measure(scene, "leaving")
        observing.mark_leaving(scene.session.id, MARKS, staff_id=scene.nurse.id, by=TESTER)
        observing.close(scene.session.id, by=TESTER)


def to_the_end(scene: Any) -> None:
    prepare(scene)
    measure(scene, "before")
    dose(scene)
    with clock.frozen(NOW + timedelta(minutes=41)):
        measure(scene, "40")
    leave(scene)


def test_a_whole_visit_completes_the_session_and_makes_the_form_due(visit: Any) -> None:
    scene = visit()
    to_the_end(scene)
    seen = queries.observation_of(scene.session.id)
    assert seen is not None
    assert (seen.state, scene.session.state, seen.form_due_on.isoformat()) == ("closed", "completed", "2026-11-30")
    [task] = db.session.scalars(select(Task).filter_by(kind="safety_form"))
    assert task.due_at.date().isoformat() == "2026-11-30"
    observing.file_form(scene.session.id, reference="fax", by=TESTER)
    assert task.closed_at is not None


def test_the_dose_is_refused_with_all_that_is_missing(visit: Any) -> None:
    scene = visit()
    db.session.commit()
    with pytest.raises(Conflict) as refused:
        dose(scene)
    assert len(refused.value.details["missing"]) == len(rules.watches()["esketamine"].before_dose)  # enrolled is there


def test_a_high_pressure_waits_for_a_prescriber(visit: Any) -> None:
    scene = visit()
    prepare(scene)
    assert measure(scene, "before", (152, 94))
    db.session.commit()
    with pytest.raises(Conflict, match="over 140/90"):
        dose(scene)
    [task] = db.session.scalars(select(Task).filter_by(kind="clinical_review"))
    assert "Nothing is cancelled by itself" in (task.note or "")
    observing.decide_pressure(scene.session.id, words="give", staff_id=scene.prescriber.id, by=TESTER)
    dose(scene)


def test_a_new_high_reading_wants_a_new_decision(visit: Any) -> None:
    scene = visit()
    prepare(scene)
    measure(scene, "before", (152, 94))
    observing.decide_pressure(scene.session.id, words="give", staff_id=scene.prescriber.id, by=TESTER)
    measure(scene, "before", (171, 99))
    db.session.commit()
    with pytest.raises(Conflict, match="over 140/90"):
        dose(scene)


@pytest.mark.parametrize(
    ("moment", "minutes", "words"),
    [("40", 29, "Too early"), ("leaving", 119, "Too early"), ("before", 10, "The dose was given")],
)
def test_a_reading_counts_only_for_its_moment(visit: Any, moment: str, minutes: int, words: str) -> None:
    scene = visit()
    prepare(scene)
    measure(scene, "before")
    dose(scene)
    db.session.commit()
    with clock.frozen(NOW + timedelta(minutes=minutes)), pytest.raises(Conflict, match=words):
        measure(scene, moment)


@pytest.mark.parametrize("pressure", [(80, 120), (400, 80), (120, 10), (100, 100)])
def test_numbers_that_are_no_pressure_are_refused(visit: Any, pressure: tuple[int, int]) -> None:
    with pytest.raises(Invalid):
        measure(visit(), "before", pressure)


def test_nobody_leaves_before_two_hours(visit: Any) -> None:
    scene = visit()
    prepare(scene)
    measure(scene, "before")
    dose(scene)
    with clock.frozen(NOW + timedelta(minutes=41)):
        measure(scene, "40")
    db.session.commit()
    with clock.frozen(NOW + timedelta(minutes=119)), pytest.raises(Conflict) as refused:
        observing.close(scene.session.id, by=TESTER)
    assert "1 min left" in refused.value.message


def test_a_slip_no_longer_counts(visit: Any) -> None:
    scene = visit()
    measure(scene, "before")
    seen = queries.observation_of(scene.session.id)
    assert seen is not None
    [reading] = queries.readings_of([seen.id])[seen.id]
    observing.void_reading(reading.id, by=TESTER)
    assert queries.readings_of([seen.id]) == {}


def test_ketamine_over_the_stop_limits_is_told_at_once(visit: Any) -> None:
    scene = visit("iv_ketamine_induction")
    prepare(scene)
    measure(scene, "before")
    dose(scene, 40)
    with clock.frozen(NOW + timedelta(minutes=10)):
        measure(scene, "10", (185, 100))
    levels = [task.level for task in db.session.scalars(select(Task).filter_by(kind="clinical_review"))]
    assert levels == ["urgent"]


def test_not_given_today_is_told_and_later_visits_stay(visit: Any) -> None:
    scene = visit()
    observing.not_today(scene.session.id, reason="ate at noon", by=TESTER)
    db.session.commit()
    with pytest.raises(AlreadyOver):
        measure(scene, "before")
    assert [task.note for task in db.session.scalars(select(Task).filter_by(kind="clinical_review"))] == [
        "Not given today: ate at noon"
    ]


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"left_at": NOW + timedelta(minutes=119)}, "watched_long_enough"),
        ({"leaving_id": None}, "three_pressures"),
        ({"during_id": None}, "three_pressures"),
        ({"dosed_at": None}, "dosed"),
    ],
)
def test_the_database_closes_nothing_too_early(visit: Any, change: dict[str, Any], constraint: str) -> None:
    scene = visit()
    to_the_end(scene)
    seen = queries.observation_of(scene.session.id)
    for name, value in change.items():
        setattr(seen, name, value)
    with pytest.raises(IntegrityError, match=constraint):
        db.session.flush()
