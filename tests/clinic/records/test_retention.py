"""Kept as long as policy says, longer on hold; deleted whole, with a stub on a trail that still verifies."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text

from clinic.audit import AuditEvent, sealing
from clinic.audit.sealing import seal
from clinic.audit.verifying import verify
from clinic.db import Base, db
from clinic.errors import Conflict, Invalid
from clinic.intake import operations as intake
from clinic.intake.models import Intake
from clinic.patients import sites
from clinic.patients.models import Patient
from clinic.patients.sites import person_of
from clinic.records import retention
from clinic.records.models import LegalHold
from tests.architecture.rows import Rows
from tests.builders import TESTER, make_course, make_location, make_patient, make_staff
from tests.conftest import NOW

LONG = timedelta(days=3660)
WHY = "Kept as long as our policy says."


@pytest.fixture
def trail(monkeypatch, tmp_path):
    monkeypatch.setattr(sealing, "anchor_file", lambda: tmp_path / "anchor")


@pytest.fixture
def whole(database, now, rings, trail) -> Any:
    """A patient with a row of everything, and another one; visits lie in the past by the time that is asked for."""
    site = make_location()
    patient, other = (make_patient(preferred_location_id=site.id) for _ in range(2))
    rows = Rows(patient, site)
    for model in set(sites.SUBJECTS.values()) - {LegalHold}:
        rows.id_of(model)
    database.session.commit()
    seal()
    database.session.commit()
    return patient, other


def left_of(patient_id: int) -> set[str]:
    return {
        mapper.class_.__tablename__
        for mapper in Base.registry.mappers
        if (column := person_of(mapper.class_)) is not None
        and mapper.class_ is not AuditEvent
        and db.session.scalar(select(func.count()).select_from(mapper.class_).where(column == patient_id))
    }


def erase(patient: Any, **overrides: Any) -> Any:
    values = {"record_number": patient.record_number, "reason": WHY, "by": TESTER} | overrides
    return retention.erase_patient(patient.id, **values)


def test_everything_of_the_person_goes_and_nothing_of_another(whole, at) -> None:
    patient, other = whole
    key, kept = patient.id, other.id
    assert len(left_of(key)) > 15
    with at(NOW + LONG):
        erased = erase(patient)
    assert left_of(key) == set()
    assert "patients" in left_of(kept)
    assert erased["patients"] == 1


def test_the_trail_keeps_a_stub_and_can_still_be_verified(whole, at) -> None:
    key = whole[0].id
    with at(NOW + LONG):
        erase(whole[0])
        seal()
        report = verify()
    assert report.problems == []
    assert report.erased > 0
    events = db.session.scalars(select(AuditEvent).where(AuditEvent.patient_id == key).order_by(AuditEvent.id)).all()
    assert (events[-1].action, events[-1].reason) == ("erased", WHY)
    assert all(event.reason is None and event.origin is None for event in events[:-1])


def test_nothing_that_names_the_person_is_left_in_the_database(whole, at) -> None:
    number = whole[0].record_number
    with at(NOW + LONG):
        erase(whole[0])
    for table in Base.metadata.sorted_tables:
        assert number not in repr(db.session.execute(text(f'SELECT t::text FROM "{table.name}" t')).all()), table.name


def test_a_hold_keeps_it(whole, at) -> None:
    boss = make_staff("manager")
    retention.place_hold(whole[0].id, reason="A lawsuit is announced.", staff_id=boss.id, by=TESTER)
    with at(NOW + LONG):
        with pytest.raises(Conflict, match="on hold"):
            erase(whole[0])
        assert next(row for row in retention.due() if row.patient_id == whole[0].id).hold is not None
        retention.lift_hold(retention.present_hold(whole[0].id).id, staff_id=boss.id, by=TESTER)
        erase(whole[0])


def test_one_hold_at_a_time(whole) -> None:
    boss = make_staff("manager")
    db.session.commit()
    retention.place_hold(whole[0].id, reason="A lawsuit is announced.", staff_id=boss.id, by=TESTER)
    with pytest.raises(Conflict, match="on hold already"):
        retention.place_hold(whole[0].id, reason="Another one as well.", staff_id=boss.id, by=TESTER)


def test_visits_that_lie_ahead_come_first(whole) -> None:
    with pytest.raises(Conflict, match="Visits lie ahead"):
        erase(whole[0])
    assert "patients" in left_of(whole[0].id)


@pytest.mark.parametrize(
    "change", [{"record_number": "D-1"}, {"record_number": ""}, {"reason": "x"}, {"reason": " " * 20}]
)
def test_it_is_said_once_more_and_why(whole, at, change) -> None:
    with at(NOW + LONG), pytest.raises(Invalid):
        erase(whole[0], **change)
    assert "patients" in left_of(whole[0].id)


def test_a_record_is_due_ten_years_after_the_last_thing_that_happened(database, now, at) -> None:
    patient = make_patient()
    make_course(patient, [NOW + timedelta(days=100)])
    kept = retention.of_patient(patient.id)
    assert kept.last_at.date() == (NOW + timedelta(days=100)).date()
    assert not kept.is_due
    with at(NOW + LONG):
        assert patient.id not in [row.patient_id for row in retention.due()]
    with at(NOW + LONG + timedelta(days=100)):
        assert patient.id in [row.patient_id for row in retention.due()]


def test_forms_without_a_name_go_after_ninety_days(database, now, at) -> None:
    old, _ = intake.start_intake(language="en")
    intake.save_page(old, "brings", {"reason": "x"}, is_complete=True, revision=0, form="f", by=TESTER)
    with at(NOW + timedelta(days=50)):
        young, _ = intake.start_intake(language="en")
    with at(NOW + timedelta(days=91)):
        assert retention.erase_drafts(by=TESTER) == 1
    assert (db.session.get(Intake, old), db.session.get(Intake, young) is not None) == (None, True)


# -- pages ----------------------------------------------------------------------------------------------------------------


def test_a_manager_holds_lifts_and_deletes(client, post, whole, sign_in, at) -> None:
    key, number = whole[0].id, whole[0].record_number
    with at(NOW + LONG):
        sign_in("manager")
        assert number in client.get("/staff/records/due").text
        url = f"/staff/patients/{key}/keeping"
        assert post(f"{url}/hold", {"why": "short"}).status_code == 422
        post(f"{url}/hold", {"why": "A lawsuit is announced."})
        page = client.get(url).text
        assert "A lawsuit is announced." in page
        assert post(f"{url}/erase", {"record_number": number, "reason": WHY}).status_code == 409
        assert post(f"/staff/legal-holds/{retention.present_hold(key).id}/lift").location == "/staff/records/due"
        assert post(f"{url}/erase", {"record_number": "D-0", "reason": WHY}).status_code == 422
        assert post(f"{url}/erase", {"record_number": number, "reason": WHY}).location == "/staff/records/due"
    assert db.session.scalar(select(Patient.id).where(Patient.id == key)) is None


def test_only_managers_and_only_of_the_own_sites(client, whole, sign_in) -> None:
    sign_in("prescriber")
    assert client.get("/staff/records/due").status_code == 403
    sign_in("manager", locations=(make_location(),))
    assert client.get(f"/staff/patients/{whole[0].id}/keeping").status_code == 404


def test_deleting_asks_who_it_is_again(post, whole, sign_in, at) -> None:
    sign_in("manager")
    with at(NOW + timedelta(minutes=11)):
        answer = post(f"/staff/patients/{whole[0].id}/keeping/erase", {"record_number": "x", "reason": WHY})
        assert answer.location.startswith("/staff/verify")
