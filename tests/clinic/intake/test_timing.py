"""An honest 15 minutes: the words of every page as it is rendered, and every field that a typical person answers."""

from collections.abc import Mapping
from typing import Any

import pytest
from wtforms import RadioField, SelectField, SelectMultipleField, TextAreaField

from clinic.intake import operations, pace, pages, presenter, queries, timing
from clinic.intake.forms import FORMS
from clinic.intake.timing import Effort
from clinic.web import i18n
from tests.clinic.intake.conftest import ABOUT, CONTACT, hidden
from tests.clinic.intake.reading import blocks

NO = {key: dict.fromkeys(names, "no") for key, names in pages.SCREENS.items()}
PATH = {
    "about": ABOUT | {"sex": "female"},
    "contact": {"email": CONTACT["email"], "language": "en"},
    "cover": {"payer": "Aetna"},
    "brings": {"reason": "Low for years.", "diagnosis": "mdd", "onset_month": "3", "onset_year": "2025"},
    **{f"phq9-{n}": {"answer": "2"} for n in range(1, 9)},
    "phq9-9": {"answer": "0"},
    "difficulty": {"answer": "2"},
    "gad7-1": {f"item{n}": "1" for n in (1, 2, 3, 4)},
    "gad7-2": {f"item{n}": "1" for n in (5, 6, 7)},
    "ptsd": {"gate": "0"},
    "taking": {"none": "y"},
    "therapy": {"had": "yes", "kinds": ["cbt"]},
    "therapy-cbt": {"sessions": "12", "from_year": "2024", "to_year": "2024", "trained": "yes", "helped": "little"},
    "treatments": {"ect": "no"},
    **NO,
    "alcohol": {"audit1": "1", "audit2": "0", "audit3": "0", "alcohol": "no"},
    "thyroid": {"problem": "no", "tested": "not_sure"},
    "sleep": {"insomnia": "yes", "hours": "6", "gasping": "no"},
    "conditions": {"pain": "no", "lowering": "no"},
    "heart": {"hypertensive_or_cv_disease": "no", "respiratory": "no", "bp_not_sure": "y"},
    "health": {"liver_impairment": "none"} | NO["health"],
    "life": {"weighs": ["money"]},
    "family": {"gene_test": "no"},
    "times": {"when": "weekdays"},
    "consents": {"care_team": "yes", "records": "yes"},
    "messages": {"email": "yes", "sms": "yes", "style": "digest"},
}
MEDICINE = {
    1: {"dose": "100", "weeks": "8", "at_dose": "all"},
    2: {"from_month": "3", "from_year": "2025", "to_month": "5", "to_year": "2025", "use": "alone", "outcome": "none",
        "stopped": "inefficacy"},
    3: {"missed": "0", "this_episode": "yes", "papers": "none"},
}  # fmt: skip
NAMES = ("Zoloft", "Lexapro", "Cymbalta", "Remeron", "Pristiq", "Prozac", "Celexa", "Viibryd")


class Walk:
    """A person who reads what is new, passes over what is known, and answers."""

    def __init__(self, person) -> None:
        self.person = person
        self.seen: set[str] = set()
        self.done: list[Effort] = []

    def read(self, html: str, page: str = "", values: Mapping[str, Any] | None = None) -> Effort:
        words = skimmed = known = 0
        for text, in_full in blocks(html, chosen(values or {})):
            in_full = in_full or page in operations.CONSENTS  # below these questions stands what one agrees to
            count = timing.count_words(text)
            if text in self.seen:
                known += count
            elif in_full:
                words += count
            else:
                skimmed += count
            self.seen.add(text)
        return Effort(words=words, skimmed=skimmed, known=known)

    def leave(self, page: str, form_class, values, filled=None) -> None:
        """Read a page, answer `values` and go on; `filled` is there already and is sent with them."""
        html = self.person.get(page).get_data(as_text=True)
        self.done.append(self.read(html, page, values) + fields(form_class, self.person.intake, values))
        answer = self.person.client.post(f"/intake/{page}", data=hidden(html) | values | (filled or {}))
        assert answer.status_code == 302


def chosen(values) -> set[tuple[str, str]]:
    return {(name, each) for name, value in values.items() for each in (value if isinstance(value, list) else [value])}


def fields(form_class, intake, values) -> Effort:
    form = presenter.form_of(form_class, intake, None)
    taps = typed = told = 0
    for name, value in values.items():
        field = form[name]
        if isinstance(field, TextAreaField):
            told += 1
        elif isinstance(field, RadioField | SelectField | SelectMultipleField) or value == "y":
            taps += len(value) if isinstance(value, list) else 1
        else:
            typed += 1
    return Effort(taps=taps, typed=typed, told=told, pages=0)


def walk(person, clinic, medicines: int, language: str = "en") -> list[Effort]:
    walked = Walk(person)
    person.client.set_cookie(i18n.COOKIE, language)
    path = PATH | {"places": {"first": str(clinic.id)}, "contact": PATH["contact"] | {"language": language}}
    page = next(iter(pages.PAGES))
    while page != pages.REVIEW:
        if page == pages.MEDICINES:
            for name in NAMES[:medicines]:
                walked.done.append(
                    walked.read(person.get(page).get_data(as_text=True)) + Effort(taps=1, typed=1, pages=0)
                )
                key = person.add_medicine(name)
                for step, values in MEDICINE.items():
                    named = {"drug": name} if step == 1 else {}
                    walked.leave(f"medicines/{key}/{step}", presenter.STEPS[step], values, named)
        walked.leave(page, FORMS[page], {} if page == pages.MEDICINES else path[page])
        answers = queries.values(person.intake_id)
        page = pages.after(page, answers, presenter.age(person.intake, answers))
    walked.done.append(walked.read(person.get("review").get_data(as_text=True)))
    return walked.done


@pytest.mark.parametrize("language", ["es", pytest.param("en", marks=pytest.mark.soak)])  # Spanish has more words
def test_the_whole_form_takes_an_honest_15_minutes_for_a_slow_reader_too(person, clinic, language) -> None:
    done = walk(person, clinic, timing.TYPICAL_MEDICINES, language)
    assert 12 < timing.minutes(done) < 15
    assert timing.seconds(sum(done, timing.NOTHING), words_per_minute=200) / 60 <= 15
    person.send()
    record = person.intake.record
    assert len(record["trials"]) == timing.TYPICAL_MEDICINES
    assert record["scores"] == {"gad7": 7, "pcptsd5": 0}


@pytest.mark.soak
@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("medicines", [3, 4, 5, 8])
def test_the_table_of_the_guide(person, clinic, medicines, language) -> None:
    """Prints a row of docs/intake-time.md."""
    total = sum(walk(person, clinic, medicines, language), timing.NOTHING)
    row = [timing.seconds(total, words_per_minute) / 60 for words_per_minute in (150, 200, 238)]
    print(f"{medicines} medicines, {language}:", *(f"{minutes:.1f}" for minutes in row), total)
    assert max(row) < 30


def test_what_is_left_shrinks_and_begins_near_the_whole(person, clinic) -> None:
    at_first = pace_of(person, "about")
    assert 11 <= at_first <= 16
    person.known()
    left = [pace_of(person, page) for page in ("brings", "phq9-1", "therapy", "implants", "times", "messages")]
    assert left == sorted(left, reverse=True)
    assert left[-1] == 1


def test_a_medicine_that_is_done_is_no_longer_counted(person, clinic) -> None:
    person.known()
    before = pace_of(person, pages.MEDICINES)
    for name in NAMES[: timing.TYPICAL_MEDICINES]:
        key = person.add_medicine(name)
        for step, values in MEDICINE.items():
            person.save(f"medicines/{key}/{step}", **values, **({"drug": name} if step == 1 else {}))
    assert pace_of(person, pages.MEDICINES) < before


def pace_of(person, page: str) -> int:
    with person.client.application.test_request_context("/"):
        return pace.minutes_left(person.intake, page, queries.leaves(person.intake_id))


def test_the_page_says_how_long_it_takes(person) -> None:
    html = person.get("times").get_data(as_text=True)
    assert "Part 8 of 9" in html
    assert "About 2 minutes left." in html


def test_the_formula_by_hand() -> None:
    effort = Effort(words=238, skimmed=238, known=476, taps=10, typed=2, told=1, pages=5)
    assert timing.seconds(effort) == pytest.approx(60 + 30 + 6 + 13 + 10 + 20 + 4)
    assert timing.minutes([effort]) == 3
    assert effort.again() == Effort(known=952, taps=10, typed=2, told=1, pages=5)


def test_words_are_words() -> None:
    assert timing.count_words("About 4-7 weeks, if you don't know: 50 mg.") == 9


@pytest.mark.parametrize("page", list(FORMS))
def test_a_page_asks_at_most_four_questions(person, page) -> None:
    form = presenter.form_of(FORMS[page], person.intake, None)
    assert len(questions(form)) <= 4


@pytest.mark.parametrize("step", presenter.STEPS)
@pytest.mark.parametrize("stopped", ["side_effects", "could_not", "cost"])
def test_a_page_of_a_medicine_asks_at_most_four_questions(person, step, stopped) -> None:
    key = person.add_medicine("lithium")
    person.save(f"medicines/{key}/2", stopped=stopped)
    html = person.get(f"medicines/{key}/{step}").get_data(as_text=True)
    asked = html.count('<legend class="q"') + html.count('<label class="q" for=')
    follow_ups = {1: 2, 3: 0, 4: 8}.get(step, 0)  # "if part of it", the name to change; the lines of the steps
    assert asked - follow_ups <= 4


def questions(form) -> list[str]:
    follow_ups = {*form.follow, *form.optional, *form.single}
    return [field.name for field in form if field.name not in follow_ups]
