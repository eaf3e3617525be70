"""Every page that patients read, in each language: how hard it is to read, and that it is in that language alone."""

import re
from functools import cache
from typing import Any

import pytest
from babel.messages.pofile import read_po
from flask import Flask

from clinic import instruments
from clinic.instruments.wording import wording
from clinic.web import i18n
from tests.patient_pages import Pages, rendered, unopened
from tests.reading import Words, ease, grade

HARDEST_ENGLISH = 8.0  # school years
LEAST_EASE = 60.0  # Fernández Huerta: below it is "somewhat hard"
# English function words that are no Spanish words; short ones that both languages have stay out.
ENGLISH = re.compile(
    r"\b(?:the|and|you|your|with|this|that|from|we|for|are|it|not|have|of|to|or|was|what|when)\b", re.I
)
SPANISH = re.compile(r"\b(?:el|los|las|una|usted|su|sus|que|con|para|por|está|qué|cuándo|y|o|del|al|se)\b", re.I)
DATA = {"Harbor Clinic. Care that goes on", "Harbor Clinic"}  # the clinic's own words


@pytest.fixture(scope="module")
def kept() -> dict[str, Pages]:
    """Pages by language: rendered once, read by every test of this file."""
    return {}


@pytest.fixture(params=sorted(i18n.LANGUAGES))
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def pages(kept: dict[str, Pages], language: str, request: pytest.FixtureRequest) -> Pages:
    if language not in kept:
        for fixture in ("database", "now", "rings"):
            request.getfixturevalue(fixture)
        kept[language] = rendered(request.getfixturevalue("app"), language)
    return kept[language]


@cache
def scales(language: str) -> frozenset[str]:
    """Words of questionnaires, which stand as their owners published them."""
    texts: set[str | None] = set()
    for key in instruments.keys():  # noqa: SIM118 - a function, and no dict
        words = wording(key, language)
        texts |= {words.stem, words.gate, words.follow_up, words.credit, *words.items.values()}
        texts |= {answer for answers in words.answers.values() for answer in answers.values()}
        texts |= {words.functional[0], *words.functional[1]} if words.functional else set()
    return frozenset(" ".join(text.split()) for text in texts if text)


def texts_of(html: str, language: str) -> list[str]:
    return [text for text in Words(html).texts if text not in scales(language)]


def test_every_page_names_its_language(pages: Pages, language: str) -> None:
    assert {name: re.findall(r'<html lang="(\w+)"', html) for name, html in pages.items()} == {
        name: [language] for name in pages
    }


def test_every_page_is_easy_to_read(pages: Pages, language: str) -> None:
    if language == "en":
        hard = {name: found for name, html in pages.items() if (found := grade(texts_of(html, "en"))) > HARDEST_ENGLISH}
    else:
        hard = {name: found for name, html in pages.items() if (found := ease(texts_of(html, language))) < LEAST_EASE}
    assert hard == {}


def test_no_page_mixes_languages(pages: Pages, language: str) -> None:
    """Neither a text of the English catalog nor a sentence that nobody wrapped; what names its language is left out."""
    if language == i18n.DEFAULT:
        foreign: Any = SPANISH
        known: frozenset[str] = frozenset()
    else:
        foreign, known = ENGLISH, english(language)
    found = set()
    for name, html in pages.items():
        words = Words(html)
        for text in {*words.texts, *words.names} - DATA - scales(i18n.DEFAULT):
            if text in known or len(foreign.findall(text)) > 1:
                found.add((name, text))
    assert found == set()


@cache
def english(language: str) -> frozenset[str]:
    """Texts of the catalog that read otherwise in this language."""
    with (i18n.FOLDER / language / "LC_MESSAGES" / "messages.po").open("rb") as source:
        catalog = read_po(source, locale=language)
    pairs = [
        pair
        for message in catalog
        if message.id
        for pair in (
            [(message.id, message.string)]
            if isinstance(message.id, str)
            else zip(message.id, message.string, strict=True)
        )
    ]
    return frozenset(text for text, words in pairs if text != words)


def test_every_page_for_patients_is_read_here(app: Flask, pages: Pages) -> None:
    assert unopened(app, pages.endpoints) == set(), "open it in tests/patient_pages.py"


def test_the_measures_tell_easy_from_hard() -> None:
    assert grade(["The cat sat on the mat. We can help you."]) < 2
    assert grade(["Comprehensive psychopharmacological evaluation necessitates considerable deliberation."]) > 12
    assert ease(["El gato está en la mesa. Le podemos ayudar."]) > 90
    assert (
        ease(["La evaluación psicofarmacológica exhaustiva necesita considerable deliberación interdisciplinaria."])
        < 40
    )


def test_the_reader_leaves_out_what_names_its_language() -> None:
    words = Words('<html lang="es"><p>Hola <b>a todos</b></p><p lang="en">Hello</p><input placeholder="Día"></html>')
    assert words.texts == ["Hola a todos"]
    assert words.names == ["Día"]
