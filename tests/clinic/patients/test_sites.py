"""Staff and tokens see the patients of the sites granted, whatever query asks."""

import pytest
from flask import g
from sqlalchemy import func, select, update
from sqlalchemy.orm import aliased

from clinic.audit import AuditEvent
from clinic.db import Base, db
from clinic.intake.models import Intake, IntakePage
from clinic.patients import sites
from clinic.patients.models import Patient
from clinic.patients.sites import Reach, everyone, person_of
from clinic.scheduling.models import Course, TreatmentSession
from clinic.tasks.models import Task
from tests.builders import make_course, make_device, make_intake, make_location, make_patient, make_task
from tests.conftest import NOW


@pytest.fixture
def here(database, now):
    return make_location()


@pytest.fixture
def there(database, now):
    return make_location()


@pytest.fixture
def reach(here):
    """The rest of the test runs as a caller of the site `here`."""
    db.session.flush()
    g.reach = Reach(frozenset({here.id}))
    db.session.expunge_all()
    yield
    g.pop("reach", None)


def seen(*statements):
    return [db.session.scalars(statement).all() for statement in statements]


def test_a_patient_of_the_site_is_seen_one_of_another_is_not(here, there, request) -> None:
    own, other = make_patient(preferred_location_id=here.id).id, make_patient(preferred_location_id=there.id).id
    request.getfixturevalue("reach")
    assert seen(select(Patient.id), select(Patient.id).where(Patient.id == other)) == [[own], []]
    assert db.session.get(Patient, other) is None


def test_who_belongs_to_no_site_yet_is_seen_by_all(there, request) -> None:
    new = make_patient().id
    request.getfixturevalue("reach")
    assert db.session.get(Patient, new) is not None


def test_a_course_makes_a_patient_belong_to_its_site(here, there, request) -> None:
    away, come = make_patient(), make_patient(preferred_location_id=there.id)
    make_course(away, [NOW], device=make_device(there))
    make_course(come, [NOW], device=make_device(here))
    away, come = away.id, come.id
    request.getfixturevalue("reach")
    assert seen(select(Patient.id)) == [[come]]
    assert seen(select(Course.patient_id)) == [[come]]


def test_one_record_one_patient_with_the_sessions_of_every_site(here, there, request) -> None:
    patient = make_patient(preferred_location_id=here.id)
    make_course(patient, [NOW], device=make_device(there))
    request.getfixturevalue("reach")
    assert len(db.session.scalars(select(TreatmentSession)).all()) == 1


def test_rows_that_lead_to_a_patient_by_way_of_another_table_are_narrowed(there, request) -> None:
    intake = make_intake(make_patient(preferred_location_id=there.id), state="open", submitted_at=None, record=None)
    page = IntakePage(intake_id=intake.id, page="about", answers={}, revision=1, is_complete=True, saved_at=NOW)
    db.session.add(page)
    request.getfixturevalue("reach")
    assert seen(select(IntakePage.id), select(Intake.id)) == [[], []]
    joined = select(IntakePage.id).join(Intake, Intake.id == IntakePage.intake_id)
    assert seen(joined) == [[]]


def test_rows_about_nobody_are_seen(there, request) -> None:
    make_task(patient_id=None)
    request.getfixturevalue("reach")
    assert db.session.scalar(select(func.count()).select_from(Task)) == 1


@pytest.mark.parametrize(
    "shape", ["subquery", "exists", "alias", "joined alias", "alias of subquery", "count", "union"]
)
def test_no_shape_of_query_goes_around_it(there, request, shape) -> None:
    patient = make_patient(preferred_location_id=there.id)
    make_task(patient_id=patient.id)
    request.getfixturevalue("reach")
    other, inner = aliased(Patient), aliased(Patient, select(Patient).subquery())
    statements = {
        "subquery": select(Task.id).where(Task.patient_id.in_(select(Patient.id))),
        "exists": select(func.now()).where(select(Patient.id).exists()),
        "alias": select(other.id),
        "joined alias": select(Task.id).join(other, other.id == Task.patient_id),
        "alias of subquery": select(inner.id),
        "count": select(func.count(Patient.id)).having(func.count(Patient.id) > 0),
        "union": select(Patient.id).union_all(select(Patient.id)),
    }
    assert seen(statements[shape]) == [[]]


def test_a_bulk_change_does_not_reach_them(there, request) -> None:
    task = make_task(patient_id=make_patient(preferred_location_id=there.id).id).id
    request.getfixturevalue("reach")
    db.session.execute(update(Task).values(level="urgent"), execution_options={"synchronize_session": False})
    with everyone():
        assert db.session.scalar(select(Task.level).where(Task.id == task)) == "routine"


def test_what_is_kept_warm_for_all_callers_knows_every_booking(here, there, request) -> None:
    from clinic.scheduling import capacity

    make_course(make_patient(), [NOW], device=make_device(there))
    request.getfixturevalue("reach")
    assert len(capacity.snapshot([there.id]).bookings[there.id]) == 1


def test_every_row_that_names_a_person_is_narrowed(app) -> None:
    """A column that only looks like a link would leave rows of people unguarded."""
    loose = {
        mapper.class_.__name__
        for mapper in Base.registry.mappers
        if person_of(mapper.class_) is None
        and {"patient_id", "intake_id", "course_id", "session_id", "survey_id"} & set(mapper.local_table.c.keys())
    }
    assert loose == set()


def test_a_site_that_was_granted_to_nobody_leaves_nothing(there, request) -> None:
    make_patient(preferred_location_id=there.id)
    db.session.flush()
    g.reach = Reach(frozenset())
    try:
        assert seen(select(Patient.id)) == [[]]
    finally:
        g.pop("reach")


def test_the_log_of_a_patient_is_as_narrow_as_the_patient(there, request) -> None:
    make_patient(preferred_location_id=there.id)
    request.getfixturevalue("reach")
    assert seen(select(AuditEvent.id).where(AuditEvent.patient_id.is_not(None))) == [[]]
    assert sites.site_ids(0) == frozenset()
