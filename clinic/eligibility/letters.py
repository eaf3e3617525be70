"""Letters as PDF. What may be said is decided by the caller; nothing here adds or leaves out a fact."""

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from babel.dates import format_date

from clinic.web import pdf

TEMPLATES = Path(__file__).parent / "typst"
_WORDS = {
    "en": ("About {patient}, born {born}", "Fact", "Printed {day}, {time} {zone}"),
    "es": ("Sobre {patient}, fecha de nacimiento: {born}", "Dato", "Impreso el {day}, {time} {zone}"),
}


@dataclass(frozen=True, kw_only=True)
class ReferrerLetter:
    """A letter to whoever referred a person, or to whom the person is referred. `facts`: label and value, a table.

    `issued_at` (aware) is printed in the zone `tz`; `language` is that of the texts, "en" or "es".
    """

    clinic: str
    clinic_phone: str
    clinic_address: str = ""
    to_name: str
    to_organization: str = ""
    to_contact: str = ""
    patient: str
    birth_date: date
    record_number: str
    subject: str
    paragraphs: tuple[str, ...]
    facts: tuple[tuple[str, str], ...] = ()
    signed_by: str = ""
    signed_role: str = ""
    issued_at: datetime
    tz: str
    language: str = "en"


def referrer_letter(facts: ReferrerLetter) -> bytes:
    """The letter. The same facts give the same bytes. Raises Invalid where it cannot be set."""
    about, fact, printed = _WORDS[facts.language]
    local = facts.issued_at.astimezone(ZoneInfo(facts.tz))
    issued, born = (str(format_date(day, "long", locale=facts.language)) for day in (local.date(), facts.birth_date))
    data = {
        "title": f"{facts.subject}, {facts.record_number}",
        "language": facts.language,
        "clinic": facts.clinic,
        "clinic_address": facts.clinic_address,
        "clinic_phone": facts.clinic_phone,
        "date": issued,
        "to_name": facts.to_name,
        "to_organization": facts.to_organization,
        "to_contact": facts.to_contact,
        "subject": facts.subject,
        "about": about.format(patient=facts.patient, born=born),
        "paragraphs": list(facts.paragraphs),
        "facts": [list(row) for row in facts.facts],
        "facts_title": fact,
        "signed_by": facts.signed_by,
        "signed_role": facts.signed_role,
        "record_number": facts.record_number,
        "printed": printed.format(day=issued, time=f"{local:%H:%M}", zone=f"{local:%Z}"),
    }
    return pdf.render(TEMPLATES / "letter.typ", data, at=facts.issued_at)
