"""Preparing a summary, the plan, referrals and reports on the staff's pages."""

from datetime import timedelta
from io import BytesIO

import pytest
from pypdf import PdfReader
from sqlalchemy import select

from clinic import clock
from clinic.care import operations, planning, queries, referring
from clinic.care.models import OptionNote, PlanItem, Referral
from clinic.care.referring import NewReferral
from clinic.db import db
from clinic.errors import Conflict, Invalid
from clinic.intake import queries as intake
from clinic.patients import queries as patients
from clinic.tasks.models import Task
from tests.builders import eligible_record, make_patient
from tests.clinic.care.conftest import STEP_ON, send, today
from tests.clinic.intake.test_words import words_of


@pytest.fixture
def prescriber(sign_in):
    return sign_in("prescriber")


def filled(patient, **more) -> dict:
    """The edit form of a person's draft, as a browser sends it unchanged."""
    row = queries.draft(patient.id)
    form = {
        "revision": row.revision,
        "opening": row.content["opening"],
        "next_step": "See us.",
        "next_step_on": str(STEP_ON),
    }
    for line in [*row.content["lines"], *row.content["missing"]]:
        key = line["key"].replace(" ", "-")
        form |= {f"{key}-keep": "1", f"{key}-text": line["text"]}
        if "title" in line:
            form |= {f"{key}-title": line["title"], f"{key}-state": line["state"]}
    return {**form, **more}


# -- the summary ------------------------------------------------------------------------------------------------------


def test_a_prescriber_prepares_previews_and_releases(client, person, prescriber, post) -> None:
    base = f"/staff/patients/{person.id}/summary"
    assert "Prepare summary" in client.get(f"/staff/eligibility/of/{person.id}", follow_redirects=True).text
    assert post(f"{base}/start").location == base
    assert "Every line below may be changed" in client.get(base).text
    assert post(base, filled(person, **{"trial-1-text": "It was enough."})).location == f"{base}/preview"
    preview = client.get(f"{base}/preview").text
    assert "It was enough." in preview
    assert "Ask about this" not in preview
    assert queries.present_release(person.id) is None
    assert post(f"{base}/release", {"revision": queries.draft(person.id).revision}).status_code == 302
    assert queries.present_release(person.id).content["lines"][0]["text"] == "It was enough."


def test_starting_again_keeps_what_was_edited_unless_asked(client, person, prescriber, post) -> None:
    base = f"/staff/patients/{person.id}/summary"
    post(f"{base}/start")
    post(base, filled(person, opening="My own words."))
    post(f"{base}/start")
    assert queries.draft(person.id).content["opening"] == "My own words."
    post(f"{base}/start", {"fresh": "1"})
    assert queries.draft(person.id).content["opening"] != "My own words."


def test_a_refused_line_is_named_on_the_page(client, person, prescriber, post) -> None:
    base = f"/staff/patients/{person.id}/summary"
    post(f"{base}/start")
    post(base, filled(person, **{"trial-2-text": "This one failed."}))
    page = post(f"{base}/release", {"revision": queries.draft(person.id).revision})
    assert page.status_code == 422
    assert "Trial 2, venlafaxine" in page.text
    assert "“failed” is a word that lays it on the person." in page.text
    assert "“failed”" in client.get(base).text


def test_the_second_tab_keeps_its_text_and_is_told(client, person, prescriber, post) -> None:
    base = f"/staff/patients/{person.id}/summary"
    post(f"{base}/start")
    form = filled(person)
    post(base, form)
    answer = post(base, form | {"opening": "Mine."})
    assert answer.status_code == 409
    assert "Mine." in answer.text


def test_staff_see_that_a_newer_assessment_exists(client, person, release, prescriber) -> None:
    release(person)
    send(person, eligible_record(age=50))
    for url in (f"/staff/patients/{person.id}", f"/staff/patients/{person.id}/summary"):
        assert "newer assessment exists" in client.get(url).text
    assert "newer assessment exists" in client.get(f"/staff/eligibility/of/{person.id}", follow_redirects=True).text


def test_taking_it_back_needs_a_reason(client, person, release, prescriber, post) -> None:
    release_id = release(person)
    url = f"/staff/patients/{person.id}/summary/{release_id}/withdraw"
    post(url, {"words": ""})
    assert queries.present_release(person.id) is not None
    post(url, {"words": "A dose was wrong."})
    assert "Taken back: A dose was wrong." in client.get(f"/staff/patients/{person.id}/summary").text


@pytest.mark.parametrize("role", ["nurse", "therapist", "front_desk", "operator", "manager"])
def test_only_a_prescriber_prepares_and_releases(client, person, sign_in, post, role) -> None:
    sign_in(role)
    base = f"/staff/patients/{person.id}/summary"
    assert [post(f"{base}/start").status_code, client.get(base).status_code, post(f"{base}/release").status_code] == [
        403
    ] * 3


def test_the_preview_is_in_the_patients_language(client, prescriber, post) -> None:
    patient = make_patient(language="es")
    send(patient, eligible_record())
    base = f"/staff/patients/{patient.id}/summary"
    post(f"{base}/start")
    assert '<html lang="es"' in client.get(f"{base}/preview").text
    assert '<html lang="en"' in client.get(base).text


# -- the plan ---------------------------------------------------------------------------------------------------------


def test_an_item_is_added_done_and_opened_again(client, person, prescriber, post) -> None:
    base = f"/staff/patients/{person.id}/plan"
    assert "No dated step is ahead" in client.get(base).text
    post(f"{base}/add", {"kind": "decision_point", "text": "Look at the dose", "due_on": "2026-12-01"})
    assert "Next: Tue, Dec 1, Look at the dose" in client.get(base).text
    [row] = queries.plan(person.id)
    post(f"/staff/plan/{row.id}/done", {"words": "Raised it."})
    assert db.session.get_one(PlanItem, row.id).outcome == "Raised it."
    assert post(f"/staff/plan/{row.id}/done", {"words": ""}).status_code == 409
    post(f"/staff/plan/{row.id}/reopen")
    assert db.session.get_one(PlanItem, row.id).state == "open"


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"kind": "decision_point", "text": "Decide"}, "A decision needs a date"),
        ({"kind": "other", "text": ""}, "Say what is planned."),
        ({"kind": "other", "text": "x", "due_on": "2020-01-01"}, "Choose a date from today on"),
        ({"kind": "other", "text": "Treatment failed", "for_patient": "y"}, "a patient does not see it"),
        ({"kind": "nothing", "text": "x"}, "Not a valid choice"),
    ],
)
def test_a_plan_item_that_cannot_be_is_refused_beside_its_field(person, prescriber, post, form, says) -> None:
    answer = post(f"/staff/patients/{person.id}/plan/add", form)
    assert answer.status_code == 422
    assert says in answer.text


def test_dropping_needs_words(person, prescriber, post, doctor) -> None:
    item_id = planning.add(
        person.id, kind="sleep", text="x", for_patient=False, due_on=None, staff_id=doctor[0], by=doctor[1]
    )
    assert post(f"/staff/plan/{item_id}/dropped", {"words": ""}).status_code == 422
    assert post(f"/staff/plan/{item_id}/dropped", {"words": "No time."}).status_code == 302


def test_a_task_opens_on_the_date_once_and_again_after_it_was_opened_again(person, doctor, at, now) -> None:
    common = {"for_patient": False, "staff_id": doctor[0], "by": doctor[1]}
    item_id = planning.add(
        person.id, kind="decision_point", text="Decide", due_on=today() + timedelta(days=2), **common
    )
    assert planning.open_due_tasks() == []
    with at(now + timedelta(days=2)):
        assert planning.open_due_tasks() == [item_id]
        assert planning.open_due_tasks() == []
        [task] = db.session.scalars(select(Task).where(Task.kind == "plan_step"))
        assert (task.patient_id, task.note, task.for_role) == (person.id, "Decide", "prescriber")
        planning.end(item_id, "done", outcome="Done.", staff_id=doctor[0], by=doctor[1])
        assert task.closed_at is not None
        planning.reopen(item_id, by=doctor[1])
        assert planning.open_due_tasks() == [item_id]


def test_a_date_has_not_come_while_it_is_still_yesterday_where_the_person_lives(person, doctor, at, now) -> None:
    planning.add(
        person.id,
        kind="decision_point",
        text="Decide",
        due_on=today() + timedelta(days=1),
        for_patient=False,
        staff_id=doctor[0],
        by=doctor[1],
    )
    with at(now + timedelta(hours=12)):  # Monday, 22:00 in Los Angeles, Tuesday in UTC
        assert planning.open_due_tasks() == []


def test_recorded_therapy_amends_the_history_by_a_clinician(person, sign_in, post) -> None:
    sign_in("therapist")
    form = {"therapy": "ipt", "sessions": "9", "adequate": "yes", "why": "The therapist's letter"}
    assert post(f"/staff/patients/{person.id}/plan/therapy", form).status_code == 302
    sent = intake.latest_submitted(person.id)
    assert sent.record["psychotherapy"] == [{"type": "IPT", "sessions": 9, "adequate": True}]
    post(f"/staff/patients/{person.id}/plan/therapy", form | {"sessions": "12"})
    assert intake.latest_submitted(person.id).record["psychotherapy"] == [
        {"type": "IPT", "sessions": 12, "adequate": True}
    ]


def test_therapy_without_a_history_is_refused(sign_in, post) -> None:
    sign_in("therapist")
    patient = make_patient()
    assert post(f"/staff/patients/{patient.id}/plan/therapy", {"therapy": "cbt", "why": "x"}).status_code == 409


# -- referrals --------------------------------------------------------------------------------------------------------


def refer(patient, doctor, **more) -> int:
    new = {"direction": "out", "about": "ect", "name": "Example Hospital", "may_share": True} | more
    return referring.add(patient.id, NewReferral(**new), staff_id=doctor[0], by=doctor[1])


def test_a_referral_goes_from_draft_to_closed_and_shows_its_age(
    client, person, doctor, prescriber, post, at, now, sign_in
) -> None:
    referral_id = refer(person, doctor)
    url = f"/staff/referrals/{referral_id}/move"
    for seen, to in (("draft", "sent"), ("sent", "received"), ("received", "booked")):
        assert post(url, {"to": to, "seen": seen}).status_code == 302
    with at(now + timedelta(days=5)):
        sign_in("prescriber")
        assert "for 5 days, 5 in all" in client.get(f"/staff/patients/{person.id}/referrals").text
    assert post(url, {"to": "closed", "seen": "booked", "words": ""}).status_code == 422
    assert post(url, {"to": "closed", "seen": "booked", "words": "Had six."}).status_code == 302
    assert db.session.get_one(Referral, referral_id).outcome == "Had six."


def test_nothing_is_sent_without_the_persons_consent(client, person, doctor, prescriber, post) -> None:
    referral_id = refer(person, doctor, may_share=False)
    url = f"/staff/referrals/{referral_id}/move"
    assert post(url, {"to": "sent", "seen": "draft"}).status_code == 422
    assert "Nothing may be sent" in client.get(f"/staff/referrals/{referral_id}/letter").text
    assert "sertraline" not in client.get(f"/staff/referrals/{referral_id}/letter").text
    post(url, {"to": "share", "seen": "draft"})
    assert "sertraline" in client.get(f"/staff/referrals/{referral_id}/letter").text
    assert post(url, {"to": "sent", "seen": "draft"}).status_code == 302


def test_two_people_do_not_move_a_referral_past_each_other(person, doctor) -> None:
    referral_id = refer(person, doctor)
    referring.move(referral_id, "sent", seen="draft", by=doctor[1])
    with pytest.raises(Conflict):
        referring.move(referral_id, "sent", seen="draft", by=doctor[1])
    with pytest.raises(Conflict):
        referring.move(referral_id, "draft", seen="sent", by=doctor[1])


def test_one_that_sits_too_long_opens_one_task_a_state(person, doctor, at, now) -> None:
    referral_id = refer(person, doctor)
    with at(now + timedelta(days=3)):
        assert referring.open_due_tasks() == [referral_id]
        assert referring.open_due_tasks() == []
        referring.move(referral_id, "sent", seen="draft", by=doctor[1])
        [task] = db.session.scalars(select(Task).where(Task.kind == "referral"))
        assert task.closed_at is not None
    with at(now + timedelta(days=10)):
        assert referring.open_due_tasks() == [referral_id]


def test_a_referrer_is_stored_and_gets_a_letter_with_thanks(client, person, prescriber, post) -> None:
    form = {"direction": "in", "about": "ect", "name": "Dr. Example", "may_share": "y", "referred_on": "2026-11-02"}
    post(f"/staff/patients/{person.id}/referrals/add", form)
    [row] = queries.referrals(person.id)
    assert (row.about, row.state) == ("care", "received")
    said = words_of(client.get(f"/staff/referrals/{row.id}/letter").text)
    assert "Thank you for sending this person to us on Monday, November 2, 2026" in said


def test_the_letter_is_a_pdf_for_download_only_with_consent(client, person, doctor, prescriber) -> None:
    no = client.get(f"/staff/referrals/{refer(person, doctor, may_share=False)}/letter.pdf")
    assert no.status_code == 302
    answer = client.get(f"/staff/referrals/{refer(person, doctor)}/letter.pdf")
    assert answer.mimetype == "application/pdf"
    assert "attachment" in answer.headers["Content-Disposition"]
    text = " ".join(" ".join(page.extract_text() for page in PdfReader(BytesIO(answer.data)).pages).split())
    assert "sertraline" in text
    assert "Example Hospital" in text


def test_a_packet_can_name_the_referrer(person, doctor) -> None:
    from clinic.eligibility.packets import OUTSIDE

    assert OUTSIDE["referrer"](person.id) is None
    referral_id = refer(person, doctor, direction="in", about="care", name="Dr. Example", organization="Family Care")
    assert OUTSIDE["referrer"](person.id) == ("Dr. Example", "Family Care", referral_id, today())


def test_a_manager_sees_on_today_how_many_have_no_next_step(client, person, sign_in) -> None:
    db.session.query(Task).filter_by(patient_id=person.id).update({"closed_at": clock.now(), "outcome": "done"})
    sign_in("manager")
    assert "1 person has no next step" in client.get("/staff/").text
    sign_in("nurse")
    assert "no next step" not in client.get("/staff/").text


@pytest.mark.parametrize("more", [{"about": "tea"}, {"name": " "}, {"direction": "up"}, {"about": "care"}])
def test_a_referral_that_cannot_be_is_refused(person, doctor, more) -> None:
    with pytest.raises(Invalid):
        refer(person, doctor, **more)


def test_the_front_desk_keeps_referrals_and_reads_no_plan(client, person, sign_in) -> None:
    sign_in("front_desk")
    assert client.get(f"/staff/patients/{person.id}/referrals").status_code == 200
    assert client.get(f"/staff/patients/{person.id}/plan").status_code == 403
    assert client.get(f"/staff/patients/{person.id}/questions").status_code == 403


def test_staff_of_another_site_find_nobody(client, doctor, sign_in, post) -> None:
    from tests.builders import make_location

    patient = make_patient(preferred_location_id=make_location().id)
    referral_id = refer(patient, doctor)
    item_id = planning.add(
        patient.id, kind="sleep", text="x", for_patient=False, due_on=None, staff_id=doctor[0], by=doctor[1]
    )
    sign_in("prescriber", locations=(make_location(),))
    for url in ("plan", "summary", "referrals", "questions", "summary/preview"):
        assert client.get(f"/staff/patients/{patient.id}/{url}").status_code == 404
    assert client.get(f"/staff/referrals/{referral_id}/letter").status_code == 404
    assert post(f"/staff/plan/{item_id}/done").status_code == 404


# -- reports ----------------------------------------------------------------------------------------------------------


def waiting(patient) -> bool:
    found = queries.without_next_step(clock.now(), today(), location_ids=frozenset())
    return patient.id in [row.patient_id for row in found]


def test_someone_under_care_with_nothing_ahead_is_on_the_list(client, person, sign_in, doctor, at, now) -> None:
    db.session.query(Task).filter_by(patient_id=person.id).update({"closed_at": clock.now(), "outcome": "done"})
    assert waiting(person)
    sign_in("manager")
    assert person.record_number in client.get("/staff/reports/next-steps").text
    item_id = planning.add(
        person.id, kind="other", text="x", for_patient=False, due_on=today(), staff_id=doctor[0], by=doctor[1]
    )
    assert not waiting(person)
    with at(now + timedelta(days=1)):
        assert waiting(person)
    planning.end(item_id, "done", outcome="", staff_id=doctor[0], by=doctor[1])
    assert waiting(person)


def test_an_open_task_or_never_having_sent_a_history_keeps_one_off_the_list(person) -> None:
    from tests.builders import make_task

    make_task(patient_id=person.id)
    assert not waiting(person)
    assert not waiting(make_patient())


def test_the_report_is_one_query_and_paged(client, sign_in, count_statements) -> None:
    with count_statements() as statements:
        queries.without_next_step(clock.now(), today(), location_ids=frozenset({1}), limit=51)
    assert len(statements) == 1
    sign_in("manager")
    assert "Everyone under care has a next step" in client.get("/staff/reports/next-steps").text


# -- notes ------------------------------------------------------------------------------------------------------------


def test_a_manager_writes_cost_with_source_and_date_and_patients_read_it(client, sign_in, post) -> None:
    sign_in("manager")
    url = "/staff/settings/options/tms/cost/en"
    assert post(url, {"text": "About 300 a visit."}).status_code == 422
    form = {"text": "About 300 a visit.", "source": "Price list", "as_of": "2026-11-01"}
    assert post(url, form).status_code == 302
    assert "About 300 a visit." in client.get("/treatments").text
    post(url, form | {"text": "About 320 a visit."})
    assert [row.superseded_at is None for row in db.session.scalars(select(OptionNote).order_by(OptionNote.id))] == [
        False,
        True,
    ]
    post(url, {"text": ""})
    assert "320" not in client.get("/treatments").text
    assert "What this clinic says" in client.get("/staff/settings/options").text


@pytest.mark.parametrize(
    ("url", "text", "status"),
    [
        ("esketamine/note/en", "The effect is 1.48.", 422),
        ("tms/note/en", "For people whose medicines failed", 422),
        ("tms/price/en", "x", 404),
        ("tea/cost/en", "x", 404),
        ("guide/trials_69/en", "A review of 70 trials.", 302),
    ],
)
def test_what_may_not_be_shown_is_not_kept(sign_in, post, url, text, status) -> None:
    sign_in("manager")
    form = {"text": text, "source": "A paper", "as_of": "2026-11-01"}
    assert post(f"/staff/settings/options/{url}", form).status_code == status


def test_the_guide_shows_the_clinics_own_figure(client, sign_in, post) -> None:
    sign_in("manager")
    form = {"text": "A review of 70 trials.", "source": "Own reading", "as_of": "2026-11-01"}
    post("/staff/settings/options/guide/trials_69/en", form)
    assert "A review of 70 trials." in client.get("/guide").text


def test_every_change_is_in_the_log(person, release) -> None:
    release(person)
    actions = [(event.entity, event.action) for event in patients.events(person.id)]
    for expected in (("releases", "released"), ("release_drafts", "saved"), ("plan_items", "planned")):
        assert expected in actions
    assert operations.MAX_QUESTION == 1000
