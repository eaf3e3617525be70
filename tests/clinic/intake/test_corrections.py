"""Staff fill in a form for a person or correct what was sent: on a copy, by one at a time, with who and why on record."""

from typing import Any

import pytest
from sqlalchemy import select

from clinic.db import db, transaction
from clinic.errors import AlreadyOver, Conflict, Invalid, NotFound
from clinic.intake import amending, correcting, operations, queries
from clinic.intake.amending import Change
from clinic.intake.models import AmendmentSource, Intake
from clinic.tasks.models import Task
from tests.builders import TESTER, eligible_record, make_patient, make_staff
from tests.clinic.intake.conftest import hidden


@pytest.fixture
def sent(person) -> Intake:
    """A form with one medicine."""
    person.known()
    person.save("cover", payer="Aetna")
    key = person.add_medicine("Zoloft")
    person.save(f"medicines/{key}/1", drug="Zoloft", dose="100", weeks="8")
    person.save("substances", current_substance_use="yes")
    person.send()
    return person.intake


@pytest.fixture
def nurse(database, now) -> Any:
    return make_staff("nurse", name="Maria Kent")


def correct(sent: Intake, staff: Any, reason: str = "told on the phone") -> Intake:
    return queries.get(correcting.start_correction(sent.patient_id, reason, staff_id=staff.id, by=TESTER))


def save(intake: Intake, page: str, **values: Any) -> None:
    operations.save_page(intake.id, page, values, is_complete=True, revision=99, form="f", by=TESTER)


def dose(intake: Intake, typed: str) -> None:
    [key] = queries.trial_rows(intake.id)
    operations.save_trial(
        intake.id, key, 1, {"dose": typed}, fields=["dose"], is_complete=True, revision=99, form="f", by=TESTER
    )


def send(intake: Intake) -> Intake:
    return queries.get(correcting.send(intake.id, by=TESTER))


def amend(sent: Intake, path: str, value: Any) -> Intake:
    change = Change(path, value, AmendmentSource.PATIENT)
    return queries.get(amending.amend(sent.patient_id, [change], reason="asked", by=TESTER))


def test_a_correction_takes_the_place_and_names_who_and_why(sent, nurse, rings) -> None:
    copy = correct(sent, nurse)
    dose(copy, "150")
    made = send(copy)
    assert (made.state, made.corrects_id, made.entered_by, made.reason) == (
        "submitted",
        sent.id,
        nurse.id,
        "told on the phone",
    )
    assert made.record["trials"][0]["dose_mg_per_day"] == 150
    assert made.record["as_of"] == sent.record["as_of"]
    assert (queries.get(sent.id).state, queries.get(sent.id).record["trials"][0]["dose_mg_per_day"]) == (
        "superseded",
        100,
    )
    assert ("eligibility.assess", {"intake_id": made.id}) in rings


def test_sent_twice_it_is_one(sent, nurse) -> None:
    copy = correct(sent, nurse)
    dose(copy, "150")
    assert [send(copy).id, send(copy).id] == [copy.id] * 2


def test_a_dropped_copy_changes_nothing_and_frees_the_place(sent, nurse) -> None:
    copy = correct(sent, nurse)
    dose(copy, "150")
    correcting.drop(copy.id, by=TESTER)
    assert queries.latest_submitted(sent.patient_id).id == sent.id
    with pytest.raises(AlreadyOver):
        send(copy)
    assert correct(sent, make_staff("nurse")).id != copy.id


@pytest.mark.parametrize("reason", ["", "  ", "x" * 1001])
def test_a_correction_needs_a_reason(sent, nurse, reason) -> None:
    with pytest.raises(Invalid):
        correct(sent, nurse, reason)


def test_one_at_a_time_and_the_second_learns_who(sent, nurse) -> None:
    copy = correct(sent, nurse)
    assert correct(sent, nurse).id == copy.id
    other = make_staff("prescriber")
    db.session.commit()  # the refusal rolls back what was not kept
    with pytest.raises(Conflict):
        correct(sent, other)
    held = correcting.held(sent.patient_id)
    assert (held.staff_id, held.since, held.is_correction) == (nurse.id, copy.started_at, True)
    correcting.take_over(copy.id, staff_id=other.id, by=TESTER)
    assert correct(sent, other).id == copy.id


def test_facts_added_meanwhile_are_not_lost(sent, nurse) -> None:
    copy = correct(sent, nurse)
    amend(sent, "audit_c", 4)
    amend(sent, "trials[0].adherence", "good")
    dose(copy, "150")
    record = send(copy).record
    assert record["audit_c"] == 4
    assert (record["trials"][0]["adherence"], record["trials"][0]["dose_mg_per_day"]) == ("good", 150)


def test_a_page_that_was_corrected_overrules_an_older_fact_and_no_other(sent, nurse) -> None:
    amended = amend(sent, "trials[0].dose_mg_per_day", 50)
    amended = amend(amended, "audit_c", 4)
    copy = correct(amended, nurse)
    dose(copy, "200")
    record = send(copy).record
    assert (record["trials"][0]["dose_mg_per_day"], record["audit_c"]) == (200, 4)


def test_a_form_that_the_person_sent_meanwhile_is_not_overwritten(sent, nurse) -> None:
    copy = correct(sent, nurse)
    with transaction() as after_commit:
        patient = db.session.get_one(type(queries.patient_of(sent)), sent.patient_id)
        operations.add_sent_within_transaction(patient, eligible_record(), by=TESTER, after_commit=after_commit)
    with pytest.raises(Conflict):
        send(copy)


def test_nothing_sent_nothing_to_correct(database, now, nurse) -> None:
    with pytest.raises(Conflict):
        correcting.start_correction(make_patient().id, "why", staff_id=nurse.id, by=TESTER)


def test_an_entry_knows_the_person_and_is_marked(database, now, rings, nurse) -> None:
    patient = make_patient()
    intake = queries.get(correcting.start_entry(patient.id, staff_id=nurse.id, by=TESTER))
    assert queries.values(intake.id)["about"]["given"] == patient.given_name
    save(intake, "cover", payer="Aetna")
    made = send(intake)
    assert (made.state, made.entered_by, made.record["payer"]) == ("submitted", nurse.id, "Aetna")


def test_the_persons_own_pages_never_open_what_staff_work_on(sent, nurse, person) -> None:
    copy = correct(sent, nurse)
    assert queries.open_of(sent.patient_id) is None
    with pytest.raises(NotFound):
        correcting.drop(sent.id, by=TESTER)
    assert copy.state == "open"


# -- pages ----------------------------------------------------------------------------------------------------------


def form_of(html: str) -> dict[str, str]:
    return hidden(html)


def start(client: Any, sent: Intake, reason: str = "told on the phone") -> str:
    answer = client.post(f"/staff/patients/{sent.patient_id}/intake/correct", data={"reason": reason})
    return answer.location


def test_a_nurse_corrects_on_the_forms_own_pages(sent, client, sign_in) -> None:
    nurse = sign_in("nurse", name="Maria Kent")
    refused = client.post(f"/staff/patients/{sent.patient_id}/intake/correct", data={"reason": ""})
    assert refused.status_code == 422
    at = start(client, sent)
    assert at in client.get(f"/staff/patients/{sent.patient_id}").get_data(as_text=True)
    assert "Nothing is changed yet" in client.get(at).get_data(as_text=True)
    page = client.get(f"{at}/form/cover").get_data(as_text=True)
    assert "entered by Maria Kent" in page
    assert 'value="Aetna"' in page
    saved = client.post(f"{at}/form/cover?to=review", data=form_of(page) | {"payer": "Cigna"})
    assert saved.location.startswith(f"{at}/form/")
    assert client.get(saved.location).location == at
    shown = client.get(at).get_data(as_text=True)
    assert "1 answer changed" in shown
    assert "Cigna" in shown
    assert client.post(f"{at}/send").status_code == 302
    made = queries.latest_submitted(sent.patient_id)
    assert (made.entered_by, made.record["payer"]) == (nurse.id, "Cigna")
    versions = client.get(f"/staff/patients/{sent.patient_id}/intake/versions").get_data(as_text=True)
    assert "Corrected by Maria Kent for the patient" in versions
    assert "told on the phone" in versions
    assert "Sent by the patient" in versions
    for page in ("", "/intake"):
        assert "ntered by Maria Kent for the patient" in client.get(
            f"/staff/patients/{sent.patient_id}{page}"
        ).get_data(as_text=True)


def test_medicines_are_corrected_in_their_rows(sent, client, sign_in) -> None:
    sign_in("prescriber")
    at = start(client, sent)
    [key] = queries.trial_rows(sent.id)
    page = client.get(f"{at}/form/medicines").get_data(as_text=True)
    assert f"{at}/form/medicines/{key}/1" in page
    one = client.get(f"{at}/form/medicines/{key}/1").get_data(as_text=True)
    kept = client.post(
        f"{at}/form/medicines/{key}/1/autosave", data=form_of(one) | {"drug": "Zoloft", "dose": "75", "weeks": "8"}
    )
    assert kept.get_json()["revision"] > 0
    assert "1 answer changed" in client.get(at).get_data(as_text=True)


def test_two_forms_in_one_browser_do_not_meet(sent, client, sign_in) -> None:
    sign_in("nurse")
    at = start(client, sent)
    other = make_patient()
    there = client.post(f"/staff/patients/{other.id}/intake/enter").location
    client.post(f"{there}/form/cover", data={"payer": "Other", "revision": "0", "form": "x"})
    client.post(f"{at}/form/cover", data={"payer": "Mine", "revision": "9", "form": "y"})
    ids = [int(each.rsplit("/", 1)[1]) for each in (at, there)]
    assert [queries.values(each)["cover"]["payer"] for each in ids] == ["Mine", "Other"]


def test_the_second_person_is_told_who_and_since_when(sent, client, sign_in) -> None:
    make = make_staff("nurse", name="Maria Kent")
    correct(sent, make)
    sign_in("prescriber")
    db.session.commit()  # the refusal rolls back what was not kept
    page = client.post(f"/staff/patients/{sent.patient_id}/intake/correct", data={"reason": "why"})
    assert page.status_code == 409
    assert "Maria Kent corrects this form since 10:00" in page.get_data(as_text=True)
    assert "Maria Kent has this" in client.get(f"/staff/patients/{sent.patient_id}").get_data(as_text=True)
    held = correcting.held(sent.patient_id)
    assert client.get(f"/staff/intakes/{held.intake_id}/form/cover").status_code == 409
    assert client.post(f"/staff/intakes/{held.intake_id}/take-over").status_code == 302
    assert client.get(f"/staff/intakes/{held.intake_id}/form/cover").status_code == 200


def test_the_desk_corrects_how_to_reach_someone_and_sees_no_health(sent, client, sign_in) -> None:
    sign_in("front_desk")
    at = start(client, sent)
    shown = client.get(at).get_data(as_text=True)
    assert "Your insurance" in shown
    assert "Zoloft" not in shown
    assert "Drugs and sleeping pills" not in shown
    assert client.get(f"{at}/form/cover").status_code == 200
    for page in ("substances", "implants", "phq9-9", "medicines", "mind"):
        assert client.get(f"{at}/form/{page}").status_code == 302, page
        assert client.post(f"{at}/form/{page}", data={}).status_code == 403, page
    assert client.get(f"/staff/patients/{sent.patient_id}/intake/versions").status_code == 403


def test_the_desk_enters_medicines_that_are_told_at_the_desk(database, now, rings, client, sign_in) -> None:
    sign_in("front_desk")
    at = client.post(f"/staff/patients/{make_patient().id}/intake/enter").location
    assert client.get(f"{at}/form/medicines").status_code == 200
    assert client.get(f"{at}/form/substances").status_code == 302


def test_an_entry_is_filled_in_from_the_first_page_that_is_not_known(database, now, rings, client, sign_in) -> None:
    sign_in("nurse")
    at = client.post(f"/staff/patients/{make_patient().id}/intake/enter").location
    assert f'href="{at}/form/cover">Fill in, page by page' in client.get(at).text
    sent = client.post(f"{at}/send", follow_redirects=True).text
    assert "Sent. The history is assessed." in sent
    assert "older version" not in sent


@pytest.mark.parametrize("role", ["operator", "manager"])
def test_other_roles_fill_in_nothing(sent, client, sign_in, role) -> None:
    sign_in(role)
    assert client.post(f"/staff/patients/{sent.patient_id}/intake/enter").status_code == 403


def test_a_patient_never_opens_a_staff_form(sent, nurse, person) -> None:
    copy = correct(sent, nurse)
    assert "/login" in person.client.get(f"/staff/intakes/{copy.id}/form/cover").location


def test_a_grave_answer_in_a_correction_opens_its_task(sent, client, sign_in) -> None:
    sign_in("nurse")
    at = start(client, sent)
    page = client.get(f"{at}/form/phq9-9").get_data(as_text=True)
    saved = client.post(f"{at}/form/phq9-9", data=form_of(page) | {"answer": "3"})
    assert client.get(saved.location).location == at
    assert db.session.scalars(select(Task).where(Task.kind == "safety")).one().level == "same_day"


# -- a record without pages -----------------------------------------------------------------------------------------


@pytest.fixture
def whole(database, now, rings) -> Intake:
    """A record that another system sent, with much that no page asks."""
    record = eligible_record(payer="Aetna", psychotherapy=[{"type": "cbt", "sessions": 12, "adequate": True}])
    record["trials"][0] |= {"weeks": [8, 12], "started_on": "2024-03-05", "documentation": "pharmacy"}
    record["trials"][1]["steps"] = [{"dose": 75, "weeks": 2}, {"dose": 225, "weeks": 8}]
    with transaction() as after_commit:
        return operations.add_sent_within_transaction(make_patient(), record, by=TESTER, after_commit=after_commit)


def test_a_record_is_put_on_pages_whole(whole, nurse) -> None:
    copy = correct(whole, nurse)
    said = queries.record_of(copy.id)
    said.pop("id")
    assert said == whole.record
    assert queries.values(copy.id)["cover"] == {"payer": "Aetna"}
    assert [row["drug"] for row in queries.trial_rows(copy.id).values()] == ["sertraline", "venlafaxine"]


def test_it_is_corrected_on_them_and_nothing_else_changes(whole, nurse) -> None:
    copy = correct(whole, nurse)
    key = next(iter(queries.trial_rows(copy.id)))
    operations.save_trial(
        copy.id, key, 1, {"dose": "50"}, fields=["dose"], is_complete=True, revision=9, form="f", by=TESTER
    )
    made = send(copy).record
    expected = whole.record
    expected["trials"][0]["dose_mg_per_day"] = 50
    assert {name: value for name, value in made.items() if name != "id"} == expected


def test_the_pages_of_a_record_show_what_changed(whole, client, sign_in) -> None:
    sign_in("prescriber")
    at = start(client, whole)
    assert "Nothing is changed yet" in client.get(at).get_data(as_text=True)
    page = client.get(f"{at}/form/cover").get_data(as_text=True)
    client.post(f"{at}/form/cover", data=form_of(page) | {"payer": "Cigna"})
    assert "1 answer changed" in client.get(at).get_data(as_text=True)
