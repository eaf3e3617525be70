"""Shapes of what staff write on plans, referrals and notes. The summary's own form follows its draft, line by line."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    DateField,
    HiddenField,
    IntegerField,
    RadioField,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from clinic.care import options, planning, referring
from clinic.care.models import PlanKind, ReferralDirection
from clinic.care.noting import MAX_SOURCE

KIND_WORDS = {
    PlanKind.DECISION_POINT: "Decision point",
    PlanKind.AUGMENTATION: "Augmentation",
    PlanKind.MEDICATION: "Medication visit",
    PlanKind.PSYCHOTHERAPY: "Psychotherapy",
    PlanKind.EXERCISE: "Exercise",
    PlanKind.SLEEP: "Sleep",
    PlanKind.NUTRITION: "Nutrition",
    PlanKind.STRESS: "Stress, mindfulness",
    PlanKind.SOCIAL: "Social connection",
    PlanKind.OTHER: "Something else",
}
THERAPY_WORDS = {"cbt": "CBT", "dbt": "DBT", "ipt": "IPT", "other": "Another kind"}
DIRECTION_WORDS = {ReferralDirection.OUT: "We refer on", ReferralDirection.IN: "Somebody referred to us"}
STATE_WORDS = {"draft": "Draft", "sent": "Sent", "received": "Received", "booked": "Booked", "closed": "Closed"}


class PlanForm(FlaskForm):
    """One item of the plan."""

    kind = SelectField("What it is", choices=[(str(key), word) for key, word in KIND_WORDS.items()])
    text = TextAreaField("What is planned", [InputRequired("Say what is planned."), Length(max=planning.MAX_TEXT)])
    due_on = DateField("Date", [Optional()])
    for_patient = BooleanField("The patient sees it")


class TherapyForm(FlaskForm):
    """Sessions of talk therapy, recorded as part of the history."""

    therapy = SelectField("Kind", choices=list(THERAPY_WORDS.items()))
    other = StringField("Which kind", [Optional(), Length(max=100)])
    sessions = IntegerField(
        "Sessions in all", [Optional(), NumberRange(1, planning.MAX_SESSIONS, "A number from 1 on.")]
    )
    adequate = SelectField(
        "Regular, with a trained therapist",
        choices=[("", "Not known"), ("yes", "Yes"), ("no", "No")],
        validators=[Optional()],
    )
    why = StringField("Where this comes from", [InputRequired("Say where this comes from."), Length(max=300)])

    def command(self) -> planning.TherapyDone:
        """What is to be recorded."""
        return planning.TherapyDone(
            kind=self.therapy.data or "",
            other=self.other.data or "",
            sessions=self.sessions.data,
            adequate={"yes": True, "no": False}.get(self.adequate.data or ""),
            reason=self.why.data or "",
        )


class ReferralForm(FlaskForm):
    """A referral to the clinic or from it."""

    direction = RadioField("Who refers", choices=[(str(key), word) for key, word in DIRECTION_WORDS.items()])
    about = SelectField("For", choices=[])
    name = StringField("Doctor, therapist or place", [InputRequired("Name the doctor or the place."), Length(max=200)])
    organization = StringField("Organization", [Optional(), Length(max=200)])
    contact = StringField("Phone, fax or email", [Optional(), Length(max=200)])
    reason = TextAreaField("What for, in a sentence", [Optional(), Length(max=1000)])
    may_share = BooleanField("The person agrees that this one hears from us")
    referred_on = DateField("Date of the referral", [Optional()])

    def __init__(self, *args: Any, **values: Any) -> None:
        super().__init__(*args, **values)
        self.about.choices = about_choices()

    def command(self) -> referring.NewReferral:
        """The referral as entered; one to us is about care as a whole."""
        direction = self.direction.data or ""
        return referring.NewReferral(
            direction=direction,
            about=referring.CARE if direction == ReferralDirection.IN else self.about.data or "",
            name=self.name.data or "",
            organization=self.organization.data or "",
            contact=self.contact.data or "",
            reason=self.reason.data or "",
            may_share=bool(self.may_share.data),
            referred_on=self.referred_on.data,
        )


def about_choices() -> list[tuple[str, str]]:
    """What a person may be referred for, by name."""
    names = options.names()
    return [
        *((key, name) for key, name in names.items() if key in options.REFERRABLE),
        (referring.SPECIALIST, "A specialist's opinion"),
    ]


def about_words() -> dict[str, str]:
    """Words of `Referral.about`."""
    return {**dict(about_choices()), referring.CARE: "Care at this clinic"}


class NoteForm(FlaskForm):
    """What the clinic says of a treatment."""

    text = TextAreaField("What patients read", [Optional(), Length(max=2000)])
    source = StringField("Where it comes from", [Optional(), Length(max=MAX_SOURCE)])
    as_of = DateField("True on", [Optional()])


class ReasonForm(FlaskForm):
    """A few words that stay on record."""

    words = TextAreaField("In your words", [Length(max=1000)])


class AskForm(FlaskForm):
    """A patient's question about a line, or the wish to talk about an option."""

    about = HiddenField(validators=[InputRequired(), Length(max=80)])
    text = TextAreaField(
        _("What would you like to know?"), [Optional(), Length(max=1000, message=_("Please use fewer words."))]
    )
    form_key = HiddenField(validators=[InputRequired(), Length(max=36)])


def edited(content: Mapping[str, Any], form: Mapping[str, Any], *, ticked: list[str]) -> dict[str, Any]:
    """The draft's content with what a form says about each of its lines."""

    def text(name: str, before: Any) -> str:
        return " ".join(str(form.get(name, before) or "").split())

    def line(row: Mapping[str, Any]) -> dict[str, Any]:
        key = row["key"].replace(" ", "-")
        changed = {**row, "text": text(f"{key}-text", row.get("text")), "keep": f"{key}-keep" in form}
        if "title" in row:
            changed["title"] = text(f"{key}-title", row["title"])
            changed["state"] = form.get(f"{key}-state", row["state"])
        return changed

    return {
        "opening": text("opening", content.get("opening")),
        "note": text("note", content.get("note")),
        "lines": [line(row) for row in content.get("lines") or ()],
        "missing": [line(row) for row in content.get("missing") or ()],
        "options": ticked,
    }


def day(text: str | None) -> date | None:
    """A date as a browser sends it; None where there is none."""
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return None
