"""What every page of the form is made of: its fields, its answers as they were typed, its lines in the review."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask_babel import lazy_gettext as _
from werkzeug.datastructures import MultiDict
from wtforms import (
    BooleanField,
    Form,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.fields import Field, SelectChoice
from wtforms.validators import InputRequired, Length, Optional

from clinic.intake import record

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


def choices_of(options: Mapping[str, Any]) -> list[SelectChoice]:
    return [SelectChoice(value=value, label=label) for value, label in options.items()]


def one_of(label: Any, options: Mapping[str, Any], hint: Any = "", *, required: Any = None) -> RadioField:
    """A question with a few answers; open until it is answered, unless `required` says what to do."""
    validators = [InputRequired(required)] if required else [Optional()]
    return RadioField(
        label, validators, choices=choices_of(options), description=hint, invalid_choice_message=required or CHOOSE
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
        label, [Optional()], choices=choices_of({"": _("Month")} | MONTH_NAMES), invalid_choice_message=CHOOSE
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
                field.choices = choices_of({"": _("Year")} | {str(year): str(year) for year in span})

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


def month_words(form: PageForm, name: str) -> str:
    """`March 2025`, `2025` or nothing, from `{name}_month` and `{name}_year`."""
    month, year = form[f"{name}_month"].data, form[f"{name}_year"].data
    if not year:
        return ""
    return month_year(int(month), year) if record.whole_of(month, 1, 12) else str(year)


def month_year(month: int, year: object) -> str:
    return str(_("%(month)s %(year)s", month=MONTHS[month - 1], year=year))


def month_words_of(month: str, year: int) -> str:
    """`January 2026` from "2025-01" and another year."""
    return month_year(int(month[5:]), year) if len(month) == 7 else str(year)


def dates_row(form: PageForm) -> Row:
    """From when to when, of a form with `from_` and `to_` months."""
    ends = [month_words(form, name) for name in ("from", "to")]
    said = _("%(start)s to %(end)s", start=ends[0], end=ends[1]) if all(ends) else next(filter(None, ends), "")
    if form.dates_not_sure.data:
        return Row(str(_("When")), str(NOT_SURE), is_unsure=True)
    return Row(str(_("When")), str(said) or None)


def labels_of(answers: Mapping[int, str]) -> dict[str, str]:
    return {str(value): label for value, label in answers.items()}


def date_words(day: date) -> str:
    return str(_("%(month)s %(day)s, %(year)s", month=MONTHS[day.month - 1], day=day.day, year=day.year))
