"""The pages of the room: the board, one visit, a TMS record, permits; and who may see them."""

from datetime import timedelta
from typing import Any

import pytest

from clinic import clock
from clinic.db import db
from clinic.treatment import queries, rules
from tests.clinic.treatment.conftest import NOW
from tests.clinic.treatment.test_observing import ALL, dose, measure, prepare, to_the_end

FINE = {"sleep_hours": "7", "threshold_percent": "45", "cleared_by": "0", "cleared_words": ""}
FINE |= dict.fromkeys(rules.CONCERNS, "no") | dict.fromkeys(rules.MUST_BE_DONE, "y")


@pytest.fixture(autouse=True)
def _no_csrf(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.config, "WTF_CSRF_ENABLED", False)


@pytest.fixture
def nurse(visit: Any, sign_in: Any, client: Any) -> Any:
    """A visit, and a nurse of its site in the browser."""
    scene = visit()
    sign_in("nurse", locations=(scene.site,))
    db.session.commit()
    scene.client = client
    scene.address = f"/staff/sessions/{scene.session.id}/watch"
    scene.sign_in = lambda: sign_in("nurse", locations=(scene.site,))  # anew, where time has passed
    return scene


def room(scene: Any) -> str:
    return str(scene.client.get(f"/staff/room?site={scene.site.slug}").text)


def test_the_board_says_whose_check_is_due(nurse: Any) -> None:
    assert "blood pressure before the dose" in room(nurse)
    prepare(nurse)
    measure(nurse, "before")
    dose(nurse)
    with clock.frozen(NOW + timedelta(minutes=38)):
        nurse.sign_in()
        page = room(nurse)
    assert f"<h1 data-title>{nurse.chair.name}: blood pressure at 10:40, in 2 minutes</h1>" in page
    assert '<tr data-row class="lit">' in page
    assert "120/80" in page
    assert "Due in 2 min" in page


def test_the_board_asks_the_same_number_of_questions_for_any_number_of_visits(
    nurse: Any, visit: Any, count_statements: Any
) -> None:
    room(nurse)
    with count_statements() as few:
        room(nurse)
    from tests.builders import course_sessions, make_course, make_device, make_patient

    for _ in range(4):
        chair = make_device(nurse.site, kind="chair", protocols=["esketamine_trd"])
        course = make_course(make_patient(), [NOW], device=chair, need="obs", protocol="esketamine_trd")
        course_sessions(course)[0].state = "arrived"
    db.session.commit()
    with count_statements() as many:
        room(nurse)
    assert len([x for x in many if x.startswith("SELECT")]) <= len([x for x in few if x.startswith("SELECT")]) + 1


def test_late_checks_and_holds_and_forms_stand_out(nurse: Any) -> None:
    prepare(nurse)
    measure(nurse, "before", (152, 94))
    page = room(nurse)
    assert "On hold" in page
    assert "The board never cancels by itself." in page
    measure(nurse, "before")
    dose(nurse)
    with clock.frozen(NOW + timedelta(minutes=45)):
        nurse.sign_in()
        assert "5 min late" in room(nurse)


def test_a_closed_visit_has_its_form_on_the_board(nurse: Any) -> None:
    to_the_end(nurse)
    with clock.frozen(NOW + timedelta(days=8)):
        nurse.sign_in()
        assert "1 late" in room(nurse)


def test_an_empty_room_says_so(nurse: Any) -> None:
    with clock.frozen(NOW + timedelta(days=1)):
        nurse.sign_in()
        assert "No visit that is watched is planned here today." in room(nurse)


def test_a_visit_is_gone_through_by_its_page(nurse: Any) -> None:
    def post(step: str, **data: Any) -> int:
        return int(nurse.client.post(f"{nurse.address}/{step}", data=data).status_code)

    assert post("prepare", checks=list(ALL), ride="brother") == 302
    assert post("reading", moment="before", systolic="122", diastolic="78", spo2="98", sedation="5") == 302
    assert post("dose", dose_mg="56", lot="L1") == 302
    with clock.frozen(NOW + timedelta(minutes=41)):
        nurse.sign_in()
        assert post("reading", moment="40", systolic="136", diastolic="84") == 302
    with clock.frozen(NOW + timedelta(minutes=121)):
        nurse.sign_in()
        assert post("reading", moment="leaving", systolic="124", diastolic="80") == 302
        assert post("leaving", marks=["sedation", "dissociation", "ride", "stable"]) == 302
        assert post("close") == 302
        page = nurse.client.get(nurse.address).text
    assert "The visit is over" in page
    assert "Patient monitoring form" in page
    assert nurse.session.state == "completed"


@pytest.mark.parametrize(
    ("step", "data", "status", "words"),
    [
        ("reading", {"moment": "before", "systolic": "", "diastolic": "78"}, 422, "Write the upper number"),
        ("reading", {"moment": "before", "systolic": "78", "diastolic": "122"}, 422, "This is no blood pressure"),
        ("reading", {"moment": "40", "systolic": "120", "diastolic": "80"}, 422, "Not a valid choice"),
        ("dose", {"dose_mg": "56"}, 409, "Not yet: Consent signed"),
        ("dose", {"dose_mg": "55"}, 422, "Choose one of the doses"),
        ("close", {}, 409, "The dose was not given"),
        ("not-today", {"reason": ""}, 422, "Say why"),
        ("form", {"reference": "fax"}, 409, "No form is due"),
        ("decide", {"decision": "give"}, 403, ""),
    ],
)
def test_what_cannot_be_done_says_why(nurse: Any, step: str, data: dict[str, str], status: int, words: str) -> None:
    answer = nurse.client.post(f"{nurse.address}/{step}", data=data)
    assert answer.status_code == status
    assert words in answer.text


def test_a_reading_is_taken_off_as_a_slip(nurse: Any) -> None:
    measure(nurse, "before")
    db.session.commit()
    seen = queries.observation_of(nurse.session.id)
    assert seen is not None
    [reading] = queries.readings_of([seen.id])[seen.id]
    address = f"/staff/sessions/{nurse.session.id}/readings/{reading.id}/void"
    assert nurse.client.post(address).status_code == 302
    assert nurse.client.post(address).status_code == 404


def test_the_desk_does_not_see_the_room(visit: Any, sign_in: Any, client: Any) -> None:
    scene = visit()
    sign_in("front_desk", locations=(scene.site,))
    assert client.get("/staff/room").status_code == 403


# -- TMS ------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def operator(tms: Any, sign_in: Any, client: Any) -> Any:
    sign_in("operator", locations=(tms.site,))
    db.session.commit()
    tms.client = client
    tms.address = f"/staff/sessions/{tms.session.id}/record"
    return tms


def test_a_session_is_recorded_by_its_page(operator: Any) -> None:
    page = operator.client.get(operator.address).text
    assert "Is it safe to start?" in page
    assert "Not measured" in page
    assert operator.client.post(f"{operator.address}/begin", data=FINE).status_code == 302
    given = {"intensity_percent": "120", "pulses": "3000", "headache": "2", "scalp_pain": "0", "note": "fine"}
    assert operator.client.post(f"{operator.address}/finish", data=given).status_code == 302
    page = operator.client.get(operator.address).text
    assert "Session 1 was given" in page
    assert "120 % of it" in page


@pytest.mark.parametrize(
    ("state", "title"),
    [("completed", "Done, and nothing recorded"), ("no_show", "Missed"), ("cancelled", "Cancelled")],
)
def test_a_session_that_is_over_does_not_ask_whether_it_is_safe_to_start(operator: Any, state: str, title: str) -> None:
    operator.session.state, operator.session.ended_at = state, NOW
    db.session.commit()
    page = operator.client.get(operator.address).text
    assert f"<h1>{title}</h1>" in page
    assert "Start the session" not in page
    assert "Not given today" not in page


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sleep_hours": ""}, "Ask how long the person slept."),
        ({"alcohol_last_24h": ""}, "Answer every check."),
        ({"earplugs_in": ""}, "earplugs in"),
        ({"new_metal_or_implant": "yes"}, "Call the prescriber before treating"),
        ({"threshold_percent": "140"}, "from 1 to 100"),
    ],
)
def test_checks_that_are_not_whole_say_what_to_do(operator: Any, change: dict[str, str], words: str) -> None:
    data = {key: value for key, value in {**FINE, **change}.items() if value}
    answer = operator.client.post(f"{operator.address}/begin", data=data)
    assert answer.status_code == 422
    assert words in answer.text


def test_an_event_is_written_down_and_shown(operator: Any) -> None:
    address = f"/staff/sessions/{operator.session.id}/event"
    assert operator.client.get(address).status_code == 200
    data = {"kind": "seizure", "severity": "severe", "happened_at": "2026-11-23T09:58", "note": "twenty seconds"}
    assert operator.client.post(address, data={**data, "note": ""}).status_code == 422
    assert "Choose what happened." in operator.client.post(address, data={**data, "kind": ""}).text
    assert operator.client.post(address, data={**data, "happened_at": "2026-11-23T10:30"}).status_code == 422
    assert operator.client.post(address, data=data).status_code == 302
    page = operator.client.get(operator.address).text
    assert "twenty seconds" in page
    assert "no further TMS until a prescriber lifts this" in page


def test_a_prescriber_lifts_a_hold_with_a_reason(operator: Any, sign_in: Any) -> None:
    test_an_event_is_written_down_and_shown(operator)
    [hold] = queries.open_holds(operator.patient.id)
    address = f"/staff/holds/{hold.id}/lift"
    assert operator.client.get(address).status_code == 403
    sign_in("prescriber", locations=(operator.site,))
    assert operator.client.post(address, data={"reason": ""}).status_code == 422
    assert operator.client.post(address, data={"reason": "seen by neurology"}).status_code == 302
    db.session.commit()
    assert operator.client.post(address, data={"reason": "again"}).status_code == 409


# -- permits ----------------------------------------------------------------------------------------------------------------


def test_the_enrollment_is_entered_and_shown_on_the_record(visit: Any, sign_in: Any, client: Any) -> None:
    scene = visit(permitted=False)
    sign_in("front_desk", locations=(scene.site,))
    db.session.commit()
    address = f"/staff/patients/{scene.patient.id}/enrollment"
    assert client.post(address, data={"number": "", "enrolled_on": "2026-11-20"}).status_code == 422
    assert client.post(address, data={"number": "E1", "enrolled_on": "2026-11-30"}).status_code == 422
    assert client.post(address, data={"number": "E1", "enrolled_on": "2026-11-20"}).status_code == 302
    assert ": enrolled" in client.get(f"/staff/patients/{scene.patient.id}").text
    assert "No authorization stands for this treatment" in client.get(address).text


def test_the_manager_certifies_a_site(visit: Any, sign_in: Any, client: Any) -> None:
    scene = visit(permitted=False)
    sign_in("manager", locations=(scene.site,))
    address = f"/staff/settings/locations/{scene.site.id}/certification"
    assert address in client.get(f"/staff/settings/locations/{scene.site.id}").text
    data = {"number": "C9", "certified_on": "2026-02-01", "expires_on": "2026-01-01"}
    assert client.post(address, data=data).status_code == 422
    assert client.post(address, data={**data, "expires_on": ""}).status_code == 302
    assert queries.certification(scene.site.id, "spravato_rems") is not None
