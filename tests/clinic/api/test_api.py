"""The JSON API: what it promises for every call, and the calls of scheduling."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from clinic import clock
from clinic.api import idempotency
from clinic.api.models import IdempotencyKey
from clinic.db import db
from clinic.errors import Conflict
from clinic.scheduling import queries
from clinic.staff.operations import create_token
from tests.builders import TESTER, make_location, make_staff
from tests.clinic.api.conftest import Scene

Call = Callable[..., Any]


def days_on(days: int) -> datetime:
    """So many days after the frozen clock."""
    return datetime(2026, 11, 23, 18, 0, tzinfo=UTC) + timedelta(days=days)


PATIENT = {"given_name": "Ana", "family_name": "Lopez", "birth_date": "1981-04-02"}


def proposals(call: Call, scene: Scene, **more: Any) -> Any:
    return call("POST", "/course-proposals", {"patient_id": scene.patient_id, "protocol": "itbs_left", **more}).json


def book(call: Call, scene: Scene) -> Any:
    chosen = proposals(call, scene)["proposals"][0]
    return call("POST", "/courses", {"patient_id": scene.patient_id, "proposal_id": chosen["id"]})


def is_problem(response: Any, status: int, code: str) -> bool:
    return (
        response.status_code == status
        and response.content_type == "application/problem+json"
        and response.json["code"] == code
        and response.json["status"] == status
    )


# -- every call -----------------------------------------------------------------------------------------------------


def test_a_call_without_a_token_is_refused(client: FlaskClient, scene: Scene) -> None:
    response = client.get("/api/v1/locations")
    assert is_problem(response, 401, "unauthorized")
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_a_staff_cookie_is_no_credential(client: FlaskClient, sign_in: Any, scene: Scene) -> None:
    sign_in("manager")
    assert client.get("/api/v1/locations").status_code == 401


def test_a_role_that_does_not_serve_is_refused(call: Call) -> None:
    assert is_problem(call("POST", "/patients", PATIENT, role="operator"), 403, "refused")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/courses/99", 404),
        ("DELETE", "/courses", 405),
        ("GET", f"/courses/{10**30}", 404),
    ],
)
def test_what_is_not_there_is_a_problem(call: Call, method: str, path: str, status: int) -> None:
    response = call(method, path)
    assert (response.status_code, response.content_type) == (status, "application/problem+json")


def test_the_description_names_every_call(call: Call, app: Flask) -> None:
    spec = call("GET", "/openapi.json").json
    assert spec["openapi"] == "3.1.0"
    served = {
        re.sub("<(?:int|uuid):", "{", str(rule)).replace(">", "}")
        for rule in app.url_map.iter_rules()
        if str(rule).startswith("/api/")
    }
    assert served - set(spec["paths"]) == {"/api/v1/openapi.json"}
    assert {"Problem", "CourseQuestion", "PatientIn"} <= set(spec["components"]["schemas"])


def test_the_description_says_201_of_what_creates(call: Call) -> None:
    paths = call("GET", "/openapi.json").json["paths"]
    for path in ("/patients", "/intakes", "/patients/{patient_id}/decisions", "/courses"):
        assert {"200", "201"} & set(paths[f"/api/v1{path}"]["post"]["responses"]) == {"201"}
    assert {"200", "201"} & set(paths["/api/v1/course-proposals"]["post"]["responses"]) == {"200"}


def test_the_description_needs_no_token(client: FlaskClient) -> None:
    assert client.get("/api/v1/openapi.json").status_code == 200


# -- idempotency ----------------------------------------------------------------------------------------------------


def test_the_same_key_and_body_is_answered_not_repeated(call: Call) -> None:
    first, second = call("POST", "/patients", PATIENT, key="k1"), call("POST", "/patients", PATIENT, key="k1")
    assert first.status_code == second.status_code == 201
    assert first.json == second.json
    assert second.headers["Idempotent-Replayed"] == "true"


def test_the_same_key_with_another_body_is_refused(call: Call) -> None:
    call("POST", "/patients", PATIENT, key="k1")
    other = call("POST", "/patients", {**PATIENT, "given_name": "Eva"}, key="k1")
    assert is_problem(other, 422, "idempotency_key_reused")


def test_a_key_is_free_again_after_a_day(call: Call, now: datetime) -> None:
    first = call("POST", "/patients", PATIENT, key="k1")
    with clock.frozen(now + timedelta(hours=24)):
        assert call("POST", "/patients", PATIENT, key="k1").json["id"] != first.json["id"]


def test_a_key_whose_request_died_is_free_after_minutes_and_the_dead_one_overwrites_nothing(
    call: Call, monkeypatch: Any, now: datetime
) -> None:
    monkeypatch.setattr(idempotency, "_keep", lambda *_: None)
    call("POST", "/patients", PATIENT, key="k1")
    dead = db.session.scalars(select(IdempotencyKey.id)).one()
    monkeypatch.undo()
    with clock.frozen(now + timedelta(minutes=4)):
        assert call("POST", "/patients", PATIENT, key="k1").status_code == 201
    assert db.session.scalars(select(IdempotencyKey.id)).one() != dead


def test_what_was_done_is_answered_where_the_answer_cannot_be_kept(call: Call, monkeypatch: Any) -> None:
    def gone(*_: object) -> None:
        raise OperationalError("UPDATE", {}, Exception("gone"))

    monkeypatch.setattr(idempotency, "_keep", gone)
    assert call("POST", "/patients", PATIENT, key="k5").status_code == 201


def test_a_key_whose_request_still_runs_is_a_conflict(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "after", lambda response: response)
    call("POST", "/patients", PATIENT, key="k1")
    assert is_problem(call("POST", "/patients", PATIENT, key="k1"), 409, "conflict")


def test_the_answer_to_a_booking_is_kept_with_it(call: Call, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = proposals(call, scene)["proposals"][0]
    body = {"patient_id": scene.patient_id, "proposal_id": chosen["id"]}
    monkeypatch.setattr(idempotency, "after", lambda response: response)  # the process dies once it has booked
    first = call("POST", "/courses", body, key="k6")
    again = call("POST", "/courses", body, key="k6")
    assert (first.status_code, again.status_code, again.headers["Idempotent-Replayed"]) == (201, 201, "true")
    assert again.json == first.json == call("GET", f"/courses/{first.json['id']}").json


def test_a_booking_that_is_not_committed_keeps_no_answer(
    call: Call, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen, kept = proposals(call, scene)["proposals"][0], idempotency.kept_along

    def keep_and_fail(response: Any) -> None:
        kept(response)
        raise Conflict("the commit failed")

    monkeypatch.setattr(idempotency, "kept_along", keep_and_fail)
    body = {"patient_id": scene.patient_id, "proposal_id": chosen["id"]}
    assert call("POST", "/courses", body, key="k7").status_code == 409
    assert call("POST", "/courses", body, key="k7").headers["Idempotent-Replayed"] == "true"
    assert db.session.scalars(select(IdempotencyKey.status).where(IdempotencyKey.key == "k7")).one() == 409


def test_two_tokens_do_not_share_keys(call: Call) -> None:
    first = call("POST", "/patients", PATIENT, key="k1")
    assert call("POST", "/patients", PATIENT, key="k1", role="manager").json["id"] != first.json["id"]


def test_a_refusal_is_remembered_too(call: Call, scene: Scene) -> None:
    body = {"patient_id": 10**9, "protocol": "itbs_left"}
    assert call("POST", "/course-proposals", body, key="k2").status_code == 404
    assert call("POST", "/course-proposals", body, key="k2").headers["Idempotent-Replayed"] == "true"


# -- calls ----------------------------------------------------------------------------------------------------------


def test_a_patient_is_created_with_a_record_number(call: Call) -> None:
    response = call("POST", "/patients", {**PATIENT, "email": "ana@example.org", "consents": {"email": True}})
    assert response.status_code == 201
    assert response.json["record_number"].startswith("D-")


def test_sites_devices_and_protocols_are_listed(call: Call, scene: Scene) -> None:
    assert [x["id"] for x in call("GET", "/locations").json["items"]] == ["fullerton"]
    (device,) = call("GET", "/devices").json["items"]
    assert (device["id"], device["location"]) == (scene.device_id, "fullerton")
    assert {x["id"]: x["sessions"] for x in call("GET", "/protocols").json["items"]}["itbs_left"] == 36


def test_lists_are_paged_by_a_cursor(call: Call) -> None:
    first = call("GET", "/protocols?limit=2").json
    second = call("GET", f"/protocols?limit=2&cursor={first['next_cursor']}").json
    assert len(first["items"]) == len(second["items"]) == 2
    assert {x["id"] for x in first["items"]}.isdisjoint(x["id"] for x in second["items"])
    assert call("GET", "/protocols?limit=0").status_code == 422
    assert call("GET", "/protocols?cursor=none").status_code == 422


def test_open_times_shrink_when_a_course_is_booked(call: Call, scene: Scene) -> None:
    path = "/availability?location=fullerton&protocol=itbs_left&from=2026-11-24&to=2026-11-24&limit=1000"
    before = call("GET", path).json["items"]
    assert before[0]["starts_at"] == "2026-11-24T08:00:00-08:00"
    assert len(before) == 118  # 8:00 to 17:45 in steps of five minutes: ten, and five of turnover
    book(call, scene)
    assert 0 < len(call("GET", path).json["items"]) < 118


@pytest.mark.parametrize(
    "query",
    [
        "location=fullerton&protocol=itbs_left&from=2026-11-24&to=2027-02-24",
        "location=fullerton&protocol=itbs_left&from=2026-11-24&to=2026-11-23",
        "location=fullerton&protocol=itbs_left&from=tomorrow&to=2026-11-23",
        "location=fullerton&from=2026-11-24&to=2026-11-24",
        "location=fullerton&protocol=itbs_left&from=2199-11-24&to=2199-11-24",
    ],
)
def test_open_times_are_asked_for_at_most_92_days_within_two_years(call: Call, query: str) -> None:
    assert call("GET", f"/availability?{query}").status_code == 422


def test_proposals_are_whole_courses_with_their_reasons(call: Call, scene: Scene) -> None:
    found = proposals(call, scene, daily_window={"from": "08:00", "to": "12:00"})["proposals"]
    assert len(found) == 3
    for each in found:
        assert {"id", "expires_at", "location", "starts_on", "ends_on", "cost", "why", "sessions"} <= set(each)
        assert [s["number"] for s in each["sessions"]] == list(range(1, 37))
        assert {s["starts_at"][11:13] for s in each["sessions"]} <= {"08", "09", "10", "11"}


def test_no_course_says_which_rule_binds(call: Call, scene: Scene) -> None:
    answer = proposals(call, scene, daily_window={"from": "08:00", "to": "08:30"})
    assert answer["proposals"] == []
    assert answer["binding"][0]["rule"] == "inside_one_window"
    assert answer["binding"][0]["opens"]


def test_proposing_without_a_decision_is_a_conflict(call: Call, scene: Scene) -> None:
    patient = call("POST", "/patients", PATIENT).json["id"]
    body = {"patient_id": patient, "protocol": "itbs_left"}
    assert is_problem(call("POST", "/course-proposals", body), 409, "decision_required")
    row = proposals(call, scene)["proposals"][0]
    sessions = [{"starts_at": s["starts_at"], "device": s["device"]} for s in row["sessions"]]
    answer = call("POST", "/courses", {"patient_id": patient, "protocol": "itbs_left", "sessions": sessions})
    assert is_problem(answer, 409, "decision_required")


def test_a_proposal_is_booked_whole(call: Call, scene: Scene) -> None:
    response = book(call, scene)
    assert response.status_code == 201
    assert [*response.json][:4] == ["id", "patient_id", "protocol", "state"]  # in the order in which it is described
    assert len(response.json["sessions"]) == 36
    shown = call("GET", f"/courses/{response.json['id']}").json
    assert shown == response.json
    assert shown["state"] == "booked"


def test_sessions_that_are_taken_are_named_and_fresh_proposals_offered(call: Call, scene: Scene) -> None:
    rows = proposals(call, scene)["proposals"][0]["sessions"]
    utc = [datetime.fromisoformat(s["starts_at"]).astimezone(UTC).isoformat() for s in rows]
    sessions = [{"starts_at": at, "device": s["device"]} for at, s in zip(utc, rows, strict=True)]
    body = {"patient_id": scene.patient_id, "protocol": "itbs_left", "sessions": sessions}
    assert call("POST", "/courses", body).status_code == 201
    second = call("POST", "/courses", body)
    assert is_problem(second, 409, "conflict")
    assert len(second.json["taken"]) == 36
    assert [s["starts_at"] for s in second.json["taken"]] == [s["starts_at"] for s in rows]
    assert len(second.json["proposals"]) == 3


def test_a_booked_proposal_is_not_booked_again(call: Call, scene: Scene) -> None:
    chosen = {"patient_id": scene.patient_id, "proposal_id": proposals(call, scene)["proposals"][0]["id"]}
    first = call("POST", "/courses", chosen)
    second = call("POST", "/courses", chosen)
    assert is_problem(second, 409, "conflict")
    assert second.json["course_id"] == first.json["id"]
    assert second.json["proposals"]


def test_an_expired_proposal_offers_fresh_ones(call: Call, scene: Scene, now: datetime) -> None:
    chosen = proposals(call, scene)["proposals"][0]["id"]
    with clock.frozen(now + timedelta(minutes=16)):
        response = call("POST", "/courses", {"patient_id": scene.patient_id, "proposal_id": chosen})
    assert is_problem(response, 409, "expired")
    assert response.json["proposals"]


def test_a_course_is_paused_resumed_and_cancelled(call: Call, scene: Scene) -> None:
    course = book(call, scene).json["id"]
    assert call("POST", f"/courses/{course}/pause", {"reason": "travel"}).json["state"] == "paused"
    resumed = call("POST", f"/courses/{course}/resume", {"from": "2026-12-07"}).json
    assert resumed["state"] == "booked"
    assert min(s["starts_at"] for s in resumed["sessions"] if s["state"] == "booked") > "2026-12-07"
    assert call("POST", f"/courses/{course}/cancel").json["state"] == "cancelled"
    assert call("POST", f"/courses/{course}/cancel").status_code == 409


def test_a_session_moves_and_frees_and_is_made_up(call: Call, scene: Scene) -> None:
    rows = book(call, scene).json["sessions"]
    later = (datetime.fromisoformat(rows[5]["starts_at"]) + timedelta(hours=1)).isoformat()
    assert call("POST", f"/appointments/{rows[5]['id']}/move", {"starts_at": later}).json["revision"] == 1
    freed = call("POST", f"/appointments/{rows[6]['id']}/cancel").json
    assert (freed["state"], len(freed["proposals"])) == ("cancelled", 3)
    place = {key: freed["proposals"][0][key] for key in ("starts_at", "device")}
    added = call("POST", f"/courses/{freed['course_id']}/make-ups", place)
    assert (added.status_code, added.json["number"]) == (201, 36)


def test_a_session_is_delivered_or_missed_on_its_day(call: Call, scene: Scene) -> None:
    rows = book(call, scene).json["sessions"]
    assert call("POST", f"/appointments/{rows[5]['id']}/arrive").status_code == 409
    with clock.frozen(datetime.fromisoformat(rows[0]["starts_at"])):
        assert call("POST", f"/appointments/{rows[0]['id']}/arrive").json["state"] == "arrived"
        assert call("POST", f"/appointments/{rows[0]['id']}/complete").json["state"] == "completed"
    with clock.frozen(datetime.fromisoformat(rows[1]["starts_at"])):
        missed = call("POST", f"/appointments/{rows[1]['id']}/no-show").json
    assert (missed["state"], len(missed["proposals"])) == ("no_show", 3)


BAD = [None, [], 7, "x", {}, {"patient_id": None}, {"patient_id": "x\x00"}, {"unknown": 1}, {"patient_id": 10**40}]
PATHS = ["/patients", "/course-proposals", "/courses", "/appointments/1/move", "/courses/1/make-ups"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", BAD, ids=repr)
def test_a_bad_body_is_a_problem_and_never_a_fault(call: Call, path: str, body: Any) -> None:
    response = call("POST", path, body)
    assert response.status_code in (400, 404, 409, 422)
    assert response.content_type == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/patients", {**PATIENT, "given_name": "A\x00"}),
        ("/patients", {**PATIENT, "birth_date": "2999-01-01"}),
        ("/patients", {**PATIENT, "language": "xx"}),
        ("/patients", {**PATIENT, "record_number": "D-1"}),
        ("/patients", {**PATIENT, "preferred_nam": "Ana"}),
        ("/course-proposals", {"patient_id": 1, "protocol": "none"}),
        ("/course-proposals", {"patient_id": 1, "protocol": "itbs_left", "earliest_start": "9999-12-31"}),
        (
            "/course-proposals",
            {"patient_id": 1, "protocol": "itbs_left", "daily_window": {"from": "12:00", "to": "08:00"}},
        ),
        ("/course-proposals", {"patient_id": 1, "protocol": "itbs_left", "weekdays": ["someday"]}),
        ("/course-proposals", {"patient_id": 1, "protocol": "itbs_left", "locations": ["nowhere"]}),
        ("/courses", {"patient_id": 1, "proposal_id": "not-a-uuid"}),
        ("/courses", {"patient_id": 1, "protocol": "itbs_left", "sessions": []}),
        (
            "/courses",
            {"patient_id": 1, "protocol": "itbs_left", "sessions": [{"starts_at": "2026-11-24T09:00", "device": 1}]},
        ),
        ("/appointments/1/move", {"starts_at": "0001-01-01T00:00:00+14:00"}),
        ("/appointments/1/move", {"starts_at": 1795510800}),
        ("/patients", {**PATIENT, "birth_date": 86400}),
        ("/patients", {**PATIENT, "consents": {"sms": "yes"}}),
        (
            "/course-proposals",
            {"patient_id": 1, "protocol": "itbs_left", "daily_window": {"from": 800, "to": "12:00"}},
        ),
    ],
    ids=repr,
)
def test_wrong_values_are_a_problem_and_never_a_fault(call: Call, scene: Scene, path: str, body: Any) -> None:
    if body.get("patient_id") == 1:
        body = {**body, "patient_id": scene.patient_id}
    response = call("POST", path, body)
    assert response.status_code in (404, 422), response.json
    assert response.content_type == "application/problem+json"


def test_broken_json_is_a_problem(call: Call, client: FlaskClient, scene: Scene) -> None:
    call("GET", "/locations")
    response = client.post("/api/v1/patients", data=b"{", headers={"Authorization": "Bearer nope"})
    assert response.status_code == 401
    assert queries.courses_of(scene.patient_id) == []


# -- holds, visits, money, outages ----------------------------------------------------------------------------------


def test_a_plan_is_held_let_go_and_held_again(call: Call, scene: Scene, now: datetime) -> None:
    answer = proposals(call, scene, hold=True)
    assert datetime.fromisoformat(answer["held_until"]) == now + timedelta(minutes=10)
    path = f"/course-proposals/{answer['proposals'][1]['id']}"
    assert call("POST", f"{path}/hold").json["held_until"]
    assert "held_until" not in call("POST", f"{path}/release").json
    assert call("POST", f"/course-proposals/{uuid4()}/hold").status_code == 404


def a_visit(scene: Scene, **more: Any) -> dict[str, Any]:
    staff = make_staff("therapist", licensed_in=["CA"])
    return {
        "patient_id": scene.patient_id,
        "kind": "consult",
        "staff": staff.id,
        "location": scene.location,
        "starts_at": "2026-11-24T11:00:00-08:00",
        "minutes": 30,
        **more,
    }


def test_a_visit_is_booked_moved_and_cancelled_under_one_kind_of_id(call: Call, scene: Scene) -> None:
    booked = call("POST", "/appointments", a_visit(scene))
    assert (booked.status_code, booked.json["course_id"], booked.json["device"]) == (201, None, None)
    path = f"/appointments/{booked.json['id']}"
    moved = call("POST", f"{path}/move", {"starts_at": "2026-11-24T12:00:00-08:00"}).json
    assert (moved["starts_at"], moved["revision"]) == ("2026-11-24T12:00:00-08:00", 1)
    cancelled = call("POST", f"{path}/cancel", {"reason": "ill"}).json
    assert (cancelled["state"], cancelled["proposals"], cancelled["beyond"]) == ("cancelled", [], [])


def test_a_soft_rule_is_named_and_given_way_to_a_reason(call: Call, scene: Scene) -> None:
    body = a_visit(scene, mode="video", patient_state="NV")
    refused = call("POST", "/appointments", body)
    assert is_problem(refused, 409, "reason_needed")
    assert refused.json["rules"][0]["rule"] == "licensed_in_state"
    assert call("POST", "/appointments", {**body, "reason": "licence on its way"}).status_code == 201


def test_what_a_payer_approved_bounds_the_booking(call: Call, scene: Scene) -> None:
    body = {
        "payer": "aetna",
        "number": "A-1",
        "pathway": "tms",
        "sessions_approved": 30,
        "valid_from": "2026-11-01",
        "valid_until": "2027-03-01",
    }
    path = f"/patients/{scene.patient_id}"
    assert call("POST", f"{path}/authorisations", body).json["sessions_left"] == 30
    plan = {"patient_id": scene.patient_id, "proposal_id": proposals(call, scene)["proposals"][0]["id"]}
    refused = call("POST", "/courses", plan)
    assert is_problem(refused, 409, "not_authorised")
    assert len(refused.json["sessions"]) == 6
    agreed = {"pathway": "tms", "what": "6 at 300 dollars", "agreed_on": "2026-11-20"}
    self_pay = call("POST", f"{path}/self-pay-agreements", agreed).json["id"]
    course = call("POST", "/courses", {**plan, "self_pay": self_pay}).json
    assert [one["paid_by"] for one in course["sessions"]] == ["payer"] * 30 + ["patient"] * 6
    funds = call("GET", f"/courses/{course['id']}/funds").json
    assert (funds["left"], funds["self_paid"], funds["authorisations"][0]["booked"]) == (0, 6, 30)
    (listed,) = call("GET", f"{path}/authorisations").json["items"]
    assert "number" not in listed
    assert call("POST", f"/authorisations/{listed['id']}/end", {"reason": "plan ended"}).json["ended"]


def test_an_outage_is_previewed_applied_once_and_answered(call: Call, scene: Scene) -> None:
    book(call, scene)
    body = {"from": "2026-12-02T00:00:00-08:00", "to": "2026-12-02T23:00:00-08:00", "reason": "coil"}
    opened = call("POST", f"/devices/{scene.device_id}/outages", body)
    assert opened.status_code == 201
    preview = opened.json["preview"]
    assert {"moved", "unplaced", "cost", "bound"} <= set(preview)
    assert len(preview["moved"]) == 1
    path = f"/outages/{opened.json['id']}"
    assert is_problem(call("POST", f"{path}/apply", {"revision": 7}), 409, "stale")
    applied = call("POST", f"{path}/apply")
    assert (applied.json["state"], len(applied.json["applied"])) == ("applied", 1)
    assert is_problem(call("POST", f"{path}/apply"), 409, "already_over")
    (change,) = call("GET", f"/patients/{scene.patient_id}/changes").json["items"]
    assert call("POST", f"/changes/{change['id']}/accept").json["state"] == "accepted"


def test_an_outage_that_did_not_happen_is_withdrawn(call: Call, scene: Scene) -> None:
    body = {"from": "2026-12-02T00:00:00-08:00", "to": "2026-12-02T23:00:00-08:00", "reason": "coil"}
    path = f"/outages/{call('POST', f'/devices/{scene.device_id}/outages', body).json['id']}"
    assert call("POST", f"{path}/withdraw").json["state"] == "withdrawn"
    assert call("GET", path).json["state"] == "withdrawn"
    assert is_problem(call("POST", f"{path}/preview"), 409, "already_over")


def test_a_course_is_extended_by_a_prescriber_and_swaps_its_device(call: Call, scene: Scene) -> None:
    course = book(call, scene).json
    path, body = f"/courses/{course['id']}", {"kind": "daily", "count": 2, "reason": "partial response"}
    assert is_problem(call("POST", f"{path}/extend", body), 403, "refused")
    extended = call("POST", f"{path}/extend", body, role="prescriber").json
    assert (extended["planned_sessions"], len(extended["sessions"])) == (38, 38)
    assert call("POST", f"{path}/swap-device", {"device": scene.device_id}).status_code == 200


def test_places_that_a_token_was_not_granted_do_not_exist_for_it(client: FlaskClient, scene: Scene) -> None:
    token = create_token(name="t", role="service", location_ids=[make_location().id], by=TESTER)
    body = {"from": "2026-12-02T00:00:00-08:00", "to": "2026-12-02T23:00:00-08:00", "reason": "coil"}
    answer = client.post(
        f"/api/v1/devices/{scene.device_id}/outages", json=body, headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 404
