"""Another time for a patient who cannot come: two choices that keep the rules, and the pages for it."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient

from clinic import clock
from clinic.db import db
from clinic.errors import AlreadyOver, SlotTaken
from clinic.scheduling import appointments, operations, queries, rebooking, undoing
from clinic.scheduling.models import TreatmentSession
from clinic.scheduling.wishes import CourseWish
from tests.builders import TESTER, make_patient, make_profile, make_staff, make_visit
from tests.clinic.scheduling.conftest import Scene


def booked(scene: Scene) -> list[TreatmentSession]:
    wish = CourseWish("itbs_left", earliest_start=date(2026, 11, 24))
    offer = operations.propose_courses(scene.patient.id, wish, by=TESTER)
    course_id = operations.book_course(scene.patient.id, proposal_id=offer.proposal_ids[0], by=TESTER).course_id
    return list(queries.sessions(course_id))


def test_a_session_may_go_to_another_hour_or_behind_the_last(scene: Scene) -> None:
    rows = booked(scene)
    fifth, last = rows[4], rows[-1]
    same_day, after = rebooking.choices(fifth.id)
    assert queries.local_date(same_day.starts_at, scene.site.tz) == fifth.local_on
    assert abs(same_day.starts_at - fifth.starts_at) >= rebooking.LEAST_SHIFT
    assert after.is_after_last
    assert after.starts_at > last.starts_at


def test_behind_the_last_the_others_move_up_and_the_row_stays_the_same(scene: Scene) -> None:
    rows = booked(scene)
    course_id, chosen = rows[4].course_id, rows[4].id
    order = [row.id for row in rows]
    rebooking.choose(chosen, rebooking.choices(chosen)[1], by=TESTER)
    after = queries.sessions(course_id)
    assert [row.id for row in after] == [x for x in order if x != chosen] + [chosen]
    assert [row.number for row in after] == list(range(1, 37))
    assert (after[-1].revision, after[-1].state) == (1, "booked")


def test_a_postponed_session_is_taken_back_with_all_numbers(scene: Scene) -> None:
    rows = booked(scene)
    course_id, chosen, at = rows[4].course_id, rows[4].id, rows[4].starts_at
    rebooking.choose(chosen, rebooking.choices(chosen)[1], by=TESTER)
    undoing.take_back(chosen, by=TESTER)
    after = queries.sessions(course_id)
    assert after[4].id == chosen
    assert after[4].starts_at == at
    assert [row.number for row in after] == list(range(1, 37))


def test_the_mapping_only_moves_within_its_day(scene: Scene) -> None:
    first = booked(scene)[0]
    assert [choice.is_after_last for choice in rebooking.choices(first.id)] == [False]


def test_a_choice_that_was_taken_meanwhile_changes_nothing(scene: Scene) -> None:
    rows = booked(scene)
    chosen, choice = rows[4].id, rebooking.choices(rows[4].id)[1]
    other = make_visit(scene.patient, make_staff("therapist"), scene.site, choice.starts_at)
    db.session.commit()
    assert other.id
    with pytest.raises(SlotTaken):
        rebooking.choose(chosen, choice, by=TESTER)
    assert queries.session(chosen).revision == 0


def test_what_is_over_has_no_other_time(scene: Scene) -> None:
    row = booked(scene)[0]
    with clock.frozen(row.starts_at), pytest.raises(AlreadyOver):
        rebooking.choices(row.id)


def test_a_visit_gets_two_other_times_with_the_same_person(scene: Scene) -> None:
    start = datetime(2026, 11, 24, 18, 0, tzinfo=UTC)
    visit = make_visit(scene.patient, make_staff("therapist"), scene.site, start)
    db.session.commit()
    first, second = rebooking.choices(visit.id)
    assert first.starts_at.date() == start.date()
    assert second.starts_at - start == timedelta(days=1)
    rebooking.choose(visit.id, second, by=TESTER)
    assert queries.session(visit.id).starts_at == second.starts_at


# -- pages ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def patient(scene: Scene, client: FlaskClient, sign_in_patient: Callable[..., Any]) -> FlaskClient:
    make_profile()
    sign_in_patient(scene.patient)
    return client


def test_a_patient_chooses_another_time(patient: FlaskClient, scene: Scene, post: Callable[..., Any]) -> None:
    row = booked(scene)[4]
    session_id, old, page = row.id, row.starts_at, f"/me/visits/{row.id}/cannot-come"
    html = patient.get(page).text
    keys = [unescape(key) for key in re.findall(r'name="choice" value="([^"]+)"', html)]
    assert "At the end of your course" in html
    assert post(page, {"choice": keys[0]}).location == "/me/dates"
    assert queries.session(session_id).starts_at != old
    assert "Your visit is now on" in patient.get("/me/dates").text


def test_a_time_that_is_no_longer_offered_shows_others(
    patient: FlaskClient, scene: Scene, post: Callable[..., Any]
) -> None:
    row = booked(scene)[4]
    for choice in ("", "2026-11-24T08:00:00+00:00 1 0", "x"):
        answer = post(f"/me/visits/{row.id}/cannot-come", {"choice": choice})
        assert answer.status_code == 409
        assert "This time was just taken. Here are others." in answer.text


def test_nobody_moves_another_persons_visit(patient: FlaskClient, scene: Scene) -> None:
    visit = make_visit(make_patient(), make_staff("therapist"), scene.site, datetime(2026, 11, 24, 18, tzinfo=UTC))
    db.session.commit()
    assert patient.get(f"/me/visits/{visit.id}/cannot-come").status_code == 404
    assert patient.get("/me/visits/999999/cannot-come").status_code == 404


def test_a_visit_that_was_cancelled_leads_back_to_the_dates(patient: FlaskClient, scene: Scene) -> None:
    row = booked(scene)[4]
    session_id = row.id
    appointments.cancel_session(session_id, by=TESTER)
    assert patient.get(f"/me/visits/{session_id}/cannot-come").location == "/me/dates"


def test_the_month_shows_every_visit_on_its_day(patient: FlaskClient, scene: Scene) -> None:
    booked(scene)
    html = patient.get("/me/dates?view=month").text
    assert html.count('class="has"') == 36
    assert "November 2026" in html
    assert "January 2027" in html


def test_spanish_dates_have_spanish_words(patient: FlaskClient, scene: Scene) -> None:
    scene.patient.language = "es"
    row = booked(scene)[4]
    assert "No puedo ir" in patient.get("/me/dates").text
    assert "Al final de su tratamiento" in patient.get(f"/me/visits/{row.id}/cannot-come").text
