"""Every page opens, is kept when it is left, and comes back as it was."""

import pytest

from clinic.intake import pages, queries
from clinic.intake.forms import FORMS

PAGES = list(pages.PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_with_one_heading(person, page) -> None:
    html = person.get(page)
    assert html.status_code == 200
    assert html.get_data(as_text=True).count("<h1") == 1


def test_a_page_that_is_not_there_is_not_found(person) -> None:
    assert person.get("nothing").status_code == 404


def test_about_and_contact_make_the_patient(person) -> None:
    person.known()
    patient = queries.patient_of(person.intake)
    assert (patient.name, patient.birth_date.isoformat()) == ("Ada Example", "1980-05-17")
    assert (patient.email, patient.phone) == ("ada@example.org", "+17145550123")


def test_a_later_change_changes_the_patient(person) -> None:
    person.known()
    person.save("contact", email="new@example.org", phone="")
    patient = queries.patient_of(person.intake)
    assert (patient.email, patient.phone) == ("new@example.org", None)


def test_answers_stand_in_the_page_when_it_is_opened_again(person) -> None:
    person.save("brings", reason="Nothing helped so far", diagnosis="mdd", onset_month="3", onset_year="2025")
    html = person.get("brings").get_data(as_text=True)
    assert "Nothing helped so far" in html
    assert 'value="mdd" checked' in html
    assert '<option selected value="2025">' in html


def test_pages_follow_each_other(person) -> None:
    assert person.save(
        "about", given="A", family="B", birth_month="1", birth_day="2", birth_year="1990"
    ).location.endswith("/intake/contact")
    assert person.save("brings").location.endswith("/intake/phq9-1")
    assert person.save("phq9-3", answer="1").location.endswith("/intake/phq9-4")
    assert person.save("messages", email="yes").location.endswith("/intake/review")


def test_pregnancy_is_not_asked_of_men(person) -> None:
    person.known(sex="male")
    assert person.save("health").location.endswith("/intake/life")
    person.save(
        "about", given="Ada", family="Example", birth_month="5", birth_day="17", birth_year="1980", sex="female"
    )
    assert person.save("health").location.endswith("/intake/pregnancy")


def test_only_the_kinds_of_therapy_that_were_had_are_asked(person) -> None:
    assert person.save("therapy", had="yes", kinds=["cbt", "other"]).location.endswith("/intake/therapy-cbt")
    assert person.save("therapy-cbt", sessions="12").location.endswith("/intake/therapy-other")
    assert person.save("therapy-other", trained="yes").location.endswith("/intake/treatments")


def test_a_change_from_the_review_goes_back_to_it(person) -> None:
    person.known()
    answer = person.client.post("/intake/cover", data={"payer": "Aetna", "to": "review", "revision": "0", "form": "a"})
    assert answer.location.endswith("/intake/review")


def test_autosave_keeps_a_draft_that_cannot_be_used_yet(person) -> None:
    answer = person.client.post("/intake/about/autosave", data={"given": "Ad", "birth_day": "77", "form": "a"})
    assert answer.status_code == 200
    assert answer.json == {"saved_at": "10:00 am", "revision": 1}
    html = person.get("about").get_data(as_text=True)
    assert 'value="Ad"' in html
    assert 'value="77"' in html


def test_the_same_draft_sent_twice_is_kept_once(person) -> None:
    for _ in range(2):
        answer = person.client.post("/intake/about/autosave", data={"given": "Ada", "form": "a", "revision": "0"})
    assert answer.json["revision"] == 1


def test_a_draft_that_arrives_after_the_page_was_left_changes_nothing(person) -> None:
    person.client.post("/intake/cover", data={"payer": "Aetna", "form": "a", "revision": "0"})
    late = person.client.post("/intake/cover/autosave", data={"payer": "Aet", "form": "a", "revision": "0"})
    assert late.status_code == 409
    assert queries.values(person.intake_id)["cover"] == {"payer": "Aetna"}


def test_a_person_under_18_is_told_and_goes_on(person) -> None:
    answer = person.save("about", given="A", family="B", birth_month="1", birth_day="2", birth_year="2012")
    assert answer.location.endswith("/intake/contact")
    assert "under 18" in person.get("contact").get_data(as_text=True)


def test_every_page_of_the_form_has_a_form() -> None:
    assert set(FORMS) == set(pages.PAGES)


def test_a_second_tab_is_told_and_nothing_is_lost(person) -> None:
    person.client.post("/intake/cover", data={"payer": "Aetna", "form": "tab one", "revision": "0"})
    answer = person.client.post("/intake/cover", data={"payer": "Cigna", "form": "tab two", "revision": "0"})
    html = answer.get_data(as_text=True)
    assert answer.status_code == 409
    assert "Aetna" in html
    assert "Cigna" in html
    assert queries.values(person.intake_id)["cover"] == {"payer": "Aetna"}


def test_after_being_told_the_second_tab_can_keep_its_answer(person) -> None:
    person.client.post("/intake/cover", data={"payer": "Aetna", "form": "tab one", "revision": "0"})
    person.client.post("/intake/cover", data={"payer": "Cigna", "form": "tab two", "revision": "1"})
    assert queries.values(person.intake_id)["cover"] == {"payer": "Cigna"}


def test_the_same_answer_in_two_tabs_is_no_matter(person) -> None:
    for tab in ("one", "two"):
        answer = person.client.post("/intake/cover", data={"payer": "Aetna", "form": tab, "revision": "0"})
    assert answer.status_code == 302


def test_a_second_tab_of_a_medicine_is_told(person) -> None:
    key = person.add_medicine("Zoloft")
    url = f"/intake/medicines/{key}/1"
    person.client.post(url, data={"drug": "Zoloft", "dose": "50", "form": "one", "revision": "0"})
    answer = person.client.post(url, data={"drug": "Zoloft", "dose": "100", "form": "two", "revision": "0"})
    assert answer.status_code == 409
    assert "50" in answer.get_data(as_text=True)


def test_a_draft_that_was_on_its_way_at_a_reload_is_joined(person) -> None:
    person.client.post("/intake/cover/autosave", data={"payer": "Aetna", "form": "before the reload", "revision": "0"})
    answer = person.client.post(
        "/intake/cover", data={"payer": "Aetna", "referrer": "Dr. Lee", "form": "after it", "revision": "0"}
    )
    assert answer.status_code == 302
    assert queries.values(person.intake_id)["cover"] == {"payer": "Aetna", "referrer": "Dr. Lee"}


def test_an_answer_that_another_tab_gave_is_not_dropped_in_silence(person) -> None:
    person.client.post("/intake/cover", data={"payer": "Aetna", "referrer": "Dr. Lee", "form": "one", "revision": "0"})
    answer = person.client.post("/intake/cover", data={"payer": "Aetna", "form": "two", "revision": "0"})
    assert answer.status_code == 409
