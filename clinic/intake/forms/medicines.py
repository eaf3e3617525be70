"""Part 4: medicines, each on a few short pages."""

from collections.abc import Iterator
from typing import Any

from flask_babel import lazy_gettext as _
from wtforms import (
    BooleanField,
    SelectMultipleField,
)
from wtforms.fields import Field
from wtforms.validators import ValidationError

from clinic.intake import drugs, record
from clinic.intake.forms.base import (
    NOT_SURE,
    YES_NO,
    PageForm,
    Row,
    choices_of,
    dates_row,
    line,
    month_words,
    month_words_of,
    months,
    not_sure,
    one_of,
    text,
    years,
    yes_no,
)


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
            self.release.choices = choices_of(kinds | {"not_sure": NOT_SURE})
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
