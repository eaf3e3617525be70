"""Packets in the database: issued once and never edited, tasks for what is missing, and who may do what."""

import io
import re
from datetime import date, timedelta
from typing import Any

import pypdf
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from clinic import clock
from clinic.audit import AuditEvent
from clinic.db import db
from clinic.eligibility import operations, packets, queries
from clinic.eligibility.models import Packet
from clinic.eligibility.operations import Decide, submit_record
from clinic.eligibility.packets import Assignment
from clinic.errors import Conflict, Invalid
from clinic.surveys.models import Score
from clinic.tasks.models import Task
from tests.builders import TESTER, eligible_record, make_location, make_patient, make_profile, make_staff

POLICY = "cms_l37086_l37088_noridian"
TOMORROW = date(2026, 11, 24)


@pytest.fixture(autouse=True)
def _quiet(client: FlaskClient, now: Any, rings: Any) -> None:
    make_profile()


def sent(**overrides: Any) -> tuple[Any, int]:
    """A patient with an assessment: id of it."""
    patient = make_patient(preferred_location_id=make_location().id)
    _, assessment_id = submit_record(patient.id, eligible_record(**overrides), by=TESTER)
    return patient, assessment_id


def approve(patient_id: int) -> None:
    doctor = make_staff("prescriber", name="Dr. Ortiz")
    command = Decide(patient_id=patient_id, pathway="tms", decision="approve")
    operations.decide(command, staff_id=doctor.id, by=TESTER)


def hole_tasks() -> list[Task]:
    return list(db.session.scalars(select(Task).where(Task.kind == "packet_hole").order_by(Task.id)))


def keys(assessment_id: int) -> set[str]:
    return {hole.key for hole in packets.build(queries.assessment(assessment_id), POLICY).holes}


def url(assessment_id: int, more: str = "") -> str:
    return f"/staff/eligibility/{assessment_id}/packet/{POLICY}{more}"


# -- facts ------------------------------------------------------------------------------------------------------------


def test_a_decision_says_who_orders_it_and_when() -> None:
    patient, assessment_id = sent()
    assert "decision" in keys(assessment_id)
    approve(patient.id)
    made = packets.build(queries.assessment(assessment_id), POLICY)
    [ordered] = [line for line in made.request if line.label == "Ordered by"]
    assert ordered.text == "Dr. Ortiz, prescriber, November 23, 2026"


def test_a_record_that_was_sent_whole_is_not_called_the_patients_own_words() -> None:
    _, assessment_id = sent()
    made = packets.build(queries.assessment(assessment_id), POLICY)
    origins = {source.origin for each in made.evidence for source in each.sources if "Medicine" in each.text}
    assert origins == {"Record sent whole to the clinic, November 23, 2026"}


# -- the clinician's words --------------------------------------------------------------------------------------------


def save(patient_id: int, words: str, revision: int, protocol: str | None = None) -> None:
    packets.save_draft(
        patient_id,
        POLICY,
        words=words,
        protocol=protocol,
        revision=revision,
        staff_id=make_staff("nurse", name="Nurse Lin").id,
        by=TESTER,
    )


def test_the_paragraph_is_marked_with_who_wrote_it() -> None:
    patient, assessment_id = sent()
    save(patient.id, " She asked for it. ", 0, "tms_10hz_left_standard")
    made = packets.build(queries.assessment(assessment_id), POLICY)
    assert made.own_words is not None
    assert (made.own_words.text, made.own_words.by) == ("She asked for it.", "Nurse Lin")
    assert "protocol" not in {hole.key for hole in made.holes}


def test_the_payers_own_blocks_are_what_is_asked_for() -> None:
    patient, assessment_id = sent()
    save(patient.id, "", 0, "itbs_left.noridian")
    lines = [line.text for line in packets.build(queries.assessment(assessment_id), POLICY).request]
    asked = "25 treatment sessions, then 16 more on at least 25 percent improvement"
    assert any(text.startswith(asked) for text in lines), lines
    assert not any(each.follows for each in packets.protocols_for(POLICY))


def test_a_second_tab_overwrites_nothing() -> None:
    patient, _ = sent()
    save(patient.id, "first", 0)
    with pytest.raises(Conflict):
        save(patient.id, "second", 0)
    found = packets.draft(patient.id, POLICY)
    assert found is not None
    assert (found.words, found.revision) == ("first", 1)


@pytest.mark.parametrize("changes", [{"words": "x" * 6001}, {"protocol": "esketamine_trd"}, {"protocol": "none"}])
def test_what_cannot_be_kept_is_refused(changes: dict[str, str]) -> None:
    patient, _ = sent()
    with pytest.raises(Invalid):
        save(patient.id, changes.get("words", ""), 0, changes.get("protocol"))


# -- issue ------------------------------------------------------------------------------------------------------------


def issue(assessment_id: int) -> Packet:
    return packets.get(packets.issue(assessment_id, POLICY, staff_id=make_staff("nurse").id, by=TESTER))


def test_an_issued_packet_keeps_content_file_and_hash() -> None:
    patient, assessment_id = sent()
    row = issue(assessment_id)
    assert (row.patient_id, row.policy, row.holes) == (patient.id, POLICY, len(row.content["holes"]))
    assert packets.is_whole(row)
    text = "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(row.pdf)).pages)
    assert patient.record_number in text
    assert "Not issued" not in text


def test_the_same_content_is_issued_once_and_a_changed_fact_makes_a_new_one() -> None:
    patient, assessment_id = sent()
    first = issue(assessment_id)
    before = (first.pdf_hash, first.content)
    assert issue(assessment_id).id == first.id
    save(patient.id, "A new paragraph", 0)
    second = issue(assessment_id)
    assert second.id != first.id
    db.session.refresh(first)
    assert (first.pdf_hash, first.content) == before


def test_a_packet_of_an_older_assessment_is_not_issued() -> None:
    patient, assessment_id = sent()
    submit_record(patient.id, eligible_record(audit_c=1), by=TESTER)
    with pytest.raises(Conflict):
        issue(assessment_id)


def test_a_policy_that_nobody_verified_is_said_on_the_first_page() -> None:
    _, assessment_id = sent()
    first = pypdf.PdfReader(io.BytesIO(issue(assessment_id).pdf)).pages[0].extract_text()
    assert "Nobody at this clinic has verified our file of this policy" in " ".join(first.split())


# -- tasks ------------------------------------------------------------------------------------------------------------


def test_a_hole_becomes_a_task_with_an_owner_and_a_day() -> None:
    patient, assessment_id = sent()
    nurse = make_staff("nurse")
    given = [
        Assignment("psychotherapy", TOMORROW, staff_id=nurse.id),
        Assignment("decision", TOMORROW, role="prescriber"),
    ]
    assert packets.make_tasks(assessment_id, POLICY, given, by=TESTER) == 2
    first, second = hole_tasks()
    assert (first.owner_id, first.patient_id, first.due_at.date()) == (nurse.id, patient.id, date(2026, 11, 25))
    assert (second.owner_id, second.for_role) == (None, "prescriber")
    assert first.due_at - clock.now() == timedelta(days=1, hours=7)  # tomorrow at 17:00


def test_a_hole_has_one_task_at_a_time() -> None:
    _, assessment_id = sent()
    given = [Assignment("decision", TOMORROW, role="prescriber")]
    assert packets.make_tasks(assessment_id, POLICY, given, by=TESTER) == 1
    assert packets.make_tasks(assessment_id, POLICY, given, by=TESTER) == 0
    assert len(hole_tasks()) == 1


def test_a_task_closes_with_its_outcome_when_the_fact_is_on_record() -> None:
    patient, assessment_id = sent()
    given = [Assignment(key, TOMORROW, role="nurse") for key in ("psychotherapy", "trials[0]")]
    packets.make_tasks(assessment_id, POLICY, given, by=TESTER)
    record = eligible_record(psychotherapy=[{"type": "cbt", "sessions": 12}])
    submit_record(patient.id, record, by=TESTER)
    assert [(task.subject["hole"], task.outcome) for task in hole_tasks()] == [
        ("psychotherapy", "It is on record since November 23, 2026."),
        ("trials[0]", None),
    ]


def test_a_decision_closes_the_task_that_asked_for_it() -> None:
    patient, assessment_id = sent()
    packets.make_tasks(assessment_id, POLICY, [Assignment("decision", TOMORROW, role="prescriber")], by=TESTER)
    approve(patient.id)
    assert hole_tasks()[0].closed_at is not None


def test_a_fact_that_was_taken_back_can_be_asked_for_again() -> None:
    patient, assessment_id = sent()
    given = [Assignment("psychotherapy", TOMORROW, role="nurse")]
    packets.make_tasks(assessment_id, POLICY, given, by=TESTER)
    submit_record(patient.id, eligible_record(psychotherapy=[]), by=TESTER)
    _, last = submit_record(patient.id, eligible_record(), by=TESTER)
    assert packets.make_tasks(last, POLICY, given, by=TESTER) == 1
    assert [task.closed_at is None for task in hole_tasks()] == [False, True]


@pytest.mark.parametrize(
    "given",
    [
        Assignment("decision", TOMORROW, role="operator"),
        Assignment("decision", TOMORROW, role="front_desk"),
        Assignment("decision", TOMORROW, staff_id=999_999),
        Assignment("decision", TOMORROW),
        Assignment("decision", date(2026, 11, 22), role="nurse"),
    ],
)
def test_a_task_needs_a_known_owner_and_a_day_ahead(given: Assignment) -> None:
    _, assessment_id = sent()
    with pytest.raises(Invalid):
        packets.make_tasks(assessment_id, POLICY, [given], by=TESTER)


# -- pages ------------------------------------------------------------------------------------------------------------


def sign_in_at(sign_in: Any, patient: Any, *roles: str) -> Any:
    from clinic.locations.models import Location

    return sign_in(*roles, locations=(db.session.get_one(Location, patient.preferred_location_id),))


def test_the_page_leads_with_what_is_missing_and_links_evidence(client: FlaskClient, sign_in: Any) -> None:
    patient, assessment_id = sent()
    sign_in_at(sign_in, patient, "nurse")
    page = client.get(url(assessment_id))
    assert page.status_code == 200
    assert "Not yet: " in page.text
    assert page.text.index("What is missing") < page.text.index("one by one") < page.text.index('id="E1"')
    assert 'href="#E1"' in page.text
    assert "None" not in page.text


def test_a_policy_of_the_persons_payer_is_offered_first(client: FlaskClient, sign_in: Any) -> None:
    patient, assessment_id = sent(payer="Aetna")
    sign_in_at(sign_in, patient, "nurse")
    page = client.get(f"/staff/eligibility/{assessment_id}/packet").text
    assert page.index("CPB 0469") < page.index("Other payers") < page.index("L37086")
    assert "Packet for the payer" in client.get(f"/staff/eligibility/{assessment_id}").text


def test_without_a_payer_every_policy_stands_in_one_list(client: FlaskClient, sign_in: Any) -> None:
    patient, assessment_id = sent(payer=None)
    sign_in_at(sign_in, patient, "nurse")
    page = client.get(f"/staff/eligibility/{assessment_id}/packet").text
    assert "Every policy" in page
    assert "Other payers" not in page


@pytest.mark.parametrize(("role", "status"), [("front_desk", 403), ("operator", 403), ("manager", 200), ("nurse", 200)])
def test_clinical_roles_and_managers_read_a_packet(client: FlaskClient, sign_in: Any, role: str, status: int) -> None:
    patient, assessment_id = sent()
    sign_in_at(sign_in, patient, role)
    assert client.get(url(assessment_id)).status_code == status
    assert client.get(f"/staff/eligibility/{assessment_id}/packet").status_code == status


def test_a_manager_reads_no_answer_about_substances_and_takes_no_file(
    client: FlaskClient, sign_in: Any, post: Any
) -> None:
    patient, assessment_id = sent(payer="Aetna")
    packet_id = issue(assessment_id).id
    sign_in_at(sign_in, patient, "manager")
    page = client.get(f"/staff/eligibility/{assessment_id}/packet/aetna_cpb_0469").text
    assert "safety.current_substance_use" not in page
    assert "For clinical roles only" in page
    assert client.get(f"/staff/packets/{packet_id}.pdf").status_code == 403
    assert post(url(assessment_id, "/issue")).status_code == 403


def test_a_manager_finds_the_packet_on_the_record(client: FlaskClient, sign_in: Any) -> None:
    patient, assessment_id = sent(payer="Aetna")
    sign_in_at(sign_in, patient, "manager")
    page = client.get(f"/staff/patients/{patient.id}").text
    assert f"/staff/eligibility/{assessment_id}/packet/aetna_cpb_0469" in page
    sign_in_at(sign_in, patient, "front_desk")
    assert "Packet for the payer" not in client.get(f"/staff/patients/{patient.id}").text


def test_a_site_that_is_not_granted_has_no_packet(client: FlaskClient, sign_in: Any, post: Any) -> None:
    _, assessment_id = sent()
    packet_id = issue(assessment_id).id
    sign_in("prescriber", locations=(make_location(),))
    assert client.get(url(assessment_id)).status_code == 404
    assert client.get(f"/staff/packets/{packet_id}.pdf").status_code == 404
    assert post(url(assessment_id, "/issue")).status_code == 404


@pytest.mark.parametrize("path", ["999999/packet", "999999/packet/" + POLICY])
def test_what_is_not_there_is_not_found(client: FlaskClient, sign_in: Any, path: str) -> None:
    patient, assessment_id = sent()
    sign_in_at(sign_in, patient, "nurse")
    assert client.get(f"/staff/eligibility/{path}").status_code == 404
    assert client.get(f"/staff/eligibility/{assessment_id}/packet/no_such_policy").status_code == 404
    assert client.get("/staff/packets/999999.pdf").status_code == 404


def test_issue_download_and_the_trace_of_both(client: FlaskClient, sign_in: Any, post: Any) -> None:
    patient, assessment_id = sent()
    sign_in_at(sign_in, patient, "nurse")
    assert post(url(assessment_id, "/issue")).status_code == 302
    [row] = packets.issued(patient.id)
    answer = client.get(f"/staff/packets/{row.id}.pdf")
    assert answer.data == row.pdf
    assert (
        answer.headers["Content-Disposition"] == f'attachment; filename="{patient.record_number}-packet-{row.id}.pdf"'
    )
    said = db.session.scalars(select(AuditEvent.action).where(AuditEvent.entity == "packets").order_by(AuditEvent.id))
    assert list(said) == ["issued", "downloaded"]


def test_a_draft_is_marked_and_stored_nowhere(client: FlaskClient, sign_in: Any) -> None:
    patient, assessment_id = sent()
    sign_in_at(sign_in, patient, "nurse")
    answer = client.get(url(assessment_id, "/draft.pdf"))
    text = pypdf.PdfReader(io.BytesIO(answer.data)).pages[0].extract_text()
    assert "Not issued" in text
    assert packets.issued(patient.id) == []


def test_words_are_saved_and_a_second_tab_sees_both(client: FlaskClient, sign_in: Any, post: Any) -> None:
    patient, assessment_id = sent()
    sign_in_at(sign_in, patient, "nurse")
    data = {"words": "mine", "protocol": "", "revision": "0"}
    assert post(url(assessment_id, "/words"), data).status_code == 302
    answer = post(url(assessment_id, "/words"), data | {"words": "theirs"})
    assert answer.status_code == 409
    assert "mine" in answer.text
    assert "theirs" in answer.text


def test_tasks_are_made_from_the_form(client: FlaskClient, sign_in: Any, post: Any) -> None:
    patient, assessment_id = sent()
    sign_in_at(sign_in, patient, "nurse")
    data = {"pick": ["H1"], "owner-H1": "role:prescriber", "due-H1": "2026-11-24"}
    assert post(url(assessment_id, "/tasks"), data).status_code == 302
    [task] = hole_tasks()
    assert "Open packet" in client.get(f"/staff/tasks/{task.id}").text
    assert client.get(url(assessment_id)).status_code == 200


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"pick": ["H1"]},
        {"pick": ["H1"], "owner-H1": "role:owner", "due-H1": "2026-11-24"},
        {"pick": ["H1"], "owner-H1": "staff:x", "due-H1": "2026-11-24"},
        {"pick": ["H1"], "owner-H1": "role:nurse", "due-H1": "soon"},
        {"pick": ["H1"], "owner-H1": "role:nurse", "due-H1": "2020-01-01"},
        {"pick": ["H1"], "owner-H1": "role:nurse", "due-H1": "9999-12-31"},
        {"pick": ["H99"], "owner-H99": "role:nurse", "due-H99": "2026-11-24"},
    ],
)
def test_a_form_that_names_nobody_or_no_day_is_refused(sign_in: Any, post: Any, data: dict[str, Any]) -> None:
    patient, assessment_id = sent()
    sign_in_at(sign_in, patient, "nurse")
    assert post(url(assessment_id, "/tasks"), data).status_code == 422
    assert hole_tasks() == []


def test_a_day_that_is_past_is_named_and_the_other_choices_stay(sign_in: Any, post: Any) -> None:
    patient, assessment_id = sent()
    sign_in_at(sign_in, patient, "nurse")
    data = {"pick": ["H1"], "owner-H1": "role:manager", "due-H1": "2020-01-01", "due-H2": "2026-11-30"}
    html = post(url(assessment_id, "/tasks"), data).text
    assert "H1: The day lies in the past." in html
    assert 'name="due-H1" value="2020-01-01" aria-label="Due day of H1" aria-invalid="true"' in html
    assert 'name="due-H2" value="2026-11-30" aria-label="Due day of H2">' in html
    assert 'value="H1" checked' in html
    assert 'value="H2" checked' not in html
    owners = html.partition('name="owner-H1"')[2].partition("</select>")[0]
    assert re.findall(r'value="([^"]*)" selected', owners) == ["role:manager"]


def test_a_page_asks_the_database_a_bounded_number_of_times(
    client: FlaskClient, sign_in: Any, count_statements: Any
) -> None:
    patient, assessment_id = sent()
    sign_in_at(sign_in, patient, "nurse")
    with count_statements() as few:
        client.get(url(assessment_id))
    record = eligible_record()
    record["trials"] *= 6
    _, more_id = submit_record(patient.id, record, by=TESTER)
    with count_statements() as many:
        client.get(url(more_id))
    assert len(asked(many)) <= len(asked(few)) + 2  # ten more medicines


def asked(statements: list[str]) -> list[str]:
    return [each for each in statements if each.startswith(("SELECT", "INSERT", "UPDATE"))]


def test_check_ins_of_the_course_stand_among_the_scores() -> None:
    patient, assessment_id = sent()
    values = {"patient_id": patient.id, "instrument": "phq9", "instrument_version": "1", "items": [1] * 9}
    for source, total in (("intake", 9), ("survey", 11), ("survey", None)):
        result = {"total": total}
        db.session.add(Score(**values, result=result, taken_at=clock.now() - timedelta(days=2), source=source))
    db.session.flush()
    made = packets.build(queries.assessment(assessment_id), POLICY)
    assert [line.text for line in made.scores][1:] == ["11 of 27, November 21, 2026"]
