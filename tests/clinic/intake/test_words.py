"""What the pages say: short words, nothing that blames, and no health words where a message may show them."""

import re
from html import unescape

import pytest

from clinic.intake import pages

LICENSED = re.compile(r"^(phq9|cssrs|gad7|ptsd)-|^(alcohol|ptsd|difficulty)$")  # shown word for word
OWN = [key for key in pages.PAGES if not LICENSED.search(key)]
BLAMING = ("fail", "non-compl", "refus", "you must", "poor", "hereby")
BLOCKS = re.compile(r"</(?:p|h1|h2|h3|li|legend|label|button|dt|dd|th|small|a)>")


def words_of(html: str) -> str:
    main = re.search(r"<main.*?</main>", html, re.S)
    assert main
    visible = re.sub(r"<(select|script|template|svg)\b.*?</\1>", " ", main[0], flags=re.S)
    text = re.sub(r"<[^>]+>", " ", BLOCKS.sub(". ", visible))
    return " ".join(unescape(text).split())


def syllables(word: str) -> int:
    groups = len(re.findall(r"[aeiouy]+", word.lower()))
    return max(1, groups - (word.lower().endswith("e") and not word.lower().endswith("le")))


def grade(text: str) -> float:
    """Flesch-Kincaid."""
    sentences = [re.findall(r"[A-Za-z']+", part) for part in re.split(r"[.!?:]+", text)]
    sentences = [sentence for sentence in sentences if sentence]
    words = [word for sentence in sentences for word in sentence]
    return 0.39 * len(words) / len(sentences) + 11.8 * sum(map(syllables, words)) / len(words) - 15.59


def test_the_measure_knows_hard_from_easy() -> None:
    assert grade("The cat sat on the mat. It was warm.") < 2
    assert (
        grade("Contraindications necessitate multidisciplinary reconsideration of pharmacological augmentation.") > 15
    )


@pytest.mark.parametrize("page", [*OWN, "start", "later", "review", "safety"])
def test_a_page_reads_easily_and_blames_nobody(person, page) -> None:
    person.known()
    text = words_of(person.get(page).get_data(as_text=True))
    if page == "review":  # its questions of the questionnaires are word for word
        text = text.split("The last two weeks")[0]
    assert grade(text) <= 8
    assert not [word for word in BLAMING if word in text.lower()]


def test_the_medicine_pages_and_the_end_read_easily(person) -> None:
    person.known()
    key = person.add_medicine("Zoloft")
    for page in (f"medicines/{key}/1", f"medicines/{key}/2"):
        assert grade(words_of(person.get(page).get_data(as_text=True))) <= 8
    person.send()
    assert grade(words_of(person.get("done").get_data(as_text=True))) <= 8


@pytest.mark.parametrize("number", range(1, 10))
def test_the_phq9_is_shown_word_for_word(person, number) -> None:
    from clinic import instruments

    phq9 = instruments.load("phq9")
    html = unescape(person.get(f"phq9-{number}").get_data(as_text=True))
    item = phq9.items[number - 1]
    for words in (phq9.stem, item.text, *item.answers.values(), phq9.credit):
        assert words in html
    assert "Not sure" not in html
    assert "Skip this one for now" in html


@pytest.mark.parametrize(
    "page", ["implants", "body", "mind", "vessels", "pregnancy", "health", "therapy", "treatments"]
)
def test_every_fact_may_be_not_sure(person, page) -> None:
    html = person.get(page).get_data(as_text=True)
    assert html.count('value="not_sure"') >= html.count('role="radiogroup"')


def test_what_the_start_promises_is_so(person) -> None:
    html = person.get("start").get_data(as_text=True)
    assert "About 15 minutes" in html
    assert "988" in html
