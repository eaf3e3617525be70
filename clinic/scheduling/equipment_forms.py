"""Forms of what a site has: devices, rooms, the weekly rota."""

from collections.abc import Iterator, Sequence
from datetime import date, time
from typing import Any

from flask_wtf import FlaskForm
from wtforms import IntegerField, SelectField, SelectMultipleField, StringField, TimeField
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from clinic.locations.operations import NewShift
from clinic.scheduling.forms import BOXES, DayField

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
KINDS = (("tms", "TMS device"), ("chair", "Chair, for ketamine and esketamine"))
Choices = Sequence[tuple[str, str]]


class DeviceForm(FlaskForm):
    """One more device."""

    name = StringField("Name", [InputRequired("Give it a name."), Length(max=60)])
    kind = SelectField("Kind", [InputRequired("Choose the kind.")], choices=KINDS)
    protocols = SelectMultipleField("Treatments that it gives", **BOXES)
    turnover = IntegerField(
        "Minutes between two sessions",
        [InputRequired("Write the minutes; 0 for none."), NumberRange(0, 60, "0 to 60 minutes.")],
        default=5,
    )

    def __init__(self, *args: Any, protocols: Choices, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.protocols.choices = list(protocols)


class TreatmentsForm(FlaskForm):
    """Which treatments a device gives."""

    protocols = SelectMultipleField("Treatments", **BOXES)

    def __init__(self, *args: Any, protocols: Choices, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.protocols.choices = list(protocols)


class RoomForm(FlaskForm):
    """One more room."""

    room_name = StringField("Name", [InputRequired("Give it a name."), Length(max=60)])
    shared = SelectField(
        "Who is in it", choices=[("", "one appointment at a time"), ("1", "several, chairs side by side")]
    )


class InRoomForm(FlaskForm):
    """Where a device stands."""

    room = SelectField("Room")

    def __init__(self, *args: Any, rooms: Choices, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.room.choices = [("", "no room of its own"), *rooms]


class GoesForm(FlaskForm):
    """A device leaves its site from a day on: to another one, or for good."""

    to = SelectField("Where to")
    from_day = DayField("From", [InputRequired("Choose the day.")])
    reason = StringField("Why", [InputRequired("Say why."), Length(max=200)])

    def __init__(self, *args: Any, sites: Choices, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.to.choices = [("", "It leaves for good"), *[(key, f"To {name}") for key, name in sites]]


class HoursOfShiftForm(FlaskForm):
    """From when to when somebody is there, by the wall of the site, and since when."""

    starts = TimeField("From", [InputRequired("Write the time.")])
    ends = TimeField("To", [InputRequired("Write the time.")])
    break_starts = TimeField("Break from", [Optional()])
    break_ends = TimeField("Break to", [Optional()])
    valid_from = DayField("First day", [InputRequired("Choose the day.")])

    def shift(self, user_id: int, weekday: int, valid_until: date | None = None) -> NewShift:
        """What was written, for one weekday."""
        spans: dict[str, time] = {name: self[name].data for name in ("starts", "ends", "break_starts", "break_ends")}
        first: date = self.valid_from.data
        return NewShift(user_id=user_id, weekday=weekday, valid_from=first, valid_until=valid_until, **spans)


class ShiftForm(HoursOfShiftForm):
    """A weekly shift on one or more weekdays."""

    person = SelectField("Who", [InputRequired("Choose a person.")])
    weekdays = SelectMultipleField(
        "Weekdays", [InputRequired("Choose at least one.")], coerce=int, choices=list(enumerate(DAYS)), **BOXES
    )
    valid_until = DayField("Last day", [Optional()])

    def __init__(self, *args: Any, people: Choices, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.person.choices = [("", "choose one"), *people]

    def shifts(self) -> Iterator[NewShift]:
        """One a weekday."""
        for weekday in self.weekdays.data or ():
            yield self.shift(int(self.person.data), weekday, self.valid_until.data)


class EndForm(FlaskForm):
    """Until when a shift is worked."""

    last = DayField("Last day on which it is worked", [InputRequired("Choose the day.")])
