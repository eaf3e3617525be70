"""Published forms of questionnaires in other languages."""

import pytest

from clinic.instruments import keys, scoring
from clinic.instruments.wording import is_published, wording


@pytest.mark.parametrize("key", ["phq9", "phq2", "gad7", "audit_c", "cssrs"])
def test_the_spanish_form_is_whole(key) -> None:
    words, english = wording(key, "es"), wording(key, "en")
    assert words.language == "es"
    assert words.items.keys() == english.items.keys()
    for number, answers in words.answers.items():
        assert answers.keys() == english.answers[number].keys()
    assert not set(words.items.values()) & set(english.items.values())


def test_a_form_that_was_not_found_stays_english_and_says_so() -> None:
    words = wording("pcptsd5", "es")
    assert words.language == "en"
    assert not is_published("pcptsd5", "es")
    assert words.items[1].startswith("Had nightmares")


def test_words_are_those_of_the_published_form() -> None:
    assert (
        wording("phq9", "es").items[9] == "Pensamientos de que estaría mejor muerto(a) o de lastimarse de alguna manera"
    )
    assert wording("phq9", "es").answers[9][1] == "Varios días"
    assert wording("cssrs", "es").follow_up == "¿Fue esto en los últimos 3 meses?"
    assert wording("audit_c", "es").answers[1][1] == "Una o menos veces al mes"


@pytest.mark.parametrize("key", [key for key in keys() if "translations" in scoring.load(key).data])
def test_every_published_form_says_where_it_was_found(key) -> None:
    for found in scoring.load(key).data["translations"].values():
        assert found["source"]
        is_ours = found["verified"] == "our design" == scoring.load(key).data["verified"]
        assert is_ours or found["verified"].startswith(("seen", "recalled"))


def test_english_is_what_the_scores_are_made_from() -> None:
    instrument = scoring.load("phq9")
    assert wording("phq9", "en").items == {item.number: item.text for item in instrument.items}
