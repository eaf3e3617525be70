"""What anyone may read: every figure has a source, none is ranked, and what cannot be booked stays a referral."""

import re
from pathlib import Path

import pytest

from clinic.care import options
from clinic.care.speaking import speaking
from clinic.eligibility.engine import knowledge
from clinic.protocols.base import catalogue
from tests.builders import make_patient
from tests.clinic.intake.test_words import grade, words_of

PAGES = ("/guide", "/treatments", "/sources")


@pytest.fixture(autouse=True)
def _english(app):
    with app.test_request_context("/"), speaking("en"):
        yield


def said(client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200
    return words_of(answer.get_data(as_text=True))


@pytest.mark.parametrize("url", PAGES)
def test_the_pages_open_without_signing_in_and_link_on(client, url) -> None:
    assert said(client, url)


@pytest.mark.parametrize("url", ["/guide", "/treatments"])
def test_the_pages_read_easily(client, url) -> None:
    assert grade(said(client, url)) <= 8


def test_the_front_page_leads_to_guide_and_treatments(client) -> None:
    html = client.get("/").text
    assert 'href="/guide"' in html
    assert 'href="/treatments"' in html


def test_the_guide_says_one_range_of_how_common_it_is_with_its_sources(client) -> None:
    html = client.get("/guide").text
    assert html.count("About 3 in 10 people") == 1
    assert re.search(r"About 3 in 10 people.*?Zhdanava", html, re.S)


def test_the_guide_claims_nothing_about_one_persons_brain(client) -> None:
    text = said(client, "/guide")
    assert "No test can tell which of them matters for one person" in text
    assert not re.search(r"\byour (brain|serotonin|dopamine|glutamate)\b", text)


def numbers(text: str) -> set[float]:
    return {float(number) for number in re.findall(r"\d+(?:\.\d+)?", text)}


@pytest.mark.parametrize("key", options._display())
def test_every_figure_is_the_one_of_the_clinical_table(key) -> None:
    rows = (
        {row["what"]: row for row in options._raw()[key]["literature_figures"]}
        if options._display()[key]["figures"]
        else {}
    )
    shown = options._display()[key]["figures"]
    for figure, row in zip(options.catalogue([key])[0].figures, shown, strict=True):
        value = str(rows[row["what"]]["value"])
        assert set(figure.numbers) <= numbers(value), (row, value)
        assert figure.source.key == rows[row["what"]]["src"]


def test_every_figure_says_response_or_remission_and_has_a_source() -> None:
    for option in options.catalogue():
        for figure in option.figures:
            assert figure.text.startswith(("Response: ", "Remission: "))
            assert figure.kind
            assert figure.source.url


def test_figures_whose_origin_was_not_found_stand_beside_no_treatment(client) -> None:
    for key in ("esketamine", "iv_ketamine", "psychotherapy_augmentation"):
        [option] = options.catalogue([key])
        for number in options.suppressed(key):
            assert all(number not in figure.text for figure in option.figures)
            assert number not in said(client, "/treatments")
    claims = client.get("/sources").text.split('id="claims"')[1].split('id="all"')[0]
    assert "1.48" not in claims


def test_figures_of_the_articles_are_called_claims(client) -> None:
    html = client.get("/sources").text
    assert "They are claims, and no studies." in html
    assert "40-58 (document_a)" in html


def test_treatments_stand_in_the_order_of_the_alphabet_in_each_language() -> None:
    for language in ("en", "es"):
        with speaking(language):
            names = [options._plain(option.name) for option in options.catalogue()]
        assert names == sorted(names)


def test_off_label_ketamine_is_called_so(client) -> None:
    assert "Not FDA-approved for depression" in client.get("/treatments").text


def test_what_is_not_given_here_is_never_bookable() -> None:
    given = {protocol.modality for protocol in catalogue().values()}
    for option in options.catalogue():
        assert option.is_bookable == (option.id in given)
    assert {"ect", "emerging"} <= set(options.REFERRABLE)
    assert given.isdisjoint({"ect", "emerging"})


@pytest.mark.parametrize("protocol", ["ect", "emerging", "augmentation"])
def test_a_course_of_it_cannot_be_asked_for(protocol) -> None:
    from clinic.audit import system
    from clinic.errors import ClinicError
    from clinic.scheduling import operations as scheduling
    from clinic.scheduling.wishes import CourseWish

    with pytest.raises(ClinicError):
        scheduling.propose_courses(make_patient().id, CourseWish(protocol=protocol), by=system("test"))


def test_the_tables_name_the_same_options() -> None:
    named = {row["id"] for row in knowledge.treatment_options()["options"]}
    assert set(options._display()) == named
    assert set(options._words()) == named | {options.EMERGING}
    assert (Path(knowledge.FOLDER) / options.TABLE).exists()
