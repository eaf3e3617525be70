"""The ledger of what payers approved: count, dates, site and device hold in every operation and in the database alone."""

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from clinic import clock
from clinic.db import broken_constraint, db
from clinic.errors import AlreadyOver, Conflict, Invalid, NotAuthorised
from clinic.scheduling import appointments, authorising, ledger, making_up, operations, queries, undoing
from clinic.scheduling.authorising import NewAuthorisation
from clinic.scheduling.models import Authorisation, TreatmentSession
from clinic.scheduling.wishes import CourseWish
from tests.builders import TESTER, make_device, make_location, make_shifts, make_staff
from tests.clinic.scheduling.conftest import Scene

FIRST, LAST = date(2026, 11, 24), date(2027, 1, 22)


def approve(scene: Scene, **overrides: Any) -> int:
    values: dict[str, Any] = {
        "patient_id": scene.patient.id,
        "payer": "aetna",
        "number": "A-1001",
        "pathway": "tms",
        "sessions_approved": 36,
        "valid_from": FIRST,
        "valid_until": date(2027, 2, 28),
    }
    return authorising.add_authorisation(NewAuthorisation(**values | overrides), by=TESTER)


def book(scene: Scene, **more: Any) -> list[TreatmentSession]:
    wish = CourseWish("itbs_left", earliest_start=FIRST, daily_window=(540, 640))
    offer = operations.propose_courses(scene.patient.id, wish, hold=more.pop("hold", False), by=TESTER)
    booked = operations.book_course(scene.patient.id, proposal_id=offer.proposal_ids[0], by=TESTER, **more)
    return list(queries.sessions(booked.course_id))


def agree(scene: Scene) -> int:
    return authorising.agree_self_pay(
        scene.patient.id, pathway="tms", what="6 sessions at 300 dollars", agreed_on=date(2026, 11, 20), by=TESTER
    )


def taken(authorisation_id: int) -> int:
    return db.session.scalars(
        text("SELECT sessions_taken FROM authorisations WHERE id = :id"), {"id": authorisation_id}
    ).one()


@pytest.mark.parametrize("hold", [False, True])
def test_a_course_is_booked_under_what_was_approved(scene: Scene, hold: bool) -> None:
    authorisation_id = approve(scene)
    rows = book(scene, hold=hold)
    assert {row.authorisation_id for row in rows} == {authorisation_id}
    assert taken(authorisation_id) == 36


def test_nothing_is_booked_past_the_approved_count(scene: Scene) -> None:
    approve(scene, sessions_approved=30)
    with pytest.raises(NotAuthorised) as refusal:
        book(scene)
    assert [one["number"] for one in refusal.value.details["sessions"]] == list(range(31, 37))
    assert refusal.value.details["authorisations"][0]["left"] == 30
    assert queries.courses_of(scene.patient.id) == []


def test_what_the_payer_does_not_cover_is_paid_by_who_agreed_to(scene: Scene) -> None:
    authorisation_id, self_pay_id = approve(scene, sessions_approved=30), agree(scene)
    rows = book(scene, self_pay_id=self_pay_id)
    assert [row.authorisation_id for row in rows] == [authorisation_id] * 30 + [None] * 6
    assert [row.self_pay_id for row in rows] == [None] * 30 + [self_pay_id] * 6
    funds = ledger.of_course(rows[0].course_id or 0)
    assert (funds.left, funds.self_paid, funds.unfunded, funds.ask_by) == (0, 6, 0, None)


def test_nobody_pays_by_an_agreement_that_is_not_theirs(scene: Scene) -> None:
    approve(scene, sessions_approved=30)
    self_pay_id = agree(scene)
    authorising.end_self_pay(self_pay_id, by=TESTER)
    with pytest.raises(Invalid, match="did not agree"):
        book(scene, self_pay_id=self_pay_id)


@pytest.mark.parametrize("limit", ["valid_until", "valid_from", "location_id", "device_id"])
def test_nothing_is_booked_outside_dates_site_or_device(scene: Scene, limit: str) -> None:
    other = make_location(name="Elsewhere")
    values = {
        "valid_until": LAST - timedelta(days=1),
        "valid_from": FIRST + timedelta(days=1),
        "location_id": other.id,
        "device_id": make_device(other).id,
    }
    db.session.commit()
    approve(scene, **{limit: values[limit]})
    with pytest.raises(NotAuthorised):
        book(scene)


def test_two_authorisations_follow_each_other(scene: Scene) -> None:
    first = approve(scene, sessions_approved=20, valid_until=date(2026, 12, 31))
    second = approve(scene, sessions_approved=20, valid_from=date(2026, 12, 20), number="A-1002")
    rows = book(scene)
    assert [row.authorisation_id for row in rows] == [first] * 20 + [second] * 16


def test_without_an_authorisation_nobody_was_asked(scene: Scene) -> None:
    rows = book(scene)
    assert {(row.authorisation_id, row.self_pay_id) for row in rows} == {(None, None)}
    assert ledger.of_course(rows[0].course_id or 0).accounts == ()


def test_what_is_booked_already_comes_under_a_new_authorisation(scene: Scene) -> None:
    rows = book(scene)
    authorisation_id = approve(scene, sessions_approved=30)
    assert taken(authorisation_id) == 30
    funds = ledger.of_course(rows[0].course_id or 0)
    assert (funds.left, funds.unfunded, funds.runs_out_on) == (0, 6, rows[29].local_on)
    assert funds.ask_by == rows[29].local_on - timedelta(days=14)
    authorising.change_authorisation(authorisation_id, sessions_approved=36, by=TESTER)
    assert taken(authorisation_id) == 36
    assert ledger.of_course(rows[0].course_id or 0).ask_by is None


def test_a_cancelled_or_missed_session_goes_back_to_the_ledger(scene: Scene) -> None:
    authorisation_id = approve(scene)
    rows = book(scene)
    appointments.cancel_session(rows[9].id, by=TESTER)
    with clock.frozen(rows[0].starts_at):
        appointments.complete_session(rows[0].id, by=TESTER)
    with clock.frozen(rows[1].starts_at):
        appointments.miss_session(rows[1].id, by=TESTER)
    assert taken(authorisation_id) == 34
    account = ledger.of_course(rows[0].course_id or 0).accounts[0]
    assert (account.approved, account.used, account.booked, account.left) == (36, 1, 33, 2)
    undoing.take_back(rows[9].id, by=TESTER)
    assert taken(authorisation_id) == 35
    operations.cancel_course(rows[0].course_id or 0, reason="moved", by=TESTER)
    assert taken(authorisation_id) == 1


def test_a_make_up_comes_out_of_the_ledger(scene: Scene) -> None:
    authorisation_id = approve(scene, valid_until=LAST)
    rows = book(scene)
    appointments.cancel_session(rows[9].id, by=TESTER)
    place = making_up.make_ups(rows[0].course_id or 0).places[0]
    chosen = {"starts_at": place.starts_at, "device_id": place.device_id}
    with pytest.raises(NotAuthorised):
        making_up.add_make_up(rows[0].course_id or 0, **chosen, by=TESTER)
    authorising.change_authorisation(authorisation_id, valid_until=LAST + timedelta(days=7), by=TESTER)
    making_up.add_make_up(rows[0].course_id or 0, **chosen, by=TESTER)
    assert taken(authorisation_id) == 36


def test_a_session_does_not_move_out_of_its_authorisation(scene: Scene) -> None:
    mate = make_device(scene.site, name="B")
    make_shifts(make_staff("operator", skills=("tms", "map")), scene.site)
    db.session.commit()
    rows = book(scene)
    approve(scene, device_id=rows[0].device_id)
    other = mate.id if rows[0].device_id == scene.device.id else scene.device.id
    with pytest.raises(NotAuthorised):
        appointments.move_session(rows[5].id, starts_at=rows[5].starts_at, device_id=other, by=TESTER)
    with pytest.raises(NotAuthorised):
        making_up.swap_device(rows[0].course_id or 0, other, by=TESTER)
    self_pay_id = agree(scene)
    appointments.move_session(
        rows[5].id, starts_at=rows[5].starts_at, device_id=other, self_pay_id=self_pay_id, by=TESTER
    )
    row = queries.session(rows[5].id)
    assert (row.authorisation_id, row.self_pay_id) == (None, self_pay_id)


def test_an_authorisation_is_not_narrowed_past_what_is_booked(scene: Scene) -> None:
    authorisation_id = approve(scene)
    book(scene)
    with pytest.raises(Conflict, match="More sessions"):
        authorising.change_authorisation(authorisation_id, sessions_approved=35, by=TESTER)
    with pytest.raises(Conflict, match="other days"):
        authorising.change_authorisation(authorisation_id, valid_until=date(2026, 12, 31), by=TESTER)


def test_what_the_payer_takes_back_leaves_the_sessions_booked(scene: Scene) -> None:
    authorisation_id = approve(scene)
    rows = book(scene)
    assert authorising.end_authorisation(authorisation_id, reason="plan ended", by=TESTER) == 36
    assert taken(authorisation_id) == 0
    assert {row.state for row in queries.sessions(rows[0].course_id or 0)} == {"booked"}
    with pytest.raises(AlreadyOver):
        authorising.end_authorisation(authorisation_id, reason="again", by=TESTER)


def test_who_has_to_ask_soon_stands_on_a_list(scene: Scene) -> None:
    rows = book(scene)
    approve(scene, sessions_approved=8)
    assert ledger.running_out([scene.site.id]) == [(rows[0].course_id, date(2026, 11, 23))]
    assert ledger.running_out([make_location().id]) == []


# -- the database alone ---------------------------------------------------------------------------------------------


def broken_by(sql: str, **values: Any) -> str | None:
    with pytest.raises(IntegrityError) as refusal, db.session.begin_nested():
        db.session.execute(text(sql), values)
    return broken_constraint(refusal.value)


def test_the_database_refuses_one_session_too_many(scene: Scene) -> None:
    rows = book(scene)
    authorisation_id = approve(scene, sessions_approved=10)
    assert taken(authorisation_id) == 10
    sql = "UPDATE treatment_sessions SET authorisation_id = :a WHERE id = :id"
    assert broken_by(sql, a=authorisation_id, id=rows[20].id) == "authorisations_not_exceeded_check"


@pytest.mark.parametrize(
    "change", ["local_on = local_on + 400", "authorisation_id = :elsewhere", "device_id = :device", "need = 'obs'"]
)
def test_the_database_refuses_a_session_outside(scene: Scene, change: str) -> None:
    other = make_device(scene.site, name="B")
    rows = book(scene)
    authorisation_id = approve(scene, device_id=rows[0].device_id)
    elsewhere = approve(scene, location_id=make_location().id, number="A-2")
    sql = f"UPDATE treatment_sessions SET {change} WHERE id = :id"
    values = {"elsewhere": elsewhere, "device": other.id, "id": rows[5].id}
    used = {key: value for key, value in values.items() if f":{key}" in sql}
    assert broken_by(sql, **used) == "authorisations_cover"
    assert taken(authorisation_id) == 36


def test_the_database_counts_inserts_updates_and_deletes(scene: Scene) -> None:
    authorisation_id = approve(scene, sessions_approved=40)
    rows = book(scene)
    copy = "INSERT INTO treatment_sessions (course_id, patient_id, location_id, device_id, number, kind, need, starts_at, ends_at, device_until, spaced_until, local_on, state, revision, authorisation_id) SELECT course_id, patient_id, location_id, device_id, 40, kind, need, starts_at + interval '30 days', ends_at + interval '30 days', device_until + interval '30 days', spaced_until + interval '30 days', local_on + 30, :state, 0, authorisation_id FROM treatment_sessions WHERE id = :id"
    for state, count in (("booked", 37), ("cancelled", 37)):
        db.session.execute(text(copy), {"id": rows[-1].id, "state": state})
        assert taken(authorisation_id) == count
    db.session.execute(text("DELETE FROM treatment_sessions WHERE number = 40"))
    assert taken(authorisation_id) == 36


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"payer": " "}, "payer"),
        ({"number": ""}, "number"),
        ({"pathway": "ect"}, "pathway"),
        ({"sessions_approved": 0}, "sessions_approved"),
        ({"valid_until": date(2020, 1, 1)}, "valid_until"),
        ({"protocol": "esketamine_trd"}, "protocol"),
    ],
)
def test_a_wrong_authorisation_is_refused_with_the_field(scene: Scene, change: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        approve(scene, **change)
    assert refusal.value.details["fields"] == [field]
    assert db.session.query(Authorisation).count() == 0
