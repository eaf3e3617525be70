"""Shapes of the form's pages. Every question may stay open, save who the person is and one way to reach them."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString
from werkzeug.datastructures import MultiDict
from wtforms import (
    BooleanField,
    Form,
    HiddenField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.fields import Field, SelectChoice
from wtforms.validators import InputRequired, Length, Optional, ValidationError

from clinic.errors import Invalid
from clinic.intake import consents, drugs, pages, record
from clinic.intake.questions import QUESTIONS
from clinic.patients.contact import checked_email, checked_phone
from clinic.web import i18n, scales

LONGEST_NAME = 200
LONGEST_LINE = 300
LONGEST_TEXT = 4000
LONGEST_KEPT = 10_000  # a draft keeps this much of one answer, whatever was pasted

NOT_SURE = _("Not sure")
YES_NO = {"yes": _("Yes"), "no": _("No"), "not_sure": NOT_SURE}
MONTHS = (
    _("January"),
    _("February"),
    _("March"),
    _("April"),
    _("May"),
    _("June"),
    _("July"),
    _("August"),
    _("September"),
    _("October"),
    _("November"),
    _("December"),
)
MONTH_NAMES = {str(number): name for number, name in enumerate(MONTHS, 1)}
WEEKDAYS = (_("Monday"), _("Tuesday"), _("Wednesday"), _("Thursday"), _("Friday"), _("Saturday"), _("Sunday"))
DAY_PARTS = {
    "early": (_("Early"), _("6 to 8")),
    "morning": (_("Morning"), _("8 to 12")),
    "afternoon": (_("Afternoon"), _("12 to 5")),
    "evening": (_("Evening"), _("5 to 8")),
}
CHOOSE = _("Please choose one of the answers.")
TOO_LONG = _("This is longer than we can keep. Please make it shorter.")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True)
class Row:
    """One line of the review. `answer` is None where it was left open; `is_unsure` where the person is not sure."""

    question: str
    answer: str | None
    is_unsure: bool = False


def clean(text: str) -> str:
    """Text as we keep it: no control or direction marks, one kind of line break, not endless."""
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))[:LONGEST_KEPT]


def _choices(options: Mapping[str, Any]) -> list[SelectChoice]:
    return [SelectChoice(value=value, label=label) for value, label in options.items()]


def one_of(label: Any, options: Mapping[str, Any], hint: Any = "", *, required: Any = None) -> RadioField:
    """A question with a few answers; open until it is answered, unless `required` says what to do."""
    validators = [InputRequired(required)] if required else [Optional()]
    return RadioField(
        label, validators, choices=_choices(options), description=hint, invalid_choice_message=required or CHOOSE
    )


def yes_no(label: Any, hint: Any = "") -> RadioField:
    """Yes, no, not sure."""
    return one_of(label, YES_NO, hint)


def line(
    label: Any, hint: Any = "", *, longest: int = LONGEST_LINE, needed: Any = None, **attributes: Any
) -> StringField:
    """One line of text. `needed` says what is missing; False: may be empty, and is looked at even then."""
    validators: list[Any] = [InputRequired(needed)] if needed else [Optional()] if needed is None else []
    return StringField(
        label, [*validators, Length(max=longest, message=TOO_LONG)], description=hint, render_kw=attributes or None
    )


def text(label: Any, hint: Any = "") -> TextAreaField:
    """A few lines in a person's own words."""
    return TextAreaField(label, [Optional(), Length(max=LONGEST_TEXT, message=TOO_LONG)], description=hint)


def months(label: Any = "") -> SelectField:
    """A month, or none."""
    return SelectField(
        label, [Optional()], choices=_choices({"": _("Month")} | MONTH_NAMES), invalid_choice_message=CHOOSE
    )


def years(label: Any = "") -> SelectField:
    """A year; the form's constructor gives the choices."""
    return SelectField(label, [Optional()], choices=[], invalid_choice_message=CHOOSE)


def not_sure() -> BooleanField:
    return BooleanField(NOT_SURE, false_values=("", "false", "0"))


class PageForm(Form):
    """One page. `cls` and `width` say how a field is drawn; `today` is the date on this person's wall."""

    cls: Mapping[str, str] = {}
    width: Mapping[str, str] = {}
    single: frozenset[str] = frozenset()  # drawn by another field, not a question of their own
    follow: Mapping[str, tuple[str, ...]] = {}  # asked only after one of these answers: {"field": ("asked", "yes")}
    optional: frozenset[str] = frozenset()  # no gap in the review when it is left empty
    folds: Mapping[str, tuple[str, ...]] = {}  # stands folded until one of these answers; "": to any of the questions

    def __init__(self, formdata: Any = None, *, today: date, places: Mapping[int, str] | None = None) -> None:
        super().__init__(formdata)
        self.today = today
        self.places = places or {}
        self.fix_year: int | None = None
        for field in self:
            if isinstance(field, SelectField) and field.name.endswith("_year"):
                span = range(today.year, today.year - 80, -1)
                field.choices = _choices({"": _("Year")} | {str(year): str(year) for year in span})

    def after(self, asked: str) -> list[str]:
        """The fields that unfold below a question; below all of them for ""."""
        return [name for name, (question, *_answers) in self.folds.items() if question == asked and name in self]

    def opens(self, asked: str) -> set[str]:
        """The answers of a question that unfold something."""
        return {answer for question, *answers in self.folds.values() if question in (asked, "") for answer in answers}

    def is_folded(self, *names: str) -> bool:
        """Whether fields may stay folded: nothing is in them and nothing is wrong with them."""
        return not any(self[name].data or self[name].errors for name in names)

    def values(self, sent: MultiDict[str, str]) -> dict[str, Any]:
        """The answers as they were typed, whether they can be used or not."""
        kept: dict[str, Any] = {}
        for field in self:
            given = [clean(value) for value in sent.getlist(field.name)[:100]]
            if isinstance(field, SelectMultipleField):
                if given:
                    kept[field.name] = given
            elif given and given[0].strip():
                kept[field.name] = given[0].strip()
        return kept

    def rows(self) -> Iterator[Row]:
        """The page in the review, a line a question."""
        for field in self:
            if field.name in self.single or (field.name in self.optional and not field.data):
                continue
            asked, *answers = self.follow.get(field.name, ("",))
            if not asked or self[asked].data in answers:
                yield self.row(field)

    def row(self, field: Field, question: Any = None) -> Row:
        question = str(question or field.label.text)
        unsure = getattr(self, f"{field.name}_not_sure", None)
        if isinstance(field, SelectMultipleField | RadioField | SelectField):
            data = field.data if isinstance(field.data, list) else [field.data]
            chosen = [str(c.label) for c in field.iter_choices() if c.value in data and c.value != ""]
            return Row(question, ", ".join(chosen) or None, is_unsure=data == ["not_sure"])
        if isinstance(field, BooleanField):
            return Row(question, str(_("Yes")) if field.data else None)
        said = (field.data or "").strip()
        if not said and unsure is not None and unsure.data:
            return Row(question, str(NOT_SURE), is_unsure=True)
        return Row(question, said or None)


def stored(values: Mapping[str, Any]) -> MultiDict[str, str]:
    """Answers as a browser would send them again."""
    return MultiDict(values)


# -- 1, 2: about you, what brings you -------------------------------------------------------------------------------


def month_words(form: PageForm, name: str) -> str:
    """`March 2025`, `2025` or nothing, from `{name}_month` and `{name}_year`."""
    month, year = form[f"{name}_month"].data, form[f"{name}_year"].data
    if not year:
        return ""
    return _month_year(int(month), year) if record.whole_of(month, 1, 12) else str(year)


def _month_year(month: int, year: object) -> str:
    return str(_("%(month)s %(year)s", month=MONTHS[month - 1], year=year))


class AboutForm(PageForm):
    given = line(
        _("First name"), longest=LONGEST_NAME, needed=_("Please write your first name."), autocomplete="given-name"
    )
    family = line(
        _("Last name"), longest=LONGEST_NAME, needed=_("Please write your last name."), autocomplete="family-name"
    )
    birth_month = SelectField("", choices=_choices({"": _("Month")} | MONTH_NAMES), validate_choice=False)
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
        yield Row(str(_("Born")), _date_words(born) if born else None)
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


# -- 3: the last two weeks ------------------------------------------------------------------------------------------

SKIP_OR_CHOOSE = _("Choose one answer, or skip this one for now.")


def _labels(answers: Mapping[int, str]) -> dict[str, str]:
    return {str(value): label for value, label in answers.items()}


def _phq9_form(number: int) -> type[PageForm]:
    item = scales.items("phq9")[number]
    answer = one_of(item.text, _labels(item.answers), required=SKIP_OR_CHOOSE)
    return type(f"Phq9Form{number}", (PageForm,), {"answer": answer})


def _cssrs_form(*numbers: int) -> type[PageForm]:
    items = scales.items("cssrs")
    fields: dict[str, Any] = {f"item{n}": one_of(items[n].text, _labels(items[n].answers)) for n in numbers}
    if 6 in numbers:
        fields["recent"] = one_of(scales.follow_up("cssrs"), _labels(items[6].answers), _("Only if you said yes."))
    drawn = {"cls": dict.fromkeys(fields, "row two"), "follow": {"recent": ("item6", "1")}}
    return type("CssrsForm", (PageForm,), fields | drawn)


def _gad7_form(*numbers: int) -> type[PageForm]:
    """Items and answers word for word: no "not sure" among them; going on leaves one open."""
    items = scales.items("gad7")
    fields: dict[str, Any] = {f"item{n}": one_of(items[n].text, _labels(items[n].answers)) for n in numbers}
    return type("Gad7Form", (PageForm,), fields | {"cls": dict.fromkeys(fields, "row two")})


def _ptsd_form(*numbers: int) -> type[PageForm]:
    items = scales.items("pcptsd5")
    fields: dict[str, Any] = {f"item{n}": one_of(items[n].text, _labels(items[n].answers)) for n in numbers}
    return type("PtsdForm", (PageForm,), fields | {"cls": dict.fromkeys(fields, "row two")})


class PtsdGateForm(PageForm):
    gate = one_of(scales.gate("pcptsd5"), _labels(scales.items("pcptsd5")[1].answers))
    cls = {"gate": "row two"}


def _difficulty_form() -> type[PageForm]:
    """The question below the PHQ-9 that is not scored."""
    text, answers = scales.functional("phq9")
    answer = one_of(text, {str(n): words for n, words in enumerate(answers)})
    return type("DifficultyForm", (PageForm,), {"answer": answer})


class SafetyForm(PageForm):
    next = one_of(
        _("A few more questions help us know how to help"),
        {"questions": _("Go on with 6 short questions"), "person": _("I would rather talk to a person")},
    )


# -- 4: medicines ---------------------------------------------------------------------------------------------------


class MedicinesForm(PageForm):
    """The list itself: the next medicine, or none at all."""

    drug = line(
        _("Which medicine did you take?"), _("Brand or other name. A best guess is fine."), longest=record.MAX_DRUG
    )
    none = BooleanField(_("I have not taken any medicine for this"), false_values=("", "false", "0"))

    def rows(self) -> Iterator[Row]:
        return iter(())


class DoseForm(PageForm):
    """Page 1 of a medicine: how much, and how long. The release form and the level are asked where the medicine has them."""

    drug = line(_("Name of the medicine"), needed=_("Write a name. A best guess is fine."), longest=record.MAX_DRUG)
    release = one_of(_("Which kind was it?"), {}, _("The box or bottle says."))
    dose = line(
        _("What was the most you took in a day?"),
        _("In mg, like 50 or 50-100. The bottle may say."),
        longest=60,
    )
    dose_not_sure = not_sure()
    weeks = line(_("For about how many weeks in all?"), _("Like 8, 4-7 or 6 months."), longest=60)
    weeks_not_sure = not_sure()
    at_dose = one_of(
        _("How much of that time was at that dose?"),
        {
            "all": _("All of it"),
            "part": _("Part of it"),
            "changed": _("My dose changed in steps"),
            "not_sure": NOT_SURE,
        },
    )
    at_dose_weeks = line(_("If part of it: how many weeks?"), longest=60)
    level = yes_no(_("Did a blood test show that the level was right?"), _("Some medicines are measured in the blood."))
    cls = {"release": "row two", "level": "row"}
    single = frozenset({"drug", "dose_not_sure", "weeks_not_sure", "at_dose_weeks"})
    width = {"at_dose_weeks": "mid"}
    folds = {"at_dose_weeks": ("at_dose", "part")}

    def __init__(self, formdata: Any = None, **more: Any) -> None:
        super().__init__(formdata, **more)
        self.medicine = drugs.named(self.drug.data or "")
        if self.medicine.forms:
            kinds = {kind: RELEASE_FORMS[kind] for kind in self.medicine.forms}
            self.release.choices = _choices(kinds | {"not_sure": NOT_SURE})
        else:
            del self["release"]
        if not self.medicine.has_level:
            del self["level"]

    def validate_dose(self, field: Field) -> None:
        if field.data and record.dose_of(field.data) is None:
            raise ValidationError(_("Write a number, like 50, or two, like 50-100. Or tick Not sure."))

    def validate_weeks(self, field: Field) -> None:
        if field.data and record.weeks_of(field.data) is None:
            raise ValidationError(_("Write a number, like 6, or two, like 4-7. Or tick Not sure."))

    def validate_at_dose_weeks(self, field: Field) -> None:
        if self.at_dose.data == "part" and field.data and record.weeks_of(field.data) is None:
            raise ValidationError(_("Write a number, like 6, or two, like 4-7."))

    def rows(self) -> Iterator[Row]:
        if "release" in self:
            yield self.row(self.release, _("Kind"))
        yield self.row(self.dose, _("Most in a day (mg)"))
        yield self.row(self.weeks, _("Weeks in all"))
        at_dose = self.row(self.at_dose, _("Time at that dose"))
        if self.at_dose.data == "part" and self.at_dose_weeks.data:
            at_dose = Row(at_dose.question, f"{self.at_dose_weeks.data} {_('weeks')}")
        yield at_dose
        if "level" in self:
            yield self.row(self.level, _("Level in the blood was right"))


RELEASE_FORMS: dict[str, Any] = {
    "ir": _("Regular"),
    "xr": _("Extended release (XR, ER)"),
    "xl": _("Once a day (XL)"),
    "sr": _("Twice a day (SR)"),
    "cr": _("Controlled release (CR)"),
    "weekly": _("Once a week"),
    "besylate": _("Besylate ER tablet"),
    "hbr": _("Aplenzin"),
    "patch": _("Patch on the skin"),
    "tablet": _("Pill"),
}


def _steps_form() -> type[PageForm]:
    """How the dose changed: up to four steps, in order."""
    fields: dict[str, Any] = {}
    for n in range(1, record.MAX_STEPS + 1):
        fields[f"step{n}_dose"] = line(_("mg a day"), longest=60, inputmode="decimal")
        fields[f"step{n}_weeks"] = line(_("Weeks"), longest=60)
    return type("_Steps", (PageForm,), fields | {"single": frozenset(fields)})


class StepsForm(_steps_form()):  # type: ignore[misc]
    def validate(self, extra_validators: Any = None) -> bool:
        sound = super().validate(extra_validators)
        for n in range(1, record.MAX_STEPS + 1):
            dose, weeks = self[f"step{n}_dose"], self[f"step{n}_weeks"]
            if dose.data and record.dose_of(dose.data) is None:
                dose.errors = [*dose.errors, _("Write a number, like 50, or two, like 50-100.")]
                sound = False
            if weeks.data and record.weeks_of(weeks.data) is None:
                weeks.errors = [*weeks.errors, _("Write a number, like 6, or two, like 4-7.")]
                sound = False
        return sound

    def rows(self) -> Iterator[Row]:
        said = []
        for n in range(1, record.MAX_STEPS + 1):
            dose, weeks = self[f"step{n}_dose"].data, self[f"step{n}_weeks"].data
            if dose or weeks:
                said.append(str(_("%(dose)s mg for %(weeks)s weeks", dose=dose or "?", weeks=weeks or "?")))
        if said:
            yield Row(str(_("How the dose changed")), ", ".join(said))


def month_words_of(month: str, year: int) -> str:
    """`January 2026` from "2025-01" and another year."""
    return _month_year(int(month[5:]), year) if len(month) == 7 else str(year)


class OutcomeForm(PageForm):
    """Page 2 of a medicine: when, what it was for, and what came of it."""

    from_month, from_year = months(), years()
    to_month, to_year = months(), years()
    dates_not_sure = not_sure()
    use = one_of(
        _("What did you take it for?"),
        {
            "alone": _("My mood, on its own"),
            "add_on": _("My mood, with another medicine"),
            "sleep": _("Sleep"),
            "pain": _("Pain"),
            "smoking": _("To stop smoking"),
            "other": _("Something else"),
            "not_sure": NOT_SURE,
        },
    )
    outcome = one_of(
        _("How much did it help?"),
        {
            "none": _("Not at all"),
            "partial": _("A little, not enough"),
            "lost_response": _("At first, then it stopped"),
            "response": _("A lot"),
            "remission": _("I felt well again"),
            "not_sure": NOT_SURE,
        },
    )
    stopped = one_of(
        _("Why did you stop?"),
        {
            "ongoing": _("I still take it"),
            "inefficacy": _("It did not help enough"),
            "side_effects": _("Side effects made me stop"),
            "could_not": _("Another illness or medicine"),
            "cost": _("It cost too much"),
            "other": _("Something else"),
            "not_sure": NOT_SURE,
        },
    )
    single = frozenset({"from_month", "from_year", "to_month", "to_year", "dates_not_sure"})

    def validate_from_month(self, field: Field) -> None:
        self._must_have_year("from")

    def validate_to_month(self, field: Field) -> None:
        self._must_have_year("to")

    def validate_from_year(self, field: Field) -> None:
        self._must_not_be_ahead("from")

    def validate_to_year(self, field: Field) -> None:
        if self.dates_not_sure.data:
            return
        self._must_not_be_ahead("to")
        start, end = self._month("from"), self._month("to")
        if not record.is_backwards(start, end):
            return
        assert start is not None
        assert end is not None
        year = int(start[:4]) + (end[4:] < start[4:])
        if year <= self.today.year:
            self.fix_year = year
            raise ValidationError(
                _("The end is before the start. Did you mean %(end)s?", end=month_words_of(end, year))
            )
        raise ValidationError(_("The end is before the start. Please look at the years."))

    def _month(self, name: str) -> str | None:
        parts = {f"{name}_{part}": self[f"{name}_{part}"].data or "" for part in ("month", "year")}
        return record.month_of(parts, name)

    def _must_have_year(self, name: str) -> None:
        if not self[f"{name}_year"].data and not self.dates_not_sure.data:
            raise ValidationError(_("Please choose the year too, or tick Not sure."))

    def _must_not_be_ahead(self, name: str) -> None:
        month = self._month(name)
        if month and not self.dates_not_sure.data and month > f"{self.today:%Y-%m}"[: len(month)]:
            raise ValidationError(_("This month is still to come. Please look at the year."))

    def dates(self) -> Row:
        """`March 2025 to January 2026`."""
        return dates_row(self)

    def rows(self) -> Iterator[Row]:
        yield self.dates()
        yield self.row(self.use)
        yield self.row(self.outcome)
        yield self.row(self.stopped)


def dates_row(form: PageForm) -> Row:
    """From when to when, of a form with `from_` and `to_` months."""
    ends = [month_words(form, name) for name in ("from", "to")]
    said = _("%(start)s to %(end)s", start=ends[0], end=ends[1]) if all(ends) else next(filter(None, ends), "")
    if form.dates_not_sure.data:
        return Row(str(_("When")), str(NOT_SURE), is_unsure=True)
    return Row(str(_("When")), str(said) or None)


class LastForm(PageForm):
    """Page 3 of a medicine: doses missed, which time it was, papers; and what stopped it, where that needs words."""

    missed = one_of(
        _("Most people miss some doses. About how many a week did you miss?"),
        {"0": _("None"), "1": _("1"), "2_3": _("2 or 3"), "4_more": _("4 or more"), "not_sure": NOT_SURE},
    )
    this_episode = one_of(_("Was that in this time of feeling low?"), YES_NO)
    papers = one_of(
        _("Do you have papers for this one?"),
        {
            "pharmacy": _("A pharmacy list or app"),
            "chart": _("Notes from a clinic"),
            "letter": _("A letter from a doctor"),
            "none": _("No papers"),
            "not_sure": NOT_SURE,
        },
        _("You can add a photo now or later."),
    )
    side_effects = line(_("Which side effects made you stop?"))
    side_effect_month, side_effect_year = months(), years()
    in_the_way = line(_("Which illness or medicine was in the way?"))
    cls = {"missed": "row two", "this_episode": "row"}
    single = frozenset({"side_effect_month", "side_effect_year"})

    def validate_side_effect_month(self, field: Field) -> None:
        if field.data and not self.side_effect_year.data:
            raise ValidationError(_("Please choose the year too."))

    def validate_side_effect_year(self, field: Field) -> None:
        parts = {"side_effect_year": field.data or "", "side_effect_month": self.side_effect_month.data or ""}
        month = record.month_of(parts, "side_effect")
        if month and month > f"{self.today:%Y-%m}"[: len(month)]:
            raise ValidationError(_("This month is still to come. Please look at the year."))

    def rows(self) -> Iterator[Row]:
        if self.side_effects.data:
            since = month_words(self, "side_effect")
            yield Row(str(_("Side effects")), ", ".join(filter(None, (self.side_effects.data, since))))
        if self.in_the_way.data:
            yield self.row(self.in_the_way, _("What was in the way"))
        yield self.row(self.missed, _("Doses missed a week"))
        yield self.row(self.this_episode)
        yield self.row(self.papers, _("Papers"))


class TakingForm(PageForm):
    """Medicines taken now that are not on the first list: by name, one after the other."""

    drug = line(_("What else do you take now?"), _("For any reason. Herbs too."), longest=record.MAX_DRUG)
    names = SelectMultipleField(validate_choice=False)
    none = BooleanField(_("Nothing else"), false_values=("", "false", "0"))
    none_not_sure = not_sure()
    changed = text(_("Medicines stopped or changed of late?"), _("If so: which, and about when."))
    single = frozenset({"drug", "none", "none_not_sure"})
    optional = frozenset({"changed"})

    def taken(self) -> list[str]:
        """The list, each name once, in the order in which it was made."""
        return record.names_of({"names": self.names.data or []})

    def rows(self) -> Iterator[Row]:
        listed = [drugs.named(name).shown for name in self.taken()]
        said = ", ".join(listed) or (str(self.none.label.text) if self.none.data else "")
        unsure = bool(self.none_not_sure.data) and not listed
        yield Row(str(_("What else do you take now?")), str(NOT_SURE) if unsure else said or None, is_unsure=unsure)
        if self.changed.data:
            yield self.row(self.changed)


# -- 5: talk therapy and other treatments ---------------------------------------------------------------------------

THERAPY_NAMES = {
    "cbt": _("CBT (cognitive behavioral therapy)"),
    "ipt": _("IPT (interpersonal therapy)"),
    "dbt": _("DBT (dialectical behavior therapy)"),
    "other": _("Another kind"),
    "not_sure": _("Not sure which kind"),
}


class TherapyForm(PageForm):
    had = one_of(_("Have you had talk therapy for this?"), YES_NO)
    kinds = SelectMultipleField(
        _("Which kind?"),
        choices=_choices(THERAPY_NAMES),
        description=_("Tick all that you had."),
        invalid_choice_message=CHOOSE,
    )
    other_kind = line(_("If another kind: what was it called?"))
    cls = {"had": "row"}
    follow = {"kinds": ("had", "yes")}
    folds = {"kinds": ("had", "yes"), "other_kind": ("kinds", "other")}
    optional = frozenset({"other_kind"})


class TherapyKindForm(PageForm):
    """One kind of talk therapy."""

    sessions = line(_("About how many sessions in all?"), _("Like 12 or 8-10."), longest=60)
    sessions_not_sure = not_sure()
    from_month, from_year = months(), years()
    to_month, to_year = months(), years()
    dates_not_sure = not_sure()
    trained = one_of(_("Was the therapist trained in this kind?"), YES_NO)
    helped = one_of(
        _("Did it help?"),
        {
            "no": _("No"),
            "little": _("A little"),
            "lot": _("A lot"),
            "going_on": _("I am still in it"),
            "not_sure": NOT_SURE,
        },
    )
    therapist = line(_("Who was the therapist?"), _("You can leave this empty."))
    cls = {"trained": "row", "helped": "row two"}
    width = {"sessions": "short"}
    single = frozenset({"sessions_not_sure", "from_month", "from_year", "to_month", "to_year", "dates_not_sure"})
    optional = frozenset({"therapist"})

    def validate_sessions(self, field: Field) -> None:
        if field.data and record.count_of(field.data) is None:
            raise ValidationError(_("Write a number, like 12, or two, like 8-10. Or tick Not sure."))

    def validate_to_year(self, field: Field) -> None:
        ends = []
        for name in ("from", "to"):
            parts = {f"{name}_{part}": self[f"{name}_{part}"].data or "" for part in ("month", "year")}
            ends.append(record.month_of(parts, name))
        if not self.dates_not_sure.data and record.is_backwards(*ends):
            raise ValidationError(_("The end is before the start. Please look at the years."))

    def rows(self) -> Iterator[Row]:
        yield self.row(self.sessions)
        yield dates_row(self)
        yield self.row(self.trained)
        yield self.row(self.helped)
        if self.therapist.data:
            yield self.row(self.therapist)


class TreatmentsForm(PageForm):
    ect = yes_no(
        _("Have you had ECT in this time of feeling low?"), _("ECT is a short electric treatment while you sleep.")
    )
    cls = {"ect": "row"}


# -- 6, 7: safety ---------------------------------------------------------------------------------------------------


MORE = {"more": ("", "yes")}  # room for words, after any yes of the page


def _screen_fields(key: str) -> dict[str, Any]:
    return {name: yes_no(*QUESTIONS[name]) for name in pages.SCREENS[key]}


def _screen_form(key: str, **more: Any) -> type[PageForm]:
    """The page's yes or no questions, in their order, then `more`, then room for words."""
    fields = _screen_fields(key) | more | {"more": text(_("If you said yes: tell us more"), _("You can skip this."))}
    cls = {name: "row" for name, field in fields.items() if name != "more"}
    drawn = {"cls": cls, "optional": frozenset({"more"}), "folds": MORE}
    return type(f"{key.title()}Form", (PageForm,), fields | drawn)


def _alcohol_form() -> type[PageForm]:
    items = scales.items("audit_c")
    audit = {f"audit{n}": one_of(items[n].text, _labels(items[n].answers)) for n in (1, 2, 3)}
    return type("AlcoholForm", (PageForm,), audit | _screen_fields("alcohol") | {"cls": {"alcohol": "row"}})


class HeartForm(PageForm):
    hypertensive_or_cv_disease = yes_no(*QUESTIONS["hypertensive_or_cv_disease"])
    respiratory = yes_no(*QUESTIONS["respiratory"])
    systolic = line(_("Upper number"), longest=10, inputmode="numeric")
    diastolic = line(_("Lower number"), longest=10, inputmode="numeric")
    bp_not_sure = not_sure()
    more = text(_("If you said yes: tell us more"), _("You can skip this."))
    cls = {"hypertensive_or_cv_disease": "row", "respiratory": "row"}
    single = frozenset({"systolic", "diastolic", "bp_not_sure"})
    optional = frozenset({"more"})
    folds = MORE

    def validate_systolic(self, field: Field) -> None:
        upper, lower = field.data or "", self.diastolic.data or ""
        if self.bp_not_sure.data or not (upper or lower):
            return
        if record.blood_pressure({"systolic": upper, "diastolic": lower}) is None:
            raise ValidationError(_("Write both numbers, the higher one first, like 120 and 80. Or tick Not sure."))

    def rows(self) -> Iterator[Row]:
        yield self.row(self.hypertensive_or_cv_disease)
        yield self.row(self.respiratory)
        unsure = bool(self.bp_not_sure.data)
        said = "/".join(filter(None, (self.systolic.data, self.diastolic.data)))
        yield Row(str(_("Blood pressure")), str(NOT_SURE) if unsure else said or None, is_unsure=unsure)
        if self.more.data:
            yield self.row(self.more)


class HealthForm(PageForm):
    liver_impairment = one_of(
        _("Liver trouble, by what a doctor said?"),
        {
            "none": _("No"),
            "mild": _("A little"),
            "moderate": _("Somewhat"),
            "severe": _("A lot"),
            "not_sure": NOT_SURE,
        },
    )
    bladder = yes_no(*QUESTIONS["bladder"])
    raised_intraocular_pressure_or_thyrotoxicosis = yes_no(*QUESTIONS["raised_intraocular_pressure_or_thyrotoxicosis"])
    more = text(_("If you said yes: tell us more"), _("You can skip this."))
    optional = frozenset({"more"})
    folds = {"more": ("", "yes", "mild", "moderate", "severe")}
    cls = {
        "liver_impairment": "row two",
        "bladder": "row",
        "raised_intraocular_pressure_or_thyrotoxicosis": "row",
    }


class ThyroidForm(PageForm):
    problem = yes_no(_("Is or was your thyroid too slow or too fast?"))
    tested = yes_no(_("Was your thyroid ever tested?"), _("A blood test."))
    result = one_of(
        _("If yes: what did the test show?"),
        {"normal": _("Normal"), "abnormal": _("Not normal"), "not_sure": NOT_SURE},
    )
    test_month, test_year = months(), years()
    dates_not_sure = not_sure()
    cls = {"problem": "row", "tested": "row", "result": "row"}
    single = frozenset({"test_month", "test_year", "dates_not_sure"})
    follow = {"result": ("tested", "yes")}
    folds = dict.fromkeys(("result", "test_month", "test_year", "dates_not_sure"), ("tested", "yes"))

    def validate_test_year(self, field: Field) -> None:
        month = record.month_of({"test_year": field.data or "", "test_month": self.test_month.data or ""}, "test")
        if month and month > f"{self.today:%Y-%m}"[: len(month)]:
            raise ValidationError(_("This month is still to come. Please look at the year."))

    def rows(self) -> Iterator[Row]:
        yield from super().rows()
        if self.tested.data == "yes":
            unsure, when = bool(self.dates_not_sure.data), month_words(self, "test")
            yield Row(str(_("Tested when")), str(NOT_SURE) if unsure else when or None, is_unsure=unsure)


class SleepForm(PageForm):
    insomnia = yes_no(_("Is it hard to fall asleep or stay asleep?"))
    hours = line(_("About how many hours of sleep a night?"), _("Like 6 or 5-7."), longest=20)
    hours_not_sure = not_sure()
    gasping = yes_no(_("Loud snoring, or waking up gasping for air?"))
    cls = {"insomnia": "row", "gasping": "row"}
    width = {"hours": "short"}
    single = frozenset({"hours_not_sure"})

    def validate_hours(self, field: Field) -> None:
        if field.data and record.hours_of(field.data) is None:
            raise ValidationError(_("Write a number up to 24, like 6, or two, like 5-7. Or tick Not sure."))


class ConditionsForm(PageForm):
    pain = yes_no(_("Pain on most days?"))
    lowering = yes_no(
        _("Did your mood drop after you began some medicine?"),
        _("Like steroids, acne pills, blood pressure pills, birth control."),
    )
    lowering_which = line(_("If yes: which one?"), _("You can skip this."))
    illness = text(_("Any other illness that lasts?"), _("Like diabetes or lupus."))
    cls = {"pain": "row", "lowering": "row"}
    follow = {"lowering_which": ("lowering", "yes")}
    folds = follow
    optional = frozenset({"lowering_which", "illness"})


class LifeForm(PageForm):
    """Skippable as a whole; nothing of it is an input to a verdict."""

    weighs = SelectMultipleField(
        _("Does something in your life weigh on you?"),
        choices=_choices(
            {
                "money": _("Work, school or money"),
                "home": _("Home, or where I live"),
                "people": _("Partner, family or friends"),
                "loss": _("A loss"),
                "past": _("Something bad that happened to me"),
                "care": _("I take care of someone"),
                "nothing": _("No, nothing much"),
                "not_sure": _("Not sure, or rather not say"),
            }
        ),
        description=_("Tick what fits. You can skip all of it."),
        invalid_choice_message=CHOOSE,
    )
    words = text(_("Anything else to tell us?"), _("In your own words. You can skip this."))
    optional = frozenset({"words"})


class FamilyForm(PageForm):
    """Free text and a yes or no about a test; never an input to a verdict."""

    relatives = text(
        _("Has someone in your family had depression or bipolar?"),
        _("Who, and what helped them, if you know."),
    )
    gene_test = yes_no(_("Have you had a gene test about medicines?"), _("A swab of the cheek, or blood."))
    cls = {"gene_test": "row"}
    optional = frozenset({"relatives"})


# -- 8, 9: times, places, messages ----------------------------------------------------------------------------------


class TimesForm(PageForm):
    when = one_of(
        _("When could you come?"),
        {
            "weekdays": _("Any time, Monday to Friday"),
            "any": _("Any time, any day"),
            "some": _("Only at some times"),
            "not_sure": NOT_SURE,
        },
        _("TMS visits are on most weekdays for some weeks. The same time each day is easiest."),
    )
    windows = SelectMultipleField(
        _("If only at some times: which?"),
        choices=[
            SelectChoice(value=f"{weekday}-{part}", label=f"{weekday}-{part}")
            for weekday in record.WEEKDAYS
            for part in DAY_PARTS
        ],
        invalid_choice_message=CHOOSE,
    )
    away = BooleanField(_("I will be away on some days"), false_values=("", "false", "0"))
    folds = {"windows": ("when", "some")}

    def validate_when(self, field: Field) -> None:
        if field.data == "some" and not self.windows.data:
            raise ValidationError(_("Tick at least one time below, or choose Not sure."))

    def values(self, sent: MultiDict[str, str]) -> dict[str, Any]:
        kept = super().values(sent)
        if kept.get("windows") and not kept.get("when"):
            kept["when"] = "some"  # ticking a time says it
        return kept

    def rows(self) -> Iterator[Row]:
        yield self.row(self.when)
        for weekday, spans in record.windows({"when": self.when.data, "windows": self.windows.data}).items():
            if self.when.data == "some":
                hours = (str(_("%(start)s to %(end)s", start=_hour(a), end=_hour(b))) for a, b in spans)
                yield Row(str(WEEKDAYS[weekday]), ", ".join(hours))


def _hour(minute: int) -> str:
    hour = minute // 60
    return f"{hour % 12 or 12} {i18n.HALVES[i18n.language()][hour >= 12]}"


def _dates_form() -> type[PageForm]:
    fields: dict[str, Any] = {}
    for n in (1, 2, 3):
        fields[f"from{n}"] = line(_("First day"), longest=20, type="date")
        fields[f"to{n}"] = line(_("Last day"), longest=20, type="date")
    return type("_Dates", (PageForm,), fields | {"single": frozenset(fields)})


class AwayForm(_dates_form()):  # type: ignore[misc]
    def validate(self, extra_validators: Any = None) -> bool:
        sound = super().validate(extra_validators)
        for n in (1, 2, 3):
            first, last = self[f"from{n}"], self[f"to{n}"]
            problem = _span_problem(first.data, last.data, self.today)
            if problem:
                target = first if problem[0] else last
                target.errors = [*target.errors, problem[1]]
                sound = False
        return sound

    def rows(self) -> Iterator[Row]:
        days = record.away({name: self[name].data for name in self._fields})
        spans = _spans(days)
        yield Row(str(_("Days away")), ", ".join(spans) or None)


def _span_problem(first: str | None, last: str | None, today: date) -> tuple[bool, Any] | None:
    """Whether the first or the last day is at fault, and what to do about it."""
    if not first and not last:
        return None
    begins, ends = record.iso_date(first), record.iso_date(last)
    if begins is None:
        return True, _("Please give the first day.")
    if last and ends is None:
        return False, _("Please look at the last day.")
    if not today.year - 1 <= begins.year <= today.year + 3:
        return True, _("Please look at the year.")
    if ends and ends < begins:
        return False, _("The last day is before the first day.")
    if ends and (ends - begins).days > record.MAX_AWAY:
        return False, _("That is more than three months. Please talk to us about it.")
    return None


def _spans(days: Sequence[date]) -> list[str]:
    found: list[list[date]] = []
    for day in days:
        if found and (day - found[-1][-1]).days == 1:
            found[-1].append(day)
        else:
            found.append([day])
    return [
        _date_words(run[0])
        if len(run) == 1
        else str(_("%(start)s to %(end)s", start=_date_words(run[0]), end=_date_words(run[-1])))
        for run in found
    ]


def _date_words(day: date) -> str:
    return str(_("%(month)s %(day)s, %(year)s", month=MONTHS[day.month - 1], day=day.day, year=day.year))


class PlacesForm(PageForm):
    first = RadioField(_("Which place is best for you?"), [Optional()], invalid_choice_message=CHOOSE)
    second = SelectField(_("Which one could work too?"), [Optional()], invalid_choice_message=CHOOSE)
    third = SelectField(_("And a third?"), [Optional()], invalid_choice_message=CHOOSE)
    optional = frozenset({"second", "third"})

    def __init__(self, formdata: Any = None, **more: Any) -> None:
        super().__init__(formdata, **more)
        known = {str(place): name for place, name in self.places.items()}
        self.first.choices = _choices(known | {"not_sure": NOT_SURE})
        for field in (self.second, self.third):
            field.choices = _choices({"": _("None")} | known)


def _consent_fields(*keys: str) -> dict[str, Any]:
    """A yes or no to each text, and a hidden mark of the text that was shown."""
    fields: dict[str, Any] = {}
    for key in keys:
        fields[key] = one_of(
            LazyString(lambda k=key: consents.shown(k, i18n.language()).title),
            {"yes": _("Yes"), "no": _("No")},
            LazyString(lambda k=key: consents.shown(k, i18n.language()).text),
        )
        fields[f"{key}_text"] = HiddenField(validators=[Length(max=64)])
    marks = frozenset(f"{key}_text" for key in keys)
    return fields | {"cls": dict.fromkeys(keys, "row two"), "single": marks}


class ConsentsForm(type("_Consents", (PageForm,), _consent_fields("care_team", "records"))):  # type: ignore[misc]
    records_from = line(_("If yes: which doctor or pharmacy?"), _("Name and town, now or later."))
    optional = frozenset({"records_from"})
    folds = {"records_from": ("records", "yes")}


class MessagesForm(type("_Messages", (PageForm,), _consent_fields("email", "sms"))):  # type: ignore[misc]
    """The two consents stand apart: a yes to one says nothing about the other."""

    style = one_of(
        _("How often should we write?"),
        {"digest": _("One message a week"), "each": _("One before each visit")},
    )


FORMS: dict[str, type[PageForm]] = {
    "about": AboutForm,
    "contact": ContactForm,
    "cover": CoverForm,
    "brings": BringsForm,
    **{f"phq9-{n}": _phq9_form(n) for n in range(1, pages.PHQ9_ITEMS + 1)},
    "cssrs-1": _cssrs_form(1, 2),
    "cssrs-2": _cssrs_form(3, 4, 5),
    "cssrs-3": _cssrs_form(6),
    "difficulty": _difficulty_form(),
    **{f"gad7-{n}": _gad7_form(*items) for n, items in pages.GAD7_PAGES.items()},
    "ptsd": PtsdGateForm,
    **{f"ptsd-{n}": _ptsd_form(*items) for n, items in pages.PTSD_PAGES.items()},
    pages.MEDICINES: MedicinesForm,
    "taking": TakingForm,
    "therapy": TherapyForm,
    **{f"therapy-{kind}": TherapyKindForm for kind in pages.THERAPIES},
    "treatments": TreatmentsForm,
    **{key: _screen_form(key) for key in pages.SCREENS if key not in ("alcohol", "heart", "health")},
    "alcohol": _alcohol_form(),
    "thyroid": ThyroidForm,
    "sleep": SleepForm,
    "conditions": ConditionsForm,
    "heart": HeartForm,
    "health": HealthForm,
    "life": LifeForm,
    "family": FamilyForm,
    "times": TimesForm,
    "away": AwayForm,
    "places": PlacesForm,
    "consents": ConsentsForm,
    "messages": MessagesForm,
}


def place_names(sites: Iterable[Any]) -> dict[int, str]:
    """Choices of the page `places`."""
    return {site.id: site.name for site in sites}
