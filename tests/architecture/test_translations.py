"""Everything that patients read is in the catalogs, whole and in words of its own."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from jinja2 import Environment

from clinic.web import i18n

ROOT = Path(__file__).parents[2]
_PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%%|\{\w*\}")
LANGUAGES = sorted(set(i18n.LANGUAGES) - {i18n.DEFAULT})
# Names that are the same in every language.
NAMES = {
    "Daybreak",
    "PHQ-9.",
    "GAD-7.",
    "AUDIT-C.",
    "PC-PTSD-5.",
    ". Columbia Lighthouse Project.",
    "CBT",
    "IPT",
    "DBT",
}
NAMES |= {". © Research Foundation for Mental Hygiene, Inc."}
WORDED = r'\b(?:aria-label|title|placeholder|alt|data-busy|data-some|data-none)="([^"\x00]*)"'


def script() -> Any:
    spec = importlib.util.spec_from_file_location("messages", ROOT / "scripts" / "messages.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MESSAGES = script()


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def source(language: str) -> str:
    return (i18n.FOLDER / language / "LC_MESSAGES" / "messages.po").read_text()


@pytest.fixture(scope="module")
def catalog(language: str) -> Catalog:
    with (i18n.FOLDER / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, locale=language)


def both(text: Any) -> tuple[str, ...]:
    return (text or "",) if text is None or isinstance(text, str) else tuple(text)


def test_every_text_that_patients_read_is_translated(language: str, catalog: Catalog) -> None:
    missing = [
        text
        for text in MESSAGES.messages()
        if (found := catalog.get(both(text)[0])) is None or not all(both(found.string))
    ]
    assert missing == [], "run `make messages`, then write the translations"


def test_the_catalog_holds_nothing_else(language: str, source: str) -> None:
    assert source == MESSAGES.written(MESSAGES.updated(language)), "run `make messages`"


def test_a_translation_keeps_the_placeholders(catalog: Catalog) -> None:
    for message in catalog:
        if message.id:
            wanted = [
                sorted(_PLACEHOLDER.findall(text)) for text in both(message.id)
            ]  # "One visit" may do without its number
            for at, string in enumerate(both(message.string)):
                assert sorted(_PLACEHOLDER.findall(string)) == wanted[min(at, len(wanted) - 1)], message.id


def test_a_translation_ends_as_the_text_does(catalog: Catalog) -> None:
    for message in catalog:
        if message.id:
            for text, string in zip(both(message.id), both(message.string), strict=True):
                assert (text[:1] == " ", text[-1:] == " ") == (string[:1] == " ", string[-1:] == " "), text
                assert (text[-1] in ".?:") == (string[-1] in ".?:"), text
                assert "!" not in string


def test_nothing_is_guessed_or_left_over(source: str) -> None:
    assert "fuzzy" not in source
    assert "\n#~" not in source


def test_the_catalog_tells_nothing_of_who_or_where_or_when(source: str) -> None:
    assert not re.search(r"^#[:.]|Date:|Translator|/(?:home|root|work|Users)/", source, re.M)


def test_words_that_a_released_page_never_shows_come_in_by_no_translation(catalog: Catalog) -> None:
    from clinic.care.wording import forbidden

    for message in catalog:
        if message.id:
            english = {found.why for text in both(message.id) for found in forbidden(text)}
            assert {found.why for text in both(message.string) for found in forbidden(text)} <= english | {
                "a finding about substances"  # "drugs" are medicines in one language and not in the other
            }, message.id


def test_the_fixed_sentences_stand_word_for_word(catalog: Catalog, language: str) -> None:
    fixed = {
        "es": {
            "Thank you for telling us.": "Gracias por decírnoslo.",
            "Call 988": "Llame al 988 y oprima 2",
            "No signal. Kept on this phone": "Sin señal. Guardado en este teléfono",
            "Side effects made me stop": "La dejé por los efectos secundarios",
            "I'll be there": "Ahí estaré",
            "I can't come": "No puedo ir",
            "Good morning": "Buenos días",
        }
    }
    for text, words in fixed.get(language, {}).items():
        assert catalog[text].string.replace("\u00a0", " ") == words


@pytest.mark.parametrize("path", MESSAGES.templates(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_patients_template_says_nothing_outside_of_gettext(path: Path) -> None:
    assert bare(path.read_text()) == [], (
        "wrap it in _('...'), give the element a lang, or name what only staff see in FOR_STAFF of messages.py"
    )


def bare(source: str) -> list[str]:
    """Words that stand in the page itself: text between tags and in attributes that are read out."""
    html = "".join(
        value if kind == "data" else "\x00" if kind == "variable_begin" else ""
        for _line, kind, value in Environment(extensions=["jinja2.ext.i18n"]).lex(source)
    )
    html = re.sub(r"(?s)<(\w+)[^>]*\slang=[^>]*>.*?</\1>", "", html)  # words that name their language
    html = re.sub(r"(?s)<(script|style)\b.*?</\1>|&\w+;", "", html)
    words = re.findall(WORDED, html) + re.sub(r"(?s)<[^>]*>", "\n", html).split("\n")
    clean = (re.sub(r'^[\w-]+=""$', "", text.replace("\x00", "").strip()) for text in words)  # a piece of a tag
    return [text for text in clean if re.search(r"[^\W\d_]{2}", text) and text not in NAMES]


def test_the_look_for_bare_text_finds_it() -> None:
    assert bare("<p>Hello {{ name }}</p>") == ["Hello"]
    assert bare('<a aria-label="Go back" href="/back">{{ _(\'Back\') }}</a>') == ["Go back"]
    assert bare("<p>{{ _('Hello') }} <b lang=\"en\">PHQ-9 item</b> &middot; 5</p>") == []
