"""Forms of booking: shape only."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from flask_wtf import FlaskForm
from wtforms import DateField, SelectField, SelectMultipleField, StringField, TimeField
from wtforms.validators import DataRequired, InputRequired, Length, Optional
from wtforms.widgets import CheckboxInput, ListWidget

from clinic.scheduling.planner.calendar import to_utc
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


class OutageForm(FlaskForm):
    """A device down or a person away, from one wall time of the site to another."""

    subject = SelectField("Which", validators=[InputRequired("Choose one.")])
    from_day = DateField("From", validators=[InputRequired("Choose the day.")])
    from_time = TimeField("At", validators=[InputRequired("Write the time.")])
    to_day = DateField("Until", validators=[InputRequired("Choose the day. A best guess is fine.")])
    to_time = TimeField("At", validators=[InputRequired("Write the time.")])
    reason = StringField("What happened", validators=[InputRequired("Say what happened."), Length(max=200)])

    def __init__(self, *args: Any, subjects: Sequence[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.subject.choices = list(subjects)

    def span(self, tz: str) -> tuple[datetime, datetime]:
        """Both ends as instants."""
        return tuple(  # type: ignore[return-value]
            to_utc(day.data, time.data.hour * 60 + time.data.minute, tz)
            for day, time in ((self.from_day, self.from_time), (self.to_day, self.to_time))
        )


class ClosedForm(FlaskForm):
    """A site closed on whole days, both included."""

    first = DateField("First day", validators=[InputRequired("Choose the day.")])
    last = DateField("Last day", validators=[InputRequired("Choose the day.")])
    reason = StringField("Why", validators=[InputRequired("Say why."), Length(max=100)])
