"""The clinic's own rates: computed as on each chart, with how many are missing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from clinic import clock
from clinic.care import rates
from clinic.db import db
from clinic.locations.models import Location
from clinic.scheduling.models import Course
from clinic.surveys.models import Score
from clinic.surveys.progress import Point
from tests.builders import course_sessions, make_course, make_patient

START = datetime(2026, 9, 1, 16, tzinfo=UTC)
END = START + timedelta(days=40)


def point(days: float, total: int | None) -> Point:
    return Point(taken_at=START + timedelta(days=days), total=total, session=0)


def test_response_remission_and_missing_are_counted_apart() -> None:
    rows = [
        (1, START, END, point(-3, 20)),
        (1, START, END, point(30, 4)),  # response and remission
        (2, START, END, point(-3, 20)),
        (2, START, END, point(30, 10)),  # response
        (3, START, END, point(-3, 20)),
        (3, START, END, point(30, 15)),  # neither
        (4, START, END, point(-3, 20)),  # nothing after
        (5, START, END, None),
    ]
    found = rates.of_courses(rows, END)
    assert found == rates.Rates(courses=5, known=3, response=2, remission=1)
    assert (found.missing, found.response_percent, found.remission_percent) == (2, 67, 33)


def test_without_courses_there_is_no_rate() -> None:
    found = rates.of_courses([], END)
    assert (found.courses, found.missing, found.response_percent) == (0, 0, None)


def ended_course(totals: list[int]) -> None:
    patient = make_patient()
    course = make_course(patient, [START, START + timedelta(days=1)], state="completed", ended_at=END)
    for session in course_sessions(course):
        session.state, session.ended_at = "completed", session.ends_at
    for number, total in enumerate(totals):
        db.session.add(
            Score(
                patient_id=patient.id,
                instrument="phq9",
                instrument_version="1",
                items=[1] * 9,
                result={"total": total},
                taken_at=START + timedelta(days=20 * number - 1),
                source="survey" if number else "intake",
                course_id=course.id if number else None,
            )
        )
    db.session.flush()


def test_the_rates_come_from_one_query_over_ended_courses(count_statements) -> None:
    ended_course([20, 8])
    ended_course([20])
    make_course(make_patient(), [START])
    with count_statements() as statements:
        found = rates.clinic_rates(clock.now())
    assert len(statements) == 1
    assert found == rates.Rates(courses=2, known=1, response=1, remission=0)


def test_few_courses_are_not_shown_to_everyone(monkeypatch, client) -> None:
    ended_course([20, 8])
    assert rates.shown_rates(clock.now()) is None
    assert "Too few courses have ended here" in client.get("/sources").text
    monkeypatch.setattr(rates, "PUBLIC_FROM", 1)
    assert "For 1 of them we know" in client.get("/sources").text


@pytest.mark.parametrize("role", ["manager", "prescriber"])
def test_staff_see_them_beside_published_figures(client, sign_in, role) -> None:
    for _ in range(5):
        ended_course([20, 8])
    sign_in(role, locations=tuple(db.session.scalars(select(Location))))
    page = client.get("/staff/reports/outcomes").text
    assert "5 of 5 people had a response, 0 of 5 are in remission" in page
    assert "Sackeim" in page


@pytest.fixture
def manager(sign_in, client):
    """Somebody who sees the sites of every course."""

    def open_page(address: str = "/staff/reports/outcomes") -> str:
        sites = tuple(db.session.scalars(select(Location)))
        sign_in("manager", locations=sites)
        return client.get(address).text

    return open_page


def test_a_group_of_few_shows_no_rate(database, now, manager) -> None:
    for _ in range(4):
        ended_course([20, 8])
    page = manager()
    assert "Too few courses with a score before and after" in page
    assert "fewer than 5" in page
    ended_course([20, 8])
    assert "5 of 5 people had a response, 0 of 5 are in remission" in manager()


def test_courses_are_filtered_by_site_protocol_and_period(database, now) -> None:
    ended_course([20, 8])
    [course] = db.session.scalars(select(Course))
    at = rates.Which(location_ids=frozenset({course.location_id}), protocol="tms_10hz_left_standard")

    def count(**change: object) -> int:
        return rates.clinic_rates(clock.now(), replace(at, **change)).courses

    assert count() == 1
    assert count(location_ids=frozenset({course.location_id + 1})) == 0
    assert count(protocol="itbs_left") == 0
    assert count(modality="tms") == 1
    assert count(modality="esketamine") == 0
    assert count(ended_from=END.date(), ended_until=END.date()) == 1
    assert count(ended_from=END.date() + timedelta(days=1)) == 0
    assert count(ended_until=END.date() - timedelta(days=1)) == 0


def test_a_protocol_counts_in_each_of_its_shapes(database, now) -> None:
    ended_course([20, 8])
    [course] = db.session.scalars(select(Course))
    course.protocol = "tms_10hz_left_standard.maintenance"
    db.session.flush()
    assert rates.clinic_rates(clock.now(), rates.Which(protocol="tms_10hz_left_standard")).courses == 1


def test_the_file_says_the_same_and_hides_small_groups(database, now, manager) -> None:
    ended_course([20, 8])
    lines = manager("/staff/reports/outcomes.csv").splitlines()
    assert lines[0].startswith("group,ended_from,ended_until,courses,known,missing,response")
    assert lines[1] == "All that was asked for,,,1,1,0,suppressed,suppressed,suppressed,suppressed"


@pytest.mark.parametrize("query", ["site=x&protocol=nope&from=32&to=2026-13-01", "from=9999-01-01", "site=999999"])
def test_a_strange_filter_is_no_filter(database, now, manager, query) -> None:
    ended_course([20, 8])
    assert "Outcomes" in manager(f"/staff/reports/outcomes?{query}")


def test_a_part_that_would_tell_of_a_small_one_is_hidden_with_it() -> None:
    def group(label: str, known: int) -> rates.Shown:
        return rates.Shown(label, rates.Rates(courses=known, known=known, response=1, remission=0))

    shown = rates.hidden([group("a", 20), group("b", 9), group("c", 2)])
    assert [one.label for one in shown if one.is_suppressed] == ["b", "c"]
    assert [one.label for one in rates.hidden([group("a", 20), group("b", 2), group("c", 2)]) if one.is_suppressed] == [
        "b",
        "c",
    ]
