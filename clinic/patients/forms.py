"""Shapes of what patients and staff send about a person."""

from datetime import date
from typing import Any

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import DateField, IntegerField, RadioField, SelectField, StringField
from wtforms.validators import InputRequired, Length, NumberRange, Optional, ValidationError

from clinic.errors import Invalid
from clinic.patients.contact import checked_email, checked_phone
from clinic.patients.models import MessageStyle
from clinic.patients.operations import ContactChange

MONTHS = [
    (1, _("January")),
    (2, _("February")),
    (3, _("March")),
    (4, _("April")),
    (5, _("May")),
    (6, _("June")),
    (7, _("July")),
    (8, _("August")),
    (9, _("September")),
    (10, _("October")),
    (11, _("November")),
    (12, _("December")),
]


class AskLinkForm(FlaskForm):
    """Where a fresh link may go: an address that the clinic knows already."""

    contact = StringField(
        _("Your email or mobile number"),
        [InputRequired(_("Write your email or your mobile number.")), Length(max=255)],
    )

    def validate_contact(self, field: StringField) -> None:
        text = field.data or ""
        try:
            (checked_email if "@" in text else checked_phone)(text)
        except Invalid:
            raise ValidationError(
                _("This is no email or phone number. Write it like ana@example.org or 714 555 0123.")
            ) from None


class BirthDateForm(FlaskForm):
    """A date of birth in three parts, as people say it."""

    month = SelectField(
        _("Month"),
        choices=[("", _("Month")), *((str(number), name) for number, name in MONTHS)],
        validators=[InputRequired(_("Choose the month."))],
    )
    day = IntegerField(
        _("Day"), [InputRequired(_("Write the day.")), NumberRange(1, 31, _("The day is between 1 and 31."))]
    )
    year = IntegerField(
        _("Year"),
        [InputRequired(_("Write the year.")), NumberRange(1900, 2100, _("Write the year with four digits."))],
    )

    def validate_day(self, field: IntegerField) -> None:
        if self.month.data and self.year.data and 1900 <= self.year.data <= 2100 and self.value() is None:
            raise ValidationError(_("This month does not have that day."))

    def value(self) -> date | None:
        """The date; None where there is no such day."""
        try:
            return date(self.year.data, int(self.month.data), self.day.data)
        except (TypeError, ValueError):
            return None


class MessagesForm(FlaskForm):
    """The patient's own choice of how to hear from the clinic."""

    email = RadioField(_("Messages by email"), choices=[("yes", _("Yes")), ("no", _("No"))], validators=[Optional()])
    sms = RadioField(_("Messages by text"), choices=[("yes", _("Yes")), ("no", _("No"))], validators=[Optional()])
    voice = RadioField(
        _("A phone call from the clinic instead"), choices=[("yes", _("Yes")), ("no", _("No"))], validators=[Optional()]
    )
    style = RadioField(
        _("Reminders of visits"),
        choices=[
            (MessageStyle.DIGEST.value, _("One message a week, with all visits of that week")),
            (MessageStyle.EACH.value, _("One message before every visit")),
        ],
    )


class SearchForm(FlaskForm):
    """The staff's search: read from the address, so without a token."""

    class Meta:
        csrf = False

    q = StringField("Record number, phone, email or initials", [Length(max=255)])


class ContactForm(FlaskForm):
    """Everything about the person that the desk keeps."""

    given_name = StringField("Given name", [InputRequired("Write the given name."), Length(max=200)])
    family_name = StringField("Family name", [InputRequired("Write the family name."), Length(max=200)])
    birth_date = DateField("Date of birth", [InputRequired("Write the date of birth.")])
    email = StringField("Email", [Length(max=255)])
    phone = StringField("Mobile phone", [Length(max=40)])
    language = SelectField("Language", choices=[("en", "English"), ("es", "Spanish")])
    tz = StringField("Time zone", [InputRequired("Write the time zone."), Length(max=60)])
    payer = StringField("Payer", [Length(max=200)])
    preferred_location_id = SelectField("Preferred site", coerce=int)
    message_style = RadioField(
        "Reminders of visits",
        choices=[
            (MessageStyle.DIGEST.value, "One message a week"),
            (MessageStyle.EACH.value, "One before every visit"),
        ],
    )
    email_consent = RadioField(
        "May we write by email?", choices=[("yes", "Yes"), ("no", "No"), ("unknown", "Not asked for")]
    )
    sms_consent = RadioField(
        "May we write by text?", choices=[("yes", "Yes"), ("no", "No"), ("unknown", "Not asked for")]
    )

    voice_consent = RadioField(
        "Does the person want calls instead?", choices=[("yes", "Yes"), ("no", "No"), ("unknown", "Not asked for")]
    )

    def __init__(self, *args: Any, sites: dict[int, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.preferred_location_id.choices = [(0, "Not asked for"), *sites.items()]

    def validate_email(self, field: StringField) -> None:
        self._shape(field, checked_email)

    def validate_phone(self, field: StringField) -> None:
        self._shape(field, checked_phone)

    def _shape(self, field: StringField, check: Any) -> None:
        try:
            check(field.data)
        except Invalid as error:
            raise ValidationError(error.message) from None

    def command(self) -> ContactChange:
        return ContactChange(
            given_name=self.given_name.data or "",
            family_name=self.family_name.data or "",
            birth_date=self.birth_date.data,
            email=self.email.data,
            phone=self.phone.data,
            language=self.language.data,
            tz=(self.tz.data or "").strip(),
            payer=(self.payer.data or "").strip() or None,
            preferred_location_id=self.preferred_location_id.data or None,
            message_style=self.message_style.data,
            consents={
                channel: answer == "yes"
                for channel, answer in (
                    ("email", self.email_consent.data),
                    ("sms", self.sms_consent.data),
                    ("voice", self.voice_consent.data),
                )
                if answer in ("yes", "no")
            },
        )
