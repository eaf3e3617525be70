"""A TMS session: checks of the day, threshold with its age, what was given and felt."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from clinic import clock
from clinic.db import db
from clinic.errors import AlreadyOver, Conflict, Invalid
from clinic.tasks.models import Task
from clinic.treatment import queries, recording, rules
from tests.builders import TESTER, make_staff
from tests.clinic.treatment.conftest import NOW

FINE: dict[str, Any] = {
    "sleep_hours": 7.0,
    **dict.fromkeys(rules.CONCERNS, False),
    **dict.fromkeys(rules.MUST_BE_DONE, True),
}


def begin(scene: Any, session: Any = None, **more: Any) -> None:
    checks = {**FINE, **more.pop("checks", {})}
    values = {"threshold_percent": 45, "staff_id": scene.operator.id, "by": TESTER} | more
    recording.begin((session or scene.session).id, checks, **values)


def finish(scene: Any, session: Any = None, **more: Any) -> None:
    values: dict[str, Any] = {"intensity_percent": 120, "pulses": 3000, "headache": 2, "scalp_pain": 1, "note": ""}
    recording.finish((session or scene.session).id, staff_id=scene.operator.id, by=TESTER, **values | more)


def test_a_session_is_begun_given_and_complete(tms: Any) -> None:
    begin(tms)
    assert tms.session.started_at is not None
    finish(tms)
    record = queries.record_of(tms.session.id)
    assert record is not None
    assert (record.state, record.threshold_percent, record.intensity_percent) == ("given", 45, 120)
    assert (tms.session.state, tms.course.state) == ("completed", "running")


def test_without_a_threshold_nothing_is_given(tms: Any) -> None:
    db.session.commit()
    with pytest.raises(Conflict, match="No motor threshold"):
        begin(tms, threshold_percent=None)


@pytest.mark.parametrize("key", [*rules.CONCERNS, "sleep_hours"])
def test_a_concern_waits_for_a_prescriber(tms: Any, key: str) -> None:
    said = {key: 3 if key == "sleep_hours" else True}
    for who, words in ((None, "fine"), (tms.operator.id, "fine"), (tms.prescriber.id, " ")):
        with pytest.raises(Invalid):
            begin(tms, checks=said, cleared_by=who, cleared_words=words)
    begin(tms, checks=said, cleared_by=tms.prescriber.id, cleared_words="go on")
    record = queries.record_of(tms.session.id)
    assert record is not None
    assert (record.concerns, record.cleared_by) == ([key], tms.prescriber.id)


@pytest.mark.parametrize("key", list(rules.MUST_BE_DONE))
def test_earplugs_and_jewelry_come_first(tms: Any, key: str) -> None:
    with pytest.raises(Invalid, match=rules.MUST_BE_DONE[key].split()[0].lower()):
        begin(tms, checks={key: False})


def test_thoughts_that_are_told_at_the_chair_are_an_alert(tms: Any) -> None:
    begin(tms, checks={"suicidal_thoughts_change": True}, cleared_by=tms.prescriber.id, cleared_words="I come")
    [task] = db.session.scalars(select(Task).filter_by(kind="safety"))
    assert task.level == "same_day"


def test_a_record_that_is_finished_stays(tms: Any) -> None:
    begin(tms)
    finish(tms)
    db.session.commit()
    for again in (begin, finish):
        with pytest.raises(AlreadyOver):
            again(tms)


def test_checks_that_were_a_slip_are_superseded(tms: Any) -> None:
    begin(tms)
    begin(tms, threshold_percent=None, checks={"sleep_hours": 6})
    record = queries.record_of(tms.session.id)
    assert record is not None
    assert record.checks["sleep_hours"] == 6


def test_strong_pain_twice_is_for_the_prescriber(tms: Any) -> None:
    for n, session in enumerate(tms.sessions[:2]):
        with clock.frozen(NOW + timedelta(days=n)):
            session.state = "arrived"
            db.session.flush()
            begin(tms, session, threshold_percent=45 if n == 0 else None)
            finish(tms, session, scalp_pain=6)
    notes = [task.note for task in db.session.scalars(select(Task).filter_by(kind="clinical_review"))]
    assert len(notes) == 1
    assert "6 or more at 2 sessions" in (notes[0] or "")


@pytest.mark.parametrize(("days", "why"), [(14, ""), (15, "15 days old")])
def test_a_threshold_ages(tms: Any, days: int, why: str) -> None:
    begin(tms)
    with clock.frozen(NOW + timedelta(days=days)):
        age = queries.threshold_of(tms.course.id)
    assert age is not None
    assert (age.percent, age.days, age.why_due) == (45, days, why)


def test_not_given_needs_its_reason_and_keeps_the_booking_of_later_ones(tms: Any) -> None:
    with pytest.raises(Invalid):
        recording.not_today(tms.session.id, reason=" ", staff_id=tms.operator.id, by=TESTER)
    recording.not_today(tms.session.id, reason="fever", staff_id=tms.operator.id, by=TESTER)
    assert [session.state for session in tms.sessions[1:3]] == ["booked", "booked"]


def test_doses_thresholds_and_events_are_marks_on_the_axis(tms: Any) -> None:
    from clinic.treatment import telling

    begin(tms)
    finish(tms)
    telling.record_event(
        tms.session.id,
        kind="headache_scalp_pain",
        severity="mild",
        is_serious=False,
        happened_at=NOW,
        note="short",
        staff_id=make_staff("operator").id,
        by=TESTER,
    )
    marks = queries.marks_of_course(tms.course.id)
    assert [(mark.kind, mark.text, mark.session) for mark in marks] == [
        ("dose", "120 % of the threshold", 1),
        ("dose", "threshold 45 %", 1),
        ("event", "Headache or scalp pain, mild", 1),
    ]
