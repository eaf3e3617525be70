"""What a protocol asks for before the first session: its days are left free, the desk arranges it, everybody is told."""

import re
from dataclasses import replace
from datetime import date, timedelta
from html import unescape
from typing import Any

import pytest
from sqlalchemy import select

from clinic.db import db
from clinic.protocols.base import catalogue
from clinic.scheduling import operations, queries, starts, undoing
from clinic.scheduling.operations import AskedSession
from clinic.scheduling.wishes import CourseWish
from clinic.tasks import operations as tasks
from clinic.tasks.models import Task, TaskKind
from tests.builders import TESTER
from tests.clinic.scheduling.conftest import Scene

WISH = CourseWish("saint_snt", count=1)
TODAY = date(2026, 11, 23)


@pytest.fixture
def long_days(scene: Scene) -> Scene:
    """The device gives the ten sessions a day that need a scan first."""
    scene.device.protocols = [*scene.device.protocols, "saint_snt"]
    db.session.commit()
    return scene


def booked(scene: Scene, wish: CourseWish = WISH) -> tuple[int, Task]:
    offer = operations.propose_courses(scene.patient.id, wish, by=TESTER)
    made = operations.book_course(scene.patient.id, proposal_id=offer.proposal_ids[0], by=TESTER)
    return made.course_id, db.session.scalars(select(Task).where(Task.kind == TaskKind.PREPARE_COURSE)).one()


def first_of(course_id: int) -> Any:
    return queries.sessions(course_id)[0]


def test_the_days_are_those_of_the_protocol() -> None:
    (scan,) = catalogue()["saint_snt"].before
    published = catalogue()["saint_snt"].facts["visits_before_course"][0]
    assert (scan.kind, scan.minutes, scan.lead_days) == tuple(published.values())
    assert {protocol.lead_days for protocol in catalogue().values()} == {0, 7}


def test_the_first_start_leaves_them_free_and_a_task_is_due_by_the_last_of_them(long_days: Scene) -> None:
    course_id, task = booked(long_days)
    first = first_of(course_id)
    assert first.local_on >= TODAY + timedelta(days=7)
    assert (task.due_at, task.for_role, task.subject) == (
        first.starts_at - timedelta(days=7),
        "front_desk",
        {"course_id": course_id},
    )
    (start,) = starts.site_starts("saint_snt", {long_days.site.id})
    assert start.starts_on is not None
    assert start.starts_on >= TODAY + timedelta(days=7)


def test_who_names_the_day_is_believed_that_it_is_done_by_then(long_days: Scene) -> None:
    course_id, _ = booked(long_days, replace(WISH, earliest_start=TODAY + timedelta(days=1)))
    assert first_of(course_id).local_on < TODAY + timedelta(days=7)


def test_a_plan_made_elsewhere_may_start_sooner(long_days: Scene) -> None:
    course_id, _ = booked(long_days, replace(WISH, earliest_start=TODAY + timedelta(days=1)))
    asked = [AskedSession(row.starts_at, row.device_id or 0) for row in queries.sessions(course_id)]
    operations.cancel_course(course_id, reason="again", by=TESTER)
    again = operations.book_course(long_days.patient.id, protocol="saint_snt", sessions=asked, by=TESTER)
    assert first_of(again.course_id).starts_at == asked[0].starts_at


def test_a_course_that_ends_leaves_nothing_to_arrange_until_that_is_taken_back(long_days: Scene) -> None:
    course_id, task = booked(long_days)
    operations.cancel_course(course_id, reason="moved away", by=TESTER)
    assert task.closed_at is not None
    undoing.take_back(queries.sessions(course_id)[0].id, by=TESTER)
    assert (task.closed_at, task.outcome) == (None, None)


def test_desk_and_patient_see_by_when_until_it_is_done(
    long_days: Scene, client: Any, sign_in: Any, sign_in_patient: Any
) -> None:
    sign_in("front_desk")
    course_id, task = booked(long_days)
    by = first_of(course_id).local_on - timedelta(days=7)
    words = f"{by:%a}, {by:%b} {by.day}"
    page = f"/staff/courses/{course_id}"
    assert f"finds the target, 60 min, by {words}" in client.get(page).text
    assert f'href="{page}"' in client.get(f"/staff/tasks/{task.id}").text
    sign_in_patient(long_days.patient)
    dates = unescape(client.get("/me/dates").text)
    assert f"60 minutes), by {words}" in dates
    assert (dates.count("10 visits, the first at "), dates.count("I can't come")) == (
        5,
        len(queries.sessions(course_id)),
    )
    tasks.close_task(task.id, outcome="Done at Harbor Imaging on Nov 25", by=TESTER)
    assert "need a scan" not in client.get("/me/dates").text
    assert "Done at Harbor Imaging" in client.get(page).text


def test_the_comparison_says_by_when(long_days: Scene, client: Any, sign_in: Any) -> None:
    offer = operations.propose_courses(long_days.patient.id, WISH, by=TESTER)
    sign_in("front_desk")
    page = client.get("/staff/courses/choose", query_string={"plan": offer.proposal_ids}).text
    assert "finds the target, 60 min" in page
    assert re.search(r"\d\d:00, the first of each day after the mapping", page)
    assert 'class="day" data-is="other"' not in page  # the ten of a day are an hour apart
