"""What the patient reads, before and after the release; what they ask arrives once."""

import re
from html import unescape

import pytest
from sqlalchemy import select

from clinic.care import operations, queries
from clinic.care.models import PatientQuestion, PlanItem
from clinic.care.wording import forbidden
from clinic.db import db
from clinic.tasks.models import Task
from tests.builders import CLEAR_SAFETY, eligible_record, failed_trial, make_patient
from tests.clinic.care.conftest import new_key, send
from tests.clinic.care.test_drafting import ALL_OUTCOMES
from tests.clinic.intake.test_words import grade, words_of

PAGES = ("/me/summary", "/me/options", "/me/plan", "/me/history")
UNTIL_RELEASED = PAGES[:3]


def text(client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200
    return words_of(answer.get_data(as_text=True))


@pytest.mark.parametrize("url", UNTIL_RELEASED)
def test_before_the_release_a_page_says_what_arrived_and_what_happens_next(
    client, person, sign_in_patient, url
) -> None:
    sign_in_patient(person)
    said = text(client, url)
    assert "2 medicines that you tried" in said
    assert "A doctor reads your history" in said
    assert "full try" not in said
    assert forbidden(said) == []


@pytest.mark.parametrize("url", PAGES)
def test_without_a_history_a_page_offers_to_start(client, sign_in_patient, url) -> None:
    sign_in_patient(make_patient())
    assert 'href="/intake"' in client.get(url).get_data(as_text=True)


@pytest.mark.parametrize("url", PAGES)
def test_the_pages_ask_for_the_date_of_birth_first(client, person, sign_in_patient, url) -> None:
    sign_in_patient(person, checked=False)
    assert "/birth-date" in client.get(url).location


def test_after_the_release_the_summary_says_what_counted_and_what_comes_next(
    client, person, sign_in_patient, release
) -> None:
    release(person)
    sign_in_patient(person)
    said = text(client, "/me/summary")
    assert "Full tries among them: 2" in said
    assert "sertraline" in said
    assert "Thursday, December 3, 2026" in said
    assert forbidden(said) == []


def test_after_it_was_taken_back_the_page_says_so_and_shows_nothing_of_it(
    client, person, sign_in_patient, release, doctor
) -> None:
    operations.withdraw(release(person), reason="A dose was wrong.", staff_id=doctor[0], by=doctor[1])
    sign_in_patient(person)
    said = text(client, "/me/summary")
    assert "took the summary back" in said
    assert "full try" not in said
    assert "A dose was wrong" not in said


@pytest.mark.parametrize("url", PAGES)
def test_every_page_reads_easily(client, person, sign_in_patient, release, url) -> None:
    release(person)
    sign_in_patient(person)
    assert grade(text(client, url)) <= 8


def test_only_ticked_options_stand_side_by_side_in_the_order_of_the_alphabet(
    client, person, sign_in_patient, release
) -> None:
    release(person, change=lambda content: content.update(options=["tms", "ect", "augmentation"]))
    sign_in_patient(person)
    html = client.get("/me/options").get_data(as_text=True)
    assert re.findall(r'<section class="panel stack" aria-labelledby="\w+-title" id="(\w+)">', html) == [
        "words",
        "augmentation",
        "ect",
        "tms",
    ]


def test_cost_and_cover_say_not_known_until_the_clinic_wrote_them(client, person, sign_in_patient, release) -> None:
    release(person, change=lambda content: content.update(options=["tms"]))
    sign_in_patient(person)
    assert client.get("/me/options").get_data(as_text=True).count("Not known here. Ask us.") == 2


def test_no_page_ranks_or_promises(client, person, sign_in_patient, release) -> None:
    release(person)
    sign_in_patient(person)
    for url in PAGES:
        said = text(client, url).lower()
        assert not re.search(r"\b(best for you|recommended|your chance|you will get better|right for you)\b", said)


def test_esketamine_never_stands_beside_the_figure_whose_origin_was_not_found(
    client, person, sign_in_patient, release
) -> None:
    release(person)
    sign_in_patient(person)
    for url in ("/me/options", "/treatments"):
        html = client.get(url).get_data(as_text=True)
        assert "1.48" not in html
        assert "1.58" not in html


# -- questions --------------------------------------------------------------------------------------------------------


def test_a_question_sent_twice_is_one_question_and_one_task(client, person, sign_in_patient, release, post) -> None:
    release(person)
    sign_in_patient(person)
    form = {"about": "trial 2", "text": "It was 8 weeks.", "form_key": new_key(), "next": "/me/summary"}
    assert post("/me/ask", form).location == "/me/summary"
    post("/me/ask", form)
    assert [row.about for row in db.session.scalars(select(PatientQuestion))] == ["trial 2"]
    [task] = db.session.scalars(select(Task).where(Task.kind == "patient_question"))
    assert (task.note, task.for_role) == ("It was 8 weeks.", "prescriber")
    assert "You asked about this on Mon, Nov 23" in text(client, "/me/summary")


def test_the_wish_to_talk_about_an_option_reaches_the_queue_with_the_history(
    client, person, sign_in_patient, sign_in, release, post
) -> None:
    release(person)
    sign_in_patient(person)
    post("/me/ask", {"about": "option ect", "form_key": new_key(), "next": "/me/options#ect"})
    assert "You said on Mon, Nov 23 that you want to talk about this" in text(client, "/me/options")
    sign_in("prescriber")
    page = words_of(client.get(f"/staff/patients/{person.id}/questions").get_data(as_text=True))
    assert "I want to talk about: ECT" in page
    assert "sertraline" in page
    assert "Wants to talk about a treatment" in client.get("/staff/").get_data(as_text=True)


@pytest.mark.parametrize("form", [{"about": "trial 9"}, {"about": "trial 1", "form_key": "x"}, {"about": ""}])
def test_a_question_about_nothing_on_the_page_is_refused_kindly(
    client, person, sign_in_patient, release, post, form
) -> None:
    release(person)
    sign_in_patient(person)
    assert post("/me/ask", {"form_key": new_key(), **form}).status_code == 302
    assert db.session.scalars(select(PatientQuestion)).all() == []


def test_nobody_asks_another_site_to_come_back_to(client, person, sign_in_patient, release, post) -> None:
    release(person)
    sign_in_patient(person)
    form = {"about": "summary", "form_key": new_key(), "next": "https://example.org/"}
    assert post("/me/ask", form).location == "/me/summary"


def test_an_answer_closes_the_task_and_is_written_once(client, person, sign_in_patient, sign_in, release, post) -> None:
    release(person)
    sign_in_patient(person)
    post("/me/ask", {"about": "summary", "text": "Why?", "form_key": new_key()})
    [row] = queries.questions(person.id)
    sign_in("nurse")
    url = f"/staff/questions/{row.id}/answer"
    assert post(url, {"words": ""}).status_code == 422
    assert post(url, {"words": "Called, explained."}).status_code == 302
    assert post(url, {"words": "Again."}).status_code == 409
    [task] = db.session.scalars(select(Task).where(Task.kind == "patient_question"))
    assert (task.closed_at is not None, task.outcome) == (True, "Called, explained.")


# -- plan -------------------------------------------------------------------------------------------------------------


def test_a_patient_ticks_off_own_items_and_takes_it_back(
    client, person, sign_in_patient, release, doctor, post
) -> None:
    from clinic.care import planning

    release(person)
    common = {"for_patient": True, "due_on": None, "staff_id": doctor[0], "by": doctor[1]}
    item_id = planning.add(person.id, kind="exercise", text="Walk twice a week", **common)
    hidden = planning.add(person.id, kind="other", text="Call the plan", **common | {"for_patient": False})
    sign_in_patient(person)
    assert "Walk twice a week" in text(client, "/me/plan")
    assert "Call the plan" not in text(client, "/me/plan")
    post(f"/me/plan/{item_id}", {"done": "yes"})
    assert db.session.get_one(PlanItem, item_id).state == "done"
    post(f"/me/plan/{item_id}", {"done": "no"})
    assert db.session.get_one(PlanItem, item_id).state == "open"
    assert post(f"/me/plan/{hidden}", {"done": "yes"}).status_code == 404
    decision = next(row for row in queries.plan(person.id) if row.kind == "decision_point")
    assert post(f"/me/plan/{decision.id}", {"done": "yes"}).status_code == 404


def test_the_plan_of_another_person_is_not_there(client, person, sign_in_patient, release, doctor, post) -> None:
    from clinic.care import planning

    other = make_patient()
    item_id = planning.add(
        other.id, kind="sleep", text="Bed at ten", for_patient=True, due_on=None, staff_id=doctor[0], by=doctor[1]
    )
    release(person)
    sign_in_patient(person)
    assert post(f"/me/plan/{item_id}", {"done": "yes"}).status_code == 404


# -- history ----------------------------------------------------------------------------------------------------------


def test_the_history_page_equals_what_is_stored(client, sign_in_patient) -> None:
    patient = make_patient()
    trials = [
        failed_trial("Zoloft", 150, started_on="2024-03", stopped_on="2024-06-02"),
        failed_trial("bupropion", 300, weeks=[4, 7], weeks_at_dose=None, outcome="partial", stopped_reason="cost"),
        failed_trial("Marplan stuff", 20, outcome="lost_response", stopped_reason="ongoing", started_on="2025"),
        {"drug": "mirtazapine", "side_effect": "sleepy", "stopped_reason": "side_effects"},
    ]
    send(patient, eligible_record(trials=trials, psychotherapy=[{"type": "CBT", "sessions": 12}]))
    sign_in_patient(patient)
    html = client.get("/me/history").get_data(as_text=True)
    rows = [
        [unescape(cell).strip() for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
        for row in re.findall(r"<tr>(.*?)</tr>", html.split("<tbody>")[1].split("</tbody>")[0])
    ]
    assert rows == [
        [
            "Zoloft (sertraline)",
            "150 mg a day",
            "8 weeks at this dose, 10 in all",
            "March 2024 to June 2, 2024",
            "Did not help",
            "It did not help enough",
        ],
        ["bupropion (Wellbutrin)", "300 mg a day", "4 to 7 weeks", "not sure", "Helped a little", "Cost"],
        [
            rows[2][0],
            "20 mg a day",
            "8 weeks at this dose, 10 in all",
            "since 2025",
            "Helped, then stopped helping",
            "Still taking it",
        ],
        ["mirtazapine (Remeron)", "not sure", "not sure", "not sure", "not sure", "Side effects: sleepy"],
    ]
    assert "CBT (thoughts and habits): 12 visits" in html
    assert "I have tried 4 medicines for depression since 2024." in html
    assert "3 of them did not help enough." in html


def test_twelve_medicines_stand_on_the_page_and_read_easily(client, sign_in_patient) -> None:
    patient = make_patient()
    names = [
        "Zoloft",
        "Prozac",
        "Lexapro",
        "Celexa",
        "Paxil",
        "Effexor",
        "Cymbalta",
        "Pristiq",
        "Wellbutrin",
        "Remeron",
        "Trintellix",
        "Viibryd",
    ]
    send(patient, eligible_record(trials=[failed_trial(name, 100) for name in names]))
    sign_in_patient(patient)
    html = client.get("/me/history").get_data(as_text=True)
    assert [name for name in names if name not in html] == []
    assert "I have tried 12 medicines for depression." in html
    assert grade(words_of(html)) <= 8


# -- nothing that a patient does not see ------------------------------------------------------------------------------


def test_with_every_kind_of_trial_and_finding_no_page_holds_a_forbidden_word(client, sign_in_patient, release) -> None:
    patient = make_patient(payer="Medicare")
    grave = dict.fromkeys(CLEAR_SAFETY, True) | {"bp": [190, 110], "liver_impairment": "severe"}
    record = eligible_record(
        trials=[trial for trial, _state, _words in ALL_OUTCOMES],
        safety=grave,
        audit_c=11,
        mdq_positive=True,
        phq9=[3] * 9,
        payer="Medicare",
        psychotherapy=[{"type": "CBT", "sessions": 12}, {"type": "alcohol group"}],
    )
    send(patient, record)
    sign_in_patient(patient)
    for url in UNTIL_RELEASED:
        assert forbidden(text(client, url)) == [], url
    release(patient)
    for url in ("/me", "/me/summary", "/me/plan"):
        assert forbidden(text(client, url)) == [], url
