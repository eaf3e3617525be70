"""Today, one task, the banner: each role sees what it may, and can do what it should."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import select

from clinic.audit import AuditEvent
from clinic.patients import chart
from clinic.tasks import queries
from clinic.tasks.models import Task
from clinic.web import access
from tests.builders import make_location, make_patient, make_task

SECRET = "PHQ-9 item 9: 3"


def make_safety(now, **overrides) -> Task:
    values = {
        "kind": "safety",
        "level": "urgent",
        "for_role": "prescriber",
        "note": SECRET,
        "due_at": now + timedelta(hours=1),
    }
    return make_task(**values | overrides)


def test_the_front_desk_sees_when_to_call_and_never_the_answer(client, database, now, sign_in) -> None:
    site = make_location()
    patient = make_patient(preferred_location_id=site.id)
    task = make_safety(now, patient_id=patient.id, location_id=site.id)
    sign_in("front_desk", locations=(site,))
    for page in ("/staff/", f"/staff/tasks/{task.id}", f"/staff/patients/{patient.id}"):
        text = client.get(page).text
        assert "Safety, call by 11:00" in text
        assert SECRET not in text
        assert "urgent" not in text


def test_a_clinician_sees_the_level_and_the_note_and_reading_it_is_written_down(client, database, now, sign_in) -> None:
    patient = make_patient()
    task = make_safety(now, patient_id=patient.id)
    sign_in("nurse")
    page = client.get(f"/staff/tasks/{task.id}").text
    assert SECRET in page
    assert "Safety, urgent" in page
    details = database.session.scalars(select(AuditEvent.detail).where(AuditEvent.action == "viewed")).all()
    assert details == [{"part": "task note"}]


# Asks for a passkey before the page that somebody wanted.
ON_THE_WAY_IN = {"security.wan_verify"}


def staff_pages(app) -> list[str]:
    """Every staff page that is opened without naming a row."""
    with app.test_request_context():
        return sorted(
            rule.rule
            for rule in app.url_map.iter_rules()
            if "GET" in rule.methods
            and not rule.arguments
            and (declared := access.declared(app, rule.endpoint))
            and declared.audience is access.Audience.STAFF
            and rule.endpoint not in ON_THE_WAY_IN
        )


def test_an_open_alert_stands_on_every_staff_page(app, client, database, now, sign_in) -> None:
    make_location()  # times are those of the first site
    make_safety(now)
    sign_in("front_desk", "operator", "nurse", "therapist", "prescriber", "manager")
    seen = 0
    for page in staff_pages(app):
        answer = client.get(page)
        if answer.mimetype == "text/html" and answer.status_code == 200:
            assert "Safety, call by 11:00" in answer.text, page
            seen += 1
    assert seen >= 8


def test_an_open_alert_stands_on_pages_of_refusal_too(client, database, now, sign_in) -> None:
    make_safety(now)
    sign_in("front_desk")
    assert "Safety, call by" in client.get("/staff/tasks/999999").text
    assert "Safety, call by" in client.get("/staff/eligibility").text


@pytest.mark.parametrize("role", ["front_desk", "operator", "nurse", "therapist", "prescriber", "manager"])
def test_every_role_sees_the_alert_and_who_may_acknowledge_it(client, database, now, sign_in, role) -> None:
    make_location()  # times are those of the first site
    make_safety(now - timedelta(minutes=12), created_at=now - timedelta(minutes=12), due_at=now + timedelta(minutes=48))
    sign_in(role)
    banner = client.get("/staff/alerts").text
    assert "Safety, call by 10:48" in banner
    assert "open for 12 min" in banner
    assert "nobody has acknowledged it" in banner
    assert SECRET not in banner
    assert ("Acknowledge<" in banner) == (role in ("nurse", "therapist", "prescriber", "manager"))


def test_an_acknowledgement_says_who_and_when_and_the_alert_stays(client, post, database, now, sign_in) -> None:
    make_location()  # times are those of the first site
    task = make_safety(now)
    sign_in("nurse", name="Lin Example")
    assert post(f"/staff/tasks/{task.id}/take").location == f"/staff/tasks/{task.id}"
    banner = client.get("/staff/alerts").text
    assert "acknowledged by Lin Example at 10:00" in banner
    assert 'data-is="due"' in banner
    assert "Acknowledge<" not in banner
    assert post(f"/staff/tasks/{task.id}/close", {"outcome": ""}).status_code == 422
    assert post(f"/staff/tasks/{task.id}/close", {"outcome": "Spoke at 10:05"}).status_code == 302
    assert "call by" not in client.get("/staff/alerts").text


def test_the_front_desk_does_not_end_the_calls(post, database, now, sign_in) -> None:
    task = make_safety(now)
    sign_in("front_desk")
    assert post(f"/staff/tasks/{task.id}/take").status_code == 403
    assert queries.get(task.id).owner_id is None


def test_alerts_stand_by_due_time_and_the_rest_is_one_link_away(client, database, now, sign_in) -> None:
    make_location()  # times are those of the first site
    for minutes in (55, 50, 10, 40, 20, 30, 15, 25, 35, 45, 5, 58):
        make_safety(now, due_at=now + timedelta(minutes=minutes))
    sign_in("nurse")
    banner = client.get("/staff/alerts").text
    assert re.findall(r"<b>Safety, call by (\d\d:\d\d)</b>", banner) == [
        f"10:{minute:02d}" for minute in range(5, 55, 5)
    ]
    assert "2 more" in banner


def test_no_banner_for_sites_that_are_not_granted(client, database, now, sign_in) -> None:
    here, elsewhere = make_location(), make_location()
    make_safety(now, location_id=elsewhere.id)
    sign_in("nurse", locations=(here,))
    assert "call by" not in client.get("/staff/").text


def test_tasks_of_other_sites_do_not_exist(client, post, database, now, sign_in) -> None:
    here, elsewhere = make_location(), make_location()
    task = make_task(location_id=elsewhere.id)
    sign_in("manager", locations=(here,))
    assert client.get(f"/staff/tasks/{task.id}").status_code == 404
    assert post(f"/staff/tasks/{task.id}/take").status_code == 404
    assert post(f"/staff/tasks/{task.id}/close", {"outcome": "x"}).status_code == 404


def test_taking_from_today_goes_back_to_the_same_filter(post, database, now, sign_in) -> None:
    task = make_task()
    desk = sign_in("front_desk")
    answer = post(f"/staff/tasks/{task.id}/take", {"next": "/staff/?whose=all"})
    assert answer.location == "/staff/?whose=all"
    assert queries.get(task.id).owner_id == desk.id


def test_a_taken_task_is_a_conflict_for_the_second(post, database, now, sign_in) -> None:
    task = make_task()
    sign_in("front_desk")
    post(f"/staff/tasks/{task.id}/take")
    sign_in("front_desk")
    assert post(f"/staff/tasks/{task.id}/take").status_code == 409


def test_only_a_clinician_closes_a_safety_task(post, database, now, sign_in) -> None:
    task = make_safety(now)
    sign_in("front_desk", "manager")
    assert post(f"/staff/tasks/{task.id}/close", {"outcome": "called"}).status_code == 403
    sign_in("therapist")
    assert post(f"/staff/tasks/{task.id}/close", {"outcome": "called"}).status_code == 302
    assert queries.get(task.id).outcome == "called"


def test_closing_without_words_keeps_it_open(post, database, now, sign_in) -> None:
    task = make_task()
    sign_in("front_desk")
    assert post(f"/staff/tasks/{task.id}/close", {"outcome": " "}).status_code == 422
    assert queries.get(task.id).closed_at is None


def test_today_shows_my_roles_tasks_and_all_on_request(client, database, now, sign_in) -> None:
    make_task(for_role="prescriber", kind="clinical_review")
    mine = make_task(for_role="front_desk")
    sign_in("front_desk")
    usual, everything = client.get("/staff/").text, client.get("/staff/?whose=all").text
    assert f"task-{mine.id}" in usual
    assert "Clinical review</b>" not in usual.replace("</a>", "")
    assert everything.count('class="task') == 2


def test_the_title_counts_what_is_due_now(client, database, now, sign_in) -> None:
    make_task(due_at=now - timedelta(minutes=5))
    make_task(due_at=now + timedelta(minutes=30))
    make_task(due_at=now + timedelta(days=2))
    sign_in("front_desk")
    page = client.get("/staff/").text
    assert "Two things need a person now" in page
    assert "1 late" in page


def test_an_empty_day_says_so(client, database, now, sign_in) -> None:
    sign_in("front_desk")
    assert "Nothing needs a person today" in client.get("/staff/").text


@pytest.mark.parametrize("query", ["site=x", "site=999", "kind=nothing", "whose=nobody"])
def test_a_filter_that_does_not_exist_shows_the_usual_list(client, database, now, sign_in, query) -> None:
    sign_in("front_desk")
    assert client.get(f"/staff/?{query}").status_code == 200


def test_what_a_patient_tells_comes_to_the_worklist_once(client, post, database, now, sign_in_patient) -> None:
    patient = make_patient()
    sign_in_patient(patient)
    sent = {"topic": "effect", "words": "A headache after each visit", "nonce": "12345678"}
    post("/me/tell", sent)
    post("/me/tell", sent)
    [task] = database.session.scalars(select(Task))
    assert (task.kind, task.for_role, task.note) == ("clinical_review", "nurse", "A headache after each visit")
    assert task.subject == {"topic": "effect"}


def test_the_chart_lists_the_persons_tasks(client, database, now, sign_in) -> None:
    patient = make_patient()
    make_task(patient_id=patient.id)
    sign_in("front_desk")
    assert "To do" in client.get(f"/staff/patients/{patient.id}").text
    assert any(section.order == 5 for section in chart.SECTIONS)
