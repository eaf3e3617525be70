"""Every message in both languages: no clinical word, the clinic's name first, few segments."""

from datetime import UTC, datetime

import pytest

from clinic.reminders import wording
from clinic.reminders.due import Purpose
from clinic.reminders.wording import Content, Place, When

SITE = Place("Fullerton", "1 Main Street, Fullerton", "America/Los_Angeles")
# Kept apart from the list in the code on purpose.
FORBIDDEN = (
    "tms",
    "ketamine",
    "esketamine",
    "spravato",
    "depress",
    "phq",
    "gad-7",
    "suicid",
    "psych",
    "mental",
    "treatment",
    "therap",
    "session",
    "survey",
    "symptom",
    "medic",
    "drug",
    "diagnos",
    "patient",
    "score",
    "questionnaire",
    "trd",
    "stimulation",
    "infusion",
    "anxiety",
    "depresi",
    "salud",
    "tratamiento",
    "terapia",
    "sesión",
    "sesion",
    "encuesta",
    "cuestionario",
    "síntoma",
    "medicament",
    "paciente",
    "psiqui",
)

ALL = [(purpose, language, channel) for purpose in Purpose for language in ("en", "es") for channel in ("email", "sms")]


def content(purpose: Purpose, language: str, count: int = 1) -> Content:
    return Content(
        purpose=purpose,
        language=language,
        clinic="Harbor",
        phone="+17145550100",
        home="https://harbor.example.org/me",
        url="https://harbor.example.org/l/" + "x" * 32,
        visits=[When(datetime(2026, 11, 24 + n, 16, 20, tzinfo=UTC), SITE) for n in range(count)],
        call_by=datetime(2026, 11, 23, 22, 20, tzinfo=UTC),
        call_tz="America/Los_Angeles",
        record="D-10012",
    )


@pytest.mark.parametrize(("purpose", "language", "channel"), ALL)
@pytest.mark.parametrize("count", [1, 5])
def test_no_clinical_word(purpose: Purpose, language: str, channel: str, count: int) -> None:
    text = wording.compose(content(purpose, language, count), channel)
    said = f"{text.subject} {text.body} {wording.as_html(text.body, language)}".lower()
    assert [word for word in FORBIDDEN if word in said] == []
    assert not wording.has_clinical_word(said)


@pytest.mark.parametrize(("purpose", "language", "channel"), ALL)
def test_begins_with_the_clinics_name(purpose: Purpose, language: str, channel: str) -> None:
    text = wording.compose(content(purpose, language), channel)
    assert text.body.startswith("Harbor")
    assert text.subject is None or text.subject.startswith("Harbor: ")


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("purpose", [*Purpose])
def test_a_text_takes_few_segments(purpose: Purpose, language: str) -> None:
    most = {Purpose.WEEKLY_DIGEST: 5}.get(purpose, 3)  # a week of visits in one message
    assert wording.sms_segments(wording.compose(content(purpose, language, 5), "sms").body) <= most


def test_a_reminder_says_when_and_where() -> None:
    assert wording.compose(content(Purpose.DAY_BEFORE, "en"), "sms").body == (
        "Harbor: your next visit is Tue, Nov 24, 8:20 am, Fullerton. "
        "I'll be there, or I can't come: https://harbor.example.org/l/" + "x" * 32
    )


def test_a_spanish_reminder() -> None:
    body = wording.compose(content(Purpose.DAY_BEFORE, "es"), "sms").body
    assert body.startswith("Harbor: su siguiente cita es el mar 24 nov, 8:20 am, Fullerton. Ahí estaré")


def test_the_call_to_whoever_is_on_call() -> None:
    body = wording.compose(content(Purpose.ON_CALL, "en"), "sms").body
    assert body.startswith("Harbor: a safety task is waiting, call by 14:20. Record D-10012")


def test_a_booking_by_mail_lists_all_dates() -> None:
    body = wording.compose(content(Purpose.COURSE_BOOKED, "en", 5), "email").body
    assert body.count("\n- ") == 5
    assert "5 in all, from Tue, Nov 24, 8:20 am to Sat, Nov 28, 8:20 am" in body


def test_many_changes_in_a_text_are_counted() -> None:
    body = wording.compose(content(Purpose.SESSION_CANCELLED, "en", 5), "sms").body
    assert "5 of your visits are cancelled: Tue, Nov 24, 8:20 am" in body
    assert "and 3 more" in body


def test_a_site_named_for_what_is_done_there_is_told_by_its_address() -> None:
    site = Place("TMS Center", "9 Harbor Road", "America/Los_Angeles")
    assert wording.safe_place(site, with_address=True) == "9 Harbor Road"


def test_html_is_escaped_and_links_can_be_pressed() -> None:
    page = wording.as_html("Harbor & Co\n\nSee https://example.org/l/a<b>", "en")
    assert "<p>Harbor &amp; Co</p>" in page
    assert '<a href="https://example.org/l/a&lt;b&gt;">' in page


@pytest.mark.parametrize(
    ("text", "segments"),
    [("a" * 160, 1), ("a" * 161, 2), ("é" * 160, 1), ("á" * 70, 1), ("á" * 71, 2), ("[" * 80, 1), ("[" * 81, 2)],
)
def test_segments_are_counted_by_alphabet(text: str, segments: int) -> None:
    assert wording.sms_segments(text) == segments
