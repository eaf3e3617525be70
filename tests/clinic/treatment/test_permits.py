"""No visit of a safety program is booked without its three permits, and no held treatment goes on."""

from datetime import date
from typing import Any

import pytest

from clinic.db import db
from clinic.errors import Conflict
from clinic.protocols.base import catalogue
from clinic.scheduling import appointments, authorising, booking, clearance
from clinic.scheduling.clearance import ClearanceRequired
from clinic.treatment import permits, queries, telling
from tests.builders import TESTER, make_decision, make_location, make_patient, make_staff
from tests.clinic.treatment.conftest import NOW, authorize, certify, enroll

ESKETAMINE, TMS = catalogue()["esketamine_trd"], catalogue()["itbs_left"]


def codes(patient: Any, *sites: Any, protocol: Any = ESKETAMINE) -> list[str]:
    return [one.code for one in clearance.missing(patient.id, protocol, [site.id for site in sites])]


def test_all_three_are_asked_for(database: Any, now: Any) -> None:
    patient, site = make_patient(), make_location()
    assert codes(patient, site) == ["patient_enrollment", "authorization", "site_certification"]
    enroll(patient)
    assert codes(patient, site) == ["authorization", "site_certification"]
    authorize(patient)
    assert codes(patient, site) == ["site_certification"]
    certify(site)
    assert codes(patient, site) == []


@pytest.mark.parametrize(("until", "wanted"), [(date(2026, 11, 23), []), (date(2026, 11, 22), ["authorization"])])
def test_an_authorization_ends(database: Any, now: Any, until: date, wanted: list[str]) -> None:
    patient, site = make_patient(), make_location()
    enroll(patient)
    authorize(patient, until=until)
    certify(site)
    assert codes(patient, site) == wanted


def test_the_persons_own_agreement_to_pay_is_enough(database: Any, now: Any) -> None:
    patient = make_patient()
    enroll(patient)
    authorize(patient, pathway="tms")
    assert codes(patient) == ["authorization"]
    authorising.agree_self_pay(
        patient.id, pathway="esketamine", what="8 visits", agreed_on=date(2026, 11, 1), by=TESTER
    )
    assert codes(patient) == []


def test_a_certification_ends(database: Any, now: Any) -> None:
    patient, site = make_patient(), make_location()
    enroll(patient)
    authorize(patient)
    certify(site, until=date(2026, 11, 23))
    assert codes(patient, site) == ["site_certification"]


def test_tms_asks_for_none_of_them(database: Any, now: Any) -> None:
    assert codes(make_patient(), make_location(), protocol=TMS) == []


def test_booking_is_refused_with_what_is_missing(database: Any, now: Any) -> None:
    patient = make_patient()
    make_decision(patient, pathway="esketamine")
    with pytest.raises(ClearanceRequired) as refused:
        booking.approval(patient.id, ESKETAMINE)
    assert [row["code"] for row in refused.value.details["missing"]] == ["patient_enrollment", "authorization"]
    assert refused.value.code == "clearance_required"
    enroll(patient)
    authorize(patient)
    assert booking.approval(patient.id, ESKETAMINE)


def test_the_first_visit_is_not_marked_arrived_without_the_enrollment(visit: Any) -> None:
    scene = visit(arrived=False, permitted=False)
    db.session.commit()
    with pytest.raises(Conflict, match="not enrolled"):
        appointments.arrive_session(scene.session.id, by=TESTER)
    enroll(scene.patient)
    appointments.arrive_session(scene.session.id, by=TESTER)


def test_a_visit_is_not_completed_by_a_button(visit: Any) -> None:
    scene = visit()
    db.session.commit()
    with pytest.raises(Conflict, match="close the observation first"):
        appointments.complete_session(scene.session.id, by=TESTER)


def event(scene: Any, kind: str, **more: Any) -> int:
    values: dict[str, Any] = {"severity": "moderate", "is_serious": False, "happened_at": NOW, "note": "Seen."}
    return telling.record_event(
        scene.session.id, kind=kind, staff_id=make_staff("operator").id, by=TESTER, **values | more
    )


def test_a_seizure_stops_all_further_tms_until_a_prescriber_lifts_it(tms: Any) -> None:
    event(tms, "seizure")
    assert codes(tms.patient, protocol=TMS) == ["hold"]
    db.session.commit()
    with pytest.raises(Conflict, match="no further TMS"):
        appointments.start_session(tms.session.id, by=TESTER)
    [hold] = queries.open_holds(tms.patient.id, "tms")
    permits.lift_hold(hold.id, reason="Neurology saw the person", staff_id=tms.prescriber.id, by=TESTER)
    appointments.start_session(tms.session.id, by=TESTER)
    assert codes(tms.patient, protocol=TMS) == []


def test_two_seizures_are_one_hold(tms: Any) -> None:
    event(tms, "seizure")
    event(tms, "seizure")
    assert len(queries.open_holds(tms.patient.id)) == 1


@pytest.mark.parametrize(
    ("kind", "more", "level"),
    [("headache_scalp_pain", {}, "routine"), ("other", {"is_serious": True}, "same_day"), ("syncope", {}, "same_day")],
)
def test_every_event_is_told_to_a_prescriber(tms: Any, kind: str, more: dict[str, Any], level: str) -> None:
    from sqlalchemy import select

    from clinic.tasks.models import Task

    event(tms, kind, **more)
    [task] = db.session.scalars(select(Task).filter_by(kind="clinical_review"))
    assert (task.level, task.for_role) == (level, "prescriber")


def test_a_second_enrollment_takes_the_place_of_the_first(database: Any, now: Any) -> None:
    patient = make_patient()
    enroll(patient)
    enroll(patient)
    assert queries.enrollment(patient.id, "spravato_rems") is not None
