"""Whatever is sent: help or a plain refusal, the answers kept, never an error page."""

from datetime import date

import pytest

from clinic.intake import queries
from clinic.intake.forms import FORMS

BAD = [
    ("about", {"given": "", "family": "B", "birth_month": "1", "birth_day": "2", "birth_year": "1990"}, "family"),
    ("about", {"given": "A", "family": "B", "birth_month": "2", "birth_day": "30", "birth_year": "1990"}, "birth_day"),
    ("about", {"given": "A", "family": "B", "birth_month": "1", "birth_day": "2", "birth_year": "2027"}, "birth_year"),
    ("about", {"given": "A", "family": "B", "birth_month": "1", "birth_day": "2", "birth_year": "1799"}, "birth_year"),
    ("about", {"given": "A" * 201, "family": "B", "birth_month": "1", "birth_day": "2", "birth_year": "1990"}, "given"),
    (
        "about",
        {"given": "A", "family": "B", "birth_month": "1", "birth_day": "2", "birth_year": "1990", "sex": "<b>"},
        "sex",
    ),
    ("contact", {}, None),
    ("contact", {"email": "no at sign"}, "email"),
    ("contact", {"email": "a@b@c"}, "email"),
    ("contact", {"phone": "12"}, "phone"),
    ("contact", {"phone": "call me"}, "phone"),
    ("contact", {"email": "a@example.org", "zip": "ABCDE"}, "zip"),
    ("contact", {"email": "a@example.org", "language": "tlh"}, "language"),
    ("cover", {"payer": "A" * 301}, "payer"),
    ("brings", {"reason": "x" * 4001}, "reason"),
    ("brings", {"diagnosis": "cold"}, "diagnosis"),
    ("brings", {"onset_month": "13", "onset_year": "2026"}, "onset_month"),
    ("brings", {"onset_month": "12", "onset_year": "2026"}, "onset_year"),
    ("phq9-1", {}, None),
    ("phq9-1", {"answer": "4"}, "answer"),
    ("phq9-9", {"answer": "-1"}, "answer"),
    ("cssrs-1", {"item1": "maybe"}, "item1"),
    ("cssrs-2", {"item3": "2"}, "item3"),
    ("cssrs-3", {"recent": "2"}, "recent"),
    ("taking", {"changed": "x" * 4001}, "changed"),
    ("taking", {"drug": "x" * 201}, None),
    ("therapy", {"had": "sometimes"}, "had"),
    ("therapy", {"had": "yes", "kinds": ["hypnosis"]}, "kinds"),
    ("therapy-cbt", {"sessions": "many"}, "sessions"),
    ("therapy-cbt", {"from_month": "3", "from_year": "2025", "to_year": "2024"}, "from_year"),
    ("gad7-1", {"item1": "4"}, "item1"),
    ("ptsd", {"gate": "2"}, "gate"),
    ("difficulty", {"answer": "9"}, "answer"),
    ("thyroid", {"tested": "yes", "test_month": "12", "test_year": "2026"}, "test_month"),
    ("sleep", {"hours": "25"}, "hours"),
    ("sleep", {"hours": "enough"}, "hours"),
    ("conditions", {"pain": "ouch"}, "pain"),
    ("life", {"weighs": ["taxes"]}, "weighs"),
    ("family", {"relatives": "x" * 4001}, "relatives"),
    ("consents", {"care_team": "perhaps"}, "care_team"),
    ("consents", {"care_team_text": "a" * 65}, "care_team_text"),
    ("treatments", {"ect": "1; drop table"}, "ect"),
    ("implants", {"metal_in_head": "perhaps"}, "metal_in_head"),
    ("implants", {"more": "x" * 4001}, "more"),
    ("alcohol", {"audit1": "9"}, "audit1"),
    ("heart", {"systolic": "120"}, "systolic"),
    ("heart", {"systolic": "80", "diastolic": "120"}, "systolic"),
    ("heart", {"systolic": "high", "diastolic": "low"}, "systolic"),
    ("health", {"liver_impairment": "gone"}, "liver_impairment"),
    ("times", {"when": "some"}, "when"),
    ("times", {"when": "some", "windows": ["9-morning"]}, "windows"),
    ("away", {"from1": "2026-12-24", "to1": "2026-12-20"}, "from1"),
    ("away", {"to1": "2026-12-20"}, "to1"),
    ("away", {"from1": "31/12/2026"}, "from1"),
    ("away", {"from1": "1999-01-01"}, "from1"),
    ("away", {"from1": "2026-12-01", "to1": "2027-12-01"}, "to1"),
    ("places", {"first": "999999"}, "first"),
    ("places", {"second": "one"}, "second"),
    ("messages", {"email": "sure"}, "email"),
    ("messages", {"style": "hourly"}, "style"),
]
HOSTILE = [
    "\x00\x01",
    "<script>alert(1)</script>",
    "' OR 1=1 --",
    "{{ 7*7 }}",
    "\U0001f600" * 10,
    "\u202e" * 50,
    "x" * 60_000,
]


@pytest.mark.parametrize(("page", "answers", "kept"), BAD)
def test_what_cannot_be_used_is_explained_and_kept(person, page, answers, kept) -> None:
    response = person.save(page, **answers)
    html = response.get_data(as_text=True)
    assert response.status_code == 422
    assert 'id="errors"' in html
    assert "<title>Error:" in html
    if kept:
        assert queries.values(person.intake_id)[page][kept] == answers[kept]


@pytest.mark.parametrize("rounds", [1, pytest.param(len(HOSTILE), marks=pytest.mark.soak)])
@pytest.mark.parametrize("page", list(FORMS))
def test_no_page_breaks_on_hostile_text(person, page, rounds) -> None:
    """Every field of a page holds another text; over the pages, and in each round, they change places."""
    names = [field.name for field in FORMS[page](today=date(2026, 11, 23))]
    at = list(FORMS).index(page)
    for turn in range(rounds):
        texts = {name: HOSTILE[(at + turn + n) % len(HOSTILE)] for n, name in enumerate(names)}
        assert person.save(page, **texts).status_code in (302, 422)
        html = person.get(page).get_data(as_text=True)
        assert "<script>alert(1)" not in html
        assert ">49<" not in html


@pytest.mark.parametrize("text", HOSTILE)
def test_a_medicine_may_be_called_anything(person, text) -> None:
    answer = person.save("medicines", drug=text, add="1")
    assert answer.status_code in (302, 422)
    assert person.get("review").status_code == 200


@pytest.mark.parametrize("name", ["Zoë", "O’Brien", "李", "Мария", "María José", "ﬃ", "ß", "Nguyễn-Smith III"])
def test_names_are_kept_as_people_write_them(person, name) -> None:
    person.known(given=name)
    assert queries.patient_of(person.intake).given_name == name


def test_a_revision_that_is_no_number_is_none(person) -> None:
    answer = person.client.post("/intake/cover", data={"payer": "Aetna", "revision": "later", "form": "x" * 500})
    assert answer.status_code == 302


def test_a_key_that_the_page_did_not_make_is_refused(person) -> None:
    answer = person.client.post("/intake/medicines", data={"drug": "Zoloft", "key": "../..", "add": "1"})
    assert answer.status_code == 422


def test_a_step_that_is_not_there_is_not_found(person) -> None:
    key = person.add_medicine("Zoloft")
    assert person.get(f"medicines/{key}/5").status_code == 404
    assert person.get("medicines/nothing/1").status_code == 404


def test_going_back_to_a_foreign_address_is_not_possible(person) -> None:
    answer = person.client.post("/intake/cover", data={"to": "https://example.com", "form": "a"})
    assert answer.location == "/intake/brings"


def test_a_huge_send_is_refused(person) -> None:
    assert person.client.post("/intake/cover", data={"payer": "x" * 2_000_000}).status_code == 413


def test_too_much_of_one_answer_is_cut_and_told(person) -> None:
    response = person.save("brings", reason="x" * 50_000)
    assert response.status_code == 422
    assert len(queries.values(person.intake_id)["brings"]["reason"]) == 10_000
