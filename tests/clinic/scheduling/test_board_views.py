"""The board of a day: what it shows, what is pressed on it, who sees whose change, weeks and paper."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from clinic import clock
from clinic.db import db
from clinic.locations.models import Closure, DeviceDowntime, StaffAbsence
from clinic.scheduling import appointments, queries
from clinic.scheduling.models import Hold, SessionState, TreatmentSession
from tests.builders import (
    TESTER,
    course_sessions,
    make_course,
    make_device,
    make_location,
    make_patient,
    make_profile,
    make_session,
    make_staff,
    make_task,
    make_visit,
)
from tests.clinic.scheduling.conftest import Scene

TEN = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)  # 10:00 at the site, the held clock's present
DAY = "/staff/day/fullerton/2026-11-23"
JSON = {"Accept": "application/json"}


@pytest.fixture
def desk(scene: Scene, client: FlaskClient, sign_in: Callable[..., Any]) -> FlaskClient:
    sign_in("front_desk", locations=(scene.site,), name="Dana Whitfield")
    make_profile()
    db.session.commit()
    return client


def one_session(scene: Scene, start: datetime = TEN + timedelta(hours=1), **overrides: Any) -> TreatmentSession:
    course = make_course(scene.patient, [start], device=scene.device, planned_sessions=36)
    session = course_sessions(course)[0]
    for name, value in overrides.items():
        setattr(session, name, value)
    db.session.commit()
    return session


def states_of(html: str) -> list[str]:
    return re.findall(r'data-is="([a-z-]+)"(?= data-ahead|><th| data-kind)', html)


def press(post: Callable[..., Any], session: TreatmentSession, word: str, **more: Any) -> Any:
    return post(f"{DAY}/press", {"do": f"{word} {session.id}"}, **more)


# -- what it shows ----------------------------------------------------------------------------------------------------


def test_a_session_goes_from_arrived_to_done_on_the_board(
    desk: FlaskClient, scene: Scene, post: Callable[..., Any]
) -> None:
    session = one_session(scene)
    seen = []
    for word in ("arrive", "start", "complete"):
        assert press(post, session, word).location == DAY
        seen += states_of(desk.get(DAY).text)
    assert seen == ["arrived", "running", "done"]
    assert "The day is done." in desk.get(DAY).text


@pytest.mark.parametrize(
    ("minutes", "state", "word"),
    [(60, "booked", "planned"), (60, "confirmed", "confirmed"), (-6, "booked", "late"), (-60, "no_show", "no-show")],
)
def test_each_state_has_its_word(desk: FlaskClient, scene: Scene, minutes: int, state: str, word: str) -> None:
    one_session(scene, TEN + timedelta(minutes=minutes), state=state)
    assert states_of(desk.get(DAY).text) == [word]


def test_a_session_on_a_device_that_is_down_must_move_and_the_title_says_so(desk: FlaskClient, scene: Scene) -> None:
    one_session(scene)
    hour = timedelta(hours=1)
    db.session.add(
        DeviceDowntime(device_id=scene.device.id, starts_at=TEN - hour, ends_at=TEN + 2 * hour, reason="coil")
    )
    db.session.commit()
    html = desk.get(DAY).text
    assert states_of(html) == ["move"]
    assert "A is down: one person needs another place" in html
    assert "Down since 09:00" in html


def test_a_closed_day_lists_whom_it_hits(desk: FlaskClient, scene: Scene) -> None:
    one_session(scene)
    db.session.add(Closure(location_id=scene.site.id, on_date=date(2026, 11, 23), name="Storm"))
    db.session.commit()
    html = desk.get(DAY).text
    assert "Closed (Storm): one person needs another place" in html
    assert states_of(html) == ["move"]


def test_an_empty_day_says_so(desk: FlaskClient, scene: Scene) -> None:
    assert "Nothing is planned on this day." in desk.get("/staff/day/fullerton/2026-11-25").text
    assert "Closed on this weekday." in desk.get("/staff/day/fullerton/2026-11-22").text


def test_who_cannot_come_is_said_on_the_board(desk: FlaskClient, scene: Scene) -> None:
    session = one_session(scene)
    make_task(kind="cannot_come", location_id=scene.site.id, subject={"session_id": session.id})
    db.session.commit()
    assert "Can&#39;t come" in desk.get(DAY).text


def test_a_visit_stands_in_the_lane_of_its_staff_member(desk: FlaskClient, scene: Scene) -> None:
    doctor = make_staff("prescriber", name="Dr. Lena Voss")
    visit = make_visit(scene.patient, doctor, scene.site, TEN + timedelta(hours=1), mode="video", patient_state="CA")
    db.session.add(StaffAbsence(user_id=doctor.id, starts_at=TEN, ends_at=TEN + timedelta(hours=4), reason="ill"))
    db.session.commit()
    html = desk.get(DAY).text
    assert f'data-d="p{doctor.id}"' in html
    assert f'data-lane="p{doctor.id}"' in html
    assert "Dr. Lena Voss, video" in html
    assert "Dr. Lena Voss is away: one person needs another place" in html
    assert "by video" in desk.get(f"/staff/sessions/{visit.id}/panel").text


def test_a_place_that_is_held_is_shown_without_saying_for_whom(desk: FlaskClient, scene: Scene) -> None:
    session = one_session(scene)
    hold = Hold(patient_id=scene.patient.id, purpose="proposal", created_at=TEN, expires_at=TEN + timedelta(minutes=10))
    db.session.add(hold)
    db.session.flush()
    session.state, session.hold_id = SessionState.HELD, hold.id
    db.session.commit()
    html = desk.get(DAY).text
    assert f'data-kept="{scene.device.id}:660:20 "' in html
    assert scene.patient.record_number not in html


def test_the_day_shows_no_names_of_patients(desk: FlaskClient, scene: Scene) -> None:
    one_session(scene)
    html = desk.get(DAY).text
    assert scene.patient.record_number in html
    assert scene.patient.family_name not in html


def test_the_day_asks_as_often_for_many_as_for_one(
    desk: FlaskClient, scene: Scene, count_statements: Callable[[], Any]
) -> None:
    one_session(scene)
    with count_statements() as few:
        desk.get(DAY)
    for n in range(12):
        device = make_device(scene.site)
        make_course(make_patient(), [TEN + timedelta(hours=n % 4)], device=device)
    db.session.commit()
    with count_statements() as many:
        desk.get(DAY)
    assert len(many) == len(few) <= 25


def test_a_chosen_session_stands_beside_the_board(desk: FlaskClient, scene: Scene) -> None:
    session = one_session(scene)
    html = desk.get(f"{DAY}?s={session.id}").text
    assert "1 of 36" in html
    assert f'action="/staff/sessions/{session.id}/arrive"' in html
    assert f'data-panel="{session.id}"' in desk.get(f"/staff/sessions/{session.id}/panel").text


def test_a_site_that_was_not_granted_stays_closed(desk: FlaskClient, scene: Scene, post: Callable[..., Any]) -> None:
    far = make_location(slug="elsewhere")
    course = make_course(make_patient(), [TEN], device=make_device(far))
    foreign = course_sessions(course)[0]
    db.session.commit()
    assert desk.get("/staff/day/elsewhere/2026-11-24").status_code == 403
    assert desk.get(f"/staff/sessions/{foreign.id}/panel").status_code == 404
    assert press(post, foreign, "arrive").status_code == 404
    assert desk.get("/staff/day/fullerton/soon").status_code == 404
    assert desk.get("/staff/day").location == DAY


def test_the_day_opens_where_something_happens(scene: Scene, client: FlaskClient, sign_in: Callable[..., Any]) -> None:
    quiet = make_location(slug="a-quiet-site", name="A quiet site")
    sign_in("front_desk", locations=(scene.site, quiet))
    db.session.commit()
    assert client.get("/staff/day").location == "/staff/day/a-quiet-site/2026-11-23"
    one_session(scene)
    assert client.get("/staff/day").location == DAY
    assert client.get("/staff/day?site=a-quiet-site").location == "/staff/day/a-quiet-site/2026-11-23"


# -- pressed and taken back -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "state"),
    [(["arrive"], "booked"), (["arrive", "complete"], "arrived"), (["complete"], "booked"), (["no-show"], "booked")],
)
def test_a_press_is_taken_back(
    desk: FlaskClient, scene: Scene, post: Callable[..., Any], words: list[str], state: str
) -> None:
    session = one_session(scene)
    for word in words:
        press(post, session, word)
    assert post(f"/staff/sessions/{session.id}/take-back", headers=JSON).json["say"] == "Taken back."
    assert queries.session(session.id).state == state


def test_a_finished_course_goes_on_where_its_last_session_is_taken_back(
    desk: FlaskClient, scene: Scene, post: Callable[..., Any]
) -> None:
    session = one_session(scene)
    queries.course(session.course_id).planned_sessions = 1
    db.session.commit()
    press(post, session, "complete")
    assert queries.course(session.course_id).state == "completed"
    post(f"/staff/sessions/{session.id}/take-back")
    assert queries.course(session.course_id).state == "booked"


def test_a_press_is_not_taken_back_later(desk: FlaskClient, scene: Scene, post: Callable[..., Any]) -> None:
    session = one_session(scene)
    press(post, session, "arrive")
    with clock.frozen(TEN + timedelta(minutes=3)):
        answer = post(f"/staff/sessions/{session.id}/take-back", headers=JSON)
    assert answer.status_code == 409
    assert "more than two minutes ago" in answer.json["say"]
    assert queries.session(session.id).state == SessionState.ARRIVED


def test_a_no_show_whose_place_was_given_away_stays_one(
    desk: FlaskClient, scene: Scene, post: Callable[..., Any]
) -> None:
    session = one_session(scene)
    press(post, session, "no-show")
    make_course(make_patient(), [session.starts_at], device=scene.device)
    db.session.execute(db.text("UPDATE locations SET schedule_version = schedule_version + 1"))
    db.session.commit()
    answer = post(f"/staff/sessions/{session.id}/take-back", headers=JSON)
    assert answer.status_code == 409
    assert queries.session(session.id).state == SessionState.NO_SHOW


def test_nobody_starts_before_the_patient_is_here(desk: FlaskClient, scene: Scene, post: Callable[..., Any]) -> None:
    session = one_session(scene)
    answer = press(post, session, "start", headers=JSON)
    assert answer.status_code == 409
    assert "has not arrived" in answer.json["say"]
    assert press(post, session, "fly").status_code == 404


# -- moving -----------------------------------------------------------------------------------------------------------


def test_a_drop_moves_and_can_be_undone(desk: FlaskClient, scene: Scene, post: Callable[..., Any]) -> None:
    session = one_session(scene)
    move = f"/staff/sessions/{session.id}/move"
    dropped = {"on": "2026-11-23", "minute": "780", "device": str(scene.device.id)}
    answer = post(move, dropped, headers=JSON).json
    assert "moves to Mon, Nov 23, 13:00, A" in answer["say"]
    assert post(answer["undo_url"], headers=JSON).json["say"].endswith("is back at Mon, Nov 23, 11:00, A.")
    assert queries.session(session.id).starts_at == TEN + timedelta(hours=1)


def test_a_drop_on_a_taken_place_says_why_and_changes_nothing(
    desk: FlaskClient, scene: Scene, post: Callable[..., Any]
) -> None:
    session = one_session(scene)
    make_session(queries.course(session.course_id), TEN + timedelta(hours=3), number=2)
    db.session.commit()
    move = f"/staff/sessions/{session.id}/move"
    for minute, why in (("785", "another session is on this device"), ("1080", "closed then"), ("x", "not a place")):
        answer = post(move, {"on": "2026-11-23", "minute": minute, "device": str(scene.device.id)}, headers=JSON)
        assert answer.status_code == 409
        assert why in answer.json["say"]
    assert queries.session(session.id).revision == 0


def test_a_session_that_can_move_nowhere_says_so_on_its_course(
    desk: FlaskClient, scene: Scene, post: Callable[..., Any]
) -> None:
    session = one_session(scene, state=SessionState.NO_SHOW, ended_at=TEN)
    answer = post(f"/staff/sessions/{session.id}/move", {"place": f"2026-11-24T18:00:00+00:00 {scene.device.id}"})
    assert answer.status_code == 409
    assert "this session is no show" in answer.text


def test_legal_places_are_spans_of_starts(desk: FlaskClient, scene: Scene) -> None:
    session = one_session(scene)
    spans = desk.get(f"/staff/sessions/{session.id}/places?on=2026-11-24").json["places"]
    assert spans == {str(scene.device.id): [[480, 1055]]}


def test_free_times_stand_beside_the_board(desk: FlaskClient, scene: Scene) -> None:
    session = one_session(scene)
    html = desk.get(f"/staff/sessions/{session.id}/move?part=1&on=2026-11-24").text
    assert f'data-moving="{session.id}"' in html
    assert "<html" not in html


# -- two people at once -----------------------------------------------------------------------------------------------


def test_what_others_change_comes_with_who_did_it(desk: FlaskClient, scene: Scene, post: Callable[..., Any]) -> None:
    session = one_session(scene)
    version = re.search(r'data-version="(\d+)"', desk.get(DAY).text)
    assert version is not None
    assert desk.get(f"{DAY}/changes?v={version[1]}").status_code == 204
    press(post, session, "arrive")
    fresh = desk.get(f"{DAY}/changes?v={version[1]}")
    assert fresh.status_code == 200
    assert 'data-by="marked as arrived by Dana Whitfield"' in fresh.text


def test_asking_for_changes_is_cheap(desk: FlaskClient, scene: Scene, count_statements: Callable[[], Any]) -> None:
    one_session(scene)
    with count_statements() as statements:
        desk.get(f"{DAY}/changes?v={scene.site.schedule_version}")
    assert len(statements) <= 8


# -- weeks and paper --------------------------------------------------------------------------------------------------


def test_a_week_counts_sessions_and_closed_days(desk: FlaskClient, scene: Scene) -> None:
    one_session(scene)
    db.session.add(Closure(location_id=scene.site.id, on_date=date(2026, 11, 26), name="Thanksgiving Day"))
    db.session.commit()
    html = desk.get("/staff/week/fullerton/2026-11-25").text
    assert "1 session; Monday is the fullest day, 4% taken" in html
    assert "Thanksgiving Day" in html
    assert "1 session in November, closed on one day" in desk.get("/staff/month/fullerton/2026-11-25").text


def test_the_run_sheet_has_lines_to_write_on(desk: FlaskClient, scene: Scene) -> None:
    one_session(scene)
    html = desk.get(f"{DAY}/run-sheet").text
    assert "Printed Mon, Nov 23, 10:00" in html
    assert html.count('class="blank"') == 1
    assert scene.patient.family_name not in html


def test_a_cancelled_session_leaves_the_board(desk: FlaskClient, scene: Scene) -> None:
    session = one_session(scene)
    appointments.cancel_session(session.id, by=TESTER)
    assert states_of(desk.get(DAY).text) == []
    assert desk.get(f"/staff/sessions/{session.id}/panel").status_code == 404
