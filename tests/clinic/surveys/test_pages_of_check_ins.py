"""Check-ins of several questionnaires on the phone, and the desk's pages about them."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from clinic import clock
from clinic.db import db
from clinic.locations import queries as locations
from clinic.surveys import operations, queries
from clinic.surveys.models import Survey, WeeklyAsk
from clinic.tasks.models import Task
from tests.builders import TESTER, make_patient, make_staff, phq9_answers

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)
SEVERAL = ["phq9", "sleep_clinic", "side_effects_tms"]
Make = Callable[..., Survey]


@pytest.fixture(autouse=True)
def _no_csrf(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.config, "WTF_CSRF_ENABLED", False)


@pytest.fixture
def as_staff(sign_in: Any) -> Callable[..., None]:
    """`as_staff(role, row)` signs in somebody of the site at which the row's patient is treated."""

    def do(role: str, row: Any) -> None:
        course = queries.present_course(row.patient_id)
        assert course is not None
        sign_in(role, locations=(locations.get(course.location_id),))

    return do


@pytest.fixture
def survey(running: Any, make_survey: Make) -> Survey:
    return make_survey(running(5), instruments=SEVERAL)


def test_our_own_questions_stand_together_and_may_stay_open(survey: Survey, phone: Any) -> None:
    browser = phone(survey)
    page = browser.get(f"/surveys/{survey.id}/12").text
    assert page.count("<fieldset") == 4
    went = browser.post(f"/surveys/{survey.id}/12", data={"side_effects_tms-1": "3"})
    assert went.location.endswith("/13")
    draft = queries.get(survey.id).draft or {}
    assert (draft["side_effects_tms.1"], draft["side_effects_tms.2"]) == (3, None)


def test_autosave_leaves_what_was_not_touched_open(survey: Survey, phone: Any) -> None:
    phone(survey).post(f"/surveys/{survey.id}/12/save", data={"side_effects_tms-1": "3"})
    assert queries.get(survey.id).draft == {"side_effects_tms.1": 3}


def test_a_blackout_shows_whom_to_call_first(survey: Survey, phone: Any, rings: list[Any]) -> None:
    browser = phone(survey)
    went = browser.post(f"/surveys/{survey.id}/14", data={"side_effects_tms-9": "1"})
    assert went.location.endswith("/14/medical")
    page = browser.get(went.location).text
    assert 'href="tel:911"' in page
    assert "We cannot say when someone at the clinic reads this" in page
    assert [task.level for task in db.session.scalars(select(Task).filter_by(kind="safety"))] == ["urgent"]


def test_out_of_hours_the_page_says_when_somebody_reads(survey: Survey, phone: Any, at: Any, rings: list[Any]) -> None:
    with at(datetime(2026, 11, 24, 4, tzinfo=UTC)):
        browser = phone(survey)
        browser.post(f"/surveys/{survey.id}/14", data={"side_effects_tms-9": "1"})
        page = browser.get(f"/surveys/{survey.id}/14/medical").text
    assert "Nobody at the clinic reads this before Tue, Nov 24, 8:00 am. If it cannot wait, call 911." in page


def test_words_may_be_too_long_but_never_lost(survey: Survey, phone: Any) -> None:
    answer = phone(survey).post(f"/surveys/{survey.id}/14", data={"side_effects_tms-10": "x" * 501})
    assert answer.status_code == 422
    assert "x" * 501 in answer.text
    assert "at most 500 characters" in answer.text


def test_after_the_safety_card_the_other_questions_go_on(survey: Survey, phone: Any) -> None:
    browser = phone(survey)
    operations.save_answers(survey.id, phq9_answers(1) | {"phq9.difficulty": 0}, by=TESTER)
    browser.post(f"/surveys/{survey.id}/9", data={"answer": "1"})
    gone = browser.post(f"/surveys/{survey.id}/safety", data={"next": "person"}, follow_redirects=False)
    assert browser.get(gone.location).location.endswith("/11")


def test_a_page_that_is_not_there_is_not_found(survey: Survey, phone: Any) -> None:
    assert phone(survey).get(f"/surveys/{survey.id}/15").status_code == 404


def test_all_questionnaires_are_scored_together(survey: Survey, phone: Any) -> None:
    browser = phone(survey)
    operations.save_answers(survey.id, phq9_answers(1) | {"sleep_clinic.1": 2}, by=TESTER)
    browser.post(f"/surveys/{survey.id}/send")
    assert [(row.instrument, row.result["total"]) for row in queries.scores_of(survey.id)] == [
        ("phq9", 8),
        ("sleep_clinic", None),
    ]


def test_the_screener_can_be_asked_by_itself(running: Any, make_survey: Make, phone: Any, rings: list[Any]) -> None:
    survey = make_survey(running(5), instruments=["cssrs"], occasion="asked:1")
    browser = phone(survey)
    assert browser.get(f"/surveys/{survey.id}").location.endswith("/more/1")
    browser.post(f"/surveys/{survey.id}/more/1", data={"cssrs-1": "0", "cssrs-2": "0"})
    browser.post(f"/surveys/{survey.id}/more/3", data={"cssrs-6": "0"})
    assert browser.get(f"/surveys/{survey.id}").location.endswith("/send")
    browser.post(f"/surveys/{survey.id}/send")
    assert [row.result for row in queries.scores_of(survey.id)] == [{"risk": "none"}]


# -- the desk -----------------------------------------------------------------------------------------------------------


def test_the_desk_sees_states_and_no_answers(survey: Survey, as_staff: Any, client: Any) -> None:
    operations.save_answers(survey.id, phq9_answers(3), by=TESTER)
    operations.send_answers(survey.id, by=TESTER)
    as_staff("front_desk", survey)
    page = client.get(f"/staff/patients/{survey.patient_id}/check-ins").text
    assert "After session 5" in page
    assert "Answered" in page
    assert "item 9" not in page
    assert ">24<" not in page


def test_paper_is_entered_at_the_desk(survey: Survey, as_staff: Any, client: Any) -> None:
    as_staff("front_desk", survey)
    form = client.get(f"/staff/check-ins/{survey.id}/paper").text
    assert form.count('type="radio"') == 9 * 4 + 4 + 8 + 2 * 11 + 7 * 2
    said = {f"phq9-{n}": "1" for n in range(1, 10)} | {"taken_on": "2026-11-22"}
    answer = client.post(f"/staff/check-ins/{survey.id}/paper", data=said)
    assert answer.location.endswith("/check-ins")
    assert "Answered on paper" in client.get(answer.location).text
    assert queries.scores(survey.patient_id)[0].result["total"] == 9


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"taken_on": ""}, "Give the date on the sheet."),
        ({"taken_on": "2026-11-24", "phq9-1": "1"}, "This day is still to come."),
        ({"taken_on": "2026-11-22"}, "Enter at least one answer."),
        ({"taken_on": "2026-11-22", "phq9-1": "9"}, "Not a valid choice"),
    ],
)
def test_a_faulty_sheet_says_what_to_do(
    survey: Survey, as_staff: Any, client: Any, data: dict[str, str], words: str
) -> None:
    as_staff("front_desk", survey)
    db.session.commit()
    answer = client.post(f"/staff/check-ins/{survey.id}/paper", data=data)
    assert answer.status_code == 422
    assert words in answer.text


def test_an_answered_check_in_is_not_entered_again(survey: Survey, as_staff: Any, client: Any) -> None:
    operations.save_answers(survey.id, phq9_answers(1), by=TESTER)
    operations.send_answers(survey.id, by=TESTER)
    as_staff("front_desk", survey)
    said = {"taken_on": "2026-11-22", "phq9-1": "1"}
    page = client.post(f"/staff/check-ins/{survey.id}/paper", data=said, follow_redirects=True).text
    assert "This check-in is answered or over. Nothing was entered." in page


def test_a_sheet_for_an_answered_check_in_is_not_even_begun(survey: Survey, as_staff: Any, client: Any) -> None:
    operations.save_answers(survey.id, phq9_answers(1), by=TESTER)
    operations.send_answers(survey.id, by=TESTER)
    as_staff("front_desk", survey)
    for query in ("", "?corrects=1"):
        assert client.get(f"/staff/check-ins/{survey.id}/paper{query}").location.endswith("/check-ins")


@pytest.mark.parametrize(("role", "seen"), [("nurse", 10), ("front_desk", 0)])
def test_a_correction_begins_with_what_was_entered(
    survey: Survey, as_staff: Any, client: Any, role: str, seen: int
) -> None:
    answers = phq9_answers(1) | {"phq9.difficulty": 2}
    other = make_staff("nurse").id
    operations.enter_paper(survey.id, answers, taken_on=date(2026, 11, 22), staff_id=other, by=TESTER)
    as_staff(role, survey)
    page = client.get(f"/staff/check-ins/{survey.id}/paper?corrects=1").text
    assert 'value="2026-11-22"' in page
    assert len(re.findall(r"<input[^>]* checked|<input checked", page)) == seen


def test_a_check_in_is_asked_for_by_hand(running: Any, as_staff: Any, client: Any, rings: list[Any]) -> None:
    course = running(5)
    as_staff("nurse", course)
    address = f"/staff/patients/{course.patient_id}/check-ins"
    assert client.post(address, data={"nonce": "a"}).status_code == 422
    client.post(address, data={"nonce": "a", "instruments": ["pcptsd5"]})
    [survey] = queries.of_patient(course.patient_id)
    assert survey.instruments == ["pcptsd5"]
    assert "Asked by the clinic" in client.get(address).text


def test_the_desk_does_not_ask_about_substances(running: Any, as_staff: Any, client: Any) -> None:
    course = running(5)
    as_staff("front_desk", course)
    address = f"/staff/patients/{course.patient_id}/check-ins"
    assert client.post(address, data={"nonce": "a", "instruments": ["audit_c"]}).status_code == 422


def test_weekly_is_begun_and_ended_with_its_reason(running: Any, as_staff: Any, client: Any) -> None:
    course = running(5)
    as_staff("front_desk", course)
    address = f"/staff/courses/{course.id}/weekly-check-ins"
    assert client.post(address, data={"reason": ""}).status_code == 422
    page = client.post(address, data={"reason": "HCSC PSY301.015"}, follow_redirects=True).text
    assert "Asked every week" in page
    assert client.post(address, data={"reason": "again"}).status_code == 409
    client.post(f"{address}/end")
    assert [row.ended_at is not None for row in db.session.scalars(select(WeeklyAsk))] == [True]


def test_a_person_without_a_check_in_has_a_page(database: Any, sign_in: Any, client: Any) -> None:
    sign_in("front_desk", locations=())
    page = client.get(f"/staff/patients/{make_patient().id}/check-ins").text
    assert "No check-in was sent yet." in page


def test_an_overdue_task_leads_to_the_check_ins(running: Any, as_staff: Any, client: Any, rings: list[Any]) -> None:
    course = running(5)
    operations.keep_up()
    with clock.frozen(NOW + timedelta(hours=73)):
        operations.keep_up()
        as_staff("front_desk", course)
        assert "No answer so far: call, or enter it from paper." in client.get("/staff/?whose=all").text
