"""A text is read by rule or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic.reminders.replies import CODES, WORDS, Meaning, read


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("1", "coming"),
        (" 2. ", "late"),
        ("3!", "cannot"),
        ("1️⃣", "coming"),
        ("STOP", "stop"),
        ("Stop.", "stop"),
        ("stop all", "stop"),
        ("ALTO", "stop"),
        ("no más", "stop"),
        ("START", "start"),
        ("iniciar", "start"),
        ("HELP", "help"),
        ("información", "help"),
    ],
)
def test_codes_and_words_that_stand_alone(text: str, meaning: str) -> None:
    assert read(text).meaning == meaning


@pytest.mark.parametrize(
    "text",
    [
        "1 or 3",
        "12",
        "1 2",
        "yes",
        "ok",
        "I can't come",
        "please stop by my house",
        "help me stop",
        "",
        "👍",
        "cancelar",
    ],
)
def test_whatever_says_more_is_a_persons_to_read(text: str) -> None:
    assert read(text).meaning is Meaning.UNCLEAR


def test_cancel_ends_texts_as_carriers_do_and_may_mean_a_visit_too() -> None:
    assert (read("CANCEL").meaning, read("CANCEL").is_double) == (Meaning.STOP, True)


@pytest.mark.parametrize("text", ["I want to die", "quiero morir", "i will KILL MYSELF", "no quiero vivir más"])
def test_words_that_a_clinician_has_to_see(text: str) -> None:
    assert read(text).is_alarming


@given(st.text(max_size=40))
def test_no_text_is_guessed_at(text: str) -> None:
    found = read(text)
    if found.meaning is not Meaning.UNCLEAR:
        assert len(text.split()) <= 3
    assert found.language in (None, "en", "es")


def test_each_language_has_its_words() -> None:
    for meaning in (Meaning.STOP, Meaning.START, Meaning.HELP):
        assert {found.language for found in WORDS.values() if found.meaning is meaning} == {"en", "es"}
    assert len(CODES) == 3
