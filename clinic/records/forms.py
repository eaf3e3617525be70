"""Shapes of holding and deleting a record."""

from flask_wtf import FlaskForm
from wtforms import StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from clinic.records.retention import LEAST_WORDS

WHY = "Say why in a few words, at most 1000 characters."


class HoldForm(FlaskForm):
    """Why a record must be kept."""

    why = TextAreaField("Why", [InputRequired(WHY), Length(min=LEAST_WORDS, max=1000, message=WHY)])


class EraseForm(FlaskForm):
    """That it is meant, and why."""

    record_number = StringField("Record number", [InputRequired("Write the record number as it stands above.")])
    reason = TextAreaField("Why", [InputRequired(WHY), Length(min=LEAST_WORDS, max=1000, message=WHY)])
