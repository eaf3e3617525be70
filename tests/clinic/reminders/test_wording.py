"""Every message in both languages: no clinical word, the clinic's name first, few segments."""

from datetime import UTC, datetime
from typing import Any

import pytest

from clinic.reminders import text_rules, wording
from clinic.reminders.mail_html import as_html
from clinic.reminders.purposes import TRAITS, Purpose
from clinic.reminders.sms_text import fold, is_gsm, segments
from clinic.reminders.wording import Content, Place, When

SITE = Place("Fullerton", "1 Main Street, Fullerton", "America/Los_Angeles")
# Kept apart from the list in the code on purpose.
FORBIDDEN = (
    "tms", "ketamine", "esketamine", "spravato", "depress", "phq", "gad-7", "suicid", "psych", "mental", "treatment",
    "therap", "session", "survey", "symptom", "medic", "drug", "diagnos", "patient", "score", "questionnaire", "trd",
    "stimulation", "infusion", "anxiety", "depresi", "salud", "tratamiento", "terapia", "sesión", "sesion", "encuesta",
    "cuestionario", "síntoma", "medicament", "paciente", "psiqui",
)  # fmt: skip

ALL = [(key, language) for key in wording.catalog("en")["texts"] for language in ("en", "es")]
WORDED = [(key, language) for key, language in ALL if not key.startswith("reply")]
LINK = "https://harbor.example.org/r/AAAAAA." + "x" * 16


def content(purpose: Purpose, language: str = "en", count: int = 1, **overrides: Any) -> Content:
    values: dict[str, Any] = {
        "purpose": purpose,
        "language": language,
        "clinic": "Harbor",
        "phone": "(714) 555-0100",
        "home": "https://harbor.example.org/me",
        "url": LINK,
        "visits": [When(datetime(2026, 11, 24 + n, 16, 20, tzinfo=UTC), SITE) for n in range(count)],
        "was": When(datetime(2026, 11, 23, 16, 20, tzinfo=UTC), SITE),
        "lines": ["Fullerton: 12 visits"] if purpose is Purpose.STAFF_DIGEST else [],
        "record": "Record D-10012",
    }
    return Content(**values | overrides)


def purpose_of(key: str) -> Purpose:
    if key == "freed_course":
        return Purpose.FREED_SLOT
    return next(purpose for purpose in sorted(Purpose, key=len, reverse=True) if key.startswith(purpose))


def said(key: str, language: str, channel: str, count: int = 1) -> wording.Text:
    """A text as it goes out."""
    made = content(purpose_of(key), language, count, until=datetime(2026, 11, 23, 22, 20, tzinfo=UTC))
    return wording.fill(wording.default_parts(key, language), made, channel, language)


@pytest.mark.parametrize(("key", "language"), WORDED)
@pytest.mark.parametrize("count", [1, 5])
def test_no_clinical_word(key: str, language: str, count: int) -> None:
    mail, text = said(key, language, "email", count), said(key, language, "sms", count)
    everything = f"{mail.subject} {mail.body} {as_html(mail.body, language)} {text.body}".lower()
    assert [word for word in FORBIDDEN if word in everything] == []
    assert not wording.has_clinical_word(everything)


@pytest.mark.parametrize(("key", "language"), [case for case in ALL if case[0].startswith("reply")])
def test_what_is_written_back_is_short_and_says_nothing_clinical(key: str, language: str) -> None:
    facts = {"clinic": "Harbor", "phone": "(714) 555-0100", "when": "Tue, Nov 24, 8:20 am"}
    text = wording.reply(key, language, facts)
    assert text.startswith("Harbor: ")
    assert (segments(text), is_gsm(text)) == (1, True)
    assert [word for word in FORBIDDEN if word in text.lower()] == []


@pytest.mark.parametrize(("key", "language"), WORDED)
def test_begins_with_the_clinics_name_and_leaves_no_fact_out(key: str, language: str) -> None:
    for channel in ("email", "sms"):
        text = said(key, language, channel)
        assert text.body.startswith("Harbor")
        assert text.subject is None or text.subject.startswith("Harbor: ")
        assert not {"{", "}"} & set(text.body)


@pytest.mark.parametrize(("key", "language"), [case for case in WORDED if case[0] in text_rules.RULES])
def test_our_own_words_pass_the_check_of_the_clinics(key: str, language: str) -> None:
    parts = wording.default_parts(key, language)
    assert text_rules.problems(key, language, parts, "Harbor", [SITE], "https://harbor.example.org") == []


def test_both_languages_say_the_same_things() -> None:
    assert wording.catalog("en").keys() == wording.catalog("es").keys()
    assert wording.catalog("en")["texts"].keys() == wording.catalog("es")["texts"].keys()
    for key, parts in wording.catalog("en")["texts"].items():
        other = wording.catalog("es")["texts"][key]
        assert {name: wording.names_in(part) for name, part in parts.items()} == {
            name: wording.names_in(part) for name, part in other.items()
        }, key


@pytest.mark.parametrize("purpose", [*Purpose])
def test_every_purpose_has_its_words(purpose: Purpose) -> None:
    assert purpose in TRAITS
    assert wording.key_of(content(purpose)) in wording.catalog("es")["texts"]


@pytest.mark.parametrize(("key", "language"), WORDED)
def test_a_text_takes_few_segments_and_keeps_to_the_gsm_alphabet(key: str, language: str) -> None:
    one, many = said(key, language, "sms"), said(key, language, "sms", 5)
    assert is_gsm(one.body), [letter for letter in one.body if not is_gsm(letter)]
    assert segments(one.body) <= 2
    assert segments(many.body) <= (3 if key == "weekly_digest" else 2)


def test_a_reminder_says_when_and_where() -> None:
    assert wording.compose(content(Purpose.DAY_BEFORE), "sms").body == (
        f"Harbor: your next visit is Tue, Nov 24, 8:20 am, Fullerton. Reply 1 OK, 2 late, 3 can't. {LINK}"
    )


def test_a_spanish_reminder() -> None:
    assert wording.compose(content(Purpose.DAY_BEFORE, "es"), "sms").body == (
        "Harbor: su cita es el mar 24 nov, 8:20 am, Fullerton. "
        f"Responda 1 si puede, 2 si llega tarde, 3 si no puede. {LINK}"
    )


def test_a_check_in_says_how_long_it_takes() -> None:
    body = wording.compose(content(Purpose.SURVEY_DUE, minutes=5), "sms").body
    assert body == f"Harbor: your short check-in is ready. It takes about 5 minutes: {LINK}"


def test_a_change_says_what_was_told_before() -> None:
    body = wording.compose(content(Purpose.SESSION_MOVED), "sms").body
    assert body.startswith("Harbor: your visit of Mon, Nov 23, 8:20 am moves to Tue, Nov 24, 8:20 am, Fullerton.")


def test_the_call_to_whoever_is_on_call() -> None:
    made = content(Purpose.ON_CALL, until=datetime(2026, 11, 23, 22, 20, tzinfo=UTC), tz=SITE.tz, visits=())
    body = wording.compose(made, "sms").body
    assert body.startswith("Harbor: a safety task is waiting, call by 14:20. Record D-10012")


def test_a_booking_by_mail_lists_all_dates() -> None:
    body = wording.compose(content(Purpose.COURSE_BOOKED, count=5), "email").body
    assert body.count("\n- ") == 5
    assert "5 in all, from Tue, Nov 24, 8:20 am to Sat, Nov 28, 8:20 am" in body


def test_a_list_of_mail_names_one_place_once_and_several_each_time() -> None:
    one = content(Purpose.WEEKLY_DIGEST, count=2)
    body = wording.compose(one, "email").body
    assert "from Tue, Nov 24:\nFullerton, 1 Main Street, Fullerton\n- Tue, Nov 24, 8:20 am\n- Wed, Nov 25" in body
    other = When(one.visits[1].starts_at, Place("Laguna Hills", "2 Bay Road", "America/Los_Angeles"))
    body = wording.compose(content(Purpose.WEEKLY_DIGEST, visits=[one.visits[0], other]), "email").body
    assert "from Tue, Nov 24:\n- Tue, Nov 24, 8:20 am, Fullerton\n- Wed, Nov 25, 8:20 am, Laguna Hills" in body


def test_many_changes_in_a_text_are_counted() -> None:
    body = wording.compose(content(Purpose.SESSION_CANCELLED, count=5), "sms").body
    assert "5 of your visits are cancelled: Tue, Nov 24, 8:20 am" in body
    assert "and 3 more" in body


@pytest.mark.parametrize(("count", "ends"), [(3, "; y otra."), (4, "; y otras 2.")])
def test_what_a_text_has_no_room_for_is_counted_as_people_count(count: int, ends: str) -> None:
    assert wording.compose(content(Purpose.SESSION_CANCELLED, "es", count), "sms").body.endswith(ends)


def test_a_site_named_for_what_is_done_there_is_told_by_its_address() -> None:
    site = Place("TMS Center", "9 Harbor Road", "America/Los_Angeles")
    assert wording.safe_place(site, with_address=True) == "9 Harbor Road"


def test_a_call_says_it_without_the_clinics_name_in_front() -> None:
    assert wording.compose(content(Purpose.DAY_BEFORE), "voice").body.startswith("your next visit is")


def test_mail_ends_with_the_telephone_and_the_way_out() -> None:
    mail = wording.compose(content(Purpose.DAY_BEFORE, unsubscribe="https://harbor.example.org/unsubscribe/x"), "email")
    assert mail.body.split("\n\n")[-2:] == [
        "Questions? Call us: (714) 555-0100",
        "No more mail like this: https://harbor.example.org/unsubscribe/x\n",
    ]


def test_html_is_escaped_and_links_can_be_pressed() -> None:
    page = as_html("Harbor & Co\n\nSee https://example.org/l/a<b>\n\nGo: https://example.org/x", "en")
    assert '<p class="name">Harbor &amp; Co</p>' in page
    assert '<a href="https://example.org/l/a&lt;b&gt;">' in page
    assert '<a class="press" href="https://example.org/x">Go</a>' in page


def test_the_telephone_number_of_a_mail_can_be_pressed() -> None:
    mail = said("day_before", "es", "email")
    assert '<a href="tel:+17145550100">(714) 555-0100</a>' in as_html(mail.body, "es")
    assert "tel:" not in as_html("Harbor\n\n(714) 555-01000 and (71) 555-0100", "en")


@pytest.mark.parametrize(
    ("said", "shown"),
    [("Tue, Nov 24, 8:20 am, 1 amber road", "Tue, Nov~24, 8:20~am, 1 amber road"), ("mar 24 nov", "mar 24~nov")],
)
def test_a_day_and_a_time_stay_in_one_line_of_the_page(said: str, shown: str) -> None:
    assert f"<p>{shown}</p>".replace("~", "\N{NO-BREAK SPACE}") in as_html(f"Harbor\n\n{said}", "en")


@pytest.mark.parametrize(
    ("text", "count"),
    [("a" * 160, 1), ("a" * 161, 2), ("é" * 160, 1), ("á" * 70, 1), ("á" * 71, 2), ("[" * 80, 1), ("[" * 81, 2)],
)
def test_segments_are_counted_by_alphabet(text: str, count: int) -> None:
    assert segments(text) == count


@pytest.mark.parametrize(
    ("text", "sent"), [("sáb 28 nov, Núñez", "sab 28 nov, Nuñez"), ("été ñandú", "été ñandu"), ("日本 á", "日本 á")]
)
def test_accents_are_dropped_only_where_that_saves_a_text(text: str, sent: str) -> None:
    assert fold(text) == sent
