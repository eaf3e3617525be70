"""Forms of booking: shape only."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from flask_wtf import FlaskForm
from wtforms import BooleanField, DateField, IntegerField, SelectField, SelectMultipleField, StringField, TimeField
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange, Optional
from wtforms.widgets import CheckboxInput, ListWidget

from clinic import clock
from clinic.scheduling.planner.calendar import to_utc
from clinic.scheduling.wishes import CourseWish

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri")
HOURS = [("", "any time"), *((str(minute), f"{minute // 60:02d}:{minute % 60:02d}") for minute in range(360, 1321, 30))]


BOXES = {"widget": ListWidget(prefix_label=False), "option_widget": CheckboxInput()}


Grouped = Mapping[str, Sequence[tuple[str, str]]]  # choices by the heading that they stand under


class DayField(DateField):
    """A date near our time: a slip of the pen in the year is asked for again, and no reckoning runs past the calendar's end."""

    data: Any  # a date, or None

    def process_formdata(self, valuelist: list[str]) -> None:
        super().process_formdata(valuelist)
        if self.data is not None and not clock.is_near(self.data):
            self.data = None
            raise ValueError("The year is not possible.")


class CourseForm(FlaskForm):
    """What the course should be like. What is left open comes from the intake, or from what is free."""

    protocol = SelectField("Protocol", validators=[InputRequired("Choose a protocol.")])
    locations = SelectMultipleField("Where", coerce=int, **BOXES)
    earliest = DayField("First session from", validators=[Optional()])
    latest = DayField("First session by", validators=[Optional()])
    after = SelectField("Sessions after", choices=HOURS, validators=[Optional()])
    before = SelectField("Sessions done by", choices=HOURS, validators=[Optional()])
    weekdays = SelectMultipleField("Weekdays", coerce=int, choices=list(enumerate(WEEKDAYS)), **BOXES)
    thresholds = BooleanField("A new motor threshold every ten sessions", default=True)
    zip_code = StringField("ZIP code of the patient's home", validators=[Optional(), Length(max=10)])

    def __init__(self, *args: Any, protocols: Grouped, sites: Sequence[tuple[int, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.protocol.choices = {None: [("", "choose one")], **protocols}  # without a heading
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
            thresholds=bool(self.thresholds.data),
        )

    def opened_by(self, change: Mapping[str, Any]) -> list[tuple[str, str]]:
        """The fields of this form as they are sent again with one change of the wish, as `planning.binding_of` says it."""
        after, before = self.after.data or "", self.before.data or ""
        if wider := change.get("wider_by"):
            if after or before:
                after, before = _earlier(after, wider), _later(before, wider)
            else:
                after = str(FIRST_HOUR)  # any hours at all: those of the intake no longer bind
        weekdays = [*(self.weekdays.data or ()), *(change.get("weekdays") or ())]
        return [
            ("protocol", self.protocol.data),
            *(
                ("locations", str(x))
                for x in dict.fromkeys([*(self.locations.data or ()), *change.get("locations", ())])
            ),
            ("earliest", self.earliest.data.isoformat() if self.earliest.data else ""),
            ("latest", change.get("latest_start") or (self.latest.data.isoformat() if self.latest.data else "")),
            ("after", after),
            ("before", before),
            *([("thresholds", "1")] if self.thresholds.data else []),
            *(("weekdays", str(day)) for day in sorted(set(weekdays)) if day < len(WEEKDAYS)),
            ("zip_code", self.zip_code.data or ""),
        ]


FIRST_HOUR, LAST_HOUR = 360, 1320


def _earlier(text: str, minutes: int) -> str:
    return "" if not text or int(text) - minutes < FIRST_HOUR else str(int(text) - minutes)


def _later(text: str, minutes: int) -> str:
    return "" if not text or int(text) + minutes > LAST_HOUR else str(int(text) + minutes)


class ReasonForm(FlaskForm):
    """A reason that goes on record."""

    reason = StringField("Reason", validators=[InputRequired("Say why."), Length(max=1000)])


class ResumeForm(FlaskForm):
    """From which day a paused course goes on."""

    on = DayField("Go on from", validators=[Optional()])


class StartsForm(FlaskForm):
    """When could a course start? A GET form: its answers stand in the address."""

    class Meta:
        csrf = False

    protocol = SelectField("Protocol", validators=[DataRequired("Choose a protocol.")])
    after = SelectField("Sessions after", choices=HOURS, validators=[Optional()])
    before = SelectField("Sessions done by", choices=HOURS, validators=[Optional()])
    weekdays = SelectMultipleField("Weekdays", coerce=int, choices=list(enumerate(WEEKDAYS)), **BOXES)

    def __init__(self, *args: Any, protocols: Grouped, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.protocol.choices = dict(protocols)

    def hours(self) -> tuple[int, int] | None:
        """Minutes of the day between which every session lies; None: any time."""
        if not (self.after.data or self.before.data):
            return None
        return int(self.after.data or 0), int(self.before.data or 1440)


class OutageForm(FlaskForm):
    """A device down or a person away, from one wall time of the site to another."""

    subject = SelectField("Which", validators=[InputRequired("Choose one.")])
    from_day = DayField("From", validators=[InputRequired("Choose the day.")])
    from_time = TimeField("At", validators=[InputRequired("Write the time.")])
    to_day = DayField("Until", validators=[InputRequired("Choose the day. A best guess is fine.")])
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

    first = DayField("First day", validators=[InputRequired("Choose the day.")])
    last = DayField("Last day", validators=[InputRequired("Choose the day.")])
    reason = StringField("Why", validators=[InputRequired("Say why."), Length(max=100)])


class ApprovalForm(FlaskForm):
    """What a payer approved."""

    payer = StringField("Payer", validators=[InputRequired("Say who pays."), Length(max=120)])
    number = StringField("Number of the approval", validators=[InputRequired("Write the number."), Length(max=60)])
    pathway = SelectField("Treatment", validators=[InputRequired("Choose the treatment.")])
    sessions = IntegerField("Sessions", validators=[InputRequired("How many sessions?"), NumberRange(1, 400)])
    valid_from = DayField("First day", validators=[InputRequired("Choose the day.")])
    valid_until = DayField("Last day", validators=[InputRequired("Choose the day.")])
    site = SelectField("Only at", validators=[Optional()])

    def __init__(
        self, *args: Any, pathways: Sequence[tuple[str, str]], sites: Sequence[tuple[str, str]], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.pathway.choices = list(pathways)
        self.site.choices = [("", "any site"), *sites]


class SelfPayForm(FlaskForm):
    """What the patient agreed to pay."""

    pathway = SelectField("Treatment", validators=[InputRequired("Choose the treatment.")])
    what = StringField("What was agreed", validators=[InputRequired("Say what was agreed."), Length(max=500)])
    agreed_on = DayField("Agreed on", validators=[InputRequired("Choose the day.")])

    def __init__(self, *args: Any, pathways: Sequence[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pathway.choices = list(pathways)


class ExtendForm(FlaskForm):
    """More sessions behind the last one."""

    kind = SelectField("What", validators=[InputRequired("Choose what.")])
    count = IntegerField("How many", validators=[Optional(), NumberRange(1, 40, "1 to 40.")])
    every_weeks = IntegerField(
        "Weeks between, for maintenance", validators=[Optional(), NumberRange(1, 12, "1 to 12.")]
    )
    reason = StringField("Why", validators=[InputRequired("Say why."), Length(max=1000)])

    def __init__(self, *args: Any, kinds: Sequence[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind.choices = list(kinds)
