"""Taking and closing tasks."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from clinic.audit import AuditEvent
from clinic.db import transaction
from clinic.errors import Conflict, Invalid
from clinic.tasks import operations, queries
from clinic.tasks.models import TaskKind
from tests.builders import TESTER, make_location, make_patient, make_staff, make_task


def opened(now, **overrides: Any) -> int | None:
    values: dict[str, Any] = {
        "kind": "book_course",
        "level": "routine",
        "dedupe_key": "book:1",
        "for_role": "front_desk",
        "due_at": now,
        "by": TESTER,
    }
    with transaction():
        return operations.open_within_transaction(**values | overrides)


def test_a_used_key_opens_no_second_task_even_when_the_first_is_closed(database, now) -> None:
    first = opened(now)
    assert first is not None
    operations.close_task(first, outcome="Booked", by=TESTER)
    assert opened(now) is None


def test_opening_leaves_an_audit_event_without_the_note(database, now) -> None:
    opened(now, note="PHQ-9 item 9: 2")
    event = database.session.scalars(select(AuditEvent).where(AuditEvent.entity == "tasks")).one()
    assert (event.action, event.detail) == ("opened", {"kind": "book_course", "level": "routine"})


def test_a_task_has_one_owner(database, now) -> None:
    first, second = make_staff("nurse"), make_staff("nurse")
    task = make_task()
    operations.take_task(task.id, staff_id=first.id, by=TESTER)
    with pytest.raises(Conflict):
        operations.take_task(task.id, staff_id=second.id, by=TESTER)
    assert queries.get(task.id).owner_id == first.id


def test_a_task_can_be_handed_back(database, now) -> None:
    first, second = make_staff("nurse"), make_staff("nurse")
    task = make_task()
    operations.take_task(task.id, staff_id=first.id, by=TESTER)
    operations.hand_back_task(task.id, by=TESTER)
    operations.take_task(task.id, staff_id=second.id, by=TESTER)
    assert queries.get(task.id).owner_id == second.id


def test_closing_needs_words(database, now) -> None:
    task = make_task()
    with pytest.raises(Invalid):
        operations.close_task(task.id, outcome="  ", by=TESTER)
    assert queries.get(task.id).closed_at is None


def test_a_closed_task_stays_closed(database, now) -> None:
    task = make_task()
    operations.close_task(task.id, outcome="Called", by=TESTER)
    with pytest.raises(Conflict):
        operations.close_task(task.id, outcome="Again", by=TESTER)
    with pytest.raises(Conflict):
        operations.take_task(task.id, staff_id=1, by=TESTER)


def test_matching_tasks_close_for_that_patient_and_kind_only(database, now) -> None:
    patient, other = make_patient(), make_patient()
    done = make_task(patient_id=patient.id)
    make_task(patient_id=other.id)
    make_task(patient_id=patient.id, kind="ask_patient")
    with transaction():
        closed = operations.close_matching_within_transaction(
            kind=TaskKind.BOOK_COURSE, patient_id=patient.id, outcome="Booked", by=TESTER
        )
    assert closed == [done.id]


def test_the_worklist_shows_granted_sites_and_tasks_of_no_site_soonest_first(database, now) -> None:
    here, elsewhere = make_location(), make_location()
    later = make_task(location_id=here.id, due_at=now + timedelta(hours=2))
    sooner = make_task(due_at=now)
    make_task(location_id=elsewhere.id)
    assert [task.id for task in queries.open_tasks({here.id})] == [sooner.id, later.id]


def test_filters_of_the_worklist(database, now) -> None:
    nurse = make_staff("nurse")
    mine = make_task(owner_id=nurse.id)
    nobodys = make_task(kind="ask_patient", for_role="nurse")
    assert [task.id for task in queries.open_tasks(set(), owner_id=nurse.id)] == [mine.id]
    assert [task.id for task in queries.open_tasks(set(), unowned=True)] == [nobodys.id]
    assert [task.id for task in queries.open_tasks(set(), kind="ask_patient")] == [nobodys.id]
    assert [task.id for task in queries.open_tasks(set(), for_roles=["nurse"])] == [nobodys.id]


def test_open_safety_lists_the_soonest_due_first(database, now) -> None:
    urgent = make_task(kind="safety", level="urgent", due_at=now + timedelta(hours=1))
    lit = make_task(kind="safety", level="lit", due_at=now)
    make_task()
    assert [task.id for task in queries.open_safety(set())] == [lit.id, urgent.id]
