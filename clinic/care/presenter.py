"""What the patient's pages say, put together for templates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_babel import gettext as _

from clinic import clock
from clinic.care import drafting, options
from clinic.care.models import OptionNote, PatientQuestion, Release
from clinic.care.noting import GUIDE
from clinic.patients.models import Patient

STATE_KINDS = {
    drafting.COUNTS: "good",
    drafting.DOES_NOT_COUNT: "",
    drafting.UNCLEAR: "unsure",
    drafting.NOTED: "",
}


@dataclass(frozen=True)
class ShownOption:
    """An option with what this clinic says of it."""

    option: options.Option
    cost: OptionNote | None
    cover: OptionNote | None
    note: OptionNote | None
    asked_at: datetime | None = None


@dataclass(frozen=True)
class ShownQuote:
    """A figure of the guide in the clinic's own words where it wrote some, else in ours."""

    id: str
    text: str
    sources: tuple[options.Source, ...]
    own: OptionNote | None


def shown_options(
    notes: Mapping[tuple[str, str], OptionNote],
    *,
    only: Sequence[str] | None = None,
    asked: Mapping[str, datetime] | None = None,
) -> list[ShownOption]:
    """Options A to Z, all of them or those named."""
    return [
        ShownOption(
            option,
            notes.get((option.id, "cost")),
            notes.get((option.id, "cover")),
            notes.get((option.id, "note")),
            (asked or {}).get(f"option {option.id}"),
        )
        for option in options.catalogue(only)
    ]


def shown_quotes(notes: Mapping[tuple[str, str], OptionNote]) -> dict[str, ShownQuote]:
    """The guide's figures by id."""
    found = {}
    for key, quote in options.quotes().items():
        own = notes.get((GUIDE, key))
        found[key] = ShownQuote(key, own.text if own else quote.text, quote.sources, own)
    return found


def asked_at(questions: Sequence[PatientQuestion], shown: Release | None) -> dict[str, datetime]:
    """When each line was asked about last, as far as nobody answered yet and the summary is the same."""
    found: dict[str, datetime] = {}
    for row in questions:
        same = row.about.startswith("option ") or (shown is not None and row.release_id == shown.id)
        if same and row.answered_at is None:
            found.setdefault(row.about, row.asked_at)
    return found


def summary_values(shown: Any, patient: Patient) -> dict[str, Any]:
    """What `_summary.html` shows of a release, or of a draft."""
    return {
        "shown": shown,
        "content": shown.content,
        "patient": patient,
        "today": clock.today(patient.tz),
        "states": {key: (STATE_KINDS[key], word) for key, word in drafting.state_words().items()},
        "chosen": shown_options({}, only=shown.content.get("options") or ()),
    }


def subject(about: str, shown: Release | None) -> str:
    """What a question is about, in words."""
    if about.startswith("option "):
        name = options.names().get(about.removeprefix("option "), about)
        return str(_("I want to talk about: %(name)s", name=name))
    content: Mapping[str, Any] = shown.content if shown is not None else {}
    for line in [*(content.get("lines") or ()), *(content.get("missing") or ())]:
        if line["key"] == about:
            return str(line.get("title") or line.get("text"))
    return str(_("The next step") if about == "next step" else _("The summary"))
