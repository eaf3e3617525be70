"""Length and what everyone knows; no mixtures."""

import pytest

from clinic.staff.passwords import TOO_KNOWN, TOO_LONG, TOO_NEAR, TOO_PLAIN, TOO_SHORT, common, faults


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "tres tristes tigres comen",
        "пароль из нескольких слов",
        "1 hedge, 4 swallows",
        "x" * 5 + "qo zr vn kd",
    ],
)
def test_a_few_words_are_a_password_without_signs_or_capitals(password) -> None:
    assert faults(password) == []


@pytest.mark.parametrize(
    ("password", "fault"),
    [
        ("eleven char", TOO_SHORT),
        ("", TOO_SHORT),
        ("w " * 65, TOO_LONG),
        ("password1234", TOO_KNOWN),
        ("Password!2026", TOO_KNOWN),
        ("p@ssw0rd!!!!!", TOO_KNOWN),
        ("qwertyuiopqwertyuiop", TOO_KNOWN),
        ("iloveyouiloveyou", TOO_KNOWN),
        ("aaaaaaaaaaaaaaaa", TOO_PLAIN),
        ("abcdefghijklmnop", TOO_PLAIN),
        ("123456789012", TOO_PLAIN),
        ("nora likes the rain", TOO_NEAR),
        ("my harbor is blue", TOO_NEAR),
        ("daybreak in the hills", TOO_NEAR),
    ],
)
def test_what_is_tried_first_is_refused(password, fault) -> None:
    assert faults(password, ("Nora Nurse", "nora@harbor.example")) == [fault]


def test_the_list_is_here_and_long() -> None:
    assert len(common()) > 25_000
    assert "password" in common()
