"""Shapes of opening a record of another site, and of looking at that afterwards."""

from typing import Any

from flask_wtf import FlaskForm
from wtforms import BooleanField, DateField, RadioField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, Optional

from clinic.oversight.operations import LEAST_WORDS, Opening
from clinic.patients.models import OpeningReason

REASONS = {
    OpeningReason.EMERGENCY: "Someone is in danger",
    OpeningReason.HERE_NOW: "The person is here, or on the phone",
    OpeningReason.COVERING: "I stand in for a colleague of that site",
    OpeningReason.OTHER: "Another reason",
}


class OpenForm(FlaskForm):
    """Whom, and why."""

    found_by = StringField(
        "Record number, phone or email",
        [InputRequired("Write the record number, or the whole phone number or email."), Length(max=255)],
    )
    birth_date = DateField("Date of birth", [InputRequired("Write the date of birth, so that it is the right person.")])
    kind = RadioField(
        "Why do you need it?", choices=[(str(key), word) for key, word in REASONS.items()],
        validators=[InputRequired("Choose a reason.")],
    )  # fmt: skip
    reason = TextAreaField(
        "In a few words",
        [
            InputRequired("Say why in a few words. A manager reads this."),
            Length(min=LEAST_WORDS, max=1000, message="Say why in a few words, at most 1000 characters."),
        ],
    )

    def command(self) -> Opening:
        """What was sent."""
        assert self.birth_date.data is not None
        return Opening(
            found_by=self.found_by.data or "",
            birth_date=self.birth_date.data,
            kind=self.kind.data,
            reason=self.reason.data or "",
        )


class FindingForm(FlaskForm):
    """What a manager found."""

    finding = TextAreaField(
        "What did you find?",
        [InputRequired("Say what you found."), Length(max=1000, message="At most 1000 characters.")],
    )


class ReportForm(FlaskForm):
    """What the report of access is about. Everything may be left open."""

    class Meta:
        csrf = False  # it only reads

    who = SelectField("Who", coerce=int, default=0)
    record = StringField("Record number", [Length(max=20)])
    since = DateField("From", [Optional()])
    until = DateField("To", [Optional()])
    opened = BooleanField("Only records of other sites")

    def __init__(self, *args: Any, staff: list[tuple[int, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.who.choices = [(0, "Anyone"), *staff]
