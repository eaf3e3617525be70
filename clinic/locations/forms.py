"""Shapes of the settings of a site."""

from typing import Any

from flask_wtf import FlaskForm
from wtforms import BooleanField, DateField, Form, FormField, IntegerField, StringField, TimeField
from wtforms.validators import InputRequired, Length, NumberRange, Optional, ValidationError

from clinic.locations.models import OpeningHours
from clinic.locations.operations import FIRST_YEAR, LAST_YEAR, Span

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class DayForm(Form):
    """One weekday: up to two spans, the second after a break. Empty: closed."""

    opens = TimeField("Opens", [Optional()])
    closes = TimeField("Closes", [Optional()])
    reopens = TimeField("Opens again", [Optional()])
    recloses = TimeField("Closes again", [Optional()])

    def validate(self, *args: Any, **kwargs: Any) -> bool:
        ok = super().validate(*args, **kwargs)
        for opens, closes in ((self.opens, self.closes), (self.reopens, self.recloses)):
            if not opens.errors and not closes.errors and (opens.data is None) != (closes.data is None):
                closes.errors = [*closes.errors, "Give both times, or none."]
                ok = False
            elif opens.data and closes.data and opens.data >= closes.data:
                closes.errors = [*closes.errors, "Closing comes after opening."]
                ok = False
        return ok


class HoursForm(FlaskForm):
    """The week of a site."""

    monday = FormField(DayForm)
    tuesday = FormField(DayForm)
    wednesday = FormField(DayForm)
    thursday = FormField(DayForm)
    friday = FormField(DayForm)
    saturday = FormField(DayForm)
    sunday = FormField(DayForm)

    @classmethod
    def of(cls, hours: list[OpeningHours]) -> "HoursForm":
        """Filled with the present hours; spans beyond the second of a day are not shown."""
        week: dict[str, dict[str, Any]] = {name.lower(): {} for name in WEEKDAYS}
        for row in sorted(hours, key=lambda row: (row.weekday, row.opens)):
            day = week[WEEKDAYS[row.weekday].lower()]
            names = ("reopens", "recloses") if day else ("opens", "closes")
            day.update(zip(names, (row.opens, row.closes), strict=True))
        return cls(formdata=None, data=week)

    @property
    def days(self) -> list[DayForm]:
        """The forms of the days, Monday first."""
        return [self[name.lower()].form for name in WEEKDAYS]

    def spans(self) -> list[Span]:
        found = []
        for weekday, day in enumerate(self.days):
            for opens, closes in ((day.opens, day.closes), (day.reopens, day.recloses)):
                if opens.data and closes.data:
                    found.append(Span(weekday, opens.data, closes.data))
        return found

    def faults(self) -> list[str]:
        """Every message, with its weekday."""
        return [
            f"{name}: {message}"
            for name, day in zip(WEEKDAYS, self.days, strict=True)
            for field in day
            for message in field.errors
        ]


class ClosureForm(FlaskForm):
    """A date on which the site is closed."""

    on_date = DateField("Date", [InputRequired("Choose the date.")])
    name = StringField("Why", [InputRequired("Say why."), Length(max=100)])

    def validate_on_date(self, field: DateField) -> None:
        if field.data and not FIRST_YEAR <= field.data.year <= LAST_YEAR:
            raise ValidationError("The year is not possible.")


class YearForm(FlaskForm):
    """A year whose usual closures are put on the list."""

    year = IntegerField(
        "Year", [InputRequired("Write the year."), NumberRange(FIRST_YEAR, LAST_YEAR, "The year is not possible.")]
    )


class ProfileForm(FlaskForm):
    """Who the clinic is."""

    name = StringField("Name", [InputRequired("Write the name."), Length(max=200)])
    short_name = StringField("Short name", [InputRequired("Write the short name."), Length(max=30)])
    slogan = StringField("Line under the name", [Length(max=300)])
    phone = StringField("Phone", [InputRequired("Write the phone number."), Length(max=20)])
    promises_safety_call = BooleanField("Promise a call by a time, in clinic hours")
