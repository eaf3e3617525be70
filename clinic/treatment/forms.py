"""Shapes of the pages of the room: the day's checks, what was given, readings, the dose, leaving, permits."""

from collections.abc import Sequence
from typing import Any

from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    DateField,
    DateTimeLocalField,
    DecimalField,
    IntegerField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.fields import SelectChoice
from wtforms.validators import InputRequired, Length, NumberRange, Optional
from wtforms.widgets import CheckboxInput, ListWidget

from clinic.treatment import rules
from clinic.treatment.rules import Watch

YES_NO = [SelectChoice("no", "No"), SelectChoice("yes", "Yes")]
PAIN = "A whole number from 0 to 10."
WHY = "Say why: the reason goes on record."


class ChecksForm(FlaskForm):
    """The checks of the day; its questions are added by `checks_form`."""

    sleep_hours = DecimalField(
        "Hours slept last night",
        validators=[InputRequired("Ask how long the person slept."), NumberRange(0, 24, "Hours from 0 to 24.")],
    )
    threshold_percent = IntegerField(
        "Motor threshold measured now",
        validators=[Optional(), NumberRange(1, 100, "Percent of the device's output, from 1 to 100.")],
    )
    cleared_by = SelectField("Prescriber who was called", coerce=int, validators=[Optional()])
    cleared_words = TextAreaField(
        "What the prescriber said", validators=[Length(max=500, message="At most 500 characters.")]
    )


def checks_form(prescribers: Sequence[tuple[int, str]], **values: Any) -> Any:
    """The day-of list of the safety screens, each a tap."""

    class Made(ChecksForm):
        pass

    for key, words in rules.CONCERNS.items():
        setattr(Made, key, RadioField(words, choices=YES_NO, validators=[InputRequired("Answer every check.")]))
    for key, words in rules.MUST_BE_DONE.items():
        setattr(Made, key, BooleanField(words))
    made = Made(**values)
    made.cleared_by.choices = [(0, "Nobody yet"), *prescribers]
    return made


def checks_in(form: Any) -> dict[str, Any]:
    """The answers by key."""
    found: dict[str, Any] = {"sleep_hours": float(form.sleep_hours.data)}
    found |= {key: form[key].data == "yes" for key in rules.CONCERNS}
    found |= {key: bool(form[key].data) for key in rules.MUST_BE_DONE}
    return found


class GivenForm(FlaskForm):
    """What was given and felt."""

    intensity_percent = IntegerField(
        "Intensity, percent of the threshold",
        validators=[InputRequired("Write the intensity."), NumberRange(1, 200, "Percent from 1 to 200.")],
    )
    pulses = IntegerField("Pulses", validators=[Optional(), NumberRange(0, 20000, "A whole number up to 20,000.")])
    headache = IntegerField("Headache, 0 to 10", validators=[InputRequired(PAIN), NumberRange(0, 10, PAIN)])
    scalp_pain = IntegerField("Scalp pain, 0 to 10", validators=[InputRequired(PAIN), NumberRange(0, 10, PAIN)])
    note = TextAreaField("Note", validators=[Length(max=1000, message="At most 1,000 characters.")])


class ReasonForm(FlaskForm):
    """Why something is not done, or goes on."""

    reason = StringField("Why", validators=[InputRequired(WHY), Length(max=500, message="At most 500 characters.")])


class EventForm(FlaskForm):
    """An adverse event."""

    kind = SelectField(
        "What happened",
        choices=[("", "choose one"), *rules.EVENTS.items()],  # the first of them holds the treatment
        validators=[InputRequired("Choose what happened.")],
    )
    severity = RadioField(
        "How strong",
        choices=[(key, key.capitalize()) for key in rules.SEVERITIES],
        validators=[InputRequired("Say how strong it was.")],
    )
    is_serious = BooleanField("Serious: hospital, danger to life, lasting harm, or medically important")
    happened_at = DateTimeLocalField(
        "When", format="%Y-%m-%dT%H:%M", validators=[InputRequired("Say when it happened.")]
    )
    note = TextAreaField(
        "What happened, and what was done",
        validators=[
            InputRequired("Say in a few words what happened."),
            Length(max=1000, message="At most 1,000 characters."),
        ],
    )


class ReadingForm(FlaskForm):
    """A blood pressure, with what is measured beside it."""

    moment = SelectField("Which reading")
    systolic = IntegerField("Upper", validators=[InputRequired("Write the upper number, for example 122.")])
    diastolic = IntegerField("Lower", validators=[InputRequired("Write the lower number, for example 78.")])
    spo2 = IntegerField("Oxygen", validators=[Optional(), NumberRange(50, 100, "A percentage from 50 to 100.")])
    sedation = SelectField("Alertness (MOAA/S)", coerce=int, validators=[Optional()])


SEDATION = [
    (-1, "Not rated"),
    *((n, f"{n}{' alert' if n == 5 else ' unresponsive' if n == 0 else ''}") for n in range(5, -1, -1)),
]


def reading_form(moments: Sequence[tuple[str, str]], **values: Any) -> ReadingForm:
    """With the readings that may be taken now, the next one first."""
    form = ReadingForm(**values)
    form.moment.choices = list(moments)
    form.sedation.choices = SEDATION
    return form


class PrepareForm(FlaskForm):
    """What is confirmed before the dose, and the ride."""

    checks = SelectMultipleField(
        "Confirmed", widget=ListWidget(prefix_label=False), option_widget=CheckboxInput(), validators=[Optional()]
    )
    ride = StringField("Ride home: who, and a phone", validators=[Length(max=200, message="At most 200 characters.")])


def prepare_form(watch: Watch, **values: Any) -> PrepareForm:
    """The list of this treatment."""
    form = PrepareForm(**values)
    form.checks.choices = [(key, rules.BEFORE_DOSE[key]) for key in watch.before_dose if key not in rules.ON_RECORD]
    return form


class DoseForm(FlaskForm):
    """The dose that begins now."""

    dose_mg = IntegerField(
        "Dose in mg", validators=[InputRequired("Write the dose."), NumberRange(1, 500, "A dose in mg.")]
    )
    lot = StringField("Lot number", validators=[Length(max=40, message="At most 40 characters.")])


class DecisionForm(FlaskForm):
    """A prescriber's word about a pressure over the limit."""

    decision = StringField(
        "Decision",
        validators=[InputRequired("Write what was decided."), Length(max=300, message="At most 300 characters.")],
    )


class LeavingForm(FlaskForm):
    """The leaving list."""

    marks = SelectMultipleField(
        "Before leaving",
        choices=[
            ("sedation", "Sleepiness gone"),
            ("dissociation", "Feeling of distance gone"),
            ("stable", "A clinician judges the person stable"),
            ("ride", "The ride is here"),
        ],
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
        validators=[Optional()],
    )


class FormFiledForm(FlaskForm):
    """How the form of a visit went out."""

    reference = StringField(
        "How it was sent, or its number",
        validators=[
            InputRequired("Write how it was sent, or its number."),
            Length(max=100, message="At most 100 characters."),
        ],
    )


class EnrollmentForm(FlaskForm):
    """Enrollment in a safety program."""

    number = StringField(
        "Enrollment number", validators=[InputRequired("Enter the enrollment number."), Length(max=60)]
    )
    enrolled_on = DateField("Enrolled on", validators=[InputRequired("Give the date.")])


class CertificationForm(FlaskForm):
    """A site's certification."""

    number = StringField("Certification number", validators=[InputRequired("Enter the number."), Length(max=60)])
    certified_on = DateField("Certified on", validators=[InputRequired("Give the date.")])
    expires_on = DateField("Ends on", validators=[Optional()])
