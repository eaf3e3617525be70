"""Parts 1 and 2: who the person is, how to reach them, what brings them."""

import re
from collections.abc import Iterator
from datetime import date

from flask_babel import lazy_gettext as _
from wtforms import (
    SelectField,
    StringField,
)
from wtforms.fields import Field
from wtforms.validators import ValidationError

from clinic.errors import Invalid
from clinic.intake import record
from clinic.intake.forms.base import (
    LONGEST_NAME,
    MONTH_NAMES,
    NOT_SURE,
    PageForm,
    Row,
    choices_of,
    date_words,
    line,
    month_words,
    months,
    not_sure,
    one_of,
    text,
    years,
)
from clinic.patients.contact import checked_email, checked_phone


class AboutForm(PageForm):
    given = line(
        _("First name"), longest=LONGEST_NAME, needed=_("Please write your first name."), autocomplete="given-name"
    )
    family = line(
        _("Last name"), longest=LONGEST_NAME, needed=_("Please write your last name."), autocomplete="family-name"
    )
    birth_month = SelectField("", choices=choices_of({"": _("Month")} | MONTH_NAMES), validate_choice=False)
    birth_day = StringField(_("Day"), render_kw={"autocomplete": "bday-day", "inputmode": "numeric", "maxlength": 2})
    birth_year = StringField(_("Year"), render_kw={"autocomplete": "bday-year", "inputmode": "numeric", "maxlength": 4})
    sex = one_of(
        _("Sex on your medical record"),
        {"female": _("Female"), "male": _("Male"), "other": _("Other"), "not_sure": _("Rather not say")},
        _("A few safety questions depend on it."),
    )
    cls = {"sex": "row two"}
    single = frozenset({"birth_month", "birth_day", "birth_year"})

    def birth(self) -> date | None:
        parts = {f"birth_{part}": self[f"birth_{part}"].data or "" for part in ("year", "month", "day")}
        return record.date_of(parts, "birth")

    def validate_birth_month(self, field: Field) -> None:
        born = self.birth()
        if born is None:
            raise ValidationError(_("Please give your date of birth, for example March 5, 1980."))
        if born > self.today:
            raise ValidationError(_("This date is still to come. Please look at the year."))

    def rows(self) -> Iterator[Row]:
        name = f"{self.given.data or ''} {self.family.data or ''}".strip()
        yield Row(str(_("Your name")), name or None)
        born = self.birth()
        yield Row(str(_("Born")), date_words(born) if born else None)
        yield self.row(self.sex)


class ContactForm(PageForm):
    email = line(_("Email"), longest=254, needed=False, type="email", autocomplete="email", inputmode="email")
    phone = line(_("Mobile phone"), longest=40, type="tel", autocomplete="tel", inputmode="tel")
    zip = line(_("ZIP code"), longest=10, autocomplete="postal-code", inputmode="numeric")
    language = one_of(_("Your language"), {"en": "English", "es": "Español"})
    cls = {"language": "row two"}
    width = {"phone": "mid", "zip": "short"}
    optional = frozenset({"zip"})

    def validate_email(self, field: Field) -> None:
        if not (self.email.data or "").strip() and not (self.phone.data or "").strip():
            raise ValidationError(_("Please give an email or a phone number. One is enough."))
        try:
            checked_email(field.data)
        except Invalid:
            raise ValidationError(
                _("This does not look like an email. Is there an @ and a dot, as in ana@example.org?")
            ) from None

    def validate_phone(self, field: Field) -> None:
        try:
            checked_phone(field.data)
        except Invalid as error:
            raise ValidationError(error.message) from None

    def validate_zip(self, field: Field) -> None:
        if field.data and not re.fullmatch(r"\d{5}(-?\d{4})?", field.data.strip(), re.ASCII):
            raise ValidationError(_("A ZIP code has five digits, like 92831."))


class CoverForm(PageForm):
    payer = line(_("Which health insurance do you have?"), _("As it is written on your card."))
    payer_not_sure = not_sure()
    referrer = line(_("Which doctor or therapist sent you?"), _("You can leave this empty."))
    single = frozenset({"payer_not_sure"})
    optional = frozenset({"referrer"})


class BringsForm(PageForm):
    reason = text(_("What brings you here?"), _("In your own words. A few are enough."))
    diagnosis = one_of(
        _("What did a doctor call it?"),
        {
            "mdd": _("Depression"),
            "dysthymia": _("Long-lasting low mood"),
            "bipolar_1": _("Bipolar 1"),
            "bipolar_2": _("Bipolar 2"),
            "bipolar": _("Bipolar, I do not know which"),
            "schizoaffective": _("Schizoaffective"),
            "not_sure": NOT_SURE,
        },
    )
    onset_month = months()
    onset_year = years()
    dates_not_sure = not_sure()
    single = frozenset({"onset_month", "onset_year", "dates_not_sure"})

    def validate_onset_year(self, field: Field) -> None:
        month = record.month_of({"onset_year": field.data or "", "onset_month": self.onset_month.data or ""}, "onset")
        if month and month > f"{self.today:%Y-%m}"[: len(month)]:
            raise ValidationError(_("This month is still to come. Please look at the year."))

    def rows(self) -> Iterator[Row]:
        yield self.row(self.reason)
        yield self.row(self.diagnosis)
        since = month_words(self, "onset")
        unsure = bool(self.dates_not_sure.data)
        yield Row(
            str(_("This time of feeling low began")), str(NOT_SURE) if unsure else since or None, is_unsure=unsure
        )
