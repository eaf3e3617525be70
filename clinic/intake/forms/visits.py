"""Parts 8 and 9: when and where to come, what we may do and how we may write."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString
from werkzeug.datastructures import MultiDict
from wtforms import (
    BooleanField,
    HiddenField,
    RadioField,
    SelectField,
    SelectMultipleField,
)
from wtforms.fields import Field, SelectChoice
from wtforms.validators import Length, Optional, ValidationError

from clinic.intake import consents, record
from clinic.intake.forms.base import (
    CHOOSE,
    DAY_PARTS,
    NOT_SURE,
    WEEKDAYS,
    PageForm,
    Row,
    choices_of,
    date_words,
    line,
    one_of,
)
from clinic.web import i18n


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
        date_words(run[0])
        if len(run) == 1
        else str(_("%(start)s to %(end)s", start=date_words(run[0]), end=date_words(run[-1])))
        for run in found
    ]


class PlacesForm(PageForm):
    first = RadioField(_("Which place is best for you?"), [Optional()], invalid_choice_message=CHOOSE)
    second = SelectField(_("Which one could work too?"), [Optional()], invalid_choice_message=CHOOSE)
    third = SelectField(_("And a third?"), [Optional()], invalid_choice_message=CHOOSE)
    optional = frozenset({"second", "third"})

    def __init__(self, formdata: Any = None, **more: Any) -> None:
        super().__init__(formdata, **more)
        known = {str(place): name for place, name in self.places.items()}
        self.first.choices = choices_of(known | {"not_sure": NOT_SURE})
        for field in (self.second, self.third):
            field.choices = choices_of({"": _("None")} | known)


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
