"""Files at the form and on the record: checked, sealed, told what is wrong, read by few and never unseen."""

from io import BytesIO

import pytest
from sqlalchemy import select, text

from clinic.audit import AuditEvent
from clinic.db import db
from clinic.errors import AlreadyOver, NotFound
from clinic.intake import attachments, operations, queries
from clinic.intake.models import Attachment
from tests.builders import TESTER, make_patient, make_staff
from tests.clinic.intake import files

MB = 1_000_000


def upload(person, *contents: bytes, name: str = "list.pdf", kind: str = "pharmacy_list", where: str = "", **more):
    data = {"kind": kind, "file": [(BytesIO(content), name) for content in contents]}
    return person.client.post(f"/intake/files{where}", data=data, content_type="multipart/form-data", **more)


def names(person) -> list[str]:
    return [row.name for row in attachments.of_intake(person.intake)]


def padded(size: int) -> bytes:
    return files.pdf("x" * (size - len(files.pdf())))


def test_a_file_is_kept_sealed_and_listed(person) -> None:
    person.known()
    assert upload(person, files.pdf("Zoloft"), where="?page=medicines").location.endswith(
        "/intake/files?page=medicines"
    )
    row = attachments.of_patient(person.intake.patient_id)[0]
    assert (row.name, row.media_type, row.kind, row.added_by) == ("list.pdf", "application/pdf", "pharmacy_list", None)
    stored = db.session.scalar(text("SELECT content FROM attachments"))
    assert b"Zoloft" not in bytes(stored)
    assert attachments.content(row.id, by=TESTER)[1] == files.pdf("Zoloft")
    html = person.get("files?page=medicines").get_data(as_text=True)
    assert "list.pdf" in html
    assert 'href="/intake/medicines"' in html


def test_what_came_before_the_name_belongs_to_the_patient(person) -> None:
    upload(person, files.png(), name="photo.png")
    assert attachments.of_intake(person.intake)[0].patient_id is None
    person.known()
    assert [row.name for row in attachments.of_patient(person.intake.patient_id)] == ["photo.png"]


def test_the_limit_is_ten_megabytes_to_the_byte(person) -> None:
    assert upload(person, padded(10 * MB)).status_code == 302
    answer = upload(person, padded(10 * MB + 1), name="big.pdf")
    assert answer.status_code == 422
    html = answer.get_data(as_text=True)
    assert "big.pdf is 11 MB; the limit is 10 MB. A photo of the list works too." in html
    assert names(person) == ["list.pdf"]


def test_more_than_is_read_at_all_comes_back_to_the_page(person) -> None:
    answer = upload(person, padded(26 * MB), where="?page=thyroid")
    assert answer.status_code == 302
    html = person.client.get(answer.location).get_data(as_text=True)
    assert "This file is 27 MB; the limit is 10 MB." in html
    assert 'href="/intake/thyroid"' in html


def test_a_script_is_told_the_same_in_json(person) -> None:
    headers = {"Accept": "application/json"}
    assert "limit is 10 MB" in upload(person, padded(26 * MB), headers=headers).json["errors"][0]
    assert "We cannot read list.pdf" in upload(person, b"words", headers=headers).json["errors"][0]
    answer = upload(person, files.pdf(), headers=headers)
    assert answer.json == {"errors": [], "url": "/intake/files"}


def test_other_pages_still_read_only_a_megabyte(person) -> None:
    assert person.client.post("/intake/cover", data={"payer": "x" * (2 * MB)}).status_code == 413


def test_an_empty_and_a_missing_file_are_told(person) -> None:
    assert "list.pdf is empty." in upload(person, b"").get_data(as_text=True)
    answer = person.client.post("/intake/files", data={"kind": "letter"})
    assert answer.status_code == 422
    assert "Choose a file or take a photo first." in answer.get_data(as_text=True)


def test_one_bad_file_does_not_take_the_good_ones_with_it(person) -> None:
    answer = upload(person, files.pdf("one"), b"nothing", files.pdf("two"))
    assert answer.status_code == 422
    assert len(names(person)) == 2


def test_the_same_file_twice_is_one(person) -> None:
    upload(person, files.pdf("one"))
    upload(person, files.pdf("one"), name="again.pdf")
    assert names(person) == ["list.pdf"]
    assert "You added again.pdf before" in person.get("files").get_data(as_text=True)


def test_a_person_has_at_most_twenty(person) -> None:
    upload(person, *[files.pdf(str(n)) for n in range(20)])
    answer = upload(person, files.pdf("one more"))
    assert "You have 20 files." in answer.get_data(as_text=True)
    assert len(names(person)) == 20


def test_a_file_is_taken_off_and_brought_back(person) -> None:
    upload(person, files.pdf())
    row = attachments.of_intake(person.intake)[0]
    answer = person.client.post(f"/intake/files/{row.id}/remove?page=review")
    assert names(person) == []
    assert "list.pdf was taken off your list" in person.client.get(answer.location).get_data(as_text=True)
    person.client.post(f"/intake/files/{row.id}/restore")
    assert names(person) == ["list.pdf"]


def test_the_file_of_another_form_is_not_found(person, another) -> None:
    upload(person, files.pdf())
    row = attachments.of_intake(person.intake)[0]
    stranger = another()
    stranger.post("/intake/start")
    assert stranger.post(f"/intake/files/{row.id}/remove").status_code == 404
    assert "list.pdf" not in stranger.get("/intake/files").get_data(as_text=True)


def test_a_form_that_was_sent_takes_no_file(person) -> None:
    person.known().send()
    assert upload(person, files.pdf()).location.endswith("/intake/done")
    with pytest.raises(AlreadyOver):
        attachments.add(intake_id=person.intake_id, kind="letter", name="x", content=files.pdf(), by=TESTER)


def test_the_way_to_the_files_saves_the_page_first(person) -> None:
    answer = person.save("thyroid", tested="yes", files="1")
    assert answer.location == "/intake/files?page=thyroid"
    assert queries.values(person.intake_id)["thyroid"] == {"tested": "yes"}
    key = person.add_medicine("Zoloft")
    answer = person.save(f"medicines/{key}/3", papers="pharmacy", files="1")
    assert answer.location == f"/intake/files?page=medicines&key={key}"
    assert f'href="/intake/medicines/{key}/3"' in person.client.get(answer.location).get_data(as_text=True)
    assert queries.trial_leaf(queries.trial(person.intake_id, key)).values["papers"] == "pharmacy"


def test_a_word_about_papers_documents_nothing_until_the_file_is_there(person) -> None:
    key = person.add_medicine("Zoloft")
    person.save(f"medicines/{key}/3", papers="pharmacy")
    assert "documentation" not in queries.record_of(person.intake_id)["trials"][0]
    upload(person, files.pdf(), kind="letter")
    assert "documentation" not in queries.record_of(person.intake_id)["trials"][0]
    upload(person, files.pdf("list"), kind="pharmacy_list")
    assert queries.record_of(person.intake_id)["trials"][0]["documentation"] == "pharmacy"


# -- staff ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def kept() -> Attachment:
    patient = make_patient()
    added = attachments.add(
        patient_id=patient.id, kind="gene_test", name="a/../ \u202e\r\nGenes.pdf", content=files.pdf(), by=TESTER
    )
    return attachments.get(added.id)


def test_a_prescriber_saves_it_and_the_reading_is_written_down(clinic, kept, client, sign_in) -> None:
    sign_in("prescriber")
    page = client.get(f"/staff/patients/{kept.patient_id}/attachments").get_data(as_text=True)
    assert "Genes.pdf" in page
    assert "Gene test" in page
    answer = client.get(f"/staff/attachments/{kept.id}")
    assert answer.data == files.pdf()
    assert answer.headers["Content-Disposition"] == "attachment; filename=Genes.pdf"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.mimetype == "application/pdf"
    read = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "read")).one()
    assert (read.entity, read.entity_id, read.patient_id) == ("attachments", str(kept.id), kept.patient_id)


def test_the_front_desk_adds_papers_and_sees_only_how_many(clinic, kept, client, sign_in) -> None:
    sign_in("front_desk")
    address = f"/staff/patients/{kept.patient_id}/attachments"
    assert client.get(f"/staff/attachments/{kept.id}").status_code == 403
    data = {"kind": "letter", "file": (BytesIO(files.png()), "from the desk.png")}
    assert client.post(address, data=data, content_type="multipart/form-data").status_code == 302
    for page in (address, f"/staff/patients/{kept.patient_id}"):
        html = client.get(page).get_data(as_text=True)
        assert "2 files" in html
        assert "Genes" not in html
    row = attachments.of_patient(kept.patient_id)[-1]
    assert (row.name, row.kind, row.added_by is not None) == ("from the desk.png", "letter", True)
    bad = client.post(address, data={"file": (BytesIO(b"no"), "x.pdf")}, content_type="multipart/form-data")
    assert bad.status_code == 422
    big = {"file": (BytesIO(padded(26 * MB)), "x.pdf")}
    answer = client.post(address, data=big, content_type="multipart/form-data")
    assert "This file is 27 MB" in client.get(answer.location).get_data(as_text=True)


@pytest.mark.parametrize("role", ["operator", "manager"])
def test_others_see_that_there_is_one_and_no_more(clinic, kept, client, sign_in, role) -> None:
    sign_in(role)
    assert client.get(f"/staff/attachments/{kept.id}").status_code == 403
    assert client.get(f"/staff/patients/{kept.patient_id}/attachments").status_code == 403
    record = client.get(f"/staff/patients/{kept.patient_id}").get_data(as_text=True)
    assert "1 file on record" in record
    assert "Genes" not in record


def test_the_file_of_a_site_that_is_not_ours_is_not_found(clinic, kept, client, sign_in) -> None:
    from tests.builders import make_location

    kept_by = db.session.get_one(type(make_patient()), kept.patient_id)
    kept_by.preferred_location_id = make_location().id
    db.session.flush()
    sign_in("prescriber", locations=[clinic])
    assert client.get(f"/staff/attachments/{kept.id}").status_code == 404


def test_one_that_was_taken_off_is_not_found(clinic, kept, client, sign_in, now) -> None:
    kept.removed_at = now
    db.session.flush()
    sign_in("prescriber")
    assert client.get(f"/staff/attachments/{kept.id}").status_code == 404
    with pytest.raises(NotFound):
        attachments.content(kept.id, by=TESTER)


def test_an_unknown_patient_takes_no_file(clinic) -> None:
    with pytest.raises(NotFound):
        attachments.add(patient_id=None, kind="letter", name="x", content=files.pdf(), by=TESTER)
    with pytest.raises(NotFound):
        operations.change_consent(987654, "records", True, language="en", by=TESTER)


# -- on the patient's own pages ------------------------------------------------------------------------------------------


@pytest.fixture
def patient(person, sign_in_patient):
    person.known()
    person.save("consents", care_team="yes", records="yes")
    person.send()
    patient = queries.patient_of(person.intake)
    sign_in_patient(patient)
    return patient


def add_paper(client, *contents: bytes, **more):
    data = {"kind": "pharmacy_list", "file": [(BytesIO(content), "my list.png") for content in contents]}
    return client.post("/me/papers", data=data, content_type="multipart/form-data", **more)


def test_a_paper_is_added_after_the_form_was_sent(patient, client) -> None:
    assert "/me/papers" in client.get("/me").get_data(as_text=True)
    assert add_paper(client, files.png()).location == "/me/papers"
    [row] = attachments.of_patient(patient.id)
    assert (row.name, row.kind, row.added_by) == ("my list.png", "pharmacy_list", None)
    html = client.get("/me/papers").get_data(as_text=True)
    assert "my list.png" in html
    assert "Added. Thank you." in html


def test_what_staff_added_is_not_listed_to_the_person(patient, client) -> None:
    staff = make_staff("nurse")
    attachments.add(
        patient_id=patient.id, kind="letter", name="note.png", content=files.png(), by=TESTER, staff_id=staff.id
    )
    assert "note.png" not in client.get("/me/papers").get_data(as_text=True)


@pytest.mark.parametrize(
    ("contents", "words"),
    [((), "Choose a file or take a photo first."), ((b"text",), "We cannot read my list.png"), ((b"",), "is empty")],
)
def test_what_is_wrong_with_a_paper_is_said(patient, client, contents, words) -> None:
    answer = add_paper(client, *contents)
    assert (answer.status_code, attachments.of_patient(patient.id)) == (422, [])
    assert words in answer.get_data(as_text=True)
    answer = add_paper(client, *contents, headers={"Accept": "application/json"})
    assert words in answer.json["errors"][0]


def test_more_than_we_read_leads_back_to_the_papers(patient, client) -> None:
    answer = add_paper(client, b"x" * 26_000_000, follow_redirects=True)
    assert "the limit is 10 MB" in answer.get_data(as_text=True)


def test_a_wrong_paper_is_taken_off_and_put_back(patient, client) -> None:
    add_paper(client, files.png())
    [row] = attachments.of_patient(patient.id)
    shown = client.post("/me/papers", data={"take_off": row.id}, follow_redirects=True).text
    assert "my list.png was taken off your list." in shown
    assert attachments.of_patient(patient.id) == []
    client.post("/me/papers", data={"put_back": row.id})
    assert [row.name for row in attachments.of_patient(patient.id)] == ["my list.png"]


def test_nobody_takes_off_what_is_not_theirs(patient, client) -> None:
    staff = make_staff("nurse")
    others = make_patient()
    given = {"kind": "letter", "name": "note.png", "content": files.png(), "by": TESTER, "staff_id": staff.id}
    for owner in (patient, others):
        added = attachments.add(patient_id=owner.id, **given)
        assert client.post("/me/papers", data={"take_off": added.id}).status_code == 404
        assert attachments.count_of(owner.id) == 1


@pytest.mark.parametrize(("role", "left"), [("nurse", 0), ("front_desk", 1)])
def test_who_reads_the_files_takes_one_off(patient, client, sign_in, role, left) -> None:
    add_paper(client, files.png())
    [row] = attachments.of_patient(patient.id)
    sign_in(role)
    client.post(f"/staff/patients/{patient.id}/attachments", data={"take_off": row.id})
    assert attachments.count_of(patient.id) == left
