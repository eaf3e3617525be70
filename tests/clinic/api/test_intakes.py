"""Histories and decisions through the JSON API."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.builders import eligible_record, make_patient
from tests.clinic.api.conftest import Scene

Call = Callable[..., Any]


@pytest.fixture
def patient_id(scene: Scene) -> int:
    return make_patient().id


def test_a_history_is_answered_with_its_assessment(call: Call, patient_id: int) -> None:
    answer = call("POST", "/intakes", {"patient_id": patient_id, "record": eligible_record(id="abc")})
    assert answer.status_code == 201
    assessment = answer.json["assessment"]
    assert (assessment["trd"]["verdict"], assessment["pathways"]["tms"]["verdict"]) == ("met", "likely_eligible")
    kept = call("GET", f"/intakes/{answer.json['id']}").json
    assert (kept["state"], kept["record"]["trials"][0]["drug"]) == ("submitted", "sertraline")


def test_a_later_history_supersedes_and_both_are_listed(call: Call, patient_id: int) -> None:
    ids = [
        call("POST", "/intakes", {"patient_id": patient_id, "record": eligible_record(age=age)}).json["id"]
        for age in (40, 41)
    ]
    older, newer = (call("GET", f"/intakes/{each}").json for each in ids)
    assert (older["state"], older["record"]["age"], newer["state"]) == ("superseded", 40, "submitted")
    assert [(one["id"], one["state"]) for one in newer["versions"]] == [(ids[1], "submitted"), (ids[0], "superseded")]


def test_a_repeated_send_with_one_key_makes_one_intake(call: Call, patient_id: int) -> None:
    body = {"patient_id": patient_id, "record": eligible_record()}
    first, second = (call("POST", "/intakes", body, key="k1") for _ in range(2))
    assert first.json == second.json
    assert len(call("GET", f"/patients/{patient_id}/assessments").json["items"]) == 1


def test_assessments_are_paged_newest_first(call: Call, patient_id: int) -> None:
    path = f"/patients/{patient_id}/assessments"
    bodies = [{"patient_id": patient_id, "record": eligible_record(age=age)} for age in (40, 41, 42)]
    made = [call("POST", "/intakes", body).json["assessment"]["id"] for body in bodies]
    first = call("GET", f"{path}?limit=2").json
    second = call("GET", f"{path}?limit=2&cursor={first['next_cursor']}").json
    assert [row["id"] for row in first["items"] + second["items"]] == made[::-1]
    assert second["next_cursor"] is None
    assert call("GET", f"{path}?limit=0").status_code == call("GET", f"{path}?cursor=x").status_code == 422


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"age": "forty"}, "$.age"),
        ({"phq9": [1, 2]}, "$.phq9"),
        ({"shoe_size": 40}, "$.shoe_size"),
        ({"trials": [{"drug": "x", "weeks": -1}]}, "$.trials[0].weeks"),
    ],
)
def test_a_wrong_record_names_its_field_and_stores_nothing(
    call: Call, patient_id: int, change: dict[str, Any], path: str
) -> None:
    answer = call("POST", "/intakes", {"patient_id": patient_id, "record": eligible_record(**change)})
    assert (answer.status_code, answer.content_type) == (422, "application/problem+json")
    assert [one["path"] for one in answer.json["fields"]] == [path]
    assert call("GET", f"/patients/{patient_id}/assessments").json["items"] == []


def test_nobody_is_assessed_who_is_not_there(call: Call) -> None:
    assert call("POST", "/intakes", {"patient_id": 10**9, "record": {}}).status_code == 404


def test_only_a_prescriber_decides(call: Call, patient_id: int) -> None:
    call("POST", "/intakes", {"patient_id": patient_id, "record": eligible_record()})
    body = {"pathway": "tms", "decision": "approve", "reason": "two adequate trials"}
    assert call("POST", f"/patients/{patient_id}/decisions", body).status_code == 403
    answer = call("POST", f"/patients/{patient_id}/decisions", body, role="prescriber")
    assert (answer.status_code, list(answer.json)) == (201, ["id"])


def test_an_override_needs_to_be_said(call: Call, patient_id: int) -> None:
    call("POST", "/intakes", {"patient_id": patient_id, "record": eligible_record(trials=[])})
    body = {"pathway": "tms", "decision": "approve", "reason": "severe illness"}
    path = f"/patients/{patient_id}/decisions"
    assert call("POST", path, body, role="prescriber").status_code == 422
    assert call("POST", path, {**body, "override": True}, role="prescriber").status_code == 201


def test_without_a_history_there_is_nothing_to_decide(call: Call, patient_id: int) -> None:
    body = {"pathway": "tms", "decision": "approve", "reason": "x"}
    answer = call("POST", f"/patients/{patient_id}/decisions", body, role="prescriber")
    assert (answer.status_code, answer.json["code"]) == (409, "conflict")
