"""Forms of booking: shape only."""

from collections.abc import Sequence
from typing import Any

from flask_wtf import FlaskForm
from wtforms import DateField, SelectField, SelectMultipleField, StringField
from wtforms.validators import DataRequired, InputRequired, Length, Optional
from wtforms.widgets import CheckboxInput, ListWidget

from clinic.scheduling.wishes import CourseWish

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri")
HOURS = [("", "any time"), *((str(minute), f"{minute // 60:02d}:{minute % 60:02d}") for minute in range(360, 1321, 30))]


BOXES = {"widget": ListWidget(prefix_label=False), "option_widget": CheckboxInput()}


class CourseForm(FlaskForm):
    """What the course should be like. What is left open comes from the intake, or from what is free."""

    protocol = SelectField("Protocol", validators=[InputRequired("Choose a protocol.")])
    locations = SelectMultipleField("Where", coerce=int, **BOXES)
    earliest = DateField("First session from", validators=[Optional()])
    latest = DateField("First session by", validators=[Optional()])
    after = SelectField("Sessions after", choices=HOURS, validators=[Optional()])
    before = SelectField("Sessions done by", choices=HOURS, validators=[Optional()])
    weekdays = SelectMultipleField("Weekdays", coerce=int, choices=list(enumerate(WEEKDAYS)), **BOXES)

    def __init__(
        self, *args: Any, protocols: Sequence[tuple[str, str]], sites: Sequence[tuple[int, str]], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.protocol.choices = [("", "choose one"), *protocols]
        self.locations.choices = list(sites)

    def wish(self) -> CourseWish:
        """What was asked for."""
        window = None
        if self.after.data or self.before.data:
            window = int(self.after.data or 0), int(self.before.data or 1440)
        return CourseWish(
            protocol=self.protocol.data,
            earliest_start=self.earliest.data,
            latest_start=self.latest.data,
            location_ids=tuple(self.locations.data or ()),
            daily_window=window,
            weekdays=tuple(self.weekdays.data or ()),
        )


class ReasonForm(FlaskForm):
    """A reason that goes on record."""

    reason = StringField("Reason", validators=[InputRequired("Say why."), Length(max=1000)])


class ResumeForm(FlaskForm):
    """From which day a paused course goes on."""

    on = DateField("Go on from", validators=[Optional()])


class StartsForm(FlaskForm):
    """When could a course start? A GET form: its answers stand in the address."""

    class Meta:
        csrf = False

    protocol = SelectField("Protocol", validators=[DataRequired("Choose a protocol.")])
    after = SelectField("Sessions after", choices=HOURS, validators=[Optional()])
    before = SelectField("Sessions done by", choices=HOURS, validators=[Optional()])
    weekdays = SelectMultipleField("Weekdays", coerce=int, choices=list(enumerate(WEEKDAYS)), **BOXES)

    def __init__(self, *args: Any, protocols: Sequence[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.protocol.choices = list(protocols)

    def hours(self) -> tuple[int, int] | None:
        """Minutes of the day between which every session lies; None: any time."""
        if not (self.after.data or self.before.data):
            return None
        return int(self.after.data or 0), int(self.before.data or 1440)
